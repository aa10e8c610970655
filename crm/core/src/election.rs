//! Elections: asking first (R1), voting (R2), standing (R4), being elected (R5), the tie (R6).

mod alone;
mod tie;

use self::alone::Company;
use crate::coordinator::Coordinator;
use crate::id::{Epoch, NodeId, StoreId};
use crate::node::Node;
use crate::packet::Message;
use crate::persist::After;
use crate::quorum::{Weight, weigh};
use crate::record::Record;
use crate::rules::{Rule, Rules};
use crate::time::{Span, Time};
use std::collections::{BTreeMap, BTreeSet};

/// What a node is doing about leadership.
#[derive(Clone, Debug, Hash)]
pub(crate) enum Role {
    Follower,
    Asking(Asking),
    Candidate(Candidate),
    Coordinator(Box<Coordinator>),
}

/// R1: would I be elected? Nothing is changed by asking.
#[derive(Clone, Debug, Hash)]
pub(crate) struct Asking {
    epoch: Epoch,
    yes: BTreeSet<NodeId>,
    until: Time,
    /// In a tie: not before this moment.
    shoot_at: Option<Time>,
    /// The tie-break address: asked, and answered.
    pinged: Option<bool>,
}

/// R4: standing in an epoch of its own, which is on the disk before anything is asked.
#[derive(Clone, Debug, Hash)]
pub(crate) struct Candidate {
    pub(crate) epoch: Epoch,
    /// When the epoch was durable: requests went out from then on.
    asked: Option<Time>,
    votes: BTreeMap<NodeId, (StoreId, Option<Record>)>,
    until: Time,
}

impl<R: Rules> Node<R> {
    pub(crate) fn coordinating(&self) -> Option<&Coordinator> {
        match &self.role {
            Role::Coordinator(coordinator) => Some(coordinator),
            _ => None,
        }
    }

    pub(crate) fn coordinating_mut(&mut self) -> Option<&mut Coordinator> {
        match &mut self.role {
            Role::Coordinator(coordinator) => Some(coordinator),
            _ => None,
        }
    }

    /// R4: only a voter of its own record stands, or who inherits from the only one; a witness never does.
    fn can_stand(&self) -> bool {
        let leaving = self.shutdown.is_some() && self.peers.values().any(|peer| peer.alive);
        !leaving
            && self.fork.is_none()
            && !self.is_witness()
            // Others went on without this node, or so they say: one of the two is wrong (R16, R20).
            && self.newer_stranger().is_none()
            && self.config.is_some()
            && self.misread.is_none()
            && self.record().is_some_and(|record| {
                record.voters.get(&self.id) == Some(&self.stored.store)
                    || self.only_voter_called_dead(record).is_some()
            })
    }

    /// Lower names stand first, and nobody at quite the same moment.
    pub(crate) fn standing_delay(&mut self) -> Span {
        let rank = self.record().map_or(0, |record| {
            record
                .voters
                .keys()
                .filter(|voter| **voter < self.id)
                .filter(|voter| self.peers.get(*voter).is_some_and(|peer| peer.alive))
                .count()
        }) as u64;
        Span::millis(rank * 40) + Span(self.spread(5_000))
    }

    /// All voters but this node, of both sets, who may be one by now for all that this node knows (R20), and whom the only
    /// voter asks, too (R16).
    fn other_voters(&self) -> Vec<NodeId> {
        let Some(record) = self.record() else { return Vec::new() };
        let voters = record.voters.keys().chain(record.old_voters.keys()).cloned();
        let others = self.other_heirs(record).into_iter().chain(self.company_to_ask(record));
        let all: BTreeSet<NodeId> = voters.chain(others).collect();
        all.into_iter().filter(|voter| *voter != self.id).collect()
    }

    /// Nodes that a device or the operator proved dead in this epoch.
    pub(crate) fn proved(&self) -> BTreeSet<NodeId> {
        let proved = self
            .peers
            .iter()
            .filter(|(name, peer)| peer.is_proved_dead() || self.silence_proves(name));
        proved.map(|(name, _)| name.clone()).collect()
    }

