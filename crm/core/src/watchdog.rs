//! This node's own watchdog: when it is fed (R13, R21, H15b, H16, H17).
//!
//! A node whose machine has an armed watchdog runs groups under its lease only. When the lease
//! lapses it stops them, and what has not stopped within S ends with the machine. What the others
//! conclude from that is in `plan/reset.rs`.

use crate::event::Event;
use crate::model::LeaseTimes;
use crate::node::Node;
use crate::packet::GroupPhase;
use crate::rules::{Rule, Rules};
use crate::time::{Span, Time};
use crate::{Output, WatchdogDuty};

#[derive(Clone, Debug, Hash, Default)]
pub(crate) struct Watchdog {
    /// This run opened it, and the kernel counts.
    pub(crate) armed: bool,
    /// An earlier run of the daemon left it armed.
    pub(crate) inherited: bool,
    /// W as it was at the first feeding: the kernel keeps it until the device is opened anew.
    margin: Option<Span>,
    fed: Option<Time>,
    /// When the last lease of this run ended; `None` while one holds.
    lease_ended: Option<Time>,
    /// The operator has been told that it is not fed any more.
    told: bool,
}

impl Watchdog {
    pub(crate) fn new(inherited: bool) -> Watchdog {
        Watchdog { inherited, ..Watchdog::default() }
    }

    pub(crate) fn lease_ended(&mut self, at: Time) {
        self.lease_ended.get_or_insert(at);
    }
}

impl<R: Rules> Node<R> {
    fn has_watchdog(&self) -> bool {
        let node = self.config.as_ref().and_then(|cluster| cluster.node(&self.id));
        node.is_some_and(|node| node.watchdog.is_some())
    }

    /// Between two feedings: an eighth of the kernel's margin, and no oftener than heartbeats.
    fn feeding(&self) -> Span {
        let margin = self.watchdog.margin.unwrap_or(self.timing.watchdog);
        Span(margin.0 / 8).max(self.timing.keepalive)
    }

    /// Whether everything is proved stopped here. Of a run that knows no configuration nothing is.
    pub(crate) fn nothing_runs(&self) -> bool {
        self.config.is_some() && self.executor.everything_stopped()
    }

    /// Feeds, leaves alone or disarms the watchdog, as the lease and what runs here ask for.
    pub(crate) fn tend_watchdog(&mut self) {
        let has = self.has_watchdog();
        let dog = &self.watchdog;
        if !has && !dog.armed && !dog.inherited {
            return;
        }
        let leased = self.lease_holds();
        if leased {
            self.watchdog.lease_ended = None;
        }
        if self.may_disarm(has, leased) {
            self.watchdog = Watchdog { armed: self.watchdog.armed, ..Watchdog::default() };
            self.push(Output::Watchdog(WatchdogDuty::Disarm));
            return;
        }
        let may = self.may_feed(has, leased);
        self.tell_of_hunger(may);
        if may && self.watchdog.fed.is_none_or(|at| self.now >= at + self.feeding()) {
            let margin = *self.watchdog.margin.get_or_insert(self.timing.watchdog);
            self.watchdog.fed = Some(self.now);
            self.push(Output::Watchdog(WatchdogDuty::Feed { margin }));
        }
    }

    /// Whether the end of this node's lease is a way of counting it out: then nothing goes on here
    /// without one. Where fewer than three vote a lease decides nothing (H4), and a peer's death
    /// must not stop what runs (H18). Whoever is listed by the record it obeys stays counted, and
    /// under maintenance nobody is listed: hands off means that no machine is reset either.
    pub(crate) fn lease_protects(&self) -> bool {
        if !self.watchdog.armed {
            return false;
        }
        let Some(obeyed) = &self.obeyed else { return false };
        let three = [Some(obeyed.record.as_ref()), self.record()]
            .into_iter()
            .flatten()
            .any(|record| record.voters.len().max(record.old_voters.len()) >= 3);
        obeyed.record.armed.contains_key(&self.id)
            || (three && obeyed.record.intents.maintenance.is_none())
    }

