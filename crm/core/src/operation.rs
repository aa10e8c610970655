//! Agent operations, as the core asks for them and hears of them.

use crate::id::{GroupId, OpId, ResourceId};
use crate::model::Resource;
use crate::time::Span;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What an agent is asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
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

/// One call of an agent. At most one is open per resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    pub op: OpId,
    pub group: GroupId,
    pub resource: ResourceId,
    pub action: Action,
    /// The shell kills the whole tree after this long and reports [`OpOutcome::TimedOut`].
    pub timeout: Span,
    pub spec: Arc<Resource>,
}

/// How a call ended. It is reported only when no process of the call is left (H15), except those
/// that an action that succeeded left running on purpose.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
