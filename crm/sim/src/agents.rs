//! Model resources of one machine, and the agent calls that work on them.
//!
//! Calls are children of the machine, not of the daemon: they go on when the daemon dies (H15).
//! A call that is killed leaves its resource in any of the states it could have reached.

use crate::clock::{MILLI, Micros, SECOND};
use crate::random::Random;
use crm_core::id::{GroupId, OpId, ResourceId};
use crm_core::operation::{Action, OpOutcome, OpResult, Operation};
use std::collections::{BTreeMap, BTreeSet};

/// True state of a resource, which nobody is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    Stopped,
    /// A start is open: its effect may come at any moment.
    Starting,
    Running,
    Stopping,
    /// Half started or half stopped: an address is up, a process is not.
    Partial,
}

impl State {
    /// Whether data may be touched or an address answered because of this resource.
    #[must_use]
    pub fn holds(self) -> bool {
        self != State::Stopped
    }
}

/// A resource by its full name.
pub type Key = (GroupId, ResourceId);

/// One call under way.
#[derive(Clone, Debug)]
pub struct Child {
    /// The daemon that started it.
    pub run: u32,
    pub op: OpId,
    pub key: Key,
    pub action: Action,
    /// What it will say if nobody kills it.
    outcome: OpOutcome,
    pub timed_out: bool,
    pub cancelled: bool,
}

/// How agents misbehave on one machine (faults).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mood {
    pub fail_per_mille: u64,
    pub hang_per_mille: u64,
    /// A call takes up to this much longer.
    pub slowness: Micros,
    /// A kill takes up to this much longer (a process in the kernel).
    pub kill_slowness: Micros,
    /// Only this action; `None` is all.
    pub only: Option<Action>,
}

/// What a new call will do.
#[derive(Clone, Copy, Debug)]
pub struct Course {
    pub child: u64,
    /// When it ends by itself; `None`: it hangs.
    pub ends: Option<Micros>,
    pub times_out: Micros,
}

/// The resources of one machine, and the calls that are open.
#[derive(Clone, Debug, Default)]
pub struct Agents {
    states: BTreeMap<Key, State>,
    /// What was started since the boot, or tried to be.
    started: BTreeSet<Key>,
    children: BTreeMap<u64, Child>,
    next: u64,
    pub mood: Mood,
    /// Single resources that misbehave; the first that fits a call counts.
    pub troubles: Vec<(Key, Mood)>,
    /// Shortest and longest time of a call that goes well; otherwise [`Agents::brisk`].
    pub pace: Option<fn(&Operation) -> (Micros, Micros)>,
    /// Counts changes of resources.
    pub changes: u64,
}

impl Agents {
    #[must_use]
    pub fn state(&self, key: &Key) -> State {
        self.states.get(key).copied().unwrap_or(State::Stopped)
    }

    /// Resources that are not stopped.
    pub fn holding(&self) -> impl Iterator<Item = (&Key, State)> {
        self.states.iter().filter(|(_, state)| state.holds()).map(|(key, state)| (key, *state))
    }

    #[must_use]
    pub fn holds_group(&self, group: &GroupId) -> bool {
        self.holding().any(|(key, _)| &key.0 == group)
    }

    #[must_use]
    pub fn children(&self) -> &BTreeMap<u64, Child> {
        &self.children
    }

    /// The child that serves an operation of this daemon.
    #[must_use]
    pub fn child_of(&self, run: u32, op: OpId) -> Option<u64> {
        self.children.iter().find(|(_, c)| c.run == run && c.op == op).map(|(number, _)| *number)
    }

