//! The choice itself: unit by unit, keeping what is well where it is.

use super::possible::possible;
use super::unit::units;
use super::{Choice, NodeSituation, Placement, Situation};
use crate::id::NodeId;
use crate::model::{Failback, Group};
use crate::packet::GroupPhase;
use crate::record::GrantState;
use crate::status::Verdict;
use std::collections::{BTreeMap, BTreeSet};

/// Nodes that a unit could go to, with the reason against the others.
type Candidates = Vec<(NodeId, Result<(), String>)>;

pub(super) fn choose(situation: &Situation<'_>) -> Placement {
    let mut placement = Placement::default();
    let mut hosted: BTreeMap<NodeId, usize> = BTreeMap::new();
    let mut placed: BTreeMap<usize, NodeId> = BTreeMap::new();
    let units = units(situation.cluster);
    // What stays by force takes its place first, so that the others can avoid it.
    for unit in &units {
        let groups: Vec<&Group> = members(situation, unit);
        if let Some(owner) = groups.iter().find_map(|group| keeper(situation, group)) {
            for at in unit {
                placed.insert(*at, owner.clone());
            }
        }
    }
    for unit in &units {
        let groups = members(situation, unit);
        let decision = decide(situation, unit, &groups, &placed, &hosted);
        for (at, group) in unit.iter().zip(&groups) {
            if let Some(node) = &decision.node {
                placed.insert(*at, node.clone());
                *hosted.entry(node.clone()).or_default() += 1;
            } else {
                placed.remove(at);
            }
            placement.groups.insert(group.id.clone(), explain(situation, group, &decision));
        }
    }
    placement
}

/// The outcome for a unit.
struct Decision {
    node: Option<NodeId>,
    reason: String,
    candidates: Candidates,
    /// The choice is not to be started yet.
    wait: Option<String>,
}

fn members<'a>(situation: &Situation<'a>, unit: &[usize]) -> Vec<&'a Group> {
    unit.iter().filter_map(|at| situation.cluster.groups.get(*at)).collect()
}

/// An owner that keeps the group whatever anybody wishes: nothing can be taken from it now.
fn keeper(situation: &Situation<'_>, group: &Group) -> Option<NodeId> {
    let owner = situation.grants.get(&group.id).map(|grant| &grant.owner)?;
    let out_of_reach =
        matches!(situation.nodes.get(owner), Some(NodeSituation::Lost | NodeSituation::Joining));
    let stop_failed = situation
        .failures
        .get(&group.id)
        .and_then(|nodes| nodes.get(owner))
        .is_some_and(|failures| failures.stop_failed)
        && situation.nodes.get(owner) != Some(&NodeSituation::Gone);
    (out_of_reach || stop_failed).then(|| owner.clone())
}

