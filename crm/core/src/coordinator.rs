//! The coordinator's side: its first record (R7), committing (R8), telling (R10, R12).

use crate::commands::Origin;
use crate::event::Event;
use crate::id::{Epoch, GroupId, NodeId, Stamp, StoreId};
use crate::node::Node;
use crate::operator::{Command, Outcome};
use crate::packet::Message;
use crate::persist::After;
use crate::place::Placement;
use crate::quorum::{Weight, weigh};
use crate::record::{Armed, ConfigText, Record};
use crate::rules::{Rule, Rules};
use crate::same::hash_by;
use crate::time::{Span, Time};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Commands that wait for the next record, at most.
pub(crate) const QUEUE_MAX: usize = 256;
/// Decisions remembered per group, for `crm why`.
const DECISIONS_MAX: usize = 8;

/// State of a node that coordinates an epoch.
#[derive(Clone, Debug)]
pub(crate) struct Coordinator {
    pub(crate) epoch: Epoch,
    pub(crate) elected: Time,
    /// The one version in flight (R8).
    pub(crate) proposal: Option<Proposal>,
    /// Newest committed stamp of this epoch; nothing is done before the first (H2).
    pub(crate) committed: Option<Stamp>,
    /// Whose present run has an armed watchdog, by the newest committed record (H16).
    pub(crate) armed: BTreeMap<NodeId, Armed>,
    /// Newest send time that each voter has acknowledged (R13).
    pub(crate) acknowledged: BTreeMap<NodeId, Time>,
    pub(crate) queue: VecDeque<(Origin, Command)>,
    /// Something placement looks at has changed.
    pub(crate) dirty: bool,
    pub(crate) placement: Placement,
    /// When each failure was first seen by this coordinator, for its expiry.
    pub(crate) failing_since: BTreeMap<(GroupId, NodeId), Time>,
    pub(crate) maintenance_since: Option<Time>,
    pub(crate) decisions: BTreeMap<GroupId, VecDeque<String>>,
    /// Next moment at which time alone may change the plan.
    pub(crate) plan_at: Option<Time>,
}

/// A record on its way to a quorum.
#[derive(Clone, Debug, Hash)]
pub(crate) struct Proposal {
    pub(crate) stamp: Stamp,
    accepted: BTreeSet<NodeId>,
    /// Commands that this record carries out, with the sentence for each.
    pub(crate) replies: Vec<(Origin, String)>,
}

// Placement follows from the rest, decisions are for people.
hash_by!(Coordinator: epoch proposal committed armed acknowledged queue dirty maintenance_since plan_at failing_since);

impl Coordinator {
    pub(crate) fn decided(&mut self, group: &GroupId, text: String) {
        let decisions = self.decisions.entry(group.clone()).or_default();
        if decisions.len() == DECISIONS_MAX {
            decisions.pop_front();
        }
        decisions.push_back(text);
    }
}

impl<R: Rules> Node<R> {
    /// R7: the newest record found, under a stamp of the own epoch; in a tie without the voters
    /// and the grants of those that were fenced. Nothing else is done until it is committed.
    pub(crate) fn become_coordinator(
        &mut self,
        epoch: Epoch,
        best: Record,
        present: &BTreeSet<NodeId>,
        excluded: &BTreeSet<NodeId>,
        asked: Time,
    ) {
        let mut record = if R::holds(Rule::Restamp) { best.restamped(epoch) } else { best };
        crate::follow::bound_history::<R>(&mut record);
        for node in excluded {
            record.voters.remove(node);
            if R::holds(Rule::TieEmptiesGrants) {
                record.grants.retain(|_, grant| grant.owner != *node);
                for roles in record.roles.values_mut() {
                    roles.remove(node);
                }
            }
        }
        if record.voters.is_empty() {
            // The only voter was called dead: who inherits from it votes, and nobody else did (R20).
            record.voters.insert(self.id.clone(), self.stored.store);
            record.old_voters = record.voters.clone();
        }
        let acknowledged =
            present.iter().filter(|n| **n != self.id).map(|n| (n.clone(), asked)).collect();
        let how = if excluded.is_empty() {
            format!("with the votes of {}", crate::election::list(present))
        } else {
            format!("after {} was proved dead", crate::election::list(excluded))
        };
        self.role = crate::election::Role::Coordinator(Box::new(Coordinator {
            epoch,
            elected: self.now,
            proposal: None,
            committed: None,
            armed: record.armed.clone(),
            acknowledged,
            queue: VecDeque::new(),
            dirty: true,
            placement: Placement::default(),
            failing_since: BTreeMap::new(),
            maintenance_since: None,
            decisions: BTreeMap::new(),
            plan_at: None,
        }));
        self.stand_at = None;
        self.leader = None;
        self.event(
            Event::info("elected", format!("this node coordinates epoch {epoch}, {how}"))
                .node(&self.id.clone()),
        );
        self.propose(record, Vec::new());
    }

