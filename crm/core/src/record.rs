//! The record: the one small document that the cluster agrees on (design 3.2).
//!
//! Replicated whole, ordered by [`Stamp`], committed by a coordinator of one epoch (R7, R8).

use crate::id::{Digest, GroupId, Incarnation, NodeId, ServiceId, Stamp, StoreId};
use crate::model::{Group, LeaseTimes};
use crate::same::hash_by;
use crate::time::Span;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

/// How many committed (stamp, digest) pairs a record remembers, to find forks (H35).
pub const HISTORY_MAX: usize = 64;

/// Voters, each bound to the store it votes with (H22).
pub type Voters = BTreeMap<NodeId, StoreId>;

/// What the cluster agrees on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    pub stamp: Stamp,
    /// V: who votes.
    pub voters: Voters,
    /// Vold: who voted in the last committed version; both sets decide while they differ (H10).
    pub old_voters: Voters,
    pub config: ConfigText,
    pub intents: Intents,
    /// Failures of a group on a node, until cleared or expired.
    pub failures: BTreeMap<GroupId, BTreeMap<NodeId, Failures>>,
    /// Newest failure of each node that is counted in, so that none counts twice.
    pub failures_counted: BTreeMap<NodeId, (Incarnation, u64)>,
    /// Nodes whose replica of a group's data lacks acknowledged writes (H24), with the reason.
    pub bans: BTreeMap<GroupId, BTreeMap<NodeId, String>>,
    pub grants: BTreeMap<GroupId, Grant>,
    /// Which node holds which role of a managed service.
    pub roles: BTreeMap<ServiceId, BTreeMap<NodeId, RoleGrant>>,
    /// Runs that reported an armed watchdog; lease proofs count for these only (H16).
    pub armed: BTreeMap<NodeId, Armed>,
    /// What owners may still run though the configuration says so no longer, of groups that it dropped
    /// or took resources from: nobody else is given it, and a daemon that starts meanwhile must know
    /// what to look for.
    pub retired: BTreeMap<GroupId, Group>,
    /// The last committed records, oldest first.
    pub history: VecDeque<(Stamp, u64)>,
}

/// A run of a daemon that stops what it runs when its lease ends, or is reset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Armed {
    pub run: Incarnation,
    /// By which times it lives.
    pub times: LeaseTimes,
}

/// The configuration inside the record.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfigText {
    pub digest: Digest,
    /// Empty in a packet to a node that already has this digest.
    pub text: Arc<str>,
}

impl std::fmt::Debug for ConfigText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "config {} ({} bytes)", self.digest, self.text.len())
    }
}

impl ConfigText {
    #[must_use]
    pub fn new(text: &str) -> ConfigText {
        ConfigText { digest: crate::digest::digest(text.as_bytes()), text: Arc::from(text) }
    }
}

/// What operators asked for; survives boots.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Intents {
    /// Groups that must not run anywhere.
    pub stopped: BTreeSet<GroupId>,
    /// Nodes that must run nothing.
    pub standby: BTreeSet<NodeId>,
    pub maintenance: Option<Maintenance>,
    /// Where a migrate sends a group; removed when it arrived or failed.
    pub pins: BTreeMap<GroupId, NodeId>,
    /// Nodes that shut down and want their groups moved (R14).
    pub leaving: BTreeSet<NodeId>,
    /// Everything is to stop and stay down (R15).
    pub cluster_stopped: bool,
    /// Counts the restarts asked for; a node that sees it rise restarts the group in place.
    pub restarts: BTreeMap<GroupId, u64>,
}

/// Hands off: nothing is started, stopped, moved or fenced on its behalf.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Maintenance {
    /// Ends by itself after this long, counted by whoever coordinates; never shorter.
    pub lasts: Option<Span>,
}

/// Failures of one group on one node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Failures {
    /// Those for which the group had to move or be stopped.
    pub count: u32,
    /// The last one, for people.
    pub reason: String,
    /// The last stop failed or hung: nothing may be assumed stopped (R21).
    pub stop_failed: bool,
}

impl Failures {
    /// Nothing but a resource that is left as it is for the operator (`on_fail: block`): it keeps the group
    /// from no node, and does not expire.
    #[must_use]
    pub fn is_blocked(&self) -> bool {
        self.count == 0 && !self.stop_failed
    }
}

/// Permission to run a group (R11).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Grant {
    /// Stays until its stop is reported under the ending record, or it is proved dead (H12).
    pub owner: NodeId,
    pub state: GrantState,
    /// The version that set `state`; a stop report proves only from here on (H13).
    pub since: Stamp,
    /// Runs that a device or the operator had proved dead when this was granted. Nothing that
    /// needs this grant was given to a later run of theirs while it stands.
    pub deaths: BTreeMap<NodeId, Incarnation>,
}

