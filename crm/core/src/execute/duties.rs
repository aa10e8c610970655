//! What the groups hand out: operations, events and failures, numbered in one place.

use super::ExecuteOutput;
use crate::event::Event;
use crate::id::{GroupId, OpId, ResourceId};
use crate::packet::{FailureKind, FailureReport};
use std::collections::VecDeque;

/// Failures kept until the coordinator has counted them; the oldest are dropped beyond that.
const FAILURES_MAX: usize = 64;

#[derive(Clone, Debug, Default)]
pub(super) struct Duties {
    pub(super) outputs: VecDeque<ExecuteOutput>,
    ops: u64,
    pub(super) failures: Vec<FailureReport>,
    failures_made: u64,
}

crate::same::hash_by!(Duties: failures);

impl Duties {
    pub(super) fn next_op(&mut self) -> OpId {
        self.ops += 1;
        OpId(self.ops)
    }

    pub(super) fn event(&mut self, event: Event) {
        self.outputs.push_back(ExecuteOutput::Event(event));
    }

    pub(super) fn unwatch(&mut self, group: &GroupId, resource: &ResourceId) {
        let (group, resource) = (group.clone(), resource.clone());
        self.outputs.push_back(ExecuteOutput::Unwatch { group, resource });
    }

    pub(super) fn failure(
        &mut self,
        group: &GroupId,
        resource: &ResourceId,
        kind: FailureKind,
        reason: &str,
    ) {
        self.failures_made += 1;
        self.failures.push(FailureReport {
            number: self.failures_made,
            group: group.clone(),
            resource: resource.clone(),
            kind,
            reason: reason.to_owned(),
        });
        if self.failures.len() > FAILURES_MAX {
            self.failures.remove(0);
        }
    }

    pub(super) fn failures_counted(&mut self, upto: u64) {
        self.failures.retain(|failure| failure.number > upto);
    }
}
