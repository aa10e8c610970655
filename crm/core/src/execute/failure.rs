//! What is done about a failure: restart in place up to a limit, then give the group up here.

use super::duties::Duties;
use super::group::{Goal, GroupState};
use super::resource::{ResourceState, Verdict, cut};
use crate::event::Event;
use crate::model::{OnFail, Resource};
use crate::operation::{Action, OpOutcome, OpResult};
use crate::packet::FailureKind;
use crate::status::ResourcePhase;
use crate::time::Time;

/// Restarts remembered at most, whatever the configuration says.
const RESTARTS_MAX: usize = 1000;

impl GroupState {
    /// `status` proved that a resource does not run though it should.
    pub(super) fn fail(&mut self, i: usize, reason: String, duties: &mut Duties) {
        let goal = self.goal();
        let resource = &mut self.resources[i];
        resource.set(ResourcePhase::Failed, Some(reason.clone()));
        if goal == Goal::Down {
            // It is to be stopped anyway.
            resource.verdict = Verdict::Recover;
            return;
        }
        let id = resource.spec.id.clone();
        duties.event(Event::warning("resource-failed", reason).group(&self.id).resource(&id));
    }

    /// Decides what is done about a failed resource of a group that is wanted here.
    pub(super) fn judge(&mut self, now: Time, i: usize, duties: &mut Duties) {
        let may_restart = self.may_restart(now);
        let limit = self.restart;
        let made = self.restarted.len() + 1;
        let resource = &mut self.resources[i];
        let id = resource.spec.id.clone();
        let reason = resource.reason.clone().unwrap_or_else(|| format!("{id} gives no answer"));
        let on_fail = match (resource.spec.on_fail, resource.phase) {
            // Nobody has seen it run, or what was stopped since may have been this: to ignore it could mean never to start it.
            (OnFail::Ignore, ResourcePhase::Unknown) => OnFail::Restart,
            (on_fail, _) => on_fail,
        };
        resource.set(ResourcePhase::Failed, Some(reason.clone()));
        match on_fail {
            OnFail::Restart if may_restart => {
                resource.verdict = Verdict::Recover;
                resource.restarts = resource.restarts.saturating_add(1);
                self.restarted.push_back(now);
                let text = format!(
                    "{reason}; restarting it and what follows it in place ({made} of {} within {})",
                    limit.count, limit.window
                );
                duties.event(
                    Event::warning("resource-restarting", text).group(&self.id).resource(&id),
                );
            }
            OnFail::Restart if limit.count > 0 => {
                resource.verdict = Verdict::Recover;
                let text = format!(
                    "{reason}; {} restarts within {} are used up",
                    limit.count, limit.window
                );
                self.give_up(i, FailureKind::Run, text, duties);
            }
            OnFail::Restart | OnFail::Move => {
                resource.verdict = Verdict::Recover;
                self.give_up(i, FailureKind::Run, reason, duties);
            }
            OnFail::Ignore => resource.verdict = Verdict::Ignore,
            OnFail::Block => {
                resource.verdict = Verdict::Block;
                // Known to the record, so that `crm clear` has something to clear.
                duties.failure(&self.id, &id, FailureKind::Block, &reason);
                let text = format!(
                    "{reason}; left as it is (on_fail: block): repair it, then `crm clear {}`",
                    self.id
                );
                duties.event(Event::error("group-blocked", text).group(&self.id).resource(&id));
            }
        }
    }

    fn may_restart(&mut self, now: Time) -> bool {
        let window = self.restart.window;
        while self.restarted.front().is_some_and(|first| now.since(*first) >= window) {
            self.restarted.pop_front();
        }
        self.restarted.len() < RESTARTS_MAX.min(self.restart.count as usize)
    }

    /// The group cannot run here: everything is stopped, the coordinator is told.
    pub(super) fn give_up(
        &mut self,
        i: usize,
        kind: FailureKind,
        reason: String,
        duties: &mut Duties,
    ) {
        if self.gave_up.is_some() {
            return;
        }
        let id = self.resources[i].spec.id.clone();
        let word = match kind {
            FailureKind::Start => "start-failed",
            FailureKind::Run | FailureKind::Stop | FailureKind::Block => "group-failed",
        };
        duties.failure(&self.id, &id, kind, &reason);
        let text = format!("{reason}; the group is stopped on this node");
        duties.event(Event::error(word, text).group(&self.id).resource(&id));
        self.gave_up = Some(reason);
    }

    /// Forgets failures, so that everything is tried again (`crm clear`).
    pub(super) fn clear(&mut self, now: Time) {
        self.gave_up = None;
        self.restarted.clear();
        for resource in &mut self.resources {
            resource.clear(now);
        }
    }
}

impl ResourceState {
    fn clear(&mut self, now: Time) {
        self.restarts = 0;
        match self.phase {
            ResourcePhase::StopFailed => {
                self.phase = ResourcePhase::Failed;
                self.verdict = Verdict::Recover;
            }
            // Left alone or lived with so far: the operator wants it tried again.
            ResourcePhase::Failed => self.verdict = Verdict::Recover,
            ResourcePhase::Unknown => self.look_at = now,
            _ => {}
        }
    }
}

/// What an operation's end means, for people; the agent's own words last.
pub(super) fn describe(spec: &Resource, action: Action, result: &OpResult) -> String {
    let (id, agent, action) = (&spec.id, &spec.agent, action.as_str());
    let text = match result.outcome {
        OpOutcome::Done | OpOutcome::RunningPromoted => format!("{action} of {id} succeeded"),
        OpOutcome::NotRunning => format!("{id} ({agent}) is not running"),
        OpOutcome::Failed { code } => {
            format!("{action} of {id} ({agent}) failed with exit code {code}")
        }
        OpOutcome::Signalled { signal } => {
            format!("{action} of {id} ({agent}) was killed by signal {signal}")
        }
        OpOutcome::TimedOut => {
            let timeout = match action {
                "start" | "promote" => spec.timeouts.start,
                "stop" | "demote" => spec.timeouts.stop,
                _ => spec.timeouts.status,
            };
            format!("{action} of {id} ({agent}) did not end within {timeout} and was killed")
        }
        OpOutcome::Cancelled => format!("{action} of {id} ({agent}) was cut off"),
        OpOutcome::Missing => {
            format!("there is no agent `{agent}` on this node, which {id} needs for {action}")
        }
    };
    match result.reason.as_deref().map(str::trim).filter(|words| !words.is_empty()) {
        Some(words) => cut(&format!("{text}: {words}")),
        None => text,
    }
}
