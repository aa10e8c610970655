//! `heartbeat`: every length of time, and the port.

use super::Reader;
use super::section::Section;
use crate::rules::DAEMON_RESTART;
use crate::tree::Entry;
use crm_core::model::Timing;
use crm_core::time::Span;

/// Keys of `heartbeat`.
pub(crate) const KEYS: &[&str] = &[
    "keepalive",
    "warntime",
    "deadtime",
    "initdead",
    "lease",
    "stop_margin",
    "watchdog",
    "election",
    "rejoin_after",
    "port",
];

impl Reader<'_> {
    pub(super) fn timing(&mut self, entry: &Entry) -> Timing {
        let mut timing = Timing::default();
        let Some(section) = Section::open(&entry.value, "`heartbeat`".to_owned(), self) else {
            return timing;
        };
        let section = section.allow(KEYS, self);
        let fields: [(&str, &mut Span); 9] = [
            ("keepalive", &mut timing.keepalive),
            ("warntime", &mut timing.warntime),
            ("deadtime", &mut timing.deadtime),
            ("initdead", &mut timing.initdead),
            ("lease", &mut timing.lease),
            ("stop_margin", &mut timing.stop_margin),
            ("watchdog", &mut timing.watchdog),
            ("election", &mut timing.election),
            ("rejoin_after", &mut timing.rejoin_after),
        ];
        for (key, field) in fields {
            let Some(entry) = section.entry(key) else { continue };
            self.places.note(format!("heartbeat/{key}"), &entry.value.at);
            if let Some(span) = self.duration(entry) {
                *field = span;
            }
        }
        self.derive(&section, &mut timing);
        if let Some(entry) = section.entry("port") {
            match self.number::<u16>(entry, "a UDP port from 1 to 65535") {
                Some(0) => self.wrong(&entry.value, "`port`", "a UDP port from 1 to 65535"),
                Some(port) => timing.port = port,
                None => {}
            }
        }
        timing
    }

    /// Times that were not written follow those that were: somebody who writes Heartbeat's
    /// `keepalive: 2` and `deadtime: 5` gets a warntime and a lease that fit (HB5).
    fn derive(&self, section: &Section<'_>, timing: &mut Timing) {
        let free = |key: &str| section.entry(key).is_none();
        if free("deadtime") {
            timing.deadtime = timing.deadtime.max(timing.keepalive * 4);
        }
        let fits = timing.keepalive < timing.warntime && timing.warntime < timing.deadtime;
        if free("warntime") && !fits {
            timing.warntime = Span::micros(
                timing.keepalive.as_micros().saturating_add(timing.deadtime.as_micros()) / 2,
            );
        }
        if free("initdead") {
            timing.initdead = timing.initdead.max(timing.deadtime * 2);
        }
        if free("lease") {
            let least = timing.deadtime + timing.election + timing.keepalive;
            timing.lease = timing.lease.max(least + Span::micros(least.as_micros() / 4));
        }
        if free("watchdog") {
            timing.watchdog = timing.watchdog.max(DAEMON_RESTART + timing.rejoin_after * 2);
        }
    }
}
