//! The executor: takes wishes and news, settles every group, hands out what is to be done.

use super::decide::{self, Step};
use super::duties::Duties;
use super::group::GroupState;
use super::resource::Open;
use super::{ExecuteInput, ExecuteOutput, Want};
use crate::event::Event;
use crate::id::{GroupId, OpId};
use crate::model::Cluster;
use crate::operation::{Action, DataWord, OpResult, Operation};
use crate::packet::{Eligibility, FailureReport, GroupPhase, GroupReport};
use crate::rules::Rules;
use crate::status::{ResourcePhase, ResourceStatus};
use crate::time::Time;
use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::sync::Arc;

/// Works on every group of this node. Drain [`Executor::poll_output`] after each call that takes
/// the time; nothing else hands out work.
#[derive(Clone, Debug)]
pub struct Executor<R: Rules> {
    groups: BTreeMap<GroupId, GroupState>,
    duties: Duties,
    maintenance: bool,
    /// This is the first run of the daemon since the machine booted.
    since_boot: bool,
    /// Restart counters of the record; `None` before the first record was obeyed.
    counters: Option<BTreeMap<GroupId, u64>>,
    rules: PhantomData<R>,
}

impl<R: Rules> std::hash::Hash for Executor<R> {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        (&self.groups, &self.duties, self.maintenance, self.since_boot, &self.counters).hash(state);
    }
}

impl<R: Rules> Default for Executor<R> {
    fn default() -> Executor<R> {
        Executor::new()
    }
}

impl<R: Rules> Executor<R> {
    /// Knows no group, wants nothing.
    #[must_use]
    pub fn new() -> Executor<R> {
        Executor {
            groups: BTreeMap::new(),
            duties: Duties::default(),
            maintenance: false,
            since_boot: false,
            counters: None,
            rules: PhantomData,
        }
    }

    /// The first run of the daemon since the machine booted: only crm starts what it manages (AS6), so
    /// what this run has not started does not run, even if its agent cannot say so.
    pub fn is_first_since_boot(&mut self) {
        self.since_boot = true;
    }

    /// A configuration is in force. New groups are looked at first (R17); removed ones are stopped
    /// by their old definition, then forgotten; what changed is restarted from there on.
    pub fn configure(&mut self, now: Time, cluster: &Arc<Cluster>) {
        for group in self.groups.values_mut() {
            group.retiring = true;
        }
        for group in &cluster.groups {
            match self.groups.get_mut(&group.id) {
                Some(state) => state.define(now, group),
                None => {
                    let counters = self.counters.as_ref();
                    let done = counters.and_then(|c| c.get(&group.id)).copied().unwrap_or(0);
                    let state = GroupState::new(now, group, done, self.since_boot);
                    self.groups.insert(group.id.clone(), state);
                }
            }
        }
        self.settle(now);
    }

    /// What operations are told from now on of each group's data. Tell it before what is wanted.
    pub fn words(&mut self, mut words: BTreeMap<GroupId, DataWord>) {
        for (id, group) in &mut self.groups {
            group.word = words.remove(id).unwrap_or_default();
        }
    }

    /// What is wanted here from now on. A group that is not named is wanted stopped.
    pub fn want(&mut self, now: Time, wants: &BTreeMap<GroupId, Want>) {
        for (id, group) in &mut self.groups {
            group.set_want(wants.get(id).copied().unwrap_or(Want::Stop));
        }
        self.settle(now);
    }

    /// The record's restart counters. One that rises above what was carried out here restarts the
    /// group in place, if it is wanted here. The first call only tells where counting stands.
    pub fn restarts(&mut self, now: Time, counters: &BTreeMap<GroupId, u64>) {
        if self.counters.is_none() {
            for (id, group) in &mut self.groups {
                group.restarts_done = counters.get(id).copied().unwrap_or(0);
            }
        }
        self.counters = Some(counters.clone());
        self.settle(now);
    }

    /// Forgets failures and restarts of one group or all: tries again, a failed stop included.
    pub fn clear(&mut self, now: Time, group: Option<&GroupId>) {
        for (id, state) in &mut self.groups {
            if group.is_none_or(|wanted| wanted == id) {
                state.clear(now);
            }
        }
        self.settle(now);
    }

    /// Hands off: nothing is started, stopped or restarted; looking goes on.
    pub fn maintenance(&mut self, now: Time, on: bool) {
        if self.maintenance != on {
            self.maintenance = on;
            self.settle(now);
        }
    }

    /// Takes the end of an operation, or a hint that a resource changed. What fits nothing that is
    /// known here is ignored.
    pub fn handle(&mut self, now: Time, input: ExecuteInput) {
        match input {
            ExecuteInput::Finished { op, result } => self.finished(now, op, &result),
            ExecuteInput::Changed { group, resource, what: _ } => {
                let state = self.groups.get_mut(&group);
                let changed = state
                    .and_then(|group| group.resources.iter_mut().find(|r| r.spec.id == resource));
                if let Some(changed) = changed {
                    changed.hint(now);
                }
            }
        }
        self.settle(now);
    }

    /// The deadline has come, or may have.
    pub fn wake(&mut self, now: Time) {
        self.settle(now);
    }

    /// When to call [`Executor::wake`] if nothing else happens before.
    #[must_use]
    pub fn deadline(&self) -> Option<Time> {
        let times = self.groups.values().flat_map(|group| {
            (0..group.resources.len()).filter_map(|i| match &group.resources[i].open {
                Some(open) => open.overdue_at(),
                None => group.looks_at(i, self.maintenance),
            })
        });
        times.min()
    }

