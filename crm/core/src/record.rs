//! The record: the one small document that the cluster agrees on (design 3.2).
//!
//! Replicated whole, ordered by [`Stamp`], committed by a coordinator of one epoch (R7, R8).

use crate::id::{Digest, GroupId, Incarnation, NodeId, ServiceId, Stamp, StoreId};
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
    /// Incarnations that reported an armed watchdog; lease proofs count for these only (H16).
    pub armed: BTreeMap<NodeId, Incarnation>,
    /// The last committed records, oldest first.
    pub history: VecDeque<(Stamp, u64)>,
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
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Maintenance {
    /// Ends by itself after this long, counted by whoever coordinates; never shorter.
    pub lasts: Option<Span>,
}

/// Failures of one group on one node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failures {
    pub count: u32,
    /// The last one, for people.
    pub reason: String,
    /// The last stop failed or hung: nothing may be assumed stopped (R21).
    pub stop_failed: bool,
}

/// Permission to run a group (R11).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// Stays until its stop is reported under the ending record, or it is proved dead (H12).
    pub owner: NodeId,
    pub state: GrantState,
    /// The version that set `state`; a stop report proves only from here on (H13).
    pub since: Stamp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum GrantState {
    Held,
    Ending,
}

/// Permission to hold a role of a service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
}

impl Stored {
    /// A store that has seen nothing yet.
    #[must_use]
    pub fn new(store: StoreId) -> Stored {
        Stored { store, writes: 0, epoch: crate::id::Epoch(0), vote: None, record: None }
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

    /// The owner of a group, if anybody holds it or has not yet proved its stop.
    #[must_use]
    pub fn owner(&self, group: &GroupId) -> Option<&NodeId> {
        self.grants.get(group).map(|grant| &grant.owner)
    }

    /// How many groups a node holds or is ending; decides who waits in a tie.
    #[must_use]
    pub fn hosted_by(&self, node: &NodeId) -> usize {
        self.grants.values().filter(|grant| &grant.owner == node).count()
    }
}