fn decide(
    situation: &Situation<'_>,
    unit: &[usize],
    groups: &[&Group],
    placed: &BTreeMap<usize, NodeId>,
    hosted: &BTreeMap<NodeId, usize>,
) -> Decision {
    let owner = groups
        .iter()
        .find_map(|group| situation.grants.get(&group.id))
        .map(|grant| grant.owner.clone());
    let candidates = candidates(situation, groups, owner.as_ref());
    let nowhere = |reason: String, candidates: Candidates| Decision {
        node: None,
        reason,
        candidates,
        wait: None,
    };
    let keep = |node: NodeId, reason: String, candidates: Candidates| Decision {
        node: Some(node),
        reason,
        candidates,
        wait: None,
    };
    if situation.intents.maintenance.is_some() {
        let reason = "maintenance is on: nothing is changed".to_owned();
        return match owner {
            Some(owner) => keep(owner, reason, candidates),
            None => nowhere(reason, candidates),
        };
    }
    for group in groups {
        if let Some(owner) = keeper(situation, group) {
            let reason = match situation.nodes.get(&owner) {
                Some(NodeSituation::Lost) => format!(
                    "node {owner} is silent and nothing proves it dead, so the group cannot be taken from it"
                ),
                Some(NodeSituation::Joining) => format!("node {owner} is coming back with it"),
                _ => format!(
                    "blocked on node {owner}: a stop failed there, so it may still run; repair it, then `crm clear {}`",
                    group.id
                ),
            };
            return keep(owner, reason, candidates);
        }
    }
    if situation.intents.cluster_stopped {
        return nowhere("the cluster is stopped by an operator".to_owned(), candidates);
    }
    if let Some(group) = groups.iter().find(|group| situation.intents.stopped.contains(&group.id)) {
        let whose = if groups.len() == 1 { "it".to_owned() } else { format!("group {}", group.id) };
        return nowhere(format!("{whose} is stopped by an operator"), candidates);
    }
    let avoided = avoided(situation, unit, groups, placed);
    let good: Vec<&NodeId> =
        candidates.iter().filter(|(_, verdict)| verdict.is_ok()).map(|(node, _)| node).collect();
    // An avoided node is taken only when no other can be had.
    let clear: Vec<&NodeId> =
        good.iter().filter(|node| !avoided.contains(**node)).copied().collect();
    let pool = if clear.is_empty() { good.clone() } else { clear };
    let pinned = groups.iter().find_map(|group| situation.intents.pins.get(&group.id));
    if let Some(pinned) = pinned.filter(|node| good.contains(node)) {
        return keep(pinned.clone(), "an operator sent it there".to_owned(), candidates);
    }
    if pool.is_empty() {
        return nowhere("no node can run it".to_owned(), candidates);
    }
    let best = best(situation, groups, &pool, hosted);
    if let Some(owner) = owner.filter(|owner| pool.contains(&owner)) {
        let auto = groups.iter().any(|group| group.failback == Failback::Auto);
        let better = groups.iter().any(|group| {
            rank(group, &best) < rank(group, &owner) && rank(group, &best) < group.prefer.len()
        });
        if auto && better && best != owner {
            return keep(
                best.clone(),
                format!("it prefers node {best} (failback: auto)"),
                candidates,
            );
        }
        let ending = groups.iter().any(|group| {
            situation.grants.get(&group.id).is_some_and(|g| g.state == GrantState::Ending)
        });
        let reason = if ending && better {
            format!("it is given back to node {owner}")
        } else {
            "it stays where it is".to_owned()
        };
        return keep(owner, reason, candidates);
    }
    if let Some(awaited) = awaited_and_better(situation, groups, &best) {
        let reason = format!("waiting for node {awaited}, which it prefers (initdead)");
        return nowhere(reason, candidates);
    }
    let reason = why_best(groups, &best, hosted, &avoided);
    keep(best, reason, candidates)
}

/// What is thought of every node, in the order of preference.
fn candidates(situation: &Situation<'_>, groups: &[&Group], owner: Option<&NodeId>) -> Candidates {
    let mut nodes: Vec<&NodeId> = situation.cluster.nodes.iter().map(|node| &node.id).collect();
    nodes.sort_by_key(|node| groups.iter().map(|group| rank(group, node)).collect::<Vec<_>>());
    nodes
        .into_iter()
        .map(|node| {
            let verdict = groups.iter().try_for_each(|group| {
                let own = situation.grants.get(&group.id).map(|grant| &grant.owner);
                possible(situation, group, own.or(owner), node).map_err(|reason| {
                    if groups.len() > 1 { format!("group {}: {reason}", group.id) } else { reason }
                })
            });
            (node.clone(), verdict)
        })
        .collect()
}

/// Place in `prefer`; nodes that are not named come after all that are.
fn rank(group: &Group, node: &NodeId) -> usize {
    group.prefer.iter().position(|preferred| preferred == node).unwrap_or(group.prefer.len())
}

fn best(
    situation: &Situation<'_>,
    groups: &[&Group],
    pool: &[&NodeId],
    hosted: &BTreeMap<NodeId, usize>,
) -> NodeId {
    let load = |node: &NodeId| {
        let granted = situation.grants.values().filter(|grant| grant.owner == *node).count();
        hosted.get(node).copied().unwrap_or(0).max(granted)
    };
    pool.iter()
        .min_by_key(|node| {
            let ranks: Vec<usize> = groups.iter().map(|group| rank(group, node)).collect();
            (ranks, load(node))
        })
        .map_or_else(|| NodeId::new(""), |node| (**node).clone())
}