    /// Begins a call.
    pub fn begin(
        &mut self,
        now: Micros,
        random: &mut Random,
        run: u32,
        operation: &Operation,
    ) -> Course {
        let key = (operation.group.clone(), operation.resource.clone());
        let action = operation.action;
        let before = self.state(&key);
        if action == Action::Start {
            self.started.insert(key.clone());
        }
        self.changes += u64::from(action != Action::Status);
        let fits = |mood: &Mood| mood.only.is_none_or(|only| only == action);
        let trouble = self.troubles.iter().find(|(at, mood)| at == &key && fits(mood));
        let mood = match trouble {
            Some((_, mood)) => mood.clone(),
            None if fits(&self.mood) => self.mood.clone(),
            None => Mood::default(),
        };
        let hangs = random.chance(mood.hang_per_mille);
        let fails = random.chance(mood.fail_per_mille);
        let (shortest, longest) = match self.pace {
            Some(pace) => pace(operation),
            None => Agents::brisk(action),
        };
        let mut takes = random.spread(shortest, longest);
        takes += random.below(mood.slowness + 1);
        let outcome = if fails { OpOutcome::Failed { code: 1 } } else { OpOutcome::Done };
        match (action, before) {
            (Action::Start, State::Stopped | State::Partial) => {
                self.states.insert(key.clone(), State::Starting);
            }
            (Action::Stop, state) if state.holds() => {
                self.states.insert(key.clone(), State::Stopping);
            }
            _ => {}
        }
        self.next += 1;
        let child = Child {
            run,
            op: operation.op,
            key,
            action,
            outcome,
            timed_out: false,
            cancelled: false,
        };
        self.children.insert(self.next, child);
        Course {
            child: self.next,
            ends: (!hangs).then_some(now + takes),
            times_out: now + operation.timeout.as_micros(),
        }
    }

    fn brisk(action: Action) -> (Micros, Micros) {
        match action {
            Action::Status => (2 * MILLI, 80 * MILLI),
            Action::Start | Action::Promote => (10 * MILLI, 1_500 * MILLI),
            Action::Stop | Action::Demote => (10 * MILLI, 800 * MILLI),
        }
    }

    /// How long a kill takes to leave no process.
    pub fn kill_takes(&self, random: &mut Random) -> Micros {
        let slow = random.below(self.mood.kill_slowness + 1);
        random.spread(200, 100 * MILLI) + slow.min(20 * SECOND)
    }

    pub fn mark_cancelled(&mut self, child: u64) {
        if let Some(child) = self.children.get_mut(&child) {
            child.cancelled = true;
        }
    }

    pub fn mark_timed_out(&mut self, child: u64) -> bool {
        self.children.get_mut(&child).is_some_and(|child| {
            child.timed_out = true;
            true
        })
    }

    /// The call will say that it failed, if nobody kills it before.
    pub fn mark_failing(&mut self, child: u64) {
        if let Some(child) = self.children.get_mut(&child) {
            child.outcome = OpOutcome::Failed { code: 1 };
        }
    }

    /// A call ends, by itself or killed; its effect is decided now.
    pub fn end(
        &mut self,
        random: &mut Random,
        child: u64,
        killed: bool,
    ) -> Option<(Child, OpResult)> {
        let child = self.children.remove(&child)?;
        let before = self.state(&child.key);
        let mut outcome = child.outcome;
        if killed {
            outcome = if child.timed_out { OpOutcome::TimedOut } else { OpOutcome::Cancelled };
        }
        let done = outcome == OpOutcome::Done;
        let after = match child.action {
            Action::Start if done => State::Running,
            Action::Start if before == State::Running => before,
            Action::Start if killed => {
                any(random, [State::Stopped, State::Partial, State::Running])
            }
            Action::Start => any(random, [State::Stopped, State::Partial, State::Partial]),
            Action::Stop if done => State::Stopped,
            Action::Stop if before == State::Stopped => before,
            Action::Stop if killed => any(random, [State::Stopped, State::Partial, State::Running]),
            Action::Stop => any(random, [State::Partial, State::Running, State::Running]),
            _ => before,
        };
        self.changes += u64::from(child.action != Action::Status);
        self.states.insert(child.key.clone(), after);
        if child.action == Action::Status && done {
            outcome = match after {
                State::Stopped => OpOutcome::NotRunning,
                State::Running => OpOutcome::Done,
                State::Partial | State::Starting | State::Stopping => OpOutcome::Failed { code: 1 },
            };
        }
        let mut result = OpResult::of(outcome);
        // Model disks have no replicas: whoever answers could serve the data. Read only where a
        // resource is observed everywhere.
        result.attributes.insert("eligible".to_owned(), "yes".to_owned());
        Some((child, result))
    }

