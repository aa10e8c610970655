//! The end of a daemon: leaving in order (R14), or letting everything run (an upgrade).

use crate::Shutdown;
use crate::event::Event;
use crate::execute::Want;
use crate::id::{GroupId, RequestId};
use crate::model::{Cluster, WITNESS};
use crate::node::Node;
use crate::operator::Command;
use crate::packet::GroupPhase;
use crate::place::stop_order;
use crate::rules::Rules;
use crate::time::{Span, Time};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The request number under which a node first asks for its own leave, later ones are lower; no
/// shell uses them.
pub(crate) const LEAVE: RequestId = RequestId(u64::MAX);
/// Added to the longest stop, one group after another, that the groups here may take.
const MARGIN: Span = Span::secs(15);

impl<R: Rules> Node<R> {
    pub(crate) fn on_shutdown(&mut self, how: Shutdown) {
        match how {
            Shutdown::Keep => {
                self.step_down("the daemon is being upgraded");
                self.halt("stopped; what runs here keeps running".to_owned(), false);
            }
            Shutdown::Leave => {
                if self.shutdown.is_some() {
                    return;
                }
                let until = self.now + self.longest_stop() + MARGIN;
                self.shutdown = Some((how, until));
                self.executor_touched = true;
                self.wants_stale = true;
                self.event(Event::info(
                    "leaving",
                    "this node moves or stops its groups and leaves",
                ));
                self.leave_asked = Some(self.now);
                self.on_operator(LEAVE, Command::Leave { node: self.id.clone() });
            }
        }
    }

    /// How long the groups may take to stop, also those that were dropped: those that start after others stop before them.
    fn longest_stop(&self) -> Span {
        let Some(cluster) = &self.config else { return Span::ZERO };
        let cluster = &self.known_groups(cluster);
        let mut begins: BTreeMap<GroupId, Span> = BTreeMap::new();
        let mut longest = Span::ZERO;
        for group in stop_order(cluster).iter().filter_map(|id| cluster.group(id)) {
            let own = group.resources.iter().fold(Span::ZERO, |sum, r| sum + r.timeouts.stop);
            let stopped = begins.get(&group.id).copied().unwrap_or_default() + own;
            longest = longest.max(stopped);
            for base in &group.starts_after {
                let begin = begins.entry(base.clone()).or_default();
                *begin = stopped.max(*begin);
            }
        }
        longest.min(Span::secs(600))
    }

    /// Without anybody to coordinate a move, a leaver stops what it runs by itself; so does one that understands nobody.
    pub(crate) fn shutdown_wants_stop(&self) -> bool {
        matches!(self.shutdown, Some((Shutdown::Leave, _)))
            && (self.coordinator().is_none()
                || self.stored.record.is_none()
                || self.misread.is_some())
    }

    /// Everything is to stop, also what was dropped, but what others started after is held until those have stopped. A
    /// failed stop holds nobody up.
    pub(crate) fn stop_in_turn(&self, cluster: &Arc<Cluster>) -> BTreeMap<GroupId, Want> {
        let cluster = &self.known_groups(cluster);
        let reports = self.executor.reports();
        let mut held: BTreeSet<GroupId> = BTreeSet::new();
        let mut wants = BTreeMap::new();
        for group in stop_order(cluster).iter().filter_map(|id| cluster.group(id)) {
            let want = if held.contains(&group.id) { Want::Hold } else { Want::Stop };
            wants.insert(group.id.clone(), want);
            let goes_on = reports.get(&group.id).is_some_and(|report| {
                !report.phase.is_stopped() && report.phase != GroupPhase::StopFailed
            });
            if goes_on {
                held.extend(group.starts_after.iter().cloned());
            }
        }
        wants
    }

