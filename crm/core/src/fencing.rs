//! Fencing requests and proofs (R6, R12, R21, H5, H7, H27, H30).

use crate::commands::Origin;
use crate::event::Event;
use crate::id::{Epoch, FenceId, GroupId, Incarnation, NodeId, Stamp};
use crate::model::{Fencing, WITNESS};
use crate::node::Node;
use crate::operator::Outcome;
use crate::packet::{GroupPhase, Report};
use crate::peer::{Proof, ProofBy};
use crate::quorum::{Weight, weigh};
use crate::rules::{Rule, Rules};
use crate::same::hash_by;
use crate::time::{Span, Time};
use crate::{FenceResult, Output};
use std::collections::{BTreeMap, BTreeSet};

/// Between two tries of the same node, at first and at most.
const RETRY_FIRST: Span = Span::secs(1);
const RETRY_MOST: Span = Span::secs(30);
/// A coordinator that gave way in vain tries it again after this.
const GIVES_WAY_AGAIN: Span = Span::secs(60);

/// Why a node is to be fenced.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Why {
    /// To win a tie, or to stay decisive in one.
    Tie,
    /// It may have gone on by an operator's word while this node, which alone votes, was down (R16).
    Company,
    /// It is lost and owns something.
    Lost,
    /// A stop failed there (R21).
    StopFailed,
    Operator(Origin),
}

/// Requests under way and waits between them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fences {
    open: BTreeMap<NodeId, Request>,
    next: u64,
    /// When each failed target may be tried again, and how long the last wait was. Kept while a
    /// try is open, so that the next wait is longer.
    waiting: BTreeMap<NodeId, (Time, Span)>,
    /// What the last try of each node said, for the status.
    pub(crate) last: BTreeMap<NodeId, String>,
    /// When this node last gave the lead away to be fenced.
    gave_way: Option<Time>,
}

#[derive(Clone, Debug, Hash)]
struct Request {
    id: FenceId,
    why: Why,
    epoch: Epoch,
    /// Live incarnation of the target when the request was issued; the proof is about it.
    incarnation: Option<Incarnation>,
    /// To whom authority had gone by then; whoever gets it later voids the answer.
    authority: Option<Incarnation>,
    device: usize,
    /// After this the shell should have answered; the request counts as failed.
    until: Time,
}

hash_by!(Fences: open waiting gave_way);

impl Fences {
    pub(crate) fn deadline(&self, now: Time) -> Option<Time> {
        let open = self.open.values().map(|request| request.until);
        open.chain(self.waiting.values().map(|(at, _)| *at)).filter(|at| *at > now).min()
    }
}

impl<R: Rules> Node<R> {
    /// Asks a device to prove `target` dead, unless that is under way or done.
    pub(crate) fn want_fence(&mut self, target: &NodeId, why: Why) {
        if let (Some(open), Why::Operator(_)) = (self.fences.open.get_mut(target), &why) {
            // It is asked already: the operator gets that answer.
            let before = std::mem::replace(&mut open.why, why.clone());
            if let Why::Operator(origin) = before {
                let reason = format!("another operator asked for the fencing of node {target} too");
                self.answer(&origin, Outcome::Unknown { reason });
            }
            return;
        }
        if self.fences.open.contains_key(target)
            || self.peers.get(target).is_none_or(|peer| peer.is_proved_dead())
        {
            return;
        }
        if self.fences.waiting.get(target).is_some_and(|(at, _)| *at > self.now)
            && !matches!(why, Why::Operator(_))
        {
            return;
        }
        self.issue_fence(target, why, 0);
    }

