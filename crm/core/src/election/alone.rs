//! The only voter of its record, when its daemon starts (R16, H23).
//!
//! It needs nobody's vote, and nobody else can have been elected by votes: whoever got one since would have got it from
//! this node. But a word of an operator can have let another go on while this machine was down (R20), and rightly so.
//! That one has newer data, and this one would be the second holder of all that it runs. So before it stands, it looks for
//! everybody who ever held a record of its cluster and is configured to vote:
//!
//! - Who is heard with a newer record went on: this node waits for it, and does not stand. Nor does it if that one falls
//!   silent before the record is here, or this node boots again: it knows that its own is not the newest, and no device can
//!   bring back what the other changed. Only a word gives that up.
//! - Who is heard and obeys a record that is not in the past of this one went on by another history (H35). It is there to be
//!   followed or to be told so; this node does not stand beside it.
//! - Who is not heard within `initdead`, and has a device, is fenced first.
//! - Who has no device is waited for as long, and no longer: nothing could prove it dead, and the record is a committed one.
//! - Who is heard and obeys nothing yet may have a daemon that has just restarted, with all its groups running by a history of
//!   its own. So it is asked for its vote, which is not needed: this node leads with it only. Who alone votes in its own record
//!   gives none while anything may run there; once it has given one it starts nothing, and looks first as this node does.
//!
//! Under maintenance, and where everything was stopped, nobody is fenced; there it waits, as in a tie. A word of an operator
//! about who is missing ends every wait. Nobody gets authority by any of this that had not got it before.

use super::Role;
use crate::fencing::Why;
use crate::id::{Epoch, NodeId, Stamp};
use crate::node::Node;
use crate::peer::ProofBy;
use crate::record::{Record, Voters};
use crate::rules::{Rule, Rules};
use crate::time::Time;
use std::collections::BTreeSet;

/// How far an epoch by an operator's word is from the last one that this node knows of: more than the elections that
/// who is called dead can have won meanwhile.
const WORD_STEP: u64 = 10_000;

/// What the only voter knows of those who may have gone on without it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Company {
    /// Nobody did, or it is dead.
    Clear,
    /// This one is heard and has a newer record, or obeys one of another history.
    Ahead(NodeId),
    /// These are heard, and have not given this candidacy their votes.
    Unasked(BTreeSet<NodeId>),
    /// These were heard with a newer record, and are silent now.
    Passed(BTreeSet<NodeId>),
    /// These are silent and not proved dead; from then on they count as unheard.
    Silent(BTreeSet<NodeId>, Time),
}

impl<R: Rules> Node<R> {
    /// Who holds a record of this cluster, and is configured to vote, is remembered on the disk: a node that was never
    /// up, as at the founding, went nowhere.
    pub(crate) fn remember_company(&mut self, name: &NodeId) {
        let beat = self.peers.get(name).and_then(|peer| peer.heartbeat.as_ref());
        let Some(stamp) = beat.map(|beat| beat.stamp).filter(|stamp| *stamp != Stamp::default())
        else {
            return;
        };
        let runs = self
            .config
            .as_ref()
            .and_then(|cluster| cluster.node(name))
            .is_some_and(|node| node.voter);
        let passed = stamp > self.stamp() && self.votes_alone();
        let known = if passed { stamp } else { Stamp::default() };
        if runs
            && !self.is_witness()
            && self.stored.company.insert(name.clone(), known) != Some(known)
        {
            self.persist(crate::persist::After::Nothing);
        }
    }

    pub(crate) fn forget_company(&mut self) {
        let Some(cluster) = &self.config else { return };
        let votes = |name: &NodeId| cluster.node(name).is_some_and(|node| node.voter);
        self.stored.company.retain(|name, _| votes(name));
    }

    fn alone_votes_in(&self, record: &Record) -> bool {
        let mine =
            |voters: &Voters| voters.len() == 1 && voters.get(&self.id) == Some(&self.stored.store);
        mine(&record.voters) && mine(&record.old_voters)
    }

