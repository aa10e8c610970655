//! Agent operations, as the core asks for them and hears of them.

use crate::id::{GroupId, NodeId, OpId, ResourceId};
use crate::model::Resource;
use crate::time::Span;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What an agent is asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Action {
    Start,
    Stop,
    Status,
    Promote,
    Demote,
}

impl Action {
    /// The word passed to the agent.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Action::Start => "start",
            Action::Stop => "stop",
            Action::Status => "status",
            Action::Promote => "promote",
            Action::Demote => "demote",
        }
    }
}

/// What is known of a group's data beyond what this node's own copy says of itself. Nothing, unless the
/// record that this node obeys and a proof say so.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct DataWord {
    /// Every other node that may run the group is recorded to have a stale copy, and this one is not
    /// (I8): no newer data is anywhere.
    pub freshest: bool,
    /// Nodes whose last run a device or the operator proved dead before this node was given the
    /// group, and that were not heard since.
    pub peers_dead: BTreeSet<NodeId>,
}

/// One call of an agent. At most one is open per resource.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Operation {
    pub op: OpId,
    pub group: GroupId,
    pub resource: ResourceId,
    pub action: Action,
    /// The shell kills the whole tree after this long and reports [`OpOutcome::TimedOut`].
    pub timeout: Span,
    pub spec: Arc<Resource>,
    pub word: DataWord,
}

/// How a call ended. It is reported only when no process of the call is left (H15), except those
/// that an action that succeeded left running on purpose.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct OpResult {
    pub outcome: OpOutcome,
    /// The agent's own words, for the operator.
    pub reason: Option<String>,
    /// `attribute NAME VALUE` lines.
    pub attributes: BTreeMap<String, String>,
}

impl OpResult {
    /// A result without words.
    #[must_use]
    pub fn of(outcome: OpOutcome) -> OpResult {
        OpResult { outcome, reason: None, attributes: BTreeMap::new() }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum OpOutcome {
    /// Exit 0: started, stopped, or (status) running.
    Done,
    /// Status only: exit 7 (LSB 3): cleanly stopped.
    NotRunning,
    /// Status only: exit 8: runs in the role that does more.
    RunningPromoted,
    /// Any other exit.
    Failed { code: i32 },
    /// Ended by a signal that the shell did not send.
    Signalled { signal: i32 },
    /// Killed because its time was over.
    TimedOut,
    /// Killed because the core cancelled it.
    Cancelled,
    /// There is no such agent on this node.
    Missing,
}
