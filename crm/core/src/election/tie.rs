//! The tie: exactly half of the voters, and what the other half must be proved before it is decided
//! (R6, R16, R20, H30).

use super::{Role, list};
use crate::Output;
use crate::event::Event;
use crate::id::{Epoch, NodeId};
use crate::model::{Cluster, WITNESS};
use crate::node::Node;
use crate::quorum::{Weight, weigh};
use crate::record::Record;
use crate::rules::{Rule, Rules};
use crate::time::{Span, Time};
use std::collections::BTreeSet;
use std::sync::Arc;

impl<R: Rules> Node<R> {
    /// R6/R16: whether this incarnation may decide a tie at all. The only voter of its record has no more right to
    /// that than others: while Vold says more, the record may never have been committed, and whoever else is in
    /// Vold may have been elected since. Once both name this node alone there is no tie.
    pub(crate) fn tie_authority(&self) -> bool {
        self.joined || !R::holds(Rule::TieNeedsAuthority)
    }

    /// H30 (i): whether this node may shoot `missing` to win: it has authority, every one of them
    /// is silent, and has a device. R15: a cluster stopped by its operator is not woken by a tie.
    pub(super) fn tie_is_possible(&self, missing: &BTreeSet<NodeId>) -> bool {
        let (Some(cluster), Some(record)) = (&self.config, self.record()) else { return false };
        let silent = |node: &NodeId| {
            self.peers.get(node).is_some_and(|peer| {
                !peer.alive && (peer.heard.is_some() || self.listened_long_enough())
            })
        };
        !missing.is_empty()
            && self.tie_authority()
            && !record.intents.cluster_stopped
            && record.intents.maintenance.is_none()
            && missing
                .iter()
                .all(|node| silent(node) && (cluster.has_device(node) || self.silence_proves(node)))
    }

    /// R20: the operator's words cover every missing voter, and none of them is heard.
    pub(super) fn operator_says_dead(&self, missing: &BTreeSet<NodeId>) -> bool {
        let words = &self.commands.words;
        !missing.is_empty()
            && missing.iter().all(|node| {
                words.get(node).is_some_and(|until| self.now < *until)
                    && self.peers.get(node).is_some_and(|peer| !peer.alive)
            })
    }

    pub(super) fn prove_by_word(&mut self, nodes: &BTreeSet<NodeId>) {
        for node in nodes {
            let incarnation = self.peers.get(node).and_then(|peer| peer.session.live());
            self.prove(node, incarnation, crate::peer::ProofBy::Operator);
        }
    }

    /// Without a quorum, the words of an operator that would give one (R20): exactly half of the voters are here, and
    /// nothing but a word can prove the others dead. Less than half cannot go on by anybody's word.
    pub(crate) fn words_that_help(&self) -> Option<String> {
        let record = self.record().filter(|_| self.fork.is_none() && !self.is_witness())?;
        let missing = match self.only_other_voter(record) {
            Some(only) => self.silent_heirs_and(only, record),
            None if self.missing_company().is_some() => self.missing_company()?.0,
            None => self.tied_without_proof(record)?,
        };
        let silent =
            !missing.is_empty() && missing.iter().all(|node| self.must_be_silent(node).is_ok());
        let words: Vec<String> =
            missing.iter().map(|node| format!("`crm confirm-dead {node}`")).collect();
        let which = if words.len() == 1 { "that machine is" } else { "those machines are" };
        silent.then(|| format!("if {which} certainly off: {}", words.join(" and ")))
    }

    /// Who is missing in a tie that no device of this node's will decide.
    fn tied_without_proof(&self, record: &Record) -> Option<BTreeSet<NodeId>> {
        let cluster = self.config.as_ref().filter(|_| record.voters.contains_key(&self.id))?;
        let heard = self.peers.iter().filter(|(_, peer)| peer.alive).map(|(name, _)| name);
        let here: BTreeSet<NodeId> = heard.chain([&self.id]).cloned().collect();
        let Weight::Tie(missing) = weigh::<R>(record, &here, &BTreeSet::new(), false) else {
            return None;
        };
        let by_device = |node| cluster.has_device(node) || self.silence_proves(node);
        (!self.tie_authority() || !missing.iter().all(by_device)).then_some(missing)
    }

    /// R20: the operator calls the only voter dead, and every other possible heir that is not heard: all these.
    pub(super) fn only_voter_called_dead(&self, record: &Record) -> Option<BTreeSet<NodeId>> {
        let only = self.only_other_voter(record)?;
        let dead = self.silent_heirs_and(only, record);
        self.operator_says_dead(&dead).then_some(dead)
    }

    /// The same, once all the other possible heirs have given their vote: whom the words call dead.
    pub(super) fn may_inherit(
        &self,
        record: &Record,
        votes: &BTreeSet<NodeId>,
    ) -> Option<BTreeSet<NodeId>> {
        let dead = self.only_voter_called_dead(record)?;
        let heirs = self.other_heirs(record);
        heirs.iter().all(|heir| dead.contains(heir) || votes.contains(heir)).then_some(dead)
    }

