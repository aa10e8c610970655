//! The next step of a group: what runs is compared with what is wanted, and the one step that
//! order allows is taken (I2).

use super::Want;
use super::executor::Executor;
use super::group::{GroupRun, State};
use crate::id::GroupId;
use crate::operation::Action;
use crate::rules::Rules;
use crate::time::Time;

/// A step that order allows now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Call(usize, Action),
    Cancel(usize),
}

impl<R: Rules> Executor<R> {
    /// Takes every step that is possible now, then says what changed.
    pub(super) fn advance(&mut self, now: Time, id: &GroupId) {
        loop {
            let Some(group) = self.groups.get_mut(id) else { return };
            if group.is_stopped(true)
                && let Some(spec) = group.next_spec.take()
            {
                super::reconfigure::take(group, &spec, now);
            }
            if group.removed
                && group.is_stopped(true)
                && group.resources.iter().all(|r| r.open.is_none())
            {
                self.groups.remove(id);
                return;
            }
            settle(group, now);
            let steps = next_steps::<R>(group, self.maintenance);
            if steps.is_empty() {
                break;
            }
            for step in steps {
                match step {
                    Step::Call(index, action) => self.call(id, index, action),
                    Step::Cancel(index) => self.cancel(id, index),
                }
            }
        }
        self.tell(id);
        self.wake(now);
    }
}

/// Forgets a stop order that is carried out, and takes a new definition of the stopped tail.
fn settle(group: &mut GroupRun, now: Time) {
    let Some(from) = group.stop_from else { return };
    let tail = group.resources.iter().skip(from);
    if tail.clone().all(|r| r.state == State::Stopped && r.open.is_none()) {
        group.stop_from = None;
        if let Some(spec) = group.next_spec.take() {
            super::reconfigure::take_tail(group, &spec, from, now);
        }
    }
}

/// Index from which everything has to be stopped first, if anything has.
fn floor(group: &GroupRun) -> Option<usize> {
    if !group.goes_up() {
        return Some(0);
    }
    let broken = group.resources.iter().position(|r| r.state == State::Broken);
    let gap = group.resources.iter().position(|r| r.state != State::Running).filter(|at| {
        // Something runs above a resource that does not: it goes down first (I2).
        group.resources.get(*at).is_some_and(|r| r.state == State::Stopped)
            && group.resources.iter().skip(at + 1).any(|r| r.state == State::Running)
    });
    [broken, gap.map(|at| at + 1), group.stop_from].into_iter().flatten().min()
}

fn next_steps<R: Rules>(group: &GroupRun, maintenance: bool) -> Vec<Step> {
    if maintenance || group.blocked.is_some() || group.want == Want::Hold && !group.removed {
        return Vec::new();
    }
    if group.resources.iter().any(|r| r.state == State::StopFailed) {
        return Vec::new();
    }
    if let Some(from) = floor(group) {
        let busy = stop_steps(group, from);
        if !busy.is_empty() || !tail_is_stopped(group, from) || !group.goes_up() {
            return busy;
        }
    }
    start_steps::<R>(group)
}

fn tail_is_stopped(group: &GroupRun, from: usize) -> bool {
    group.resources.iter().skip(from).all(|r| r.state == State::Stopped && !r.changes())
}

/// In reverse, one at a time; an open start is cut off first.
fn stop_steps(group: &GroupRun, from: usize) -> Vec<Step> {
    for (index, resource) in group.resources.iter().enumerate().skip(from).rev() {
        match (&resource.open, resource.state) {
            (Some(open), _) if open.action == Action::Stop => return Vec::new(),
            (Some(open), state) => {
                let idle = open.action == Action::Status && state == State::Stopped;
                if idle {
                    continue;
                }
                // A first look is waited for; anything else gives way to the stop.
                let first_look = open.action == Action::Status && state == State::Unknown;
                if open.cancelled || first_look {
                    return Vec::new();
                }
                return vec![Step::Cancel(index)];
            }
            (None, State::Stopped) => {}
            (None, State::Unknown) if !resource.suspected => {
                return vec![Step::Call(index, Action::Status)];
            }
            (None, _) => return vec![Step::Call(index, Action::Stop)],
        }
    }
    Vec::new()
}

/// In order, each after the one before it runs.
fn start_steps<R: Rules>(group: &GroupRun) -> Vec<Step> {
    let mut steps = Vec::new();
    if group.resources.iter().any(|r| r.state == State::Unknown) {
        // Everything is looked at before anything is started; polls do that.
        return steps;
    }
    for (index, resource) in group.resources.iter().enumerate() {
        match (&resource.open, resource.state) {
            // It is going down just now; what stands on it waits for the end of that.
            (Some(open), _) if open.action == Action::Stop => break,
            (_, State::Running) => continue,
            (None, State::Stopped) => steps.push(Step::Call(index, Action::Start)),
            // A look at a stopped resource gives way to its start.
            (Some(open), State::Stopped) if open.action == Action::Status && !open.cancelled => {
                steps.push(Step::Cancel(index));
            }
            _ => {}
        }
        if R::START_IN_ORDER {
            break;
        }
    }
    steps
}
