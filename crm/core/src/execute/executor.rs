//! The executor: takes wants, results and events, hands out operations.

use super::group::{GroupRun, Open, State};
use super::{ExecuteInput, ExecuteOutput, Want};
use crate::event::Event;
use crate::id::{GroupId, OpId};
use crate::model::Cluster;
use crate::operation::{Action, Operation};
use crate::packet::{FailureKind, FailureReport};
use crate::rules::Rules;
use crate::time::Time;
use std::collections::{BTreeMap, VecDeque};
use std::marker::PhantomData;
use std::sync::Arc;

/// Failures kept until the record has counted them, at most.
const FAILURES_MAX: usize = 64;

/// Runs groups on this node.
#[derive(Debug)]
pub struct Executor<R: Rules> {
    pub(super) groups: BTreeMap<GroupId, GroupRun>,
    pub(super) calls: BTreeMap<OpId, (GroupId, usize)>,
    pub(super) outputs: VecDeque<ExecuteOutput>,
    pub(super) failures: Vec<FailureReport>,
    next_op: u64,
    next_failure: u64,
    pub(super) maintenance: bool,
    rules: PhantomData<R>,
}

impl<R: Rules> Default for Executor<R> {
    fn default() -> Executor<R> {
        Executor::new()
    }
}

impl<R: Rules> Executor<R> {
    #[must_use]
    pub fn new() -> Executor<R> {
        Executor {
            groups: BTreeMap::new(),
            calls: BTreeMap::new(),
            outputs: VecDeque::new(),
            failures: Vec::new(),
            next_op: 1,
            next_failure: 1,
            maintenance: false,
            rules: PhantomData,
        }
    }

    /// A configuration is in force. Groups that are new here are looked at before anything is
    /// done to them (adoption, R17); changed resources are restarted with those after them;
    /// removed groups are stopped with their old definition.
    pub fn configure(&mut self, now: Time, cluster: &Arc<Cluster>) {
        for spec in &cluster.groups {
            match self.groups.get_mut(&spec.id) {
                Some(group) => super::reconfigure::redefine(group, spec, now),
                None => {
                    let group = GroupRun::new(Arc::new(spec.clone()), now);
                    self.groups.insert(spec.id.clone(), group);
                }
            }
        }
        for (id, group) in &mut self.groups {
            if cluster.group(id).is_none() {
                group.removed = true;
            }
        }
        self.advance_all(now);
    }

    /// What is wanted of each group here. Unnamed groups are held.
    pub fn want(&mut self, now: Time, wants: &BTreeMap<GroupId, Want>) {
        for (id, group) in &mut self.groups {
            let want = wants.get(id).copied().unwrap_or(Want::Hold);
            // A failure is settled by a stop; a later run is a new try.
            if want == Want::Stop && group.failed.is_some() && group.is_stopped(true) {
                group.failed = None;
            }
            group.want = want;
        }
        self.advance_all(now);
    }

    /// Restarts asked for by operators, counted. What was counted before this daemon started is
    /// no reason to restart anything.
    pub fn restarts(&mut self, now: Time, counters: &BTreeMap<GroupId, u64>) {
        for (id, group) in &mut self.groups {
            let count = counters.get(id).copied().unwrap_or(0);
            match group.restart_seen {
                Some(seen) if count > seen => {
                    group.restart_seen = Some(count);
                    if group.want == Want::Run {
                        group.failed = None;
                        group.stop_from = Some(0);
                    } else {
                        group.restart_done = count;
                    }
                }
                None => {
                    group.restart_seen = Some(count);
                    group.restart_done = count;
                }
                Some(_) => {}
            }
        }
        self.advance_all(now);
    }

    /// Forgets failures, so that the group is tried again; a failed stop is tried again too.
    pub fn clear(&mut self, now: Time, group: Option<&GroupId>) {
        for (id, run) in &mut self.groups {
            if group.is_some_and(|wanted| wanted != id) {
                continue;
            }
            run.failed = None;
            run.blocked = None;
            run.restarts.clear();
            for resource in run.resources.iter_mut().filter(|r| r.state == State::StopFailed) {
                resource.state = State::Broken;
            }
        }
        self.advance_all(now);
    }

    /// Hands off, or hands on again. Looking goes on.
    pub fn maintenance(&mut self, now: Time, on: bool) {
        if std::mem::replace(&mut self.maintenance, on) != on {
            self.advance_all(now);
        }
    }