    /// R8: persists first, then sends, then counts.
    pub(crate) fn propose(&mut self, mut record: Record, replies: Vec<(Origin, String)>) {
        crate::follow::bound_history::<R>(&mut record);
        let stamp = record.stamp;
        let new_config = self.record().is_none_or(|own| own.config.digest != record.config.digest);
        self.stored.record = Some(record);
        if new_config {
            self.use_newest_config();
        }
        if self.misread.is_some() {
            self.step_down("it does not understand the newest configuration");
        }
        if let Some(coordinator) = self.coordinating_mut() {
            coordinator.proposal = Some(Proposal { stamp, accepted: BTreeSet::new(), replies });
        }
        self.wants_stale = true;
        self.persist(After::Proposed { stamp });
    }

    pub(crate) fn on_own_record_written(&mut self, stamp: Stamp) {
        let mine = self.id.clone();
        let Some(coordinator) = self.coordinating_mut() else { return };
        let Some(proposal) = &mut coordinator.proposal else { return };
        if proposal.stamp != stamp {
            return;
        }
        proposal.accepted.insert(mine);
        let names: Vec<NodeId> = self.peers.keys().cloned().collect();
        for name in names {
            self.send_record(&name);
        }
        self.commit_if_decided();
    }

    /// Sends the newest durable record; without its text to a node that has that text.
    fn send_record(&mut self, to: &NodeId) {
        let Some(epoch) = self.coordinating().map(|coordinator| coordinator.epoch) else { return };
        let Some(mut record) = self.stored.record.clone() else { return };
        if record.stamp != self.durable.stamp {
            return;
        }
        let Some(peer) = self.peers.get_mut(to) else { return };
        if !peer.alive || peer.forked {
            return;
        }
        peer.proposed_at = Some(self.now);
        if peer.heartbeat.as_ref().is_some_and(|beat| beat.config == record.config.digest) {
            record.config = ConfigText { digest: record.config.digest, text: "".into() };
        }
        self.send(to, Message::Propose { epoch, record: Box::new(record) });
    }

    pub(crate) fn on_config_wanted(&mut self, from: &NodeId, stamp: Stamp) {
        let Some(epoch) = self.coordinating().map(|coordinator| coordinator.epoch) else { return };
        let Some(record) = self.stored.record.clone() else { return };
        if record.stamp == stamp && self.durable.stamp == stamp {
            self.send(from, Message::Propose { epoch, record: Box::new(record) });
        }
    }

    /// Repeats the newest record to whoever has not persisted it.
    pub(crate) fn resend_record(&mut self) {
        if self.coordinating().is_none() {
            return;
        }
        let (now, keepalive, stamp, epoch) =
            (self.now, self.timing.keepalive, self.durable.stamp, self.durable.epoch);
        let behind: Vec<NodeId> = self
            .peers
            .iter()
            .filter(|(_, peer)| {
                peer.alive
                    && peer.proposed_at.is_none_or(|at| now.since(at) >= keepalive)
                    && peer
                        .heartbeat
                        .as_ref()
                        .is_some_and(|beat| beat.stamp != stamp || beat.epoch != epoch)
            })
            .map(|(name, _)| name.clone())
            .collect();
        for name in behind {
            self.send_record(&name);
        }
    }