fn why_best(
    groups: &[&Group],
    best: &NodeId,
    hosted: &BTreeMap<NodeId, usize>,
    avoided: &BTreeSet<NodeId>,
) -> String {
    let preferred = groups.iter().any(|group| group.prefer.contains(best));
    if avoided.contains(best) {
        return "no other node can run it, so it stands beside a group that it avoids".to_owned();
    }
    if let Some(follow) = groups.iter().find_map(|group| group.follow.as_ref()) {
        return format!("node {best} holds the role of {} that the group follows", follow.service);
    }
    if groups.iter().any(|group| group.prefer.first() == Some(best)) {
        return "its first choice".to_owned();
    }
    if preferred {
        return "the best of its preferred nodes that can run it".to_owned();
    }
    let load = hosted.get(best).copied().unwrap_or(0);
    format!("the node that hosts least of those that can run it ({load} groups)")
}

fn avoided(
    situation: &Situation<'_>,
    unit: &[usize],
    groups: &[&Group],
    placed: &BTreeMap<usize, NodeId>,
) -> BTreeSet<NodeId> {
    let mut avoided = BTreeSet::new();
    for (at, node) in placed {
        if unit.contains(at) {
            continue;
        }
        let Some(other) = situation.cluster.groups.get(*at) else { continue };
        let apart = groups
            .iter()
            .any(|group| group.avoids.contains(&other.id) || other.avoids.contains(&group.id));
        if apart {
            avoided.insert(node.clone());
        }
    }
    avoided
}

/// A node that is still given time to come up and that every group of the unit likes better.
fn awaited_and_better(
    situation: &Situation<'_>,
    groups: &[&Group],
    best: &NodeId,
) -> Option<NodeId> {
    let first = groups.first()?;
    first
        .prefer
        .iter()
        .find(|node| situation.nodes.get(*node) == Some(&NodeSituation::Awaited))
        .filter(|node| groups.iter().all(|group| rank(group, node) < rank(group, best)))
        .cloned()
}

fn explain(situation: &Situation<'_>, group: &Group, decision: &Decision) -> Choice {
    let mut verdicts: Vec<Verdict> = decision
        .candidates
        .iter()
        .map(|(node, verdict)| Verdict {
            node: node.clone(),
            possible: verdict.is_ok(),
            reason: match verdict {
                Ok(()) => group
                    .prefer
                    .iter()
                    .position(|preferred| preferred == node)
                    .map_or("it could".to_owned(), |at| format!("it could, choice {}", at + 1)),
                Err(reason) => reason.clone(),
            },
        })
        .collect();
    if let Some(at) =
        verdicts.iter().position(|verdict| Some(&verdict.node) == decision.node.as_ref())
    {
        let chosen = verdicts.remove(at);
        verdicts.insert(0, chosen);
    }
    let owner = situation.grants.get(&group.id);
    let waits_for = if decision.node.is_some() { waits_for(situation, group) } else { None };
    let wait = waits_for.is_some() || decision.wait.is_some();
    let runs = owner.is_some_and(|grant| Some(&grant.owner) == decision.node.as_ref());
    let reason = match waits_for {
        Some(other) if !runs => format!("it starts after group {other}, which does not run yet"),
        _ => decision.reason.clone(),
    };
    Choice {
        node: decision.node.clone(),
        reason,
        verdicts,
        pin_finished: pin_finished(situation, group),
        wait: wait && !runs,
    }
}

/// A group that has to run before this one starts, and does not.
fn waits_for<'a>(situation: &Situation<'_>, group: &'a Group) -> Option<&'a crate::id::GroupId> {
    group.starts_after.iter().find(|other| {
        let held =
            situation.grants.get(*other).is_some_and(|grant| grant.state == GrantState::Held);
        !held || situation.phases.get(*other) != Some(&GroupPhase::Running)
    })
}

/// A migrate is an action: its pin ends when the group has arrived or cannot get there.
fn pin_finished(situation: &Situation<'_>, group: &Group) -> Option<String> {
    let pinned = situation.intents.pins.get(&group.id)?;
    let grant = situation.grants.get(&group.id);
    let arrived = grant.is_some_and(|g| g.owner == *pinned && g.state == GrantState::Held)
        && situation.phases.get(&group.id) == Some(&GroupPhase::Running);
    if arrived {
        return Some(format!("it has arrived on node {pinned}"));
    }
    if situation.intents.maintenance.is_some() {
        return None;
    }
    let owner = grant.map(|grant| &grant.owner);
    possible(situation, group, owner, pinned)
        .err()
        .map(|reason| format!("it cannot go to node {pinned}: {reason}"))
}