    pub fn handle(&mut self, now: Time, input: ExecuteInput) {
        match input {
            ExecuteInput::Finished { op, result } => {
                let Some((id, index)) = self.calls.remove(&op) else { return };
                self.finished(now, &id, index, op, result);
                self.advance(now, &id);
            }
            ExecuteInput::Changed { group: id, resource, what: _ } => {
                let Some(group) = self.groups.get_mut(&id) else { return };
                let Some(found) = group.resources.iter_mut().find(|r| r.spec.id == resource) else {
                    return;
                };
                if found.open.is_some() {
                    found.look_again = true;
                } else {
                    found.poll_at = Some(now);
                }
                self.wake(now);
            }
        }
    }

    /// Calls `status` where it is due.
    pub fn wake(&mut self, now: Time) {
        let due: Vec<(GroupId, usize)> = self
            .groups
            .iter()
            .flat_map(|(id, group)| {
                let resources = group.resources.iter().enumerate();
                resources
                    .filter(|(_, r)| r.open.is_none() && r.poll_at.is_some_and(|at| at <= now))
                    .map(|(index, _)| (id.clone(), index))
            })
            .collect();
        for (id, index) in due {
            self.call(&id, index, Action::Status);
        }
    }

    #[must_use]
    pub fn deadline(&self) -> Option<Time> {
        let resources = self.groups.values().flat_map(|group| &group.resources);
        resources.filter(|r| r.open.is_none()).filter_map(|r| r.poll_at).min()
    }

    #[must_use]
    pub fn poll_output(&mut self) -> Option<ExecuteOutput> {
        self.outputs.pop_front()
    }

    fn advance_all(&mut self, now: Time) {
        let ids: Vec<GroupId> = self.groups.keys().cloned().collect();
        for id in ids {
            self.advance(now, &id);
        }
    }

    /// Opens one call; there is at most one per resource.
    pub(super) fn call(&mut self, id: &GroupId, index: usize, action: Action) {
        let Some(resource) = self.groups.get_mut(id).and_then(|g| g.resources.get_mut(index))
        else {
            return;
        };
        if resource.open.is_some() {
            return;
        }
        let op = OpId(self.next_op);
        self.next_op += 1;
        resource.open = Some(Open { op, action, cancelled: false });
        resource.poll_at = None;
        let timeout = match action {
            Action::Start | Action::Promote => resource.spec.timeouts.start,
            Action::Stop | Action::Demote => resource.spec.timeouts.stop,
            Action::Status => resource.spec.timeouts.status,
        };
        let operation = Operation {
            op,
            group: id.clone(),
            resource: resource.spec.id.clone(),
            action,
            timeout,
            spec: resource.spec.clone(),
        };
        self.calls.insert(op, (id.clone(), index));
        self.outputs.push_back(ExecuteOutput::Run(Box::new(operation)));
    }

    /// Ends an open call early; its result still comes.
    pub(super) fn cancel(&mut self, id: &GroupId, index: usize) {
        let open = self
            .groups
            .get_mut(id)
            .and_then(|group| group.resources.get_mut(index))
            .and_then(|resource| resource.open.as_mut());
        if let Some(open) = open.filter(|open| !open.cancelled) {
            open.cancelled = true;
            self.outputs.push_back(ExecuteOutput::Cancel { op: open.op });
        }
    }

    /// Numbers a failure for the coordinator.
    pub(super) fn fail(&mut self, id: &GroupId, index: usize, kind: FailureKind, reason: &str) {
        let Some(resource) = self.groups.get(id).and_then(|g| g.resources.get(index)) else {
            return;
        };
        let resource = resource.spec.id.clone();
        if self.failures.len() == FAILURES_MAX {
            self.failures.remove(0);
        }
        let word = match kind {
            FailureKind::Start => "start-failed",
            FailureKind::Run => "gave-up",
            FailureKind::Stop => "stop-failed",
        };
        let event =
            Event::error(word, format!("{resource}: {reason}")).group(id).resource(&resource);
        self.outputs.push_back(ExecuteOutput::Event(event));
        self.failures.push(FailureReport {
            number: self.next_failure,
            group: id.clone(),
            resource,
            kind,
            reason: reason.to_owned(),
        });
        self.next_failure += 1;
    }
}