impl Grant {
    /// A grant that is held from the version `since` on, and whose owner is told of no death.
    #[must_use]
    pub fn held(owner: NodeId, since: Stamp) -> Grant {
        Grant { owner, state: GrantState::Held, since, deaths: BTreeMap::new() }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum GrantState {
    Held,
    Ending,
}

/// Permission to hold a role of a service.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct RoleGrant {
    pub role: String,
    pub state: GrantState,
    pub since: Stamp,
}

/// Everything a node must find again after a power cut, written as one (AS1).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stored {
    pub store: StoreId,
    /// Rises with every write; a voter whose counter went back was rolled back (H20).
    pub writes: u64,
    pub epoch: crate::id::Epoch,
    /// For whom this node voted in `epoch`.
    pub vote: Option<NodeId>,
    /// `None` until this node joined or founded a cluster.
    pub record: Option<Record>,
    /// Newest record this node knows to be committed, to find forks (H35).
    pub committed: Option<(Stamp, u64)>,
    /// Configured voters that were ever heard with a record of this cluster, and how new that was if this node alone votes
    /// and has none as new (R16).
    pub company: BTreeMap<NodeId, Stamp>,
}

impl Stored {
    /// A store that has seen nothing yet.
    #[must_use]
    pub fn new(store: StoreId) -> Stored {
        Stored {
            store,
            writes: 0,
            epoch: crate::id::Epoch(0),
            vote: None,
            record: None,
            committed: None,
            company: BTreeMap::new(),
        }
    }

    #[must_use]
    pub fn stamp(&self) -> Stamp {
        self.record.as_ref().map_or(Stamp::default(), |record| record.stamp)
    }
}

impl Record {
    /// The first record of a new cluster: its founder is the only voter (`crm init`, H22).
    #[must_use]
    pub fn founding(config: &str, founder: &NodeId, store: StoreId) -> Record {
        let voters: Voters = [(founder.clone(), store)].into();
        Record {
            voters: voters.clone(),
            old_voters: voters,
            config: ConfigText::new(config),
            ..Record::default()
        }
    }

    /// A successor that remembers this record as its ancestor. R8: its Vold is this V.
    #[must_use]
    pub fn successor(&self, epoch: crate::id::Epoch) -> Record {
        let mut next = self.restamped(epoch);
        next.old_voters = next.voters.clone();
        next
    }

    /// The same content under a new stamp (R7); Vold stays.
    #[must_use]
    pub fn restamped(&self, epoch: crate::id::Epoch) -> Record {
        let mut next = self.clone();
        next.stamp = Stamp { epoch, version: self.stamp.version + 1 };
        if self.stamp != Stamp::default() {
            next.history.push_back((self.stamp, self.fingerprint()));
        }
        next
    }

    /// Whether `other` (a committed stamp) can be an ancestor of this record, as far as the
    /// history reaches: too old to tell counts as yes.
    #[must_use]
    pub fn descends_from(&self, other: (Stamp, u64)) -> bool {
        if other.0 == self.stamp || self.history.contains(&other) {
            return true;
        }
        match self.history.front() {
            Some((oldest, _)) => self.history.len() >= HISTORY_MAX && other.0 < *oldest,
            None => other.0 == Stamp::default(),
        }
    }

    /// Whether a committed record of this stamp can be an ancestor, where its digest is not known: the same limits.
    #[must_use]
    pub fn may_descend_from(&self, stamp: Stamp) -> bool {
        let known = stamp == self.stamp || self.history.iter().any(|(past, _)| *past == stamp);
        known || self.history.front().is_none_or(|(oldest, _)| stamp < *oldest)
    }

    /// The owner of a group, if anybody holds it or has not yet proved its stop.
    #[must_use]
    pub fn owner(&self, group: &GroupId) -> Option<&NodeId> {
        self.grants.get(group).map(|grant| &grant.owner)
    }

    /// Whether silence alone may move this group in a cluster with `fencing: none` (H36): also what its owner may still run of
    /// earlier definitions has to be stateless.
    #[must_use]
    pub fn moves_on_silence(&self, group: &Group) -> bool {
        group.moves_on_silence_with(self.retired.get(&group.id))
    }

    /// How many groups a node holds or is ending; decides who waits in a tie.
    #[must_use]
    pub fn hosted_by(&self, node: &NodeId) -> usize {
        self.grants.values().filter(|grant| &grant.owner == node).count()
    }
}

hash_by!(ConfigText: digest);
hash_by!(Record: stamp voters old_voters config intents failures failures_counted bans grants roles armed retired);

/// A fingerprint says no more than whether histories have parted.
impl std::hash::Hash for Stored {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        (self.store, self.epoch, &self.vote, &self.record, &self.company).hash(state);
        self.committed.map(|(stamp, _)| stamp).hash(state);
        let one = |record: &Record| self.committed.is_none_or(|known| record.descends_from(known));
        self.record.as_ref().is_none_or(one).hash(state);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::Epoch;

    #[test]
    fn h35_a_record_knows_its_ancestors_and_no_others() {
        let mut first = Record::founding("x", &NodeId::new("a"), StoreId(1));
        first.stamp = Stamp { epoch: Epoch(1), version: 1 };
        let second = first.successor(Epoch(1));
        let third = second.restamped(Epoch(2));
        assert!(third.descends_from((first.stamp, first.fingerprint())));
        assert!(third.descends_from((second.stamp, second.fingerprint())));
        let mut other = first.successor(Epoch(1));
        other.intents.cluster_stopped = true;
        assert!(!third.descends_from((other.stamp, other.fingerprint())));
    }
}
