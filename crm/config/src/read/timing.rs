//! `heartbeat`: every length of time, and the port.

use super::Reader;
use super::section::Section;
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
        if let Some(entry) = section.entry("port") {
            match self.number::<u16>(entry, "a UDP port from 1 to 65535") {
                Some(0) => self.wrong(&entry.value, "`port`", "a UDP port from 1 to 65535"),
                Some(port) => timing.port = port,
                None => {}
            }
        }
        timing
    }
}
