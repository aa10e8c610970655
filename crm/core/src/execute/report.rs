//! What the executor says of itself: phases, reports, eligibility, one event per change.

use super::executor::Executor;
use super::group::{GroupRun, State};
use super::{ExecuteOutput, Want};
use crate::event::{Event, Severity};
use crate::id::GroupId;
use crate::operation::Action;
use crate::packet::{Eligibility, FailureReport, GroupPhase, GroupReport};
use crate::rules::Rules;
use crate::status::{ResourcePhase, ResourceStatus};
use std::collections::BTreeMap;

/// The phase that the last event told of.
#[derive(Debug, Default)]
pub(super) struct Told(Option<GroupPhase>);

impl<R: Rules> Executor<R> {
    /// Phase of a group here; `Stopped` only if every resource is proved stopped and no start or
    /// stop of it is open (H15). A group that is not configured is stopped.
    #[must_use]
    pub fn phase(&self, group: &GroupId) -> GroupPhase {
        self.groups.get(group).map_or(GroupPhase::Stopped, phase_of::<R>)
    }

    #[must_use]
    pub fn reports(&self) -> BTreeMap<GroupId, GroupReport> {
        let report = |group: &GroupRun| GroupReport {
            phase: phase_of::<R>(group),
            reason: reason_of(group),
            restarts_done: group.restart_done,
        };
        self.groups.iter().map(|(id, group)| (id.clone(), report(group))).collect()
    }

    /// Whether this node could serve each group, where an agent observes that everywhere. A word
    /// that is missing is unknown.
    #[must_use]
    pub fn eligibility(&self) -> BTreeMap<GroupId, Eligibility> {
        let mut all = BTreeMap::new();
        for (id, group) in &self.groups {
            let mut observers =
                group.resources.iter().filter(|r| r.spec.observe_everywhere).peekable();
            if observers.peek().is_none() {
                continue;
            }
            let mut word = Eligibility { eligible: Some(true), reason: String::new() };
            for resource in observers {
                let said = resource.attributes.get("eligible").map_or("", String::as_str);
                let (answer, reason) = said.split_once(' ').unwrap_or((said, ""));
                let eligible = match answer {
                    "yes" => Some(true),
                    "no" => Some(false),
                    _ => None,
                };
                if word.eligible == Some(true) || eligible == Some(false) {
                    word = Eligibility { eligible, reason: reason.to_owned() };
                }
            }
            all.insert(id.clone(), word);
        }
        all
    }

    #[must_use]
    pub fn resources(&self, group: &GroupId) -> Vec<ResourceStatus> {
        let resources = self.groups.get(group).map(|group| &group.resources);
        resources
            .into_iter()
            .flatten()
            .map(|resource| ResourceStatus {
                id: resource.spec.id.clone(),
                agent: resource.spec.agent.to_string(),
                phase: match (resource.open.map(|open| open.action), resource.state) {
                    (Some(Action::Start | Action::Promote), _) => ResourcePhase::Starting,
                    (Some(Action::Stop | Action::Demote), _) => ResourcePhase::Stopping,
                    (_, State::Unknown) => ResourcePhase::Unknown,
                    (_, State::Stopped) => ResourcePhase::Stopped,
                    (_, State::Running) => ResourcePhase::Running,
                    (_, State::Broken) => ResourcePhase::Failed,
                    (_, State::StopFailed) => ResourcePhase::StopFailed,
                },
                reason: resource.reason.clone(),
                restarts: resource.restarts,
                attributes: resource.attributes.clone(),
            })
            .collect()
    }

    /// Failures that the record has not counted yet.
    #[must_use]
    pub fn failures(&self) -> &[FailureReport] {
        &self.failures
    }

    /// The record has counted the failures up to this number.
    pub fn failures_counted(&mut self, upto: u64) {
        self.failures.retain(|failure| failure.number > upto);
    }

    /// Every group is proved stopped and no start or stop is open (H15b).
    #[must_use]
    pub fn everything_stopped(&self) -> bool {
        self.groups.values().all(|group| group.is_stopped(true))
    }

    /// One event when the phase of a group has changed.
    pub(super) fn tell(&mut self, id: &GroupId) {
        let Some(group) = self.groups.get_mut(id) else { return };
        let phase = phase_of::<R>(group);
        if phase == GroupPhase::Running
            && let Some(seen) = group.restart_seen
        {
            group.restart_done = seen;
        }
        let before = group.told.0.replace(phase);
        if before == Some(phase) {
            return;
        }
        let (severity, kind, text) = match phase {
            GroupPhase::Unknown => return,
            GroupPhase::Starting => (Severity::Info, "group-starting", "is starting"),
            GroupPhase::Running => (Severity::Info, "group-running", "runs"),
            GroupPhase::Stopping => (Severity::Info, "group-stopping", "is stopping"),
            GroupPhase::Stopped if matches!(before, None | Some(GroupPhase::Unknown)) => return,
            GroupPhase::Stopped => (Severity::Info, "group-stopped", "is stopped"),
            GroupPhase::Failed => (Severity::Error, "group-failed", "failed and is stopped"),
            GroupPhase::StopFailed => {
                (Severity::Error, "group-blocked", "is blocked: a stop failed, so it may still run")
            }
        };
        let detail = match phase {
            GroupPhase::Failed | GroupPhase::StopFailed => {
                reason_of(group).map_or_else(String::new, |reason| format!(": {reason}"))
            }
            _ => String::new(),
        };
        let event = Event::new(severity, kind, format!("group {id} {text} here{detail}")).group(id);
        self.outputs.push_back(ExecuteOutput::Event(event));
    }
}

fn phase_of<R: Rules>(group: &GroupRun) -> GroupPhase {
    let resources = &group.resources;
    if resources.iter().any(|r| r.state == State::StopFailed) {
        return GroupPhase::StopFailed;
    }
    if group.is_stopped(R::OPEN_OPERATION_RUNS) && !(resources.is_empty() && group.goes_up()) {
        return if group.failed.is_some() { GroupPhase::Failed } else { GroupPhase::Stopped };
    }
    let up = group.want != Want::Stop && group.failed.is_none() && !group.removed;
    if resources.iter().all(|r| r.state == State::Running && !r.changes()) {
        let restarting = group.stop_from.is_some();
        return if up && !restarting { GroupPhase::Running } else { GroupPhase::Stopping };
    }
    if resources
        .iter()
        .any(|r| r.state == State::Unknown && r.open.is_none_or(|o| o.action == Action::Status))
    {
        return GroupPhase::Unknown;
    }
    if up { GroupPhase::Starting } else { GroupPhase::Stopping }
}

fn reason_of(group: &GroupRun) -> Option<String> {
    if let Some(reason) = group.failed.as_ref().or(group.blocked.as_ref()) {
        return Some(reason.clone());
    }
    group
        .resources
        .iter()
        .filter(|r| r.state != State::Stopped || r.reason.is_some())
        .find_map(|r| r.reason.as_ref().map(|reason| format!("{}: {reason}", r.spec.id)))
}
