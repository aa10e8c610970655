//! What a group's state means for the coordinator and the operator.

use super::group::{Goal, GroupState};
use super::resource::{Open, ResourceState};
use crate::event::Event;
use crate::operation::Action;
use crate::packet::{Eligibility, GroupPhase, GroupReport};
use crate::rules::{Rule, Rules};
use crate::status::{ResourcePhase, ResourceStatus};
use crate::time::{Span, Time};

impl GroupState {
    /// `Stopped` and `Failed` only if every resource is proved stopped and nothing that could
    /// start one is under way (H15).
    pub(super) fn phase<R: Rules>(&self) -> GroupPhase {
        if self.is_stuck() {
            return GroupPhase::StopFailed;
        }
        let goal = self.goal();
        if self.resources.is_empty() && goal == Goal::Up {
            return GroupPhase::Running;
        }
        if self.resources.iter().all(|resource| self.is_down::<R>(resource)) {
            let failed = self.gave_up.is_some();
            return if failed { GroupPhase::Failed } else { GroupPhase::Stopped };
        }
        let unknown = self.resources.iter().any(|r| r.phase == ResourcePhase::Unknown);
        let changing = self.resources.iter().any(ResourceState::is_changing);
        if unknown && !changing && !(self.looked && goal == Goal::Up) {
            return GroupPhase::Unknown;
        }
        let up = self.resources.iter().all(ResourceState::is_up);
        let stopping = self.resources.iter().any(|r| r.phase == ResourcePhase::Stopping);
        match goal {
            Goal::Up | Goal::Stay if up && self.floor().is_none() => GroupPhase::Running,
            Goal::Down => GroupPhase::Stopping,
            Goal::Stay if stopping => GroupPhase::Stopping,
            Goal::Up | Goal::Stay => GroupPhase::Starting,
        }
    }

    fn is_down<R: Rules>(&self, resource: &ResourceState) -> bool {
        if !R::holds(Rule::OpenOperationRuns) && self.goal() == Goal::Down {
            let starting = resource.open.as_ref().is_some_and(|open| open.action == Action::Start);
            return starting || resource.is_stopped();
        }
        resource.is_stopped() && !resource.is_changing()
    }

    pub(super) fn report<R: Rules>(&self) -> GroupReport {
        let phase = self.phase::<R>();
        GroupReport {
            phase,
            reason: self.reason(phase),
            restarts_done: self.restarts_done,
            redefining: self.incoming.is_some(),
        }
    }

    /// Which resource keeps the group from simply running or being stopped, and why.
    fn reason(&self, phase: GroupPhase) -> Option<String> {
        let first = |phase: ResourcePhase| self.resources.iter().find(|r| r.phase == phase);
        let worded = || self.resources.iter().find_map(|resource| resource.reason.clone());
        match phase {
            GroupPhase::Running => {
                let failed = first(ResourcePhase::Failed).and_then(|r| r.reason.clone());
                failed.or_else(|| first(ResourcePhase::Running)?.reason.clone())
            }
            GroupPhase::Stopped => worded(),
            GroupPhase::Failed => self.gave_up.clone(),
            GroupPhase::StopFailed => {
                let reason = first(ResourcePhase::StopFailed)?.reason.clone()?;
                Some(format!("{reason}; nothing more is tried until `crm clear {}`", self.id))
            }
            GroupPhase::Unknown => {
                let unknown = first(ResourcePhase::Unknown)?;
                let silent = || format!("{} has not been looked at yet", unknown.spec.id);
                Some(unknown.reason.clone().unwrap_or_else(silent))
            }
            GroupPhase::Starting | GroupPhase::Stopping => {
                self.gave_up.clone().or_else(worded).or_else(|| self.under_way())
            }
        }
    }

    fn under_way(&self) -> Option<String> {
        if self.restart_to.is_some() {
            return Some("an operator asked for a restart".into());
        }
        if self.incoming.is_some() {
            return Some("the configuration changed what runs".into());
        }
        let busy = self.resources.iter().find(|resource| resource.is_changing())?;
        let word = busy.open.as_ref()?.action.as_str();
        Some(format!("{word} of {} is under way", busy.spec.id))
    }

