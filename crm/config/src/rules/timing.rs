//! Relations between the lengths of time (R13, H9, H16, H19 in docs/rules.md).

use super::Rulebook;
use crm_core::time::Span;

/// A daemon that is restarted (at once, by systemd) feeds the watchdog again within this time.
pub(crate) const DAEMON_RESTART: Span = Span::millis(1500);
/// More heartbeats than this a second are load, not safety.
const KEEPALIVE_MIN: Span = Span::millis(10);
/// Longer ones are certainly slips: nobody waits a day for a failover.
const SPAN_MAX: Span = Span::secs(24 * 3600);

impl Rulebook<'_> {
    pub(super) fn timing(&mut self) {
        let timing = &self.cluster.timing;
        let all = [
            ("keepalive", timing.keepalive),
            ("warntime", timing.warntime),
            ("deadtime", timing.deadtime),
            ("initdead", timing.initdead),
            ("lease", timing.lease),
            ("stop_margin", timing.stop_margin),
            ("watchdog", timing.watchdog),
            ("election", timing.election),
            ("rejoin_after", timing.rejoin_after),
        ];
        for (key, span) in all {
            let may_be_zero = matches!(key, "stop_margin" | "rejoin_after");
            if span > SPAN_MAX || (span == Span::ZERO && !may_be_zero) {
                let expected =
                    if span == Span::ZERO { "longer than nothing" } else { "at most 24h" };
                self.findings
                    .error(
                        self.places.find(&format!("heartbeat/{key}")),
                        format!("`{key}` is {span}"),
                    )
                    .label(format!("expected a time {expected}"));
                return;
            }
        }
        if timing.keepalive < KEEPALIVE_MIN {
            self.findings
                .error(self.places.find("heartbeat/keepalive"), "`keepalive` is too short")
                .label(format!("expected at least {KEEPALIVE_MIN}, found {}", timing.keepalive))
                .help("20 ms and more is plenty for a deadtime of 100 ms");
        }
        self.shorter("keepalive", timing.keepalive, "warntime", timing.warntime);
        self.shorter("warntime", timing.warntime, "deadtime", timing.deadtime);
        if timing.initdead < timing.deadtime {
            self.shorter("deadtime", timing.deadtime, "initdead", timing.initdead);
        } else if timing.initdead < timing.deadtime * 2 && self.cluster.nodes.len() > 1 {
            self.findings
                .warning(self.places.find("heartbeat/initdead"), "`initdead` is short")
                .label(format!("expected at least twice the deadtime, {}", timing.deadtime * 2))
                .help("machines that boot together would not wait for one another");
        }
        if timing.deadtime < timing.keepalive * 3 && timing.deadtime > timing.keepalive {
            self.findings
                .warning(
                    self.places.find("heartbeat/deadtime"),
                    "`deadtime` forgives hardly a lost packet",
                )
                .label(format!(
                    "only {} after {} between heartbeats",
                    timing.deadtime, timing.keepalive
                ))
                .help("make it at least four times `keepalive`");
        }
        let needed = timing.deadtime + timing.election + timing.keepalive;
        if needed >= timing.lease {
            self.findings
                .error(self.near("lease", "deadtime"), "`lease` is too short for this `deadtime`")
                .label(format!("the lease is {}", timing.lease))
                .help(format!(
                    "deadtime + election + keepalive is {needed}, and the lease must be longer: a \
                     coordinator must be replaced before the leases that it renewed end"
                ));
        }
        let back = DAEMON_RESTART + timing.rejoin_after;
        let armed = self.cluster.nodes.iter().any(|node| node.watchdog.is_some());
        if armed && timing.watchdog <= back {
            self.findings
                .error(self.near("watchdog", "rejoin_after"), "`watchdog` is too short")
                .label(format!("the watchdog fires after {}", timing.watchdog))
                .help(format!(
                    "a restart of the daemon and `rejoin_after` may take {back}: give it more than that, \
                     or every upgrade resets the machine"
                ));
        }
    }

    /// The first of the keys that was written.
    pub(super) fn near(&self, key: &str, other: &str) -> crate::tree::Place {
        let path = format!("heartbeat/{key}");
        let path = if self.places.has(&path) { path } else { format!("heartbeat/{other}") };
        self.places.find(&path)
    }

    fn shorter(&mut self, small: &str, small_span: Span, large: &str, large_span: Span) {
        if small_span < large_span {
            return;
        }
        self.findings
            .error(self.near(large, small), format!("`{small}` must be shorter than `{large}`"))
            .label(format!("{small} is {small_span}, {large} is {large_span}"))
            .help("keepalive < warntime < deadtime <= initdead");
    }
}