    pub(crate) fn on_accepted(
        &mut self,
        from: &NodeId,
        epoch: Epoch,
        stamp: Stamp,
        store: StoreId,
    ) {
        let Some(record) = self.record() else { return };
        let votes =
            record.voters.get(from) == Some(&store) || record.old_voters.get(from) == Some(&store);
        let Some(coordinator) = self.coordinating_mut() else { return };
        if coordinator.epoch != epoch {
            return;
        }
        if let Some(proposal) = &mut coordinator.proposal
            && proposal.stamp == stamp
            && votes
        {
            proposal.accepted.insert(from.clone());
            self.commit_if_decided();
            return;
        }
        let obeys = self
            .peers
            .get(from)
            .and_then(|peer| peer.heartbeat.as_ref())
            .is_some_and(|beat| beat.obeyed == stamp);
        if self.coordinating().is_some_and(|c| c.committed == Some(stamp)) && !obeys {
            self.send_committed(from);
        }
    }

    pub(crate) fn commit_if_decided(&mut self) {
        let (Some(coordinator), Some(record)) = (self.coordinating(), self.record()) else {
            return;
        };
        let Some(proposal) = &coordinator.proposal else { return };
        // An own write that is still under way does not count, nor does anything before it.
        if proposal.accepted.is_empty() || record.stamp != proposal.stamp {
            return;
        }
        let proved = self.proved();
        if weigh::<R>(record, &proposal.accepted, &proved, self.tie_authority()) != Weight::Decisive
        {
            return;
        }
        let stamp = proposal.stamp;
        let own_is_durable = self.durable.stamp == stamp;
        if !own_is_durable {
            return;
        }
        let armed = record.armed.clone();
        let Some(coordinator) = self.coordinating_mut() else { return };
        let replies = coordinator.proposal.take().map(|proposal| proposal.replies);
        coordinator.committed = Some(stamp);
        coordinator.armed = armed;
        coordinator.dirty = true;
        for (origin, message) in replies.unwrap_or_default() {
            self.answer(&origin, Outcome::Done { stamp, message });
        }
        self.obey();
        let names: Vec<NodeId> = self.peers.keys().cloned().collect();
        for name in names {
            self.send_committed(&name);
        }
    }

    /// R12: authority goes to the live incarnation of a node, spends the proofs about earlier
    /// ones, and is withheld while it would give back what a proof has ended.
    fn send_committed(&mut self, to: &NodeId) {
        if self.withholds_authority(to) {
            return;
        }
        let Some((epoch, Some(stamp))) = self.coordinating().map(|c| (c.epoch, c.committed)) else {
            return;
        };
        if !self.peers.get(to).is_some_and(|peer| peer.alive && peer.session.live().is_some()) {
            return;
        }
        self.spend_proof(to);
        self.send(to, Message::Committed { epoch, stamp });
    }

    /// R12: authority goes out to the live incarnation of a node, by whatever message.
    pub(crate) fn spend_proof(&mut self, to: &NodeId) {
        let Some(peer) = self.peers.get_mut(to) else { return };
        let Some(live) = peer.session.live() else { return };
        peer.authority_to = Some(live);
        if R::holds(Rule::ProofIsSpent)
            && peer.proof.as_ref().is_some_and(|proof| proof.incarnation != Some(live))
        {
            peer.proof = None;
        }
    }

