//! What the silence of a node with an armed watchdog proves (R13, H9, H16).
//!
//! T_out after its last renewal nothing of it runs. Such a proof voids grants; it never decides a
//! tie and never takes a vote (H4, H11).

use crate::id::{Incarnation, NodeId};
use crate::model::{Cluster, NodeSpec};
use crate::node::Node;
use crate::packet::Report;
use crate::record::{Armed, Record};
use crate::rules::{Rule, Rules};
use crate::time::{Span, Time};

/// Where fewer vote, the end of a lease proves nothing.
const VOTERS_LEAST: usize = 3;
/// A run of the daemon that lives this long is not one of a crash loop.
const LASTS_AT_MOST: Span = Span::secs(1);

impl<R: Rules> Node<R> {
    /// The record keeps which run of a node stops without a lease or is reset.
    ///
    /// A later run strikes it only once it has lasted. Until then it has no lease
    /// ([`Self::armed_by_another_run`]), so it starts nothing and feeds nothing, and what the earlier run left armed
    /// still resets the machine: a daemon that crashes again and again keeps the proof (H16).
    pub(super) fn note_armed(&mut self, next: &mut Record, cluster: &Cluster) {
        let mut armed = std::mem::take(&mut next.armed);
        let few = next.voters.len().min(next.old_voters.len()) < VOTERS_LEAST;
        if few || next.intents.maintenance.is_some() {
            return;
        }
        let mut look_again: Option<Time> = None;
        // Whoever has not told its times since may have obeyed those that end with this record.
        let (before, after) = (self.timing.lease_times(), cluster.timing.lease_times());
        armed.retain(|name, known| {
            if before != after {
                known.times = known.times.longest(before);
            }
            let configured = cluster.node(name).is_some_and(|node| node.watchdog.is_some());
            let holds = match self.live_run(name) {
                None => true,
                Some(live) if live == known.run => !self.denies(name),
                Some(_) => self.lasts_at(name, known).is_some_and(|at| {
                    look_again = Some(look_again.map_or(at, |other| other.min(at)));
                    true
                }),
            };
            configured && holds
        });
        // A watchdog that this record gives back was taken away, and perhaps disarmed, under the one before.
        let kept = |node: &&NodeSpec| {
            let known = self.config.as_ref().and_then(|before| before.node(&node.id));
            node.watchdog.is_some() && known.is_some_and(|known| known.watchdog.is_some())
        };
        for node in cluster.nodes.iter().filter(kept) {
            if let Some(known) = self.says_armed(&node.id) {
                armed.insert(node.id.clone(), known);
            }
        }
        next.armed = armed;
        self.plan_again_at(look_again);
    }

    /// When to look again whether the present run of a node has lasted, or `None` if it has: it was heard for
    /// an eighth of the kernel's margin, so that it still has its lease before the machine is reset.
    fn lasts_at(&self, name: &NodeId, known: &Armed) -> Option<Time> {
        let span = Span(known.times.watchdog.0 / 8).min(LASTS_AT_MOST);
        let (since, heard) = if *name == self.id {
            (self.started, self.now)
        } else {
            let peer = self.peers.get(name)?;
            (peer.alive_since, peer.heard.unwrap_or(peer.alive_since))
        };
        let lasts = since + span;
        (heard < lasts).then(|| lasts.max(self.now + self.timing.keepalive))
    }

    /// Whether the node's newest report denies it. One that was not sent here denies nothing, nor
    /// does one from an earlier time at which this node coordinated: heartbeats tell of a newer.
    fn denies(&self, name: &NodeId) -> bool {
        let newest = self.peers.get(name).and_then(|peer| peer.heartbeat.as_ref());
        self.report_of(name).is_some_and(|report| {
            report.armed.is_none() && newest.is_none_or(|beat| beat.report <= report.number)
        })
    }

    /// What the live run of a node says of itself under the record that is committed now: an
    /// earlier word may have been taken back under a record in between.
    fn says_armed(&self, name: &NodeId) -> Option<Armed> {
        let report = self.report_of(name)?;
        let committed = self.coordinating()?.committed;
        if committed != Some(report.obeyed) {
            return None;
        }
        Some(Armed { run: self.live_run(name)?, times: report.armed? })
    }

    fn report_of(&self, name: &NodeId) -> Option<&Report> {
        if *name == self.id {
            return Some(&self.report);
        }
        self.peers.get(name).and_then(|peer| peer.report.as_ref())
    }

    fn live_run(&self, name: &NodeId) -> Option<Incarnation> {
        if *name == self.id {
            return Some(self.incarnation);
        }
        self.peers.get(name).and_then(|peer| peer.session.live())
    }

    /// Whether the committed record, or the one under way, says of an earlier run of this node that it is
    /// armed: then its present run gets no lease yet, or silence would prove too much (H16).
    pub(crate) fn armed_by_another_run(&self, name: &NodeId) -> bool {
        let Some(coordinator) = self.coordinating() else { return true };
        let under_way = self.record().and_then(|record| record.armed.get(name));
        let known = [coordinator.armed.get(name), under_way];
        known.into_iter().flatten().any(|known| self.live_run(name) != Some(known.run))
    }

    /// T_out of an armed node: by its own times, or by those of the present configuration, which
    /// it may have obeyed since.
    pub(crate) fn reset_bound(&self, armed: &Armed) -> Span {
        let times = self.timing.lease_times().longest(armed.times);
        self.timing.reset_bound_of(times)
    }

    /// When the silence of a lost node proves that nothing of it runs: T_out after this
    /// coordinator's election or its last renewal, whichever is later (H9). `None`: never.
    pub(crate) fn reset_proved_at(&self, name: &NodeId) -> Option<Time> {
        let coordinator = self.coordinating()?;
        coordinator.committed?;
        let record = self.record()?;
        if record.voters.len().min(record.old_voters.len()) < VOTERS_LEAST {
            return None;
        }
        let armed = coordinator.armed.get(name)?;
        let peer = self.peers.get(name)?;
        // A later run that the record does not list has had no lease, so it does not count.
        if peer.alive {
            return None;
        }
        let from = if R::holds(Rule::WaitFromElection) {
            peer.renewed.max(coordinator.elected)
        } else {
            peer.heard.unwrap_or(self.started)
        };
        Some(from + self.reset_bound(armed))
    }

    /// R13: a lost node whose lease ended and whose watchdog has reset it since.
    pub(crate) fn is_proved_reset(&self, name: &NodeId) -> bool {
        self.coordinator_lease_left() > Span::ZERO
            && self.reset_proved_at(name).is_some_and(|at| self.now >= at)
    }

    /// Looks again when the next silent owner can be counted out.
    pub(super) fn plan_again_when_reset(&mut self, record: &Record) {
        let now = self.now;
        let owners = record.grants.values().map(|grant| &grant.owner);
        let at =
            owners.filter_map(|owner| self.reset_proved_at(owner)).filter(|at| *at > now).min();
        self.plan_again_at(at);
    }
}
