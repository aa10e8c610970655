//! What the end of an operation proves.

use super::duties::Duties;
use super::failure::describe;
use super::group::{Goal, GroupState};
use super::resource::{Open, ResourceState, Verdict, cut};
use crate::event::Event;
use crate::operation::{Action, OpOutcome, OpResult};
use crate::packet::{Eligibility, FailureKind};
use crate::status::ResourcePhase;
use crate::time::Time;

/// Exit code of OCF for "what this needs is not installed here".
const NOT_INSTALLED: i32 = 5;

/// What an answer of `status` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    Running,
    NotRunning,
    /// The agent is not on this node: it cannot have started anything, and cannot stop anything.
    Missing,
    /// Neither running nor stopped. Never taken for stopped.
    Unclear,
}

impl GroupState {
    /// An operation on a resource has ended; nothing of it is left over.
    pub(super) fn ended(
        &mut self,
        now: Time,
        i: usize,
        open: Open,
        result: &OpResult,
        duties: &mut Duties,
    ) {
        match open.action {
            Action::Start | Action::Promote => self.start_ended(now, i, &open, result, duties),
            Action::Stop | Action::Demote => self.stop_ended(now, i, result, duties),
            Action::Status => self.status_ended(now, i, &open, result, duties),
        }
        let resource = &mut self.resources[i];
        let started = open.action == Action::Start && resource.phase == ResourcePhase::Running;
        match (open.hinted, started) {
            (true, true) => resource.hint_of_start(now),
            (true, false) => resource.hint(now),
            (false, _) => {}
        }
    }

    fn start_ended(
        &mut self,
        now: Time,
        i: usize,
        open: &Open,
        result: &OpResult,
        duties: &mut Duties,
    ) {
        let resource = &mut self.resources[i];
        resource.take_attributes(result);
        let reason = describe(&resource.spec, Action::Start, result);
        match result.outcome {
            OpOutcome::Done | OpOutcome::RunningPromoted => {
                resource.set(ResourcePhase::Running, None);
                resource.spread_looks(now, &self.id);
                return;
            }
            // No program, nothing started: there is nothing to stop, and nothing to stop it with.
            OpOutcome::Missing => resource.set(ResourcePhase::Stopped, Some(reason.clone())),
            // It may be half started: a stop follows.
            _ => {
                resource.set(ResourcePhase::Failed, Some(reason.clone()));
                resource.verdict = Verdict::Recover;
            }
        }
        resource.look_at = now + resource.interval();
        if !open.cancelled {
            self.give_up(i, FailureKind::Start, reason, duties);
        }
    }

    fn stop_ended(&mut self, now: Time, i: usize, result: &OpResult, duties: &mut Duties) {
        let resource = &mut self.resources[i];
        resource.take_attributes(result);
        let id = resource.spec.id.clone();
        if matches!(result.outcome, OpOutcome::Done | OpOutcome::NotRunning) {
            self.stopped(now, i, duties);
            return;
        }
        let reason = describe(&resource.spec, Action::Stop, result);
        resource.set(ResourcePhase::StopFailed, Some(reason.clone()));
        resource.look_at = now + resource.interval();
        duties.failure(&self.id, &id, FailureKind::Stop, &reason);
        let text = format!(
            "{reason}; it may still run, nothing more is tried until it is stopped by hand and `crm clear {}`",
            self.id
        );
        duties.event(Event::error("stop-failed", text).group(&self.id).resource(&id));
    }

    /// A resource is proved stopped.
    fn stopped(&mut self, now: Time, i: usize, duties: &mut Duties) {
        let group = &self.id;
        let resource = &mut self.resources[i];
        // Why a group was given up stays to be seen.
        let reason = resource.reason.take().filter(|_| self.gave_up.is_some());
        resource.set(ResourcePhase::Stopped, reason);
        if resource.spec.observe_everywhere {
            resource.look_at = now;
        } else {
            duties.unwatch(group, &resource.spec.id);
        }
    }