    /// By which times this run lives, as long as its lease protects: the longer of what it obeys
    /// and what it holds, and the margin that the kernel was told.
    pub(crate) fn armed_times(&self) -> Option<LeaseTimes> {
        let margin = self.watchdog.margin.filter(|_| self.lease_protects())?;
        let obeyed = self.obeyed.as_ref().map(|o| o.cluster.timing).unwrap_or(self.timing);
        let times = obeyed.lease_times().longest(self.timing.lease_times());
        Some(LeaseTimes { watchdog: margin, ..times })
    }

    fn may_feed(&self, has: bool, leased: bool) -> bool {
        let dog = &self.watchdog;
        if !R::holds(Rule::FeedNeedsLease) {
            return true;
        }
        if leased {
            // What an earlier run left armed ticks also where the configuration has dropped it since.
            let ticks = has || dog.armed || dog.inherited;
            // R21: without a device, what cannot be stopped is stopped by the kernel.
            return ticks && !self.is_to_be_reset();
        }
        // H16: a run that never had a lease feeds nothing, unless it is proved that nothing runs.
        if !dog.armed {
            return false;
        }
        if self.nothing_runs() || !self.lease_protects() {
            return true;
        }
        // H17: until S after the lease, however far the stops have got.
        let margin = self.stop_margin();
        let in_time = dog.lease_ended.is_some_and(|at| self.now < at + margin);
        in_time || !R::holds(Rule::FeedEnds)
    }

    /// S in force: a longer one counts once the record that says so is obeyed.
    fn stop_margin(&self) -> Span {
        let obeyed = self.obeyed.as_ref().map(|o| o.cluster.timing.stop_margin);
        obeyed.map_or(self.timing.stop_margin, |margin| margin.min(self.timing.stop_margin))
    }

    /// Closing it in order is for a machine on which nothing runs, and of which nobody counts on
    /// a reset: left armed by an earlier run, or no longer configured.
    fn may_disarm(&self, has: bool, leased: bool) -> bool {
        let dog = &self.watchdog;
        if dog.inherited && !dog.armed && !leased {
            return self.nothing_runs();
        }
        let counted = self.obeyed.as_ref().is_none_or(|o| o.record.armed.contains_key(&self.id));
        !has && (dog.armed || dog.inherited) && !counted && leased && self.nothing_runs()
    }

    /// R21: a stop of what this node owns failed, no device could fence it, and the watchdog can. Or of what another
    /// one owns by now: this run was counted out, and went on (AS2, AS4).
    fn is_to_be_reset(&self) -> bool {
        let (Some(cluster), Some(record)) = (&self.config, self.record()) else { return false };
        let by_device = cluster.has_device(&self.id);
        let failed = self.report.groups.iter().any(|(group, state)| {
            state.phase == GroupPhase::StopFailed
                && record.owner(group).is_some_and(|owner| *owner != self.id || !by_device)
        });
        let quiet = record.intents.maintenance.is_some();
        failed && self.watchdog.armed && !quiet
    }

    fn tell_of_hunger(&mut self, may: bool) {
        if may || !self.watchdog.armed {
            self.watchdog.told = false;
            return;
        }
        if std::mem::replace(&mut self.watchdog.told, true) {
            return;
        }
        let why = if self.is_to_be_reset() {
            "a stop failed here, and no device can fence this node or another one owns the group"
        } else {
            "the lease ended and not everything stopped in time"
        };
        let margin = self.watchdog.margin.unwrap_or(self.timing.watchdog);
        self.event(Event::error(
            "watchdog-hungry",
            format!(
                "{why}: the watchdog is not fed any more and resets this machine within {margin}"
            ),
        ));
    }

    pub(crate) fn watchdog_deadline(&self) -> Option<Time> {
        let dog = &self.watchdog;
        let next = dog.fed.map(|at| at + self.feeding()).filter(|at| *at > self.now);
        if dog.armed || self.has_watchdog() { next } else { None }
    }

    /// The last duty of a daemon that ends: R14 disarms only where nothing runs.
    pub(crate) fn disarm_at_the_end(&mut self) {
        let dog = &self.watchdog;
        // Under maintenance nobody is listed, so nobody counts on a reset.
        let unlisted = self.obeyed.as_ref().is_some_and(|obeyed| {
            obeyed.record.intents.maintenance.is_some()
                && !obeyed.record.armed.contains_key(&self.id)
        });
        if (dog.armed || dog.inherited) && (unlisted || self.nothing_runs()) {
            self.push(Output::Watchdog(WatchdogDuty::Disarm));
        }
    }
}