    /// R16: of a run that has obeyed nothing yet, and whose record leaves the decision to this node alone.
    fn looks_first(&self, record: &Record) -> bool {
        !self.joined && R::holds(Rule::AloneLooksFirst) && self.alone_votes_in(record)
    }

    /// Whose votes are asked for though none is needed.
    pub(super) fn company_to_ask(&self, record: &Record) -> impl Iterator<Item = NodeId> {
        let asks = self.looks_first(record) && R::holds(Rule::CompanyIsAsked);
        self.stored.company.keys().filter(move |_| asks).cloned()
    }

    /// Whether it would vote, while that is asked; whether it has, after that.
    fn has_answered(&self, name: &NodeId) -> bool {
        match &self.role {
            Role::Asking(asking) => asking.yes.contains(name),
            Role::Candidate(candidate) => candidate.votes.contains_key(name),
            Role::Follower | Role::Coordinator(_) => false,
        }
    }

    /// Whoever asks for a vote here has none in this node's record: this node alone has. What runs here may be no part
    /// of the other's history.
    pub(super) fn keeps_its_vote(&self) -> bool {
        R::holds(Rule::CompanyIsAsked) && self.votes_alone() && !self.nothing_runs()
    }

    /// It has given it to somebody who does not vote in its record: it looks first before it leads again.
    pub(super) fn gives_its_vote_away(&mut self) {
        if R::holds(Rule::CompanyIsAsked) && self.votes_alone() {
            self.joined = false;
        }
    }

    pub(super) fn votes_alone(&self) -> bool {
        self.record().is_some_and(|own| self.alone_votes_in(own))
    }

    /// The epoch to stand in: above all that this node knows of.
    ///
    /// Who is called dead may have led epochs that it does not know of: alone, where no vote of this node's was needed. None
    /// of them may be this one (I6, H35), nor may any in which that one leads when it is back. So a word makes a long step, and
    /// who decides alone has epochs of its own, as many apart as nodes are configured.
    pub(crate) fn next_epoch(&self) -> Epoch {
        let by_word = !self.commands.words.is_empty();
        let step = if by_word { WORD_STEP } else { 1 };
        let next = self.highest_epoch.max(self.stored.epoch).0 + step;
        let nodes = self
            .config
            .as_ref()
            .map(|cluster| &cluster.nodes)
            .filter(|_| (by_word || self.votes_alone()) && R::holds(Rule::AloneHasItsEpochs));
        let Some(nodes) = nodes else { return Epoch(next) };
        // 1, 2, 3 and so on by name, and then round again.
        let count = nodes.len() as u64;
        let own = 1 + nodes.iter().filter(|node| node.id < self.id).count() as u64;
        let passed = next.checked_rem(count).unwrap_or(0);
        let short = (own + count - passed).checked_rem(count).unwrap_or(0);
        Epoch(next + short)
    }

