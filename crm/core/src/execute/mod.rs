//! Execution: works on this node towards what is wanted here, group by group, resource by
//! resource. Level-triggered and local: in order up, in reverse down, no round trip per step (I2).

mod decide;
mod executor;
mod group;
mod outcome;
mod reconfigure;
mod report;
#[cfg(test)]
mod tests;

pub use executor::Executor;

use crate::id::{GroupId, OpId, ResourceId};
use crate::operation::{OpResult, Operation};

/// What the node's record wants of a group here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
