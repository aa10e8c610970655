//! `runs_with`: groups that must be on one node are placed as one unit.

use super::facts::Facts;
use super::facts::{Hold, Stuck};
use super::obstacle::obstacle;

/// Groups tied together by `runs_with`, and where they could be.
pub(super) struct Unit {
    /// Those that are placed together, the leading one first.
    pub(super) core: Vec<usize>,
    /// Those that are not placed with the others now.
    pub(super) apart: Vec<(usize, Apart)>,
    /// Nodes possible for every group of `core`.
    pub(super) possible: Vec<bool>,
    /// The preference of the leading group that has one.
    pub(super) prefer: Vec<usize>,
}

/// Why a group is not placed with its unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Apart {
    /// Stopped by an operator.
    Stopped,
    /// Its owner keeps it: nothing can be taken.
    Stuck(Stuck),
    /// It must run with this group, which is stuck: it stays as it is.
    MateStuck(usize),
    /// It must run with this group, which is down.
    MateDown(usize),
    /// No node can run it together with those it must run with; they go on without it.
    NoCommonNode,
}

/// All units, in the order of their placement: higher priority first, then file order.
pub(super) fn units(facts: &Facts<'_>) -> Vec<Unit> {
    let mut root: Vec<usize> = (0..facts.groups.len()).collect();
    fn find(root: &mut [usize], mut at: usize) -> usize {
        while root[at] != at {
            root[at] = root[root[at]];
            at = root[at];
        }
        at
    }
    for group in 0..facts.groups.len() {
        for mate in mates(facts, group) {
            let (one, other) = (find(&mut root, group), find(&mut root, mate));
            root[one.max(other)] = one.min(other);
        }
    }
    let mut members: Vec<Vec<usize>> = vec![Vec::new(); facts.groups.len()];
    for group in 0..facts.groups.len() {
        members[find(&mut root, group)].push(group);
    }
    members.retain(|members| !members.is_empty());
    for members in &mut members {
        // Those that others run with lead those that run with others.
        members.sort_by_key(|group| {
            let spec = facts.groups[*group].spec;
            (std::cmp::Reverse(spec.priority), !spec.runs_with.is_empty(), *group)
        });
    }
    members.sort_by_key(|members| {
        let leader = facts.groups[members[0]].spec;
        (std::cmp::Reverse(leader.priority), members.iter().min().copied())
    });
    members.into_iter().map(|members| unit(facts, members)).collect()
}

fn mates<'f>(facts: &'f Facts<'_>, group: usize) -> impl Iterator<Item = usize> + 'f {
    facts.groups[group].spec.runs_with.iter().filter_map(|mate| facts.group(mate))
}

fn unit(facts: &Facts<'_>, mut core: Vec<usize>) -> Unit {
    let mut apart: Vec<(usize, Apart)> = Vec::new();
    let members = core.clone();
    core.retain(|group| {
        let why = if facts.is_stopped(*group) {
            Apart::Stopped
        } else if let Hold::Stuck { why, .. } = facts.groups[*group].hold {
            Apart::Stuck(why)
        } else {
            return true;
        };
        apart.push((*group, why));
        false
    });
    // Whoever must run with a group that is apart is apart as well.
    while let Some((group, why)) = core.iter().find_map(|group| {
        mates(facts, *group).find_map(|mate| {
            apart.iter().find(|(other, _)| *other == mate).map(|(_, why)| {
                let stuck = matches!(why, Apart::Stuck(_) | Apart::MateStuck(_));
                (*group, if stuck { Apart::MateStuck(mate) } else { Apart::MateDown(mate) })
            })
        })
    }) {
        core.retain(|other| *other != group);
        apart.push((group, why));
    }
    let mut possible = possible_for(facts, &core);
    // A group that can run nowhere does not take those down that it only runs with.
    while core.len() > 1 && !possible.contains(&true) {
        let Some(leaf) = core.iter().rposition(|group| {
            let leans = mates(facts, *group).any(|mate| core.contains(&mate) && mate != *group);
            let carries = core
                .iter()
                .any(|other| other != group && mates(facts, *other).any(|mate| mate == *group));
            leans && !carries
        }) else {
            break;
        };
        apart.push((core.remove(leaf), Apart::NoCommonNode));
        possible = possible_for(facts, &core);
    }
    let preferring = core.iter().chain(&members).find(|at| !facts.groups[**at].prefer.is_empty());
    let prefer = preferring.map(|at| facts.groups[*at].prefer.clone()).unwrap_or_default();
    Unit { core, apart, possible, prefer }
}

fn possible_for(facts: &Facts<'_>, core: &[usize]) -> Vec<bool> {
    (0..facts.nodes.len())
        .map(|node| core.iter().all(|group| obstacle(facts, *group, node).is_none()))
        .collect()
}
