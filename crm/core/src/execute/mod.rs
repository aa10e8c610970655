//! Execution: works on this node towards what is wanted here, group by group, resource by
//! resource. Level-triggered and local: in order up, in reverse down, no round trip per step (I2).

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

// STAND-IN, everything below: replaced whole by the real one.
use crate::model::Cluster;
use crate::packet::*;
use crate::rules::Rules;
use crate::status::ResourceStatus;
use crate::time::Time;
use std::collections::BTreeMap;
use std::sync::Arc;
pub struct Executor<R: Rules>(std::marker::PhantomData<R>);
impl<R: Rules> Executor<R> {
    pub fn new() -> Self {
        Executor(std::marker::PhantomData)
    }
    pub fn configure(&mut self, _now: Time, _c: &Arc<Cluster>) {}
    pub fn want(&mut self, _now: Time, _wants: &BTreeMap<GroupId, Want>) {}
    pub fn restarts(&mut self, _now: Time, _c: &BTreeMap<GroupId, u64>) {}
    pub fn clear(&mut self, _now: Time, _g: Option<&GroupId>) {}
    pub fn maintenance(&mut self, _now: Time, _on: bool) {}
    pub fn handle(&mut self, _now: Time, _i: ExecuteInput) {}
    pub fn wake(&mut self, _now: Time) {}
    pub fn deadline(&self) -> Option<Time> {
        None
    }
    pub fn poll_output(&mut self) -> Option<ExecuteOutput> {
        None
    }
    pub fn phase(&self, _g: &GroupId) -> GroupPhase {
        GroupPhase::Unknown
    }
    pub fn reports(&self) -> BTreeMap<GroupId, GroupReport> {
        BTreeMap::new()
    }
    pub fn eligibility(&self) -> BTreeMap<GroupId, Eligibility> {
        BTreeMap::new()
    }
    pub fn resources(&self, _g: &GroupId) -> Vec<ResourceStatus> {
        Vec::new()
    }
    pub fn failures(&self) -> &[FailureReport] {
        &[]
    }
    pub fn failures_counted(&mut self, _upto: u64) {}
    pub fn everything_stopped(&self) -> bool {
        true
    }
}
