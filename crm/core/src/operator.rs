//! What an operator can ask for, and the answers.
//!
//! A command given to any node is forwarded to the coordinator, which answers only after the
//! change is committed (I5). Waiting until the cluster has carried it out is the CLI's work: it
//! watches the status.

use crate::id::{Digest, GroupId, NodeId, Stamp};
use crate::time::Span;
use serde::{Deserialize, Serialize};

/// A change an operator asks for.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Command {
    /// Let a group run; durable.
    Start {
        group: GroupId,
    },
    /// Keep a group down; durable.
    Stop {
        group: GroupId,
    },
    /// Stop and start it where it is.
    Restart {
        group: GroupId,
    },
    /// Move it now; to the best other node if none is named.
    Migrate {
        group: GroupId,
        to: Option<NodeId>,
    },
    Standby {
        node: NodeId,
    },
    Online {
        node: NodeId,
    },
    Maintenance {
        on: bool,
        lasts: Option<Span>,
    },
    /// Forget failures: of one group or all, on one node or all; unblocks a failed stop.
    Clear {
        group: Option<GroupId>,
        node: Option<NodeId>,
    },
    /// Power a node off by its device.
    Fence {
        node: NodeId,
    },
    /// The operator's word that a silent node is dead (R20). `incarnation_seen` binds it.
    ConfirmDead {
        node: NodeId,
    },
    /// Commit a new configuration to all or to none. `base` is the digest it was edited from;
    /// another one now in force refuses it.
    Apply {
        text: String,
        base: Option<Digest>,
    },
    /// Stop every group and leave the cluster down (R15).
    StopCluster,
    /// Lift R15's stop.
    StartCluster,
    /// Take a node out of the voters for good.
    Remove {
        node: NodeId,
    },
    /// A node asks to leave for a shutdown (R14).
    Leave {
        node: NodeId,
    },
    /// The owner of a group says that another node's copy of its data lacks writes from now on (H24).
    Ban {
        group: GroupId,
        node: NodeId,
        by: NodeId,
        reason: String,
    },
    /// A copy that was banned holds everything again. Lifts the ban that the caller saw before it looked at
    /// the copy, and none that came since: the owner may write alone again under that one (H24).
    LiftBan {
        group: GroupId,
        node: NodeId,
        /// The ban's whole text; it names the record that placed it.
        ban: String,
    },
    /// The operator's word that an older copy of a group's data is to be served, and what other copies hold
    /// beyond it given up (H24).
    PromoteStale {
        group: GroupId,
        node: NodeId,
        /// What the operator saw: the ban of this copy, if there was one.
        ban: Option<String>,
    },
}

impl Command {
    /// Whether carrying it out a second time does more than once: who asks the next coordinator does not know
    /// what the last one has done. Of the others the second time changes nothing.
    #[must_use]
    pub fn is_done_twice_if_asked_twice(&self) -> bool {
        matches!(
            self,
            Command::Restart { .. } | Command::Migrate { to: None, .. } | Command::Fence { .. }
        )
    }
}

/// The answer to a command.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Committed under this stamp.
    Done { stamp: Stamp, message: String },
    /// Not done, and why; nothing changed.
    Refused { reason: String, hint: String },
    /// Nobody coordinates a quorum that this node can reach.
    NoQuorum { reason: String },
    /// It cannot be known whether it was committed (the coordinator was lost meanwhile).
    Unknown { reason: String },
}
