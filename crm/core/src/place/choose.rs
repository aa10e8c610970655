//! Puts unit after unit on a node.

use super::avoid::Board;
use super::facts::{Facts, Hold, Stuck};
use super::obstacle::obstacle;
use super::order::stops_after;
use super::pin::pins;
use super::preference::{best, better_than};
use super::unit::{Apart, Unit, units};
use super::wait::{WaitsFor, awaited, waits_for};
use crate::id::NodeId;
use crate::model::{Failback, OnDiskError};
use crate::packet::GroupPhase;

/// Every decision, by position of the group.
pub(super) struct Settlement<'a> {
    pub(super) decisions: Vec<Decision<'a>>,
    pub(super) units: Vec<Unit>,
    pub(super) board: Board,
}

pub(super) struct Decision<'a> {
    pub(super) node: Option<&'a NodeId>,
    pub(super) why: Why,
    /// A group it avoids that is on the same node all the same.
    pub(super) shares: Option<usize>,
    pub(super) waits_for: Option<WaitsFor<'a>>,
    /// Nothing may be granted, whatever `waits_for` says.
    pub(super) wait: bool,
    /// It is to stop where it is, once this group has stopped.
    pub(super) stops_after: Option<usize>,
    pub(super) pin_finished: Option<String>,
    /// Position of the unit it was placed with, or stands apart from.
    pub(super) unit: usize,
}

/// Which rule decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Why {
    Maintenance,
    Stopped,
    /// Nothing can be taken from the owner.
    Stuck(Stuck),
    /// It must run with that group, which is stuck.
    MateStuck(usize),
    /// It must run with that group, which is down.
    MateDown(usize),
    NoCommonNode,
    /// H36: it may move on silence, but nobody else can run it.
    NobodyTakesOver,
    /// No node is possible.
    Blocked,
    /// `initdead`.
    Awaits(usize),
    Pinned,
    /// It runs there already.
    Stays,
    /// It went to the best node to be had.
    Best,
    Failback,
    /// Its copy of the data there is no longer good, and here is one that is (HB27).
    BetterCopy(usize),
    /// It makes room for that group.
    GivesWay(usize),
}

pub(super) fn settle<'a>(facts: &Facts<'a>) -> Settlement<'a> {
    let units = units(facts);
    let mut board = Board::new(facts, &units);
    let maintenance = facts.situation.intents.maintenance.is_some();
    let mut decisions: Vec<Decision<'a>> = (0..facts.groups.len())
        .map(|group| Decision {
            node: facts.situation.grants.get(facts.group_id(group)).map(|grant| &grant.owner),
            why: Why::Maintenance,
            shares: None,
            waits_for: None,
            // What was ending is not given back meanwhile either.
            wait: maintenance && facts.groups[group].ends(),
            stops_after: None,
            pin_finished: None,
            unit: 0,
        })
        .collect();
    for (number, unit) in units.iter().enumerate() {
        for group in unit.core.iter().chain(unit.apart.iter().map(|(group, _)| group)) {
            decisions[*group].unit = number;
        }
    }
    if maintenance {
        return Settlement { decisions, units, board };
    }
    for unit in &units {
        for (group, apart) in &unit.apart {
            let (node, why) = apart_from_unit(facts, *group, *apart);
            decisions[*group].why = why;
            decisions[*group].node = node;
            let node = node.and_then(|node| facts.node(node));
            // What is stopped by an operator may still be there for a while.
            if *apart != Apart::Stopped {
                board.put(*group, node);
            }
        }
    }
    // Groups that avoid each other make room in turn. Every such move ends a meeting and makes
    // none, so this comes to rest by itself, in two or three rounds as a rule.
    let rounds = if board.anything_avoided() { units.len() + 1 } else { 1 };
    let pins: Vec<_> = (0..units.len()).map(|unit| pins(facts, &units, unit, &board)).collect();
    let pinned: Vec<Option<usize>> = pins.iter().map(|pins| pins.target).collect();
    let mut present: Vec<Option<usize>> =
        units.iter().map(|unit| present_place(facts, unit)).collect();
    // A unit is where its leading group is, also those of it that have yet to follow.
    for (unit, node) in units.iter().zip(&present).filter(|(_, node)| node.is_some()) {
        for group in &unit.core {
            board.put(*group, *node);
        }
    }
    let stood = present.clone();
    let mut returned = vec![false; units.len()];
    let mut whys: Vec<Option<Why>> = vec![None; units.len()];
    for _ in 0..rounds {
        let mut changed = false;
        for (number, unit) in units.iter().enumerate() {
            // It made room, and then the other one left as well: once it may stay after all.
            let needless = stood[number].filter(|node| {
                matches!(whys[number], Some(Why::GivesWay(_)))
                    && !returned[number]
                    && board.free(&units, number)[*node]
            });
            if needless.is_some() {
                returned[number] = true;
                present[number] = needless;
                whys[number] = None;
                changed = true;
            }
            let (node, why) = place_unit(facts, &units, number, &board, present[number], &pinned);
            if node != present[number] || whys[number].is_none() {
                whys[number] = Some(why);
            }
            changed |= node != present[number];
            present[number] = node;
            for group in &unit.core {
                board.put(*group, node);
            }
        }
        if !changed {
            break;
        }
    }
    for (number, unit) in units.iter().enumerate() {
        for group in &unit.core {
            let decision = &mut decisions[*group];
            let here = &facts.groups[*group];
            decision.why = whys[number].unwrap_or(Why::Blocked);
            decision.node = present[number].map(|node| facts.nodes[node].id);
            if let (None, Hold::Silence(owner)) = (present[number], here.hold) {
                decision.node = Some(facts.nodes[owner].id);
                decision.why = Why::NobodyTakesOver;
            }
            decision.wait = matches!(decision.why, Why::Awaits(_));
            decision.shares = present[number].and_then(|node| board.avoided_on(number, node));
        }
    }
    for group in 0..decisions.len() {
        if decisions[group].node.is_some()
            && leaves(facts, &decisions, group)
            && decisions[group].why != Why::NobodyTakesOver
            && !matches!(decisions[group].why, Why::Stuck(_) | Why::MateStuck(_))
        {
            decisions[group].waits_for = waits_for(facts, &decisions, group);
        }
    }
    for (group, first) in stops_after(facts, &decisions) {
        decisions[group].stops_after = Some(first);
    }
    for (group, text) in pins.into_iter().flat_map(|pins| pins.finished) {
        decisions[group].pin_finished = Some(text);
    }
    Settlement { decisions, units, board }
}

