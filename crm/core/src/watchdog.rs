//! The kernel's watchdog: when it is fed, and what its silence proves to the others (R13, R21,
//! H15b, H16, H17).
//!
//! A node whose machine has an armed watchdog runs groups under its lease only. When the lease
//! lapses it stops them, and what has not stopped within S ends with the machine. So the others may
//! count it out T_out after its last renewal, without hearing from it or from any device. Such a
//! proof voids grants; it never decides a tie and never takes a vote (H4, H11).

use crate::event::Event;
use crate::id::{Incarnation, NodeId};
use crate::model::Cluster;
use crate::node::Node;
use crate::packet::{GroupPhase, Report};
use crate::record::Record;
use crate::rules::{Rule, Rules};
use crate::time::{Span, Time};
use crate::{Output, WatchdogDuty};

/// This node's own watchdog.
#[derive(Clone, Debug, Default)]
pub(crate) struct Watchdog {
    /// This incarnation opened it, and the kernel counts.
    pub(crate) armed: bool,
    /// An earlier run of the daemon left it armed.
    pub(crate) inherited: bool,
    fed: Option<Time>,
    /// When the last lease of this incarnation ended; `None` while one holds.
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
        Span(self.timing.watchdog.0 / 8).max(self.timing.keepalive)
    }

    /// Feeds, leaves alone or disarms the watchdog, as the lease and what runs here ask for.
    pub(crate) fn tend_watchdog(&mut self) {
        let has = self.has_watchdog();
        let dog = &self.watchdog;
        if !has && !dog.armed && !dog.inherited {
            return;
        }
        let leased = self.lease_holds();
        let stopped = self.executor.everything_stopped();
        if leased {
            self.watchdog.lease_ended = None;
        }
        if self.may_disarm(has, leased, stopped) {
            self.watchdog = Watchdog { armed: self.watchdog.armed, ..Watchdog::default() };
            self.push(Output::Watchdog(WatchdogDuty::Disarm));
            return;
        }
        let may = self.may_feed(has, leased, stopped);
        self.tell_of_hunger(may);
        if may && self.watchdog.fed.is_none_or(|at| self.now >= at + self.feeding()) {
            self.watchdog.fed = Some(self.now);
            self.push(Output::Watchdog(WatchdogDuty::Feed));
        }
    }

    /// Whether the end of a lease is a way of counting this node out: where fewer than three vote,
    /// it decides nothing (H4), and a peer's death must not stop what runs here (H18).
    pub(crate) fn lease_protects(&self) -> bool {
        let record = self.obeyed.as_ref().map(|obeyed| obeyed.record.as_ref()).or(self.record());
        self.watchdog.armed && record.is_some_and(|r| r.voters.len().max(r.old_voters.len()) >= 3)
    }

    fn may_feed(&self, has: bool, leased: bool, stopped: bool) -> bool {
        let dog = &self.watchdog;
        if !R::holds(Rule::FeedNeedsLease) {
            return true;
        }
        if leased {
            // R21: without a device, what cannot be stopped is stopped by the kernel.
            return (has || dog.armed) && !self.is_to_be_reset();
        }
        // H16: a run that never had a lease feeds nothing, unless it is proved that nothing runs.
        if stopped || !self.lease_protects() {
            return dog.armed;
        }
        // H17: until S after the lease, however far the stops have got.
        let margin = self.timing.stop_margin;
        let in_time = dog.lease_ended.is_some_and(|at| self.now < at + margin);
        in_time || !R::holds(Rule::FeedEnds)
    }

    /// Closing it in order is for a machine on which nothing runs, and of which nobody counts on
    /// a reset: left armed by an earlier run, or no longer configured.
    fn may_disarm(&self, has: bool, leased: bool, stopped: bool) -> bool {
        let dog = &self.watchdog;
        if dog.inherited && !dog.armed && !leased {
            return stopped;
        }
        let counted = self.obeyed.as_ref().is_none_or(|o| o.record.armed.contains_key(&self.id));
        !has && (dog.armed || dog.inherited) && !counted && leased
    }

    /// R21: a stop failed here, no device could fence this node, and the watchdog can.
    fn is_to_be_reset(&self) -> bool {
        let Some(cluster) = &self.config else { return false };
        let failed = self.report.groups.values().any(|group| group.phase == GroupPhase::StopFailed);
        let quiet = self.record().is_some_and(|record| record.intents.maintenance.is_some());
        failed && self.watchdog.armed && !quiet && !cluster.has_device(&self.id)
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
            "a stop failed here and no device can fence this node"
        } else {
            "the lease ended and not everything stopped in time"
        };
        let margin = self.timing.watchdog;
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
        if (dog.armed || dog.inherited) && self.executor.everything_stopped() {
            self.push(Output::Watchdog(WatchdogDuty::Disarm));
        }
    }

    /// The record keeps whose present run has an armed watchdog (H16). Of a run that never said so,
    /// or of one that came after it, nothing may be concluded from silence.
    pub(crate) fn note_armed(&self, next: &mut Record, cluster: &Cluster) {
        let mut armed = std::mem::take(&mut next.armed);
        let configured =
            |name: &NodeId| cluster.node(name).is_some_and(|node| node.watchdog.is_some());
        armed.retain(|name, run| {
            let live = self.live_run(name);
            // A report that was not sent here denies nothing.
            let denied = self.report_of(name).is_some_and(|report| !report.armed);
            configured(name) && live.is_none_or(|live| live == *run) && !denied
        });
        for node in cluster.nodes.iter().filter(|node| node.watchdog.is_some()) {
            if let Some(run) = self.armed_run(&node.id) {
                armed.insert(node.id.clone(), run);
            }
        }
        next.armed = armed;
    }

    fn live_run(&self, name: &NodeId) -> Option<Incarnation> {
        if *name == self.id {
            return Some(self.incarnation);
        }
        self.peers.get(name).and_then(|peer| peer.session.live())
    }

    /// The live run of a node, if its newest report says that its watchdog is armed.
    fn armed_run(&self, name: &NodeId) -> Option<Incarnation> {
        self.report_of(name).filter(|report| report.armed).and_then(|_| self.live_run(name))
    }

    fn report_of(&self, name: &NodeId) -> Option<&Report> {
        if *name == self.id {
            return Some(&self.report);
        }
        self.peers.get(name).and_then(|peer| peer.report.as_ref())
    }

    /// Whether the committed record may say of an earlier run of this node that it is armed: then
    /// its present run gets no lease yet, or silence would prove too much (H16).
    pub(crate) fn armed_by_another_run(&self, name: &NodeId) -> bool {
        let Some(coordinator) = self.coordinating() else { return true };
        let noted = coordinator.armed.get(name);
        noted.is_some_and(|run| self.live_run(name) != Some(*run))
    }

    /// When the silence of a lost node proves that nothing of it runs: T_out after this
    /// coordinator's election or its last renewal, whichever is later (H9). `None`: never.
    pub(crate) fn reset_proved_at(&self, name: &NodeId) -> Option<Time> {
        let coordinator = self.coordinating()?;
        coordinator.committed?;
        let record = self.record()?;
        if record.voters.len().min(record.old_voters.len()) < 3 {
            return None;
        }
        let run = coordinator.armed.get(name)?;
        let peer = self.peers.get(name)?;
        if peer.alive || peer.session.live().is_some_and(|live| live != *run) {
            return None;
        }
        let from = if R::holds(Rule::WaitFromElection) {
            peer.renewed.map_or(coordinator.elected, |at| at.max(coordinator.elected))
        } else {
            peer.heard.unwrap_or(self.started)
        };
        Some(from + self.timing.reset_bound())
    }

    /// R13: a lost node whose lease ended and whose watchdog has reset it since.
    pub(crate) fn is_proved_reset(&self, name: &NodeId) -> bool {
        self.coordinator_lease_left() > Span::ZERO
            && self.reset_proved_at(name).is_some_and(|at| self.now >= at)
    }

    /// Looks again when the next silent owner can be counted out.
    pub(crate) fn plan_again_when_reset(&mut self, record: &Record) {
        let now = self.now;
        let owners = record.grants.values().map(|grant| &grant.owner);
        let at =
            owners.filter_map(|owner| self.reset_proved_at(owner)).filter(|at| *at > now).min();
        self.plan_again_at(at);
    }
}