    /// H4: the silence of an armed node proves nothing to who does not lead.
    pub(crate) fn silence_proves(&self, name: &NodeId) -> bool {
        if R::holds(Rule::SilenceDecidesNoTie) {
            return false;
        }
        let armed = self.record().and_then(|record| record.armed.get(name));
        let silent = self.peers.get(name).and_then(|peer| peer.silent_for(self.now));
        armed.zip(silent).is_some_and(|(armed, silent)| silent >= self.reset_bound(armed))
    }

    /// What a run that resumes the candidacy of an earlier one does: it must not (R4).
    pub(crate) fn resume_candidacy(&mut self) {
        let own = self.stored.vote.as_ref() == Some(&self.id);
        if own && !R::holds(Rule::CandidacyIsNew) {
            let (epoch, until) = (self.stored.epoch, self.now + self.timing.election);
            let votes = BTreeMap::new();
            self.role = Role::Candidate(Candidate { epoch, asked: Some(self.now), votes, until });
        }
    }

    pub(crate) fn stand_if_due(&mut self) {
        match &self.role {
            Role::Coordinator(_) => {}
            Role::Follower => {
                if self.live_leader().is_some() {
                    self.stand_at = None;
                    return;
                }
                let Some(at) = self.stand_at else {
                    let delay = self.standing_delay();
                    self.stand_at = Some(self.now + delay);
                    return;
                };
                if self.now < at {
                    return;
                }
                self.stand_at = None;
                if self.can_stand() {
                    self.ask();
                } else {
                    self.back_off();
                }
            }
            Role::Asking(_) => self.weigh_answers(),
            Role::Candidate(_) => self.weigh_votes(),
        }
    }

    fn back_off(&mut self) {
        let wait = self.timing.election.as_micros() / 2;
        let spread = self.spread(wait.max(1));
        self.stand_at = Some(self.now + Span(wait + spread));
    }

    fn ask(&mut self) {
        let epoch = self.next_epoch();
        self.role = Role::Asking(Asking {
            epoch,
            yes: [self.id.clone()].into(),
            until: self.now + self.timing.election,
            shoot_at: None,
            pinged: None,
        });
        for voter in self.other_voters() {
            self.send(&voter, Message::PreVote { epoch });
        }
        self.weigh_answers();
    }

    pub(crate) fn drop_asking(&mut self) {
        if matches!(self.role, Role::Asking(_)) {
            self.role = Role::Follower;
        }
    }

    /// R1: yes, unless a coordinator is heard whose lease holds.
    pub(crate) fn on_pre_vote(&mut self, from: &NodeId, epoch: Epoch) {
        let leads = self.coordinating().is_some_and(|c| c.committed.is_some())
            && self.coordinator_lease_left() > Span::ZERO;
        let granted = epoch > self.stored.epoch
            && !leads
            && !self.keeps_its_vote()
            && self.live_leader().is_none_or(|leader| leader.node == *from)
            && self.fork.is_none();
        let stamp = self.durable.stamp;
        if epoch <= self.stored.epoch {
            let epoch = self.durable.epoch;
            self.send(from, Message::Behind { epoch });
        }
        self.send(from, Message::PreVoteReply { epoch, granted, stamp });
    }

    pub(crate) fn on_pre_vote_reply(&mut self, from: &NodeId, epoch: Epoch, granted: bool) {
        if let Role::Asking(asking) = &mut self.role
            && asking.epoch == epoch
            && granted
        {
            asking.yes.insert(from.clone());
        }
    }

    fn weigh_answers(&mut self) {
        let Role::Asking(asking) = &self.role else { return };
        let (epoch, until) = (asking.epoch, asking.until);
        let Some(record) = self.record() else { return };
        match weigh::<R>(record, &asking.yes, &BTreeSet::new(), false) {
            Weight::Decisive => match self.company(record) {
                Company::Clear => self.stand(epoch),
                company => self.await_company(company, epoch, until),
            },
            Weight::Tie(missing) if self.operator_says_dead(&missing) => self.stand(epoch),
            Weight::Tie(missing) if self.tie_is_possible(&missing) => self.prepare_tie(&missing),
            _ if self.may_inherit(record, &asking.yes).is_some() => self.stand(epoch),
            _ if self.now >= until => {
                self.role = Role::Follower;
                self.back_off();
            }
            _ => {}
        }
    }