    fn issue_fence(&mut self, target: &NodeId, why: Why, device: usize) {
        let Some(cluster) = self.config.clone() else { return };
        let Fencing::Devices { devices, .. } = &cluster.fencing else { return };
        let Some(spec) = devices.get(target).and_then(|list| list.get(device)) else { return };
        self.fences.next += 1;
        let id = FenceId(self.fences.next);
        let peer = self.peers.get(target);
        let incarnation = peer.and_then(|peer| peer.session.live());
        let authority = peer.and_then(|peer| peer.authority_to);
        let request = Request {
            id,
            why: why.clone(),
            epoch: self.stored.epoch,
            incarnation,
            authority,
            device,
            until: self.now + spec.timeout + Span::secs(5),
        };
        // Said at the first try; the log repeats neither the tries nor the failures (I10).
        let first = device == 0 && !self.fences.waiting.contains_key(target);
        let by_operator = matches!(why, Why::Operator(_));
        self.fences.open.insert(target.clone(), request);
        let reason = match why {
            Why::Tie => "it is silent and its vote is needed to decide",
            Why::Company => "it is silent and may have gone on while this machine was down",
            Why::Lost => "it is silent and owns something that must not run twice",
            Why::StopFailed => "a stop failed there, so what it ran may still run",
            Why::Operator(_) => "an operator asked for it",
        };
        if first || by_operator {
            self.event(
                Event::warning(
                    "fencing",
                    format!("asking {} to fence node {target}: {reason}", spec.agent),
                )
                .node(target),
            );
        }
        self.push(Output::Fence {
            request: id,
            target: target.clone(),
            device: Box::new(spec.clone()),
        });
        if !R::holds(Rule::FenceIsAwaited) {
            self.prove(target, incarnation, ProofBy::Device);
        }
    }

    /// A reply counts for its own request only (AS3).
    pub(crate) fn on_fenced(&mut self, id: FenceId, result: FenceResult) {
        let Some(target) = self
            .fences
            .open
            .iter()
            .find(|(_, request)| request.id == id)
            .map(|(target, _)| target.clone())
        else {
            return;
        };
        let Some(request) = self.fences.open.remove(&target) else { return };
        match result {
            FenceResult::Failed { reason } => self.fence_failed(&target, request, &reason),
            FenceResult::Off => {
                // R12: void if a newer incarnation was given authority since the request.
                let authority = self.peers.get(&target).and_then(|peer| peer.authority_to);
                let void = R::holds(Rule::ProofIsSpent)
                    && authority != request.authority
                    && authority.is_some_and(|to| Some(to) != request.incarnation);
                if request.epoch != self.stored.epoch || void {
                    let reason = "it proved an earlier run of that node dead, and a later one was given authority meanwhile";
                    self.fence_failed(&target, request, reason);
                    return;
                }
                self.fences.waiting.remove(&target);
                self.fences.last.insert(target.clone(), "proved dead".to_owned());
                self.event(
                    Event::warning("fenced", format!("node {target} is proved dead by its device"))
                        .node(&target),
                );
                self.prove(&target, request.incarnation, ProofBy::Device);
                if let Why::Operator(origin) = request.why {
                    let committed = self.coordinating().and_then(|c| c.committed);
                    let stamp = committed.unwrap_or_default();
                    let message = format!("node {target} is off");
                    self.answer(&origin, Outcome::Done { stamp, message });
                }
            }
        }
    }

    fn fence_failed(&mut self, target: &NodeId, request: Request, reason: &str) {
        let more = self.config.as_ref().is_some_and(|cluster| match &cluster.fencing {
            Fencing::Devices { devices, .. } => {
                devices.get(target).is_some_and(|list| list.len() > request.device + 1)
            }
            Fencing::None => false,
        });
        let known = self.fences.last.insert(target.clone(), format!("failed: {reason}"));
        if more {
            self.event(
                Event::error(
                    "fence-failed",
                    format!("fencing node {target} failed: {reason}; trying its next device"),
                )
                .node(target),
            );
            self.issue_fence(target, request.why, request.device + 1);
            return;
        }
        if let Why::Operator(origin) = &request.why {
            let reason = format!("fencing node {target} failed: {reason}");
            let hint = "see the device's own log; if the machine is certainly off, say so with `crm confirm-dead`".to_owned();
            self.answer(origin, Outcome::Refused { reason, hint });
            return;
        }
        let wait = self
            .fences
            .waiting
            .get(target)
            .map_or(RETRY_FIRST, |(_, wait)| (*wait * 2).min(RETRY_MOST));
        self.fences.waiting.insert(target.clone(), (self.now + wait, wait));
        self.plan_again_at(None);
        // Said once per reason: the tries go on, the log does not.
        if known.is_none_or(|before| before != format!("failed: {reason}")) {
            self.event(
                Event::error(
                    "fence-failed",
                    format!("node {target} could not be proved dead: {reason}. What it ran is not taken over; trying again. If the machine is certainly off: `crm confirm-dead {target}`"),
                )
                .node(target),
            );
        }
    }

    pub(crate) fn prove(&mut self, target: &NodeId, incarnation: Option<Incarnation>, by: ProofBy) {
        let Some(peer) = self.peers.get_mut(target) else { return };
        peer.proof = Some(Proof { incarnation, mark: self.next_number, by });
        self.wants_stale = true;
        self.coordinator_dirty();
    }