    /// The next duty, in order.
    #[must_use]
    pub fn poll_output(&mut self) -> Option<ExecuteOutput> {
        self.duties.outputs.pop_front()
    }

    /// Phase of one group here; `Unknown` for one that is not configured, or no longer.
    #[must_use]
    pub fn phase(&self, group: &GroupId) -> GroupPhase {
        self.groups.get(group).map_or(GroupPhase::Unknown, GroupState::phase::<R>)
    }

    /// Every group, those that are still to be stopped and forgotten included.
    #[must_use]
    pub fn reports(&self) -> BTreeMap<GroupId, GroupReport> {
        self.groups.iter().map(|(id, group)| (id.clone(), group.report::<R>())).collect()
    }

    /// Of each group with a resource that is observed everywhere.
    #[must_use]
    pub fn eligibility(&self) -> BTreeMap<GroupId, Eligibility> {
        let groups = self.groups.iter();
        groups.filter_map(|(id, group)| Some((id.clone(), group.eligibility()?))).collect()
    }

    /// In the group's order.
    #[must_use]
    pub fn resources(&self, group: &GroupId) -> Vec<ResourceStatus> {
        self.groups.get(group).map(GroupState::statuses).unwrap_or_default()
    }

    /// Failures that the coordinator has not counted yet, numbered from 1 in this incarnation.
    #[must_use]
    pub fn failures(&self) -> &[FailureReport] {
        &self.duties.failures
    }

    /// The coordinator has counted all failures up to this number.
    pub fn failures_counted(&mut self, upto: u64) {
        self.duties.failures_counted(upto);
    }

    /// Whether every group is proved stopped and no operation could change that (H15b).
    #[must_use]
    pub fn everything_stopped(&self) -> bool {
        self.groups.values().all(|group| group.phase::<R>().is_stopped())
    }

    fn finished(&mut self, now: Time, op: OpId, result: &OpResult) {
        for group in self.groups.values_mut() {
            for i in 0..group.resources.len() {
                if let Some(open) = group.resources[i].open.take_if(|open| open.op == op) {
                    group.ended(now, i, open, result, &mut self.duties);
                    return;
                }
            }
        }
    }

    /// Carries out step after step until no group needs one.
    fn settle(&mut self, now: Time) {
        for group in self.groups.values_mut() {
            group.count_restarts(self.counters.as_ref(), &mut self.duties);
            // Each step opens, cancels or judges one thing; the bound is never reached.
            for _ in 0..16 + 8 * group.resources.len() {
                let Some(step) = decide::next::<R>(group, now, self.maintenance) else { break };
                group.carry_out(now, step, &mut self.duties);
            }
            let unknown = group.resources.iter().any(|r| r.phase == ResourcePhase::Unknown);
            group.looked |= !unknown;
            for event in group.overdue(now) {
                self.duties.event(event);
            }
            if let Some(event) = group.announce::<R>(now) {
                self.duties.event(event);
            }
        }
        let duties = &mut self.duties;
        self.groups.retain(|id, group| {
            let gone = group.retiring && group.all_stopped_from(0) && group.all_idle_from(0);
            if gone {
                for resource in &group.resources {
                    duties.unwatch(id, &resource.spec.id);
                }
            }
            !gone
        });
    }
}

impl GroupState {
    /// Takes up a restart that the record asks for. Where the group is not wanted there is
    /// nothing to restart.
    fn count_restarts(&mut self, counters: Option<&BTreeMap<GroupId, u64>>, duties: &mut Duties) {
        let Some(counters) = counters else { return };
        let asked = counters.get(&self.id).copied().unwrap_or(0);
        let known = self.restart_to.unwrap_or(self.restarts_done);
        if asked == known || self.want == Want::Hold {
            return;
        }
        if asked < known || self.want == Want::Stop || self.retiring {
            self.restart_to = None;
            self.restarts_done = asked;
            return;
        }
        self.restart_to = Some(asked);
        self.gave_up = None;
        self.restarted.clear();
        let text = format!("group {} stops and starts here, as an operator asked", self.id);
        duties.event(Event::info("group-restarting", text).group(&self.id));
    }

    fn carry_out(&mut self, now: Time, step: Step, duties: &mut Duties) {
        match step {
            Step::Start(i) => {
                self.resources[i].set(ResourcePhase::Starting, None);
                self.open(now, i, Action::Start, duties);
            }
            Step::Stop(i) => {
                self.resources[i].phase = ResourcePhase::Stopping;
                self.open(now, i, Action::Stop, duties);
            }
            Step::Look(i) => self.open(now, i, Action::Status, duties),
            Step::Cancel(i) => {
                if let Some(open) = &mut self.resources[i].open {
                    open.cancelled = true;
                    duties.outputs.push_back(ExecuteOutput::Cancel { op: open.op });
                }
            }
            Step::Judge(i) => self.judge(now, i, duties),
            Step::Landed => self.land(now, duties),
        }
    }

    fn open(&mut self, now: Time, i: usize, action: Action, duties: &mut Duties) {
        let op = duties.next_op();
        let resource = &mut self.resources[i];
        let timeout = resource.timeout(action);
        resource.touched |= action == Action::Start || action == Action::Promote;
        resource.open = Some(Open {
            op,
            action,
            since: now,
            timeout,
            cancelled: false,
            hinted: false,
            overdue: false,
        });
        let (group, spec) = (self.id.clone(), resource.spec.clone());
        let resource = spec.id.clone();
        let word = self.word.clone();
        let operation = Operation { op, group, resource, action, timeout, spec, word };
        duties.outputs.push_back(ExecuteOutput::Run(Box::new(operation)));
    }
}
