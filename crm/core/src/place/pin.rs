//! Pins: a migrate names a node. The pin is over when the group has arrived or cannot get there; where
//! `failback: auto` would undo it at once it holds on, until an operator clears it or the node fails.

use super::avoid::Board;
use super::choose::goes_home;
use super::facts::{Facts, Stuck};
use super::unit::{Apart, Unit};
use super::verdict::{says, unit_obstacle};

/// Where the pins of a unit lead, and which of them are over.
#[derive(Default)]
pub(super) struct Pins {
    pub(super) target: Option<usize>,
    pub(super) finished: Vec<(usize, String)>,
}

/// Judges the pins of a unit's groups; the leading group's pin counts first.
pub(super) fn pins(facts: &Facts<'_>, units: &[Unit], number: usize, board: &Board) -> Pins {
    let mut pins = Pins::default();
    if facts.situation.intents.pins.is_empty() {
        return pins;
    }
    let unit = &units[number];
    for (group, why) in &unit.apart {
        let Some(name) = facts.situation.intents.pins.get(facts.group_id(*group)) else { continue };
        let text = match why {
            // It may yet be proved what became of the owner, and of a failed stop.
            Apart::Stuck(Stuck::Silent | Stuck::Joining | Stuck::StopFailed)
            | Apart::MateStuck(_) => continue,
            Apart::Stopped => "the group is stopped by an operator".to_owned(),
            Apart::Stuck(Stuck::Unconfigured) => "its owner is not configured any more".to_owned(),
            Apart::MateDown(mate) => {
                format!("{}, which it runs with, is down", facts.group_id(*mate))
            }
            Apart::NoCommonNode => "no node can run it with those it runs with".to_owned(),
        };
        pins.finished.push((*group, format!("it cannot go to node {name}: {text}")));
    }
    let mut active = None;
    for group in &unit.core {
        let Some(name) = facts.situation.intents.pins.get(facts.group_id(*group)) else { continue };
        let cannot = |text: &str| format!("it cannot go to node {name}: {text}");
        let Some(node) = facts.node(name) else {
            pins.finished.push((*group, cannot("there is no such node")));
            continue;
        };
        let verdict = if facts.groups[*group].owned_by() == Some(node) && facts.is_running(*group) {
            let home = unit.prefer.first().is_none_or(|home| *home == node);
            let cannot_stay = unit_obstacle(facts, unit, node).is_some();
            if home || cannot_stay || !goes_home(facts, unit) {
                Some(format!("it has arrived on node {name}"))
            } else {
                // `failback: auto` would undo the migrate at once: it holds until it is cleared.
                active = Some(node);
                None
            }
        } else if let Some((mate, obstacle)) = unit_obstacle(facts, unit, node) {
            if obstacle.may_pass_at_once() {
                // A new coordinator has not heard of everybody yet: what an operator was told holds (I5).
                continue;
            }
            let text = says(facts, mate, &obstacle);
            Some(if mate == *group {
                cannot(&format!("it {text}"))
            } else {
                cannot(&format!("for {}, which moves with it, it {text}", facts.group_id(mate)))
            })
        } else if active.is_some_and(|other| other != node) {
            Some(cannot("a group that moves with it is pinned elsewhere"))
        } else if let Some(other) = board.avoided_on(number, node)
            && board.free(units, number).contains(&true)
        {
            Some(cannot(&format!("{}, which it avoids, is there", facts.group_id(other))))
        } else {
            active = Some(node);
            None
        };
        if let Some(text) = verdict {
            pins.finished.push((*group, text));
        }
    }
    pins.target = active;
    pins
}
