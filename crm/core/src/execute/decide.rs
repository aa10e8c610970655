//! What to do next for a group: one pure function of its state.
//!
//! It is asked again after every step until it has nothing more to say, so it never plans ahead
//! and cannot be wrong about what happened meanwhile.

use super::group::{Goal, GroupState};
use super::resource::{ResourceState, Verdict};
use crate::rules::{Rule, Rules};
use crate::status::ResourcePhase;
use crate::time::Time;

/// One step of one group; numbers are positions in the group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Start(usize),
    Stop(usize),
    Look(usize),
    /// Kill the operation that is open.
    Cancel(usize),
    /// Decide what is done about a failure.
    Judge(usize),
    /// Everything that had to go down once is down: take the new definition, count the restart.
    Landed,
}

/// The next step of a group, if it needs one now.
pub(super) fn next<R: Rules>(group: &GroupState, now: Time, maintenance: bool) -> Option<Step> {
    act::<R>(group, maintenance).or_else(|| {
        let due = |i: &usize| group.looks_at(*i, maintenance).is_some_and(|at| at <= now);
        (0..group.resources.len()).find(due).map(Step::Look)
    })
}

fn act<R: Rules>(group: &GroupState, maintenance: bool) -> Option<Step> {
    let floor = group.floor();
    let landed = |floor| group.all_stopped_from(floor) && group.all_idle_from(floor);
    if floor.is_some_and(landed) {
        return Some(Step::Landed);
    }
    if maintenance || group.is_stuck() {
        return None;
    }
    match (group.goal(), floor) {
        (Goal::Stay, _) => None,
        (Goal::Down, _) => lower(group, 0).or_else(|| {
            // A look that ends after another group has started the same thing would find it running here.
            quiet(group, if group.retiring { 0 } else { floor? })
        }),
        (Goal::Up, None) if is_blocked(group) => None,
        // What has to go down anyway is stopped, not judged; what stays is judged when that is over.
        (Goal::Up, Some(floor)) => lower(group, floor).or_else(|| quiet(group, floor)),
        (Goal::Up, None) => unjudged(group).map(Step::Judge).or_else(|| raise::<R>(group)),
    }
}

/// `on_fail: block`: everything is left as it is for the operator.
fn is_blocked(group: &GroupState) -> bool {
    let left = |r: &ResourceState| r.phase == ResourcePhase::Failed && r.verdict == Verdict::Block;
    group.resources.iter().any(left)
}

/// A failure, or a doubt that a second look confirmed, about which nothing is decided yet.
fn unjudged(group: &GroupState) -> Option<usize> {
    group.resources.iter().position(|resource| match resource.phase {
        ResourcePhase::Failed => resource.verdict == Verdict::Open,
        ResourcePhase::Unknown => resource.doubts >= 2 && resource.is_idle(),
        _ => false,
    })
}

/// Starts the lowest resource that does not run, once everything after it is down (I2).
fn raise<R: Rules>(group: &GroupState) -> Option<Step> {
    let resources = &group.resources;
    // A later resource that nobody has looked at may run.
    if resources.iter().any(|resource| resource.phase == ResourcePhase::Unknown) {
        return None;
    }
    if !R::holds(Rule::StartInOrder) {
        let next = resources.iter().position(|r| r.is_stopped() && r.is_idle());
        return next.map(Step::Start);
    }
    let lowest = resources.iter().position(|resource| !resource.is_up())?;
    match resources[lowest].phase {
        ResourcePhase::Stopped if group.all_stopped_from(lowest + 1) => {
            // I2: one below that gave no clear answer last is looked at again first.
            let doubted =
                |r: &ResourceState| r.phase == ResourcePhase::Running && (r.doubts > 0 || r.unsure);
            if resources[..lowest].iter().any(doubted) {
                None
            } else if group.busy(lowest).is_none() {
                Some(Step::Start(lowest))
            } else {
                free(group, lowest)
            }
        }
        ResourcePhase::Failed => lower(group, lowest),
        _ => lower(group, lowest + 1),
    }
}

/// Stops the highest resource that is not proved stopped, down to `floor`.
fn lower(group: &GroupState, floor: usize) -> Option<Step> {
    let highest = (floor..group.resources.len()).rev();
    let i = highest.into_iter().find(|i| !group.resources[*i].is_stopped())?;
    let resource = &group.resources[i];
    match resource.phase {
        ResourcePhase::Starting => free(group, i),
        // First a look; an agent that gives no answer is told to stop.
        ResourcePhase::Unknown if resource.doubts == 0 || group.is_untouched(resource) => None,
        ResourcePhase::Unknown | ResourcePhase::Running | ResourcePhase::Failed => {
            if group.busy(i).is_none() { Some(Step::Stop(i)) } else { free(group, i) }
        }
        ResourcePhase::Stopped | ResourcePhase::Stopping | ResourcePhase::StopFailed => None,
    }
}

/// Ends looks at stopped resources that are about to be replaced.
fn quiet(group: &GroupState, floor: usize) -> Option<Step> {
    if !group.all_stopped_from(floor) {
        return None;
    }
    (floor..group.resources.len()).find_map(|i| free(group, i))
}

/// Cancels what is open on a resource, once.
fn free(group: &GroupState, i: usize) -> Option<Step> {
    let busy = group.busy(i)?;
    let open = group.resources[busy].open.as_ref()?;
    (!open.cancelled).then_some(Step::Cancel(busy))
}