    /// A packet of the very run that was proved dead, sent after the proof: the proof was a lie. So it
    /// is told after the epoch of the proof, too: who was cut off and comes back brings a higher one.
    pub(crate) fn doubt_proof(&mut self, from: &NodeId, incarnation: Incarnation, seen: u64) {
        let Some(peer) = self.peers.get_mut(from) else { return };
        let mut refuted =
            |proof: &mut Proof| proof.incarnation == Some(incarnation) && seen >= proof.mark;
        let past = peer.past_proof.take_if(&mut refuted);
        let Some(lie) = peer.proof.take_if(&mut refuted).or(past) else { return };
        let by = lie.by;
        let who = if by == ProofBy::Operator { "an operator" } else { "its fencing device" };
        self.event(
            Event::error(
                "proof-refuted",
                format!("node {from} answers although {who} said it was dead; that word is no longer believed"),
            )
            .node(from),
        );
    }

    /// H30 (ii): a coordinator whose first record is committed and whose lease holds fences who
    /// is lost and owns something, who is needed to decide, and where a stop failed.
    pub(crate) fn fence_who_must_be(&mut self) {
        let (Some(record), Some(cluster)) = (self.record(), self.config.clone()) else { return };
        if matches!(cluster.fencing, Fencing::None) || record.intents.maintenance.is_some() {
            return;
        }
        let mut present: BTreeSet<NodeId> =
            self.peers.iter().filter(|(_, p)| p.alive).map(|(name, _)| name.clone()).collect();
        present.insert(self.id.clone());
        // A node that is cut off loses all the others at nearly the same moment, and its lease still
        // holds: only with a deciding set heard lately is it the others who are lost (H30).
        let lately: BTreeSet<NodeId> = self
            .peers
            .iter()
            .filter(|(_, p)| p.heard.is_some_and(|at| self.now.since(at) <= self.timing.warntime))
            .map(|(name, _)| name.clone())
            .chain([self.id.clone()])
            .collect();
        let alone_too = !R::holds(Rule::FenceNeedsCompany);
        let company = weigh::<R>(record, &lately, &self.proved(), self.tie_authority());
        let surrounded = company == Weight::Decisive || alone_too;
        // In a tie it takes the half that is not silent yet, and it too must have been heard lately.
        let half = matches!(company, Weight::Tie(_)) || surrounded;
        let tied = match weigh::<R>(record, &present, &self.proved(), self.tie_authority()) {
            Weight::Tie(missing) if self.tie_authority() && !record.intents.cluster_stopped => {
                missing
            }
            _ => BTreeSet::new(),
        };
        let unseen_for = self.coordinating().map(|c| self.now.since(c.elected)).unwrap_or_default();
        let mut wanted: Vec<(NodeId, Why)> = Vec::new();
        let mut look_again: Option<Time> = None;
        for (name, peer) in &self.peers {
            if !cluster.has_device(name) || peer.is_proved_dead() {
                continue;
            }
            // A group that the configuration dropped waits for nobody: its failed stop is the operator's. And only who
            // says it now is shot for it: a later run looks and stops for itself, a silent node is a lost one.
            let stop_failed = record.failures.iter().any(|(group, nodes)| {
                cluster.group(group).is_some()
                    && nodes.get(name).is_some_and(|failures| failures.stop_failed)
                    && record.owner(group) == Some(name)
                    && peer.report.as_ref().is_some_and(|report| is_stuck(report, group))
            });
            if stop_failed && peer.alive {
                wanted.push((name.clone(), Why::StopFailed));
                continue;
            }
            let owns = record.grants.values().any(|grant| grant.owner == *name);
            if peer.alive || !(owns || tied.contains(name)) {
                continue;
            }
            // Never heard by this run: as long as everybody is given to come up.
            let lost_at = match peer.heard {
                Some(heard) => heard + self.timing.deadtime,
                None => self.now - unseen_for + self.timing.initdead.max(self.timing.deadtime),
            };
            let delay = if tied.contains(name) { self.tie_delay(&tied) } else { Span::ZERO };
            let at = lost_at + delay;
            let decides = surrounded || (half && tied.contains(name));
            if !decides {
                let soon = self.now + self.timing.keepalive;
                look_again = Some(look_again.map_or(soon, |other| other.min(soon)));
            } else if self.now < at {
                look_again = Some(look_again.map_or(at, |other| other.min(at)));
            } else if tied.contains(name) {
                wanted.push((name.clone(), Why::Tie));
            } else {
                wanted.push((name.clone(), Why::Lost));
            }
        }
        for (name, why) in wanted {
            self.want_fence(&name, why);
        }
        self.plan_again_at(look_again);
    }