    fn status_ended(
        &mut self,
        now: Time,
        i: usize,
        open: &Open,
        result: &OpResult,
        duties: &mut Duties,
    ) {
        let goal = self.goal();
        let untouched = self.is_untouched(&self.resources[i]);
        let resource = &mut self.resources[i];
        // What it says may be older than what was stopped since.
        if open.cancelled {
            resource.look_at = now;
            return;
        }
        let before = resource.phase;
        let reason = describe(&resource.spec, Action::Status, result);
        resource.looked = Some(now);
        resource.unsure = false;
        resource.look_at = now + resource.interval();
        resource.take_attributes(result);
        resource.observe(result, &reason);
        // What ran here a moment ago was started by somebody, agent or no agent.
        let unseen = before == ResourcePhase::Unknown && !resource.touched;
        match (answer(result.outcome, unseen), before) {
            (Answer::Running, ResourcePhase::Unknown) => {
                resource.set(ResourcePhase::Running, None);
                resource.spread_looks(now, &self.id);
            }
            (Answer::Running, ResourcePhase::Running) => {
                resource.doubts = 0;
                resource.reason = None;
            }
            (Answer::Running, ResourcePhase::Stopped) => {
                resource.set(ResourcePhase::Running, None);
                self.say(i, "found-running", "runs though nobody started it here", duties);
            }
            (Answer::Running, ResourcePhase::Failed) if resource.verdict != Verdict::Recover => {
                resource.set(ResourcePhase::Running, None);
                self.say(i, "resource-recovered", "runs again by itself", duties);
            }
            (Answer::NotRunning, ResourcePhase::Unknown) => {
                resource.set(ResourcePhase::Stopped, None);
            }
            (Answer::NotRunning, ResourcePhase::StopFailed) => {
                self.stopped(now, i, duties);
                self.say(i, "found-stopped", "is stopped now, as `status` proves", duties);
            }
            (Answer::NotRunning | Answer::Missing, ResourcePhase::Running) => {
                self.fail(i, reason, duties);
            }
            (Answer::Missing, ResourcePhase::Unknown) if !resource.touched => {
                resource.set(ResourcePhase::Stopped, Some(reason));
            }
            (Answer::Unclear, ResourcePhase::Unknown) if untouched && resource.doubts >= 1 => {
                resource.set(ResourcePhase::Stopped, Some(reason));
                let text = "cannot be looked at; nothing can have started it since this machine booted, or since it was stopped here";
                self.say(i, "status-unclear", text, duties);
            }
            (Answer::Unclear | Answer::Missing, ResourcePhase::Unknown) => {
                resource.doubts = resource.doubts.saturating_add(1);
                resource.reason = Some(reason);
                if (goal == Goal::Up || untouched) && resource.doubts == 1 {
                    resource.look_at = now;
                }
            }
            (Answer::Unclear, ResourcePhase::Running) if resource.doubts == 0 => {
                // One failed look moves nothing: ask once more (O6).
                resource.doubts = 1;
                resource.reason = Some(reason);
                resource.look_at = now;
            }
            (Answer::Unclear, ResourcePhase::Running) => self.fail(i, reason, duties),
            _ => {}
        }
        let resource = &mut self.resources[i];
        if resource.phase != before {
            resource.false_alarms = 0;
        }
    }

    fn say(&self, i: usize, kind: &str, what: &str, duties: &mut Duties) {
        let spec = &self.resources[i].spec;
        let text = format!("{} ({}) {what}", spec.id, spec.agent);
        duties.event(Event::warning(kind, text).group(&self.id).resource(&spec.id));
    }
}

fn answer(outcome: OpOutcome, unseen: bool) -> Answer {
    match outcome {
        OpOutcome::Done | OpOutcome::RunningPromoted => Answer::Running,
        OpOutcome::NotRunning => Answer::NotRunning,
        OpOutcome::Missing => Answer::Missing,
        OpOutcome::Failed { code: NOT_INSTALLED } if unseen => Answer::Missing,
        _ => Answer::Unclear,
    }
}

impl ResourceState {
    /// Whether this node could serve the data, as the agent says: attribute `eligible`,
    /// `yes`, `no` or anything else for unknown, and why, there or in the reason of the call.
    fn observe(&mut self, result: &OpResult, failure: &str) {
        if !self.spec.observe_everywhere {
            self.eligible = None;
            return;
        }
        let answered = matches!(
            result.outcome,
            OpOutcome::Done | OpOutcome::RunningPromoted | OpOutcome::NotRunning
        );
        let said = result.attributes.get("eligible").map_or("", String::as_str).trim();
        let (word, why) = said.split_once(char::is_whitespace).unwrap_or((said, ""));
        let eligible = match word {
            "yes" if answered => Some(true),
            "no" if answered => Some(false),
            _ => None,
        };
        let words = [why, result.reason.as_deref().unwrap_or_default()];
        let reason = match words.into_iter().find(|words| !words.is_empty()) {
            _ if !answered => failure.to_owned(),
            Some(words) => cut(words),
            None if eligible.is_some() => String::new(),
            None => format!("{} does not say whether it is eligible", self.spec.agent),
        };
        self.eligible = Some(Eligibility { eligible, reason });
    }
}