    /// Whether this node could serve the group's data, as its agents say; `None` if no resource is
    /// observed everywhere. The least favourable answer counts.
    pub(super) fn eligibility(&self) -> Option<Eligibility> {
        let observed = self.resources.iter().filter(|r| r.spec.observe_everywhere);
        let answers = observed.map(|resource| {
            resource.eligible.clone().unwrap_or_else(|| Eligibility {
                eligible: None,
                reason: format!("{} has not been looked at yet", resource.spec.id),
            })
        });
        answers.min_by_key(|answer| match answer.eligible {
            Some(false) => 0,
            None => 1,
            Some(true) => 2,
        })
    }

    pub(super) fn statuses(&self) -> Vec<ResourceStatus> {
        let statuses = self.resources.iter().map(|resource| ResourceStatus {
            id: resource.spec.id.clone(),
            agent: resource.spec.agent.to_string(),
            phase: resource.phase,
            reason: resource.reason.clone(),
            restarts: resource.restarts,
            attributes: resource.attributes.clone(),
        });
        statuses.collect()
    }

    /// The line for the operator when the phase changed; `None` where another line said it.
    pub(super) fn announce<R: Rules>(&mut self, now: Time) -> Option<Event> {
        let phase = self.phase::<R>();
        let before = std::mem::replace(&mut self.announced, phase);
        if before == phase {
            return None;
        }
        let took = Span::millis(now.since(self.since).as_millis());
        self.since = now;
        let id = &self.id;
        let event = match (before, phase) {
            (GroupPhase::Unknown, GroupPhase::Running) => Event::info(
                "adopted",
                format!("group {id} was found running here and is kept as it is"),
            ),
            (_, GroupPhase::Running) => {
                Event::info("group-running", format!("group {id} runs here, after {took}"))
            }
            (GroupPhase::Running, GroupPhase::Starting) if self.incoming.is_some() => {
                let text =
                    format!("group {id} restarts here from the first resource that was changed");
                Event::info("group-restarting", text)
            }
            // Said when the restart was decided.
            (GroupPhase::Running, GroupPhase::Starting) => return None,
            (_, GroupPhase::Starting) => {
                Event::info("group-starting", format!("group {id} is starting here"))
            }
            (_, GroupPhase::Stopping) => {
                Event::info("group-stopping", format!("group {id} is stopping here"))
            }
            (GroupPhase::Unknown, GroupPhase::Stopped) => return None,
            (
                GroupPhase::Stopped | GroupPhase::Failed,
                GroupPhase::Stopped | GroupPhase::Failed,
            ) => {
                return None;
            }
            (_, GroupPhase::Stopped | GroupPhase::Failed) => {
                Event::info("group-stopped", format!("group {id} is stopped here, after {took}"))
            }
            (_, GroupPhase::StopFailed | GroupPhase::Unknown) => return None,
        };
        Some(event.group(&self.id))
    }

    /// Operations that should have ended long ago, to be told once. They still count as open.
    pub(super) fn overdue(&mut self, now: Time) -> Vec<Event> {
        let group = self.id.clone();
        let late = |resource: &mut ResourceState| {
            let open: &mut Open = resource.open.as_mut()?;
            open.overdue_at().filter(|at| *at <= now)?;
            open.overdue = true;
            let (id, action) = (&resource.spec.id, open.action.as_str());
            let text = format!(
                "{action} of {id} was to end within {} and its end has not been seen; it counts as under way",
                open.timeout
            );
            resource.eligible = resource.eligible.take().map(|last| Eligibility {
                eligible: None,
                reason: format!("{action} of {id} does not end; before: {}", last.reason),
            });
            Some(Event::error("operation-overdue", text).group(&group).resource(id))
        };
        self.resources.iter_mut().filter_map(late).collect()
    }
}
