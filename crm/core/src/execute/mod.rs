//! Execution: works on this node towards what is wanted here, group by group, resource by
//! resource. Level-triggered and local: in order up, in reverse down, no round trip per step (I2).
//!
//! [`Executor`] keeps one state per group. After every input it asks `decide` for the next step of
//! each group until there is none; a step opens or cancels at most one agent operation. Nothing is
//! taken for granted: a resource is `Unknown` until its agent has answered, and a group counts as
//! stopped only when every resource is proved stopped and no operation could change that (H15).

mod decide;
mod duties;
mod executor;
mod failure;
mod group;
mod look;
mod outcome;
mod reconfigure;
mod report;
mod resource;
#[cfg(test)]
mod tests;

pub use executor::Executor;

use crate::id::{GroupId, OpId, ResourceId};
use crate::operation::{OpResult, Operation};

/// What the node's record wants of a group here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Want {
    /// Be running.
    Run,
    /// Be stopped.
    Stop,
    /// Start nothing, stop nothing; keep looking. For a node without authority.
    Hold,
}

/// What happened to an operation or a resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExecuteInput {
    Finished { op: OpId, result: OpResult },
    Changed { group: GroupId, resource: ResourceId, what: String },
}

/// What the executor wants done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExecuteOutput {
    Run(Box<Operation>),
    Cancel { op: OpId },
    Unwatch { group: GroupId, resource: ResourceId },
    Event(crate::event::Event),
}
