//! What a finished call means.

use super::executor::Executor;
use super::group::State;
use super::{ExecuteOutput, Want};
use crate::event::Event;
use crate::id::{GroupId, OpId};
use crate::model::OnFail;
use crate::operation::{Action, OpOutcome, OpResult};
use crate::packet::FailureKind;
use crate::rules::Rules;
use crate::time::{Span, Time};

/// Between two looks at a resource whose state nobody can tell.
const UNKNOWN_AGAIN: Span = Span::secs(5);

impl<R: Rules> Executor<R> {
    pub(super) fn finished(
        &mut self,
        now: Time,
        id: &GroupId,
        index: usize,
        op: OpId,
        result: OpResult,
    ) {
        let Some(group) = self.groups.get_mut(id) else { return };
        let Some(resource) = group.resources.get_mut(index) else { return };
        // The call of a resource that a new definition replaced says nothing of the new one.
        let Some(open) = resource.open.take_if(|open| open.op == op) else { return };
        let look_again = std::mem::take(&mut resource.look_again);
        let spread = Span((index as u64 * 37 + id.as_str().len() as u64 * 13) % 100 * 1_000);
        resource.poll_at =
            Some(if look_again { now } else { now + resource.spec.interval + spread });
        if !result.attributes.is_empty() || open.action == Action::Status {
            resource.attributes.clone_from(&result.attributes);
        }
        let reason = result
            .reason
            .clone()
            .unwrap_or_else(|| words(open.action, result.outcome, resource.spec.timeouts.start));
        match open.action {
            Action::Start | Action::Promote => {
                self.started(id, index, result.outcome, open.cancelled, reason);
            }
            Action::Stop | Action::Demote => self.stopped(id, index, result.outcome, reason),
            Action::Status => self.looked(now, id, index, &result, reason),
        }
    }

    fn started(
        &mut self,
        id: &GroupId,
        index: usize,
        outcome: OpOutcome,
        cancelled: bool,
        reason: String,
    ) {
        let Some(group) = self.groups.get_mut(id) else { return };
        let Some(resource) = group.resources.get_mut(index) else { return };
        if outcome == OpOutcome::Done {
            resource.state = State::Running;
            resource.suspected = false;
            resource.reason = None;
            return;
        }
        // Half started: nobody can know, so it is stopped. A missing agent started nothing.
        resource.state = if outcome == OpOutcome::Missing { State::Stopped } else { State::Broken };
        resource.reason = Some(reason.clone());
        if !cancelled {
            group.failed = Some(format!("{}: {reason}", resource.spec.id));
            self.fail(id, index, FailureKind::Start, &reason);
        }
    }

    fn stopped(&mut self, id: &GroupId, index: usize, outcome: OpOutcome, reason: String) {
        let Some(group) = self.groups.get_mut(id) else { return };
        let Some(resource) = group.resources.get_mut(index) else { return };
        if matches!(outcome, OpOutcome::Done | OpOutcome::NotRunning) {
            resource.state = State::Stopped;
            resource.suspected = false;
            let resource = resource.spec.id.clone();
            self.outputs.push_back(ExecuteOutput::Unwatch { group: id.clone(), resource });
            return;
        }
        resource.state = State::StopFailed;
        resource.reason = Some(reason.clone());
        self.fail(id, index, FailureKind::Stop, &reason);
    }

    fn looked(&mut self, now: Time, id: &GroupId, index: usize, result: &OpResult, reason: String) {
        let Some(group) = self.groups.get_mut(id) else { return };
        let Some(resource) = group.resources.get_mut(index) else { return };
        let name = resource.spec.id.clone();
        match (result.outcome, resource.state) {
            (OpOutcome::Cancelled, _) => resource.poll_at = Some(now),
            (OpOutcome::Done | OpOutcome::RunningPromoted, before) => {
                resource.suspected = false;
                resource.reason.clone_from(&result.reason);
                match before {
                    State::Unknown | State::Stopped => {
                        resource.state = State::Running;
                        let text = format!("{name} was found running and is kept as it is");
                        let event = Event::info("adopted", text).group(id).resource(&name);
                        self.outputs.push_back(ExecuteOutput::Event(event));
                    }
                    State::Running | State::Broken | State::StopFailed => {}
                }
            }
            (OpOutcome::NotRunning, State::Running) => self.found_dead(now, id, index, reason),
            (OpOutcome::NotRunning, _) | (OpOutcome::Missing, State::Unknown) => {
                resource.state = State::Stopped;
                resource.suspected = false;
                resource.reason.clone_from(&result.reason);
                if !resource.spec.observe_everywhere {
                    resource.poll_at = None;
                }
            }
            (_, State::Running) if !resource.suspected => {
                resource.suspected = true;
                resource.reason = Some(reason);
                resource.poll_at = Some(now);
            }
            (_, State::Running) => self.found_dead(now, id, index, reason),
            (_, State::Unknown) => {
                resource.suspected = true;
                resource.reason = Some(reason);
                resource.poll_at = Some(now + resource.spec.interval.min(UNKNOWN_AGAIN));
            }
            (_, _) => resource.reason = Some(reason),
        }
    }

    /// A running resource is confirmed not to run.
    fn found_dead(&mut self, now: Time, id: &GroupId, index: usize, reason: String) {
        let Some(group) = self.groups.get_mut(id) else { return };
        let policy = group.spec.restart;
        while group.restarts.front().is_some_and(|at| now.since(*at) > policy.window) {
            group.restarts.pop_front();
        }
        let used = group.restarts.len() as u64;
        let may_restart = used < u64::from(policy.count);
        let wanted = group.want != Want::Stop;
        let Some(resource) = group.resources.get_mut(index) else { return };
        let name = resource.spec.id.clone();
        resource.reason = Some(reason.clone());
        resource.suspected = false;
        let (what, kind) = match resource.spec.on_fail {
            _ if !wanted => {
                resource.state = State::Broken;
                return;
            }
            OnFail::Ignore => ("it is left alone (on_fail: ignore)".to_owned(), None),
            OnFail::Block => {
                group.blocked = Some(format!("{name}: {reason}"));
                ("the group waits for an operator (on_fail: block)".to_owned(), None)
            }
            OnFail::Restart if may_restart => {
                resource.state = State::Broken;
                resource.restarts += 1;
                group.restarts.push_back(now);
                (format!("restarting it here, {} of {} times", used + 1, policy.count), None)
            }
            OnFail::Restart | OnFail::Move => {
                resource.state = State::Broken;
                group.failed = Some(format!("{name}: {reason}"));
                ("the group should move".to_owned(), Some(FailureKind::Run))
            }
        };
        let event = Event::warning("resource-failed", format!("{name}: {reason}; {what}"));
        self.outputs.push_back(ExecuteOutput::Event(event.group(id).resource(&name)));
        if let Some(kind) = kind {
            self.fail(id, index, kind, &reason);
        }
    }
}

/// Words for an outcome without any.
fn words(action: Action, outcome: OpOutcome, timeout: Span) -> String {
    let action = action.as_str();
    match outcome {
        OpOutcome::Done | OpOutcome::RunningPromoted => format!("{action} succeeded"),
        OpOutcome::NotRunning => "it does not run".to_owned(),
        OpOutcome::Failed { code } => format!("{action} failed with exit code {code}"),
        OpOutcome::Signalled { signal } => format!("{action} was ended by signal {signal}"),
        OpOutcome::TimedOut => format!("{action} did not end in time ({timeout})"),
        OpOutcome::Cancelled => format!("{action} was cut off"),
        OpOutcome::Missing => "the agent is not installed on this node".to_owned(),
    }
}