/// Whether a group is not simply to stay as it is: granted to nobody, ending, or to move or stop.
pub(super) fn leaves(facts: &Facts<'_>, decisions: &[Decision<'_>], group: usize) -> bool {
    let owner = facts.situation.grants.get(facts.group_id(group)).map(|grant| &grant.owner);
    !facts.groups[group].held || decisions[group].node != owner
}

/// A group that is not placed with its unit: where it stays, if anywhere.
fn apart_from_unit<'a>(facts: &Facts<'a>, group: usize, apart: Apart) -> (Option<&'a NodeId>, Why) {
    let here = &facts.groups[group];
    match apart {
        Apart::Stopped => (None, Why::Stopped),
        Apart::Stuck(why) => {
            let owner = match here.hold {
                Hold::Stuck { owner, .. } => Some(owner),
                _ => None,
            };
            (owner, Why::Stuck(why))
        }
        Apart::MateStuck(mate) => {
            let stays = here.owned_by().filter(|node| obstacle(facts, group, *node).is_none());
            let stays = match here.hold {
                Hold::Silence(node) => Some(node),
                _ => stays,
            };
            (stays.map(|node| facts.nodes[node].id), Why::MateStuck(mate))
        }
        Apart::MateDown(mate) => (None, Why::MateDown(mate)),
        Apart::NoCommonNode => (None, Why::NoCommonNode),
    }
}

/// Where a unit is now: on the leading group's node, or on any group's that all could share.
fn present_place(facts: &Facts<'_>, unit: &Unit) -> Option<usize> {
    unit.core
        .iter()
        .filter_map(|group| facts.groups[*group].owned_by())
        .find(|node| unit.possible[*node])
}

/// Whether the unit goes back by itself to a node that it likes better: its leading group says.
pub(super) fn goes_home(facts: &Facts<'_>, unit: &Unit) -> bool {
    unit.core.first().is_some_and(|leader| facts.groups[*leader].spec.failback == Failback::Auto)
}

/// HB27: the group of the unit whose data are no longer good on the node that runs it, and that is not to stay there
/// for that; and what the node says of them. What was not looked at yet is no such word.
pub(super) fn lost_its_copy<'a>(
    facts: &Facts<'a>,
    unit: &Unit,
    node: usize,
) -> Option<(usize, &'a str)> {
    unit.core.iter().find_map(|at| {
        let group = &facts.groups[*at];
        let moves = group.spec.on_disk_error == OnDiskError::Move
            && group.owned_by() == Some(node)
            && group.phase != GroupPhase::Unknown;
        facts.not_good_at(*at, node).filter(|_| moves).map(|why| (*at, why))
    })
}

fn place_unit(
    facts: &Facts<'_>,
    units: &[Unit],
    number: usize,
    board: &Board,
    present: Option<usize>,
    pinned: &[Option<usize>],
) -> (Option<usize>, Why) {
    let unit = &units[number];
    if unit.core.is_empty() {
        return (None, Why::Blocked);
    }
    if let Some(pinned) = pinned[number] {
        return (Some(pinned), Why::Pinned);
    }
    let free = board.free(units, number);
    // Its own groups do not count when it looks for the emptiest node.
    let mut hosts = board.hosts.clone();
    for node in unit.core.iter().filter_map(|group| board.at[*group]) {
        hosts[node] -= 1;
    }
    let roomy = best(unit, &free, &hosts);
    if let Some(present) = present {
        if let Some(other) = roomy.filter(|_| !free[present])
            && let Some(group) = board.gives_way(facts, units, pinned, number, present)
        {
            return (Some(other), Why::GivesWay(group));
        }
        if lost_its_copy(facts, unit, present).is_some() {
            let elsewhere: Vec<bool> =
                free.iter().enumerate().map(|(node, free)| *free && node != present).collect();
            if let Some(other) = best(unit, &elsewhere, &hosts) {
                return (Some(other), Why::BetterCopy(present));
            }
        }
        return match better_than(unit, present, &free).filter(|_| goes_home(facts, unit)) {
            Some(better) => (Some(better), Why::Failback),
            None => (Some(present), Why::Stays),
        };
    }
    let Some(node) = roomy.or_else(|| best(unit, &unit.possible, &hosts)) else {
        return (None, Why::Blocked);
    };
    match awaited(facts, unit, node) {
        Some(absent) => (None, Why::Awaits(absent)),
        None => (Some(node), Why::Best),
    }
}