    /// Who may have gone on, and what is known of that.
    pub(super) fn company(&self, record: &Record) -> Company {
        if !self.looks_first(record) {
            return Company::Clear;
        }
        let (mut silent, mut passed, mut unasked) =
            (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        let mut from = self.started;
        for (name, known) in &self.stored.company {
            let Some(peer) = self.peers.get(name) else { continue };
            let ahead = *known > self.stamp();
            let obeys = peer.heartbeat.as_ref().map(|beat| beat.obeyed).unwrap_or_default();
            let elsewhere = obeys != Stamp::default() && !record.may_descend_from(obeys);
            if peer.alive && (ahead || elsewhere) {
                return Company::Ahead(name.clone());
            }
            let by_word = peer.proof.as_ref().is_some_and(|proof| proof.by == ProofBy::Operator);
            if peer.alive && peer.heartbeat.is_some() {
                if R::holds(Rule::CompanyIsAsked) && !self.has_answered(name) {
                    unasked.insert(name.clone());
                }
                continue;
            }
            if by_word || (peer.is_proved_dead() && !ahead) {
                continue;
            }
            if ahead {
                passed.insert(name.clone());
            }
            let heard = peer.heard.map(|heard| heard + self.timing.deadtime);
            let patience = self.timing.initdead.max(self.timing.deadtime);
            from = from.max(heard.unwrap_or(self.started + patience));
            silent.insert(name.clone());
        }
        let cluster = self.config.as_ref();
        let provable = |name: &&NodeId| cluster.is_some_and(|cluster| cluster.has_device(name));
        if self.now >= from {
            silent = silent.iter().filter(provable).cloned().collect();
        }
        match (passed.is_empty(), silent.is_empty()) {
            (false, _) => Company::Passed(passed),
            (true, false) => Company::Silent(silent, from),
            (true, true) if unasked.is_empty() => Company::Clear,
            (true, true) => Company::Unasked(unasked),
        }
    }

    /// While asking: stands where that could end the wait.
    pub(super) fn await_company(&mut self, company: Company, epoch: Epoch, until: Time) {
        match company {
            Company::Passed(names) | Company::Silent(names, _)
                if self.operator_says_dead(&names) =>
            {
                self.stand(epoch)
            }
            Company::Silent(names, from) if self.may_shoot_company(from) => {
                self.prepare_tie(&names)
            }
            _ => self.give_up_at(until),
        }
    }

    /// As a candidate: who is missing is proved dead, by a word or a device.
    pub(super) fn settle_company(&mut self, company: Company, until: Time) {
        match company {
            Company::Passed(names) | Company::Silent(names, _)
                if self.operator_says_dead(&names) =>
            {
                self.commands.forget_word(None);
                self.prove_by_word(&names);
                self.weigh_votes();
            }
            Company::Silent(names, from) if self.may_shoot_company(from) => {
                for node in names {
                    self.want_fence(&node, Why::Company);
                }
            }
            _ => self.give_up_at(until),
        }
    }

    fn give_up_at(&mut self, until: Time) {
        if self.now >= until {
            self.role = Role::Follower;
            self.cancel_all_fences();
            self.back_off();
        }
    }

    /// H30: a candidate may shoot them now.
    pub(super) fn may_shoot_company(&self, from: Time) -> bool {
        let hands_off = self.record().is_none_or(|record| {
            record.intents.cluster_stopped || record.intents.maintenance.is_some()
        });
        self.now >= from && !hands_off
    }

    /// Whom this node waits for though it votes alone.
    pub(crate) fn missing_company(&self) -> Option<(BTreeSet<NodeId>, String)> {
        if matches!(self.role, Role::Coordinator(_)) || self.fork.is_some() {
            return None;
        }
        match self.company(self.record()?) {
            Company::Clear => None,
            Company::Ahead(name) => Some((
                BTreeSet::new(),
                format!("node {name} went on without this node, which waits for its record"),
            )),
            Company::Unasked(names) => Some((
                BTreeSet::new(),
                format!(
                    "this node alone votes, and {} may have gone on by an operator's word: it waits for a vote from there, which is given once nothing runs there. If that does not come, the histories have parted: decide whose changes to keep",
                    super::list(&names)
                ),
            )),
            Company::Passed(names) => {
                let who = super::list(&names);
                let have = if names.len() == 1 {
                    "has a newer record and is"
                } else {
                    "have newer records and are"
                };
                Some((
                    names,
                    format!(
                        "{who} {have} silent: what was changed there is not here, and only a word gives it up"
                    ),
                ))
            }
            Company::Silent(names, from) => {
                let until = if self.now < from {
                    format!(
                        "it waits for another {} (initdead)",
                        crate::node::whole(from.since(self.now))
                    )
                } else if self.may_shoot_company(from) {
                    "it has them fenced first".to_owned()
                } else {
                    "nobody is fenced now, so it waits".to_owned()
                };
                let who = super::list(&names);
                Some((
                    names,
                    format!(
                        "this node alone votes, and {who} may have gone on by an operator's word: {until}"
                    ),
                ))
            }
        }
    }
}