    /// R21 on the coordinator itself: a stop failed here and a device could end this machine, but
    /// nobody fences himself. Another voter is to lead, and to do it.
    pub(crate) fn gives_way(&mut self) -> bool {
        let (Some(record), Some(cluster)) = (self.record(), self.config.as_ref()) else {
            return false;
        };
        // For a group that the configuration dropped nobody would fence it.
        let failed = record.failures.iter().any(|(group, nodes)| {
            cluster.group(group).is_some()
                && nodes.get(&self.id).is_some_and(|failures| failures.stop_failed)
                && record.owner(group) == Some(&self.id)
                && is_stuck(&self.report, group)
        });
        let again = self.fences.gave_way.is_none_or(|at| self.now.since(at) >= GIVES_WAY_AGAIN);
        if !failed
            || !again
            || !cluster.has_device(&self.id)
            || record.intents.maintenance.is_some()
        {
            return false;
        }
        if !self.another_can_lead(self.stamp()) {
            return false;
        }
        self.fences.gave_way = Some(self.now);
        self.step_down("a stop failed here, and another node must lead to fence this one");
        self.stand_at = Some(self.now + self.timing.deadtime * 3 + self.timing.election * 4);
        true
    }

    /// Whether a voter is heard whose newest record is this one.
    pub(crate) fn another_can_lead(&self, stamp: Stamp) -> bool {
        let (Some(record), Some(cluster)) = (self.record(), self.config.as_ref()) else {
            return false;
        };
        record.voters.keys().any(|voter| {
            cluster.is_voter(voter)
                && voter.as_str() != WITNESS
                && self.peers.get(voter).is_some_and(|peer| {
                    peer.alive
                        && !peer.forked
                        && peer.heartbeat.as_ref().is_some_and(|beat| beat.stamp == stamp)
                })
        })
    }

    pub(crate) fn plan_again_at(&mut self, at: Option<Time>) {
        let now = self.now;
        let waiting = self.fences.waiting.values().map(|(at, _)| *at).filter(|at| *at > now).min();
        let Some(coordinator) = self.coordinating_mut() else { return };
        for at in [at, waiting].into_iter().flatten() {
            coordinator.plan_at = Some(coordinator.plan_at.map_or(at, |other| other.min(at)));
        }
    }

    /// H27: a target that is heard again is not shot for its silence.
    pub(crate) fn cancel_fences_of_heard(&mut self, name: &NodeId) {
        let silence = self
            .fences
            .open
            .get(name)
            .is_some_and(|r| matches!(r.why, Why::Tie | Why::Company | Why::Lost));
        if silence && let Some(request) = self.fences.open.remove(name) {
            self.push(Output::CancelFence { request: request.id });
        }
        self.fences.waiting.remove(name);
    }

    /// The target has a new run: what was asked about the old one is over.
    pub(crate) fn cancel_fences_of_earlier_run(&mut self, name: &NodeId) {
        self.cancel_fences_of_heard(name);
    }

    pub(crate) fn cancel_all_fences(&mut self) {
        let open = std::mem::take(&mut self.fences.open);
        self.fences.waiting.clear();
        for request in open.into_values() {
            self.push(Output::CancelFence { request: request.id });
            if let Why::Operator(origin) = request.why {
                let reason = "the coordinator changed while the device was asked".to_owned();
                self.answer(&origin, Outcome::Unknown { reason });
            }
        }
    }

    /// Requests that the shell never answered.
    pub(crate) fn expire_fences(&mut self) {
        let late: Vec<NodeId> = self
            .fences
            .open
            .iter()
            .filter(|(_, request)| request.until <= self.now)
            .map(|(name, _)| name.clone())
            .collect();
        for name in late {
            if let Some(request) = self.fences.open.remove(&name) {
                self.fence_failed(&name, request, "no answer in time");
            }
        }
    }
}

/// Whether a run says of itself that a stop of this group failed and is not settled yet.
fn is_stuck(report: &Report, group: &GroupId) -> bool {
    report.groups.get(group).is_some_and(|state| state.phase == GroupPhase::StopFailed)
}