    pub(crate) fn listened_long_enough(&self) -> bool {
        self.now.since(self.started) >= self.timing.deadtime
    }

    /// R4: a new epoch and the vote for oneself, durable before any request or fence.
    pub(crate) fn stand(&mut self, epoch: Epoch) {
        self.adopt_epoch(epoch);
        self.stored.vote = Some(self.id.clone());
        self.role = Role::Candidate(Candidate {
            epoch,
            asked: None,
            votes: BTreeMap::new(),
            until: self.now + self.timing.election,
        });
        self.persist(After::Stand { epoch });
    }

    /// Moves to a higher epoch: everything that belonged to the old one ends (R2, H5).
    pub(crate) fn adopt_epoch(&mut self, epoch: Epoch) {
        self.step_down("a higher epoch was seen");
        self.stored.epoch = epoch;
        self.stored.vote = None;
        self.highest_epoch = self.highest_epoch.max(epoch);
        if R::holds(Rule::ProofDiesWithEpoch) {
            for peer in self.peers.values_mut() {
                peer.past_proof = peer.proof.take().or(peer.past_proof.take());
            }
        }
        for peer in self.peers.values_mut() {
            peer.authority_to = None;
        }
        self.cancel_all_fences();
        self.wants_stale = true;
    }

    pub(crate) fn ask_for_votes(&mut self, epoch: Epoch) {
        let now = self.now;
        let Role::Candidate(candidate) = &mut self.role else { return };
        if candidate.epoch != epoch {
            return;
        }
        candidate.asked = Some(now);
        for voter in self.other_voters() {
            self.send(&voter, Message::VoteRequest { epoch });
        }
        self.weigh_votes();
    }

    pub(crate) fn resend_election(&mut self) {
        match &self.role {
            Role::Asking(asking) => {
                let epoch = asking.epoch;
                for voter in self.other_voters() {
                    self.send(&voter, Message::PreVote { epoch });
                }
            }
            Role::Candidate(candidate) if candidate.asked.is_some() => {
                let epoch = candidate.epoch;
                let waiting: Vec<NodeId> = self
                    .other_voters()
                    .into_iter()
                    .filter(|voter| !candidate.votes.contains_key(voter))
                    .collect();
                for voter in waiting {
                    self.send(&voter, Message::VoteRequest { epoch });
                }
            }
            _ => {}
        }
    }

    /// R2.
    pub(crate) fn on_vote_request(&mut self, from: &NodeId, epoch: Epoch) {
        if self.fork.is_some() {
            return;
        }
        if epoch == self.stored.epoch && self.stored.vote.as_ref() == Some(from) {
            if self.durable.epoch == epoch {
                self.send_vote(from, epoch);
            }
            return;
        }
        if epoch <= self.stored.epoch {
            let epoch = self.durable.epoch;
            self.send(from, Message::Behind { epoch });
            return;
        }
        if self.keeps_its_vote() {
            return;
        }
        self.gives_its_vote_away();
        self.adopt_epoch(epoch);
        self.stored.vote = Some(from.clone());
        self.stand_at = Some(self.now + self.timing.election);
        self.persist(After::Vote { to: from.clone(), epoch });
    }

    pub(crate) fn send_vote(&mut self, to: &NodeId, epoch: Epoch) {
        if self.stored.epoch != epoch || self.stored.vote.as_ref() != Some(to) {
            return;
        }
        let store = self.stored.store;
        let record = if R::holds(Rule::VoteCarriesRecord) {
            self.stored.record.clone().map(Box::new)
        } else {
            None
        };
        self.send(to, Message::Vote { epoch, store, record });
    }

    pub(crate) fn on_vote(
        &mut self,
        from: &NodeId,
        epoch: Epoch,
        store: StoreId,
        record: Option<Box<Record>>,
    ) {
        if let Role::Candidate(candidate) = &mut self.role
            && candidate.epoch == epoch
        {
            candidate.votes.insert(from.clone(), (store, record.map(|record| *record)));
        }
    }