    pub(crate) fn leave_if_done(&mut self) {
        let Some((Shutdown::Leave, until)) = self.shutdown else { return };
        // A record without a configuration in force: which groups run here is not known (R14).
        let readable = self.config.is_some() || self.stored.record.is_none();
        let stopped = readable && self.executor.everything_stopped();
        if self.now >= until {
            let reason = if stopped {
                "left without the cluster's agreement; the others may have to fence this node"
            } else {
                "left with something that did not stop in time; the others must fence this node"
            };
            self.halt(reason.to_owned(), !stopped);
            return;
        }
        let hands_off =
            self.obeyed.as_ref().is_some_and(|o| o.record.intents.maintenance.is_some());
        if hands_off {
            self.halt("left during maintenance; what runs here keeps running".to_owned(), false);
            return;
        }
        self.ask_again_to_leave();
        let can_own = self.config.as_ref().is_some_and(|c| c.node(&self.id).is_some());
        if !stopped {
            return;
        }
        // What the others decide for a leaver is not obeyed here, and its reports count for nothing (R14).
        if self.misread.is_some() {
            self.halt("left; it does not understand the newest configuration, and the others may have to fence this node".to_owned(), false);
            return;
        }
        if self.stored.record.is_some() && !can_own {
            self.halt("left; this node can own nothing".to_owned(), false);
            return;
        }
        if self.leaderless_for() >= self.timing.deadtime * 2 {
            let reason = "left; nobody coordinates, and nothing runs here".to_owned();
            self.halt(reason, false);
            return;
        }
        let others = self.peers.values().any(|peer| peer.alive);
        if !others || self.stored.record.is_none() {
            self.halt("left; this was the last node that was heard".to_owned(), false);
            return;
        }
        let agreed = self.obeyed.as_ref().is_some_and(|obeyed| {
            let record = &obeyed.record;
            let owns = record.grants.values().any(|grant| grant.owner == self.id);
            // R14: of two voters the stayer must be able to go on alone.
            let votes =
                record.voters.contains_key(&self.id) || record.old_voters.contains_key(&self.id);
            let pair = record.voters.len().max(record.old_voters.len()) == 2;
            // Beside a witness the leaver keeps its vote, and waits only for one who could lead.
            let beside_witness = record.voters.keys().any(|name| name.as_str() == WITNESS);
            let mut nodes = obeyed.cluster.nodes.iter();
            let another_could_lead = nodes.any(|node| {
                node.voter
                    && !record.voters.contains_key(&node.id)
                    && self.peers.get(&node.id).is_some_and(|peer| peer.alive)
            });
            let bound_by_pair = votes && (!beside_witness || another_could_lead);
            // The only voter leaves nobody behind who could decide: it waits for one to be added.
            let sole = record.voters.len() == 1 && record.voters.contains_key(&self.id);
            let bound = owns || sole || (pair && bound_by_pair);
            record.intents.leaving.contains(&self.id) && !bound
        });
        if agreed {
            self.step_down("it leaves");
            self.halt("left in order".to_owned(), false);
        }
    }

    /// How long nobody has coordinated, in the eyes of this leaver.
    fn leaderless_for(&mut self) -> Span {
        if self.coordinator().is_some() {
            self.leaderless_since = None;
            return Span::ZERO;
        }
        self.now.since(*self.leaderless_since.get_or_insert(self.now))
    }

    /// The wish can be lost with a coordinator, or undone by an older report that overtook it.
    fn ask_again_to_leave(&mut self) {
        let known = self
            .obeyed
            .as_ref()
            .is_none_or(|obeyed| obeyed.record.intents.leaving.contains(&self.id));
        let asked = self.leave_asked.is_some_and(|at| self.now.since(at) < Span::secs(1));
        if known || asked || self.commands.is_waiting(self.leave_request) {
            return;
        }
        self.leave_asked = Some(self.now);
        // A new number: the coordinator would repeat its answer to the old one.
        self.leave_request = RequestId(self.leave_request.0 - 1);
        self.on_operator(self.leave_request, Command::Leave { node: self.id.clone() });
    }

    pub(crate) fn shutdown_deadline(&self) -> Option<Time> {
        self.shutdown.map(|(_, until)| until)
    }
}