    pub(crate) fn withholds_authority(&self, to: &NodeId) -> bool {
        if !R::holds(Rule::ProofIsSpent) {
            return false;
        }
        let (Some(peer), Some(record)) = (self.peers.get(to), self.record()) else { return true };
        let counts = record.voters != record.old_voters && record.old_voters.contains_key(to);
        // Another may have been elected meanwhile, and have had an earlier run of that node proved dead:
        // who was elected before this run came asked for that before, too, and has most voters.
        let followed = self.followed_at().is_some_and(|at| at >= peer.run_since);
        if R::holds(Rule::AuthorityIsConfirmed) && !followed {
            return true;
        }
        // What is committed may still grant what a record under way takes away on the proof.
        let under_way = R::holds(Rule::AuthorityAwaitsMove)
            && self.coordinating().is_some_and(|c| c.committed != Some(record.stamp));
        // A proof that the two voter sets still lean on is not spent yet either (H10).
        peer.is_proved_dead()
            && (under_way
                || counts
                || record.grants.values().any(|grant| grant.owner == *to)
                || record.roles.values().any(|roles| roles.contains_key(to)))
    }

    pub(crate) fn coordinator_dirty(&mut self) {
        if let Some(coordinator) = self.coordinating_mut() {
            coordinator.dirty = true;
        }
    }

    /// One pass of the coordinator's level loop.
    pub(crate) fn coordinate(&mut self) {
        if self.coordinating().is_none() {
            return;
        }
        if self.coordinator_lease_left() == Span::ZERO {
            self.step_down("its lease has lapsed: no deciding set of voters hears it");
            self.stand_at = Some(self.now);
            return;
        }
        // H26: a voter that is heard is in a higher epoch; stand above it, groups untouched.
        let epoch = self.stored.epoch;
        let above = self
            .peers
            .values()
            .filter(|peer| peer.alive && !peer.forked)
            .filter_map(|peer| peer.heartbeat.as_ref())
            .any(|beat| beat.epoch > epoch);
        if above && self.coordinating().is_some_and(|c| c.committed.is_some()) {
            self.stand(self.next_epoch());
            return;
        }
        self.commit_if_decided();
        let now = self.now;
        let Some(coordinator) = self.coordinating_mut() else { return };
        if coordinator.plan_at.is_some_and(|at| at <= now) {
            coordinator.plan_at = None;
            coordinator.dirty = true;
        }
        if coordinator.committed.is_none() || coordinator.proposal.is_some() {
            return;
        }
        if !coordinator.dirty && coordinator.queue.is_empty() {
            return;
        }
        coordinator.dirty = false;
        if self.gives_way() {
            return;
        }
        self.fence_who_must_be();
        self.plan();
    }

    /// Ends a coordinatorship or candidacy; commands under way cannot be known to have held.
    pub(crate) fn step_down(&mut self, why: &str) {
        // What its voters gave it holds to its end: the next coordinator waits for that (H9, H26).
        let lease = self.coordinator_lease_until();
        let role = std::mem::replace(&mut self.role, crate::election::Role::Follower);
        self.wants_stale = true;
        if let crate::election::Role::Coordinator(coordinator) = role {
            self.event(Event::warning(
                "stepped-down",
                format!("this node no longer coordinates epoch {}: {why}", coordinator.epoch),
            ));
            self.lease_until = lease;
            let in_flight = coordinator.proposal.into_iter().flat_map(|p| p.replies);
            for (origin, _) in in_flight {
                let reason = format!(
                    "the coordinator stepped down before it was known to be committed: {why}"
                );
                self.answer(&origin, Outcome::Unknown { reason });
            }
            for (origin, _) in coordinator.queue {
                self.answer(&origin, Outcome::NoQuorum { reason: why.to_owned() });
            }
        }
        self.cancel_all_fences();
    }

    pub(crate) fn coordinator_deadline(&self) -> Option<Time> {
        let coordinator = self.coordinating()?;
        let lease = self.coordinator_lease_until();
        let work = (coordinator.committed.is_some()
            && coordinator.proposal.is_none()
            && (coordinator.dirty || !coordinator.queue.is_empty()))
        .then_some(self.now);
        [lease, coordinator.plan_at, work].into_iter().flatten().min()
    }
}
