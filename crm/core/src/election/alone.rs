//! The only voter of its record, when its daemon starts (R16, H23).
//!
//! It needs nobody's vote, and nobody else can have been elected by votes: whoever got one since would have got it from
//! this node. But a word of an operator can have let another go on while this machine was down (R20), and rightly so.
//! That one has newer data, and this one would be the second holder of all that it runs. So before it stands, it looks for
//! everybody who ever held a record of its cluster and is configured to vote:
//!
//! - Who is heard with a newer record went on: this node waits for it, and does not stand.
//! - Who is not heard within `initdead`, and has a device, is fenced first.
//! - Who has no device is waited for as long, and no longer: nothing could prove it dead, and the record is a committed one.
//!
//! Under maintenance, and where everything was stopped, nobody is fenced; there it waits, as in a tie. A word of an operator
//! about who is missing ends every wait. Nobody gets authority by any of this that had not got it before.

use super::Role;
use crate::fencing::Why;
use crate::id::{Epoch, NodeId};
use crate::node::Node;
use crate::record::Record;
use crate::rules::{Rule, Rules};
use crate::time::Time;
use std::collections::BTreeSet;

/// What the only voter knows of those who may have gone on without it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Company {
    /// Nobody did, or it is dead.
    Clear,
    /// This one is heard and has a newer record.
    Ahead(NodeId),
    /// These are silent and not proved dead; from then on they count as unheard.
    Silent(BTreeSet<NodeId>, Time),
}

impl<R: Rules> Node<R> {
    /// Who holds a record of this cluster, and is configured to vote, is remembered on the disk: a node that was never
    /// up, as at the founding, went nowhere.
    pub(crate) fn remember_company(&mut self, name: &NodeId) {
        let holds = self
            .peers
            .get(name)
            .and_then(|peer| peer.heartbeat.as_ref())
            .is_some_and(|beat| beat.stamp != Default::default());
        let runs = self
            .config
            .as_ref()
            .and_then(|cluster| cluster.node(name))
            .is_some_and(|node| node.voter);
        if holds && runs && !self.is_witness() && self.stored.company.insert(name.clone()) {
            self.persist(crate::persist::After::Nothing);
        }
    }

    pub(crate) fn forget_company(&mut self) {
        let Some(cluster) = &self.config else { return };
        let votes = |name: &NodeId| cluster.node(name).is_some_and(|node| node.voter);
        self.stored.company.retain(votes);
    }

    /// R16: of a run that has obeyed nothing yet, and whose record leaves the decision to this node alone.
    pub(super) fn company(&self, record: &Record) -> Company {
        let mine = |voters: &crate::record::Voters| {
            voters.len() == 1 && voters.get(&self.id) == Some(&self.stored.store)
        };
        if self.joined
            || !R::holds(Rule::AloneLooksFirst)
            || !(mine(&record.voters) && mine(&record.old_voters))
        {
            return Company::Clear;
        }
        let mut silent = BTreeSet::new();
        let mut from = self.started;
        for name in &self.stored.company {
            let Some(peer) = self.peers.get(name) else { continue };
            if peer.alive {
                match &peer.heartbeat {
                    Some(beat) if beat.stamp > self.stamp() => return Company::Ahead(name.clone()),
                    Some(_) => continue,
                    None => {}
                }
            }
            if peer.is_proved_dead() {
                continue;
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
        if silent.is_empty() { Company::Clear } else { Company::Silent(silent, from) }
    }

    /// While asking: stands where that could end the wait.
    pub(super) fn await_company(&mut self, company: Company, epoch: Epoch, until: Time) {
        match company {
            Company::Silent(names, _) if self.operator_says_dead(&names) => self.stand(epoch),
            Company::Silent(names, from) if self.may_shoot_company(from) => {
                self.prepare_tie(&names)
            }
            _ => self.give_up_at(until),
        }
    }

    /// As a candidate: who is missing is proved dead, by a word or a device.
    pub(super) fn settle_company(&mut self, company: Company, until: Time) {
        match company {
            Company::Silent(names, _) if self.operator_says_dead(&names) => {
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
                format!(
                    "node {name} has a newer record: it went on without this node, which follows it"
                ),
            )),
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