    /// Somebody refused because its epoch is higher.
    pub(crate) fn on_behind(&mut self, epoch: Epoch) {
        self.highest_epoch = self.highest_epoch.max(epoch);
        if let Role::Candidate(candidate) = &self.role
            && candidate.epoch < epoch
        {
            self.role = Role::Follower;
            self.cancel_all_fences();
            self.back_off();
        }
        self.coordinator_dirty();
    }

    /// R5.
    fn weigh_votes(&mut self) {
        let Role::Candidate(candidate) = &self.role else { return };
        let (epoch, Some(asked), until) = (candidate.epoch, candidate.asked, candidate.until)
        else {
            return;
        };
        let Some(own) = self.record() else { return };
        let mut best = own;
        for record in candidate.votes.values().filter_map(|(_, record)| record.as_ref()) {
            if newer::<R>(record, best) {
                best = record;
            }
        }
        let voted = candidate.votes.keys().cloned().collect();
        if let Some(dead) = self.may_inherit(best, &voted) {
            let best = best.clone();
            self.inherit(epoch, best, &dead, asked);
            return;
        }
        if self.only_voter_called_dead(best).is_some() && self.now < until {
            return;
        }
        if best.voters.get(&self.id) != Some(&self.stored.store) {
            // Who gave that record waits for one election: this node must not stand before it does,
            // or neither is ever elected.
            self.role = Role::Follower;
            let wait = self.timing.election * 2;
            self.stand_at = Some(self.now + wait + Span(self.spread(wait.0.max(1))));
            return;
        }
        let known = |voter: &NodeId, store: &StoreId| {
            best.voters.get(voter) == Some(store) || best.old_voters.get(voter) == Some(store)
        };
        let mut present: BTreeSet<NodeId> = candidate
            .votes
            .iter()
            .filter(|(voter, (store, _))| known(voter, store))
            .map(|(voter, _)| voter.clone())
            .collect();
        present.insert(self.id.clone());
        let proved = self.proved();
        match weigh::<R>(best, &present, &proved, self.tie_authority()) {
            Weight::Decisive => {
                let company = self.company(best);
                if company != Company::Clear {
                    return self.settle_company(company, until);
                }
                let by_tie = weigh::<R>(best, &present, &BTreeSet::new(), true) != Weight::Decisive;
                let best = best.clone();
                self.commands.forget_word(None);
                // Nobody who was called dead keeps a grant, whether its vote was needed or not (R7).
                let excluded = if by_tie || !self.joined { proved } else { BTreeSet::new() };
                self.become_coordinator(epoch, best, &present, &excluded, asked);
            }
            Weight::Tie(missing) if self.operator_says_dead(&missing) => {
                // R20: the word gives this candidacy the authority that a boot took away.
                self.joined = true;
                self.commands.forget_word(None);
                self.prove_by_word(&missing);
                self.weigh_votes();
            }
            Weight::Tie(missing) if self.tie_is_possible(&missing) => {
                for node in missing {
                    self.want_fence(&node, crate::fencing::Why::Tie);
                }
            }
            _ if self.now >= until => {
                self.role = Role::Follower;
                self.cancel_all_fences();
                self.back_off();
            }
            _ => {}
        }
    }

    pub(crate) fn election_deadline(&self) -> Option<Time> {
        match &self.role {
            Role::Follower => {
                let lost = self.leader.as_ref().map(|leader| leader.heard + self.timing.deadtime);
                self.stand_at.or(lost)
            }
            Role::Asking(asking) => {
                let waits = asking.shoot_at.filter(|at| *at > self.now);
                Some(waits.map_or(asking.until, |at| at.min(asking.until)))
            }
            Role::Candidate(candidate) => Some(candidate.until).filter(|at| *at > self.now),
            Role::Coordinator(_) => None,
        }
    }
}

/// H1: epoch first, then version.
fn newer<R: Rules>(one: &Record, other: &Record) -> bool {
    if R::holds(Rule::StampHasEpoch) {
        one.stamp > other.stamp
    } else {
        one.stamp.version > other.stamp.version
    }
}

/// Names for a sentence.
pub(crate) fn list(nodes: &BTreeSet<NodeId>) -> String {
    let names: Vec<&str> = nodes.iter().map(NodeId::as_str).collect();
    match names.as_slice() {
        [one] => format!("node {one}"),
        _ => format!("nodes {}", names.join(", ")),
    }
}