    fn silent_heirs_and(&self, only: NodeId, record: &Record) -> BTreeSet<NodeId> {
        let silent = |heir: &NodeId| self.peers.get(heir).is_none_or(|peer| !peer.alive);
        self.other_heirs(record).into_iter().filter(silent).chain([only]).collect()
    }

    /// Another node is the only voter: it stayed of a pair when this one left or was fenced, so that this one has no vote
    /// (R14, R19).
    fn only_other_voter(&self, record: &Record) -> Option<NodeId> {
        let (only, _) = record.voters.first_key_value()?;
        let mut old = record.old_voters.keys();
        let alone = record.voters.len() == 1 && old.all(|name| name == only || *name == self.id);
        let votes = self.config_of(record).is_some_and(|cluster| cluster.is_voter(&self.id));
        (alone && *only != self.id && votes).then(|| only.clone())
    }

    /// Who else may inherit from the only voter of this record, or may have been given a vote by it since: whoever is
    /// configured. The votes of all of them are asked for, so that no two inherit and the newest record is found (R5).
    pub(super) fn other_heirs(&self, record: &Record) -> BTreeSet<NodeId> {
        if self.only_other_voter(record).is_none() {
            return BTreeSet::new();
        }
        let Some(cluster) = self.config_of(record) else { return BTreeSet::new() };
        let witness = cluster.witness.iter().map(|_| NodeId::new(WITNESS));
        let all = cluster.nodes.iter().map(|node| node.id.clone()).chain(witness);
        all.filter(|node| *node != self.id && !record.voters.contains_key(node)).collect()
    }

    fn config_of(&self, record: &Record) -> Option<Arc<Cluster>> {
        let own = self.record().is_some_and(|own| own.config.digest == record.config.digest);
        if own { self.config.clone() } else { (self.parse)(&record.config.text).ok().map(Arc::new) }
    }

    /// The words give this candidacy the vote that the dead one had.
    pub(super) fn inherit(
        &mut self,
        epoch: Epoch,
        best: Record,
        dead: &BTreeSet<NodeId>,
        asked: Time,
    ) {
        self.joined = true;
        self.commands.forget_word(None);
        self.prove_by_word(dead);
        self.become_coordinator(epoch, best, &[self.id.clone()].into(), dead, asked);
    }

    /// How long this node waits in a tie before it shoots: the side that hosts less (by the groups' `priority`, then
    /// their number), by the record and never by volatile state, lets the other go first.
    pub(crate) fn tie_delay(&self, missing: &BTreeSet<NodeId>) -> Span {
        let (Some(cluster), Some(record)) = (&self.config, self.record()) else {
            return Span::ZERO;
        };
        let crate::model::Fencing::Devices { delay, .. } = &cluster.fencing else {
            return Span::ZERO;
        };
        let stake = |node: &NodeId| {
            let owned = record.grants.iter().filter(|(_, grant)| grant.owner == *node);
            let priority =
                |group| cluster.group(group).map_or(0, |group| i64::from(group.priority));
            let important: i64 = owned.map(|(group, _)| priority(group)).sum();
            (important, record.hosted_by(node))
        };
        let mine = stake(&self.id);
        let waits = missing.iter().any(|other| {
            let theirs = stake(other);
            theirs > mine || (theirs == mine && self.id > *other)
        });
        if waits { *delay } else { Span::ZERO }
    }

    pub(super) fn prepare_tie(&mut self, missing: &BTreeSet<NodeId>) {
        let delay = self.tie_delay(missing);
        let address = self.config.as_ref().and_then(|cluster| cluster.tiebreak_ping.clone());
        let now = self.now;
        let Role::Asking(asking) = &mut self.role else { return };
        let epoch = asking.epoch;
        let first = asking.shoot_at.is_none();
        let shoot_at = *asking.shoot_at.get_or_insert(now + delay);
        asking.until = asking.until.max(shoot_at + Span::millis(1));
        if first && delay > Span::ZERO {
            let names = list(missing);
            self.event(Event::info(
                "tie-waits",
                format!(
                    "{names} hosts more than this node, so this node waits {delay} before it fences"
                ),
            ));
        }
        if now < shoot_at {
            return;
        }
        // The last look before the shot: who is heard has been checked just now.
        let Role::Asking(asking) = &mut self.role else { return };
        match (address, asking.pinged) {
            (Some(address), None) => {
                asking.pinged = Some(false);
                asking.until = now + self.timing.deadtime;
                self.push(Output::Ping { address });
            }
            (Some(_), Some(false)) if now >= asking.until => {
                self.role = Role::Follower;
                self.back_off();
            }
            (Some(_), Some(false)) => {}
            _ => self.stand(epoch),
        }
    }

    pub(crate) fn on_pinged(&mut self, answered: bool) {
        self.on_silence_pinged(answered);
        if let Role::Asking(asking) = &mut self.role
            && asking.pinged == Some(false)
            && answered
        {
            asking.pinged = Some(true);
        }
    }
}