    /// A resource dies of itself. False if it did not run.
    pub fn dies(&mut self, key: &Key) -> bool {
        if self.state(key) != State::Running || self.children.values().any(|c| &c.key == key) {
            return false;
        }
        self.states.insert(key.clone(), State::Stopped);
        self.changes += 1;
        true
    }

    /// Somebody else than crm starts a resource; one with an open call is left alone.
    pub fn is_started_by_somebody(&mut self, key: &Key) {
        if !self.children.values().any(|c| &c.key == key) {
            self.states.insert(key.clone(), State::Running);
        }
    }

    /// Whether it may run since the boot: where nobody started it, a look that fails says nothing.
    #[must_use]
    pub fn was_started(&self, key: &Key) -> bool {
        self.started.contains(key)
    }

    /// What was stopped for good: nobody starts it any more.
    pub fn forget_starts(&mut self, gone: impl Fn(&Key) -> bool) {
        self.started.retain(|key| !gone(key));
    }

    /// The power is gone: nothing runs, nothing is open.
    pub fn power_off(&mut self) {
        self.states.clear();
        self.started.clear();
        self.children.clear();
        self.changes += 1;
    }
}

fn any(random: &mut Random, states: [State; 3]) -> State {
    states[random.index(3)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crm_core::model::Resource;
    use crm_core::time::Span;
    use std::sync::Arc;

    fn operation(op: u64, action: Action) -> Operation {
        let spec = crate::layouts::sample_resource();
        let spec: Arc<Resource> = Arc::new(spec);
        Operation {
            op: OpId(op),
            group: GroupId::new("db"),
            resource: spec.id.clone(),
            action,
            timeout: Span::secs(5),
            spec,
            word: Default::default(),
        }
    }

    #[test]
    fn a_start_holds_from_its_first_moment_and_outlives_its_daemon() {
        let (mut agents, mut random) = (Agents::default(), Random::new(1));
        let course = agents.begin(0, &mut random, 1, &operation(1, Action::Start));
        assert!(agents.holds_group(&GroupId::new("db")));
        let (child, result) = agents.end(&mut random, course.child, false).unwrap();
        assert_eq!((child.run, result.outcome), (1, OpOutcome::Done));
        let course = agents.begin(9, &mut random, 2, &operation(1, Action::Status));
        let (_, result) = agents.end(&mut random, course.child, false).unwrap();
        assert_eq!(result.outcome, OpOutcome::Done);
    }

    #[test]
    fn the_effect_of_a_killed_start_is_anybodys_guess() {
        let mut seen = BTreeSet::new();
        for seed in 0..50 {
            let (mut agents, mut random) = (Agents::default(), Random::new(seed));
            let course = agents.begin(0, &mut random, 1, &operation(1, Action::Start));
            assert!(agents.mark_timed_out(course.child));
            let (child, result) = agents.end(&mut random, course.child, true).unwrap();
            assert_eq!(result.outcome, OpOutcome::TimedOut);
            seen.insert(agents.state(&child.key));
        }
        assert_eq!(seen.len(), 3);
    }

    #[test]
    fn power_off_stops_everything() {
        let (mut agents, mut random) = (Agents::default(), Random::new(1));
        agents.begin(0, &mut random, 1, &operation(1, Action::Start));
        agents.power_off();
        assert_eq!(agents.holding().count(), 0);
        assert!(agents.children().is_empty());
    }
}
