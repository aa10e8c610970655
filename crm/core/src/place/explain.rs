//! The sentence for each choice: why there, or why nowhere.

use super::Choice;
use super::choose::{Decision, Settlement, Why, goes_home, lost_its_copy};
use super::facts::{Facts, Hold, Stuck};
use super::obstacle::{Obstacle, obstacle};
use super::preference::better_than;
use super::unit::Unit;
use super::verdict::{says, unit_obstacle, verdicts};
use std::fmt::Write;

/// How many nodes a sentence names before it only counts them.
const NAMED_MAX: usize = 4;

/// The choice of one group, in words.
pub(super) fn choice(facts: &Facts<'_>, settlement: &Settlement<'_>, group: usize) -> Choice {
    let decision = &settlement.decisions[group];
    let mut reason = match &decision.waits_for {
        Some(waits) => format!("it starts after group {}, {}", waits.group, waits.because),
        None => sentence(facts, settlement, group, decision),
    };
    if let Some(other) = decision.shares {
        let other = facts.group_id(other);
        let _ =
            write!(reason, "; it stands beside {other}, which it avoids: no other node is free");
    }
    if let Some(first) = decision.stops_after {
        let first = facts.group_id(first);
        let _ = write!(reason, "; group {first}, which starts after it, stops first");
    }
    Choice {
        node: decision.node.cloned(),
        reason,
        verdicts: verdicts(facts, settlement, group),
        pin_finished: decision.pin_finished.clone(),
        wait: decision.wait || decision.waits_for.is_some(),
        stops_after: decision.stops_after.map(|first| facts.group_id(first).clone()),
    }
}

fn sentence(
    facts: &Facts<'_>,
    settlement: &Settlement<'_>,
    group: usize,
    decision: &Decision<'_>,
) -> String {
    let here = &facts.groups[group];
    let node = decision.node.map_or("", |node| node.as_str());
    let unit = &settlement.units[decision.unit];
    match decision.why {
        Why::Maintenance => "maintenance is on: nothing is changed".to_owned(),
        Why::Stopped => stopped(facts, group),
        Why::Stuck(stuck) => kept(facts, group, stuck, node),
        Why::MateStuck(mate) if decision.node.is_some() => {
            format!("it stays with {}, which cannot be moved now", facts.group_id(mate))
        }
        Why::MateStuck(mate) => {
            format!("it must run with {}, which cannot be moved now", facts.group_id(mate))
        }
        Why::MateDown(mate) => format!("it must run with {}, which is down", facts.group_id(mate)),
        Why::NoCommonNode => {
            let against = why_nowhere(facts, &[group], Some(unit));
            format!("no node can run it with those it runs with: {against}")
        }
        Why::NobodyTakesOver => {
            let against = why_nowhere(facts, &unit.core, None);
            format!("node {node} is silent, and no other node can run it: {against}")
        }
        Why::Blocked => format!("no node can run it: {}", why_nowhere(facts, &unit.core, None)),
        Why::Awaits(absent) => {
            format!("waiting for node {}, which it prefers (initdead)", facts.nodes[absent].id)
        }
        Why::Pinned => pinned(facts, unit, group, decision),
        Why::Stays => stays(facts, unit, group, decision),
        Why::Best => best(facts, unit, group, decision),
        Why::Failback => format!("it prefers node {node} (failback: auto)"),
        Why::BetterCopy(from) => better_copy(facts, unit, group, from, node),
        Why::GivesWay(other) => {
            let from = here.owner().map_or("its node", |from| facts.nodes[from].id.as_str());
            format!("it leaves {from} to {}, which it avoids", facts.group_id(other))
        }
    }
}

/// HB27: what its node says of its data, and who has better ones.
fn better_copy(facts: &Facts<'_>, unit: &Unit, group: usize, from: usize, to: &str) -> String {
    let id = facts.nodes[from].id;
    match lost_its_copy(facts, unit, from) {
        Some((mate, why)) => {
            let whose = match mate == group {
                true => String::new(),
                false => format!("for {} ", facts.group_id(mate)),
            };
            format!(
                "it leaves {id}, which {whose}has no good copy any more: {why}; {to} has one (on_disk_error: move)"
            )
        }
        None => format!("{to} has a better copy than {id}"),
    }
}

/// A migrate: under way, or holding against `failback: auto`.
fn pinned(facts: &Facts<'_>, unit: &Unit, group: usize, decision: &Decision<'_>) -> String {
    let text = "an operator sent it there".to_owned();
    let pins = &facts.situation.intents.pins;
    let pinned = unit.core.iter().find(|group| pins.contains_key(facts.group_id(**group)));
    let here = &facts.groups[group];
    let there = here.owned_by().is_some()
        && here.owned_by() == decision.node.and_then(|node| facts.node(node));
    match pinned {
        Some(pinned) if there && goes_home(facts, unit) => {
            format!(
                "{text}; it stays until `crm clear {}` (failback: auto)",
                facts.group_id(*pinned)
            )
        }
        _ => text,
    }
}

fn stopped(facts: &Facts<'_>, group: usize) -> String {
    let mut text = if facts.situation.intents.cluster_stopped {
        "the cluster is stopped by an operator".to_owned()
    } else {
        "it is stopped by an operator".to_owned()
    };
    if let Hold::Stuck { owner, why, .. } = facts.groups[group].hold {
        let but = match why {
            Stuck::Silent => "is silent, so its stop is not proved",
            Stuck::Joining => "is not ready yet, so its stop is not proved",
            Stuck::StopFailed => "failed to stop it, so it may still run there",
            Stuck::Unconfigured => "is not configured any more, so its stop is not proved",
        };
        let _ = write!(text, "; but node {owner} {but}");
    }
    if let Hold::Silence(owner) = facts.groups[group].hold {
        let owner = facts.nodes[owner].id;
        let _ = write!(text, "; node {owner} is silent, so it may still run there");
    }
    text
}

/// A group that cannot be taken from its owner.
fn kept(facts: &Facts<'_>, group: usize, stuck: Stuck, node: &str) -> String {
    match stuck {
        Stuck::Silent => format!(
            "node {node} is silent and nothing proves it dead, so the group cannot be taken from it"
        ),
        Stuck::Joining => format!("node {node} is coming back with it"),
        Stuck::StopFailed => format!(
            "blocked on node {node}: a stop failed there, so it may still run; \
             repair it, then `crm clear {}`",
            facts.group_id(group)
        ),
        Stuck::Unconfigured => format!(
            "node {node} is not configured any more and nothing proves it dead, so the group \
             cannot be taken from it; if that machine is certainly off: `crm confirm-dead {node}`"
        ),
    }
}

fn stays(facts: &Facts<'_>, unit: &Unit, group: usize, decision: &Decision<'_>) -> String {
    let node = decision.node.and_then(|node| facts.node(node));
    if facts.groups[group].owner() != node {
        return "it goes where those are with which it runs".to_owned();
    }
    match node.and_then(|node| better_than(unit, node, &unit.possible)) {
        Some(better) => {
            format!("it stays where it is, though it prefers node {}", facts.nodes[better].id)
        }
        None => "it stays where it is".to_owned(),
    }
}

/// A group that goes to the best node to be had: why not where it was, and why that one.
fn best(facts: &Facts<'_>, unit: &Unit, group: usize, decision: &Decision<'_>) -> String {
    let Some(node) = decision.node.and_then(|node| facts.node(node)) else { return String::new() };
    let here = &facts.groups[group];
    let mut text = match here.hold {
        Hold::Silence(from) => {
            format!("node {} is silent, and silence may move this group; ", facts.nodes[from].id)
        }
        Hold::Owned(from) if from != node => {
            let id = facts.nodes[from].id;
            match unit_obstacle(facts, unit, from) {
                Some((mate, found)) => {
                    let whose = if mate == group || found.speaks_for_itself() {
                        String::new()
                    } else {
                        format!("for {} ", facts.group_id(mate))
                    };
                    format!("it leaves {id}, which {whose}{}; ", says(facts, mate, &found))
                }
                None => format!("it leaves {id} to be with those it runs with; "),
            }
        }
        _ => String::new(),
    };
    let moved = !text.is_empty();
    let id = facts.nodes[node].id;
    let named = unit.prefer.iter().position(|preferred| *preferred == node);
    let is = if moved { format!("{id} is ") } else { String::new() };
    let _ = match (&here.followed, named) {
        (Some(follow), _) => {
            let it = if moved { format!("{id} has") } else { "it follows".to_owned() };
            write!(text, "{it} role {} of {}", follow.role, follow.service)
        }
        (None, Some(0)) => write!(text, "{is}its first choice"),
        (None, Some(_)) => write!(text, "{is}the best of its preferred nodes that can run it"),
        (None, None) if unit.possible.iter().filter(|possible| **possible).count() == 1 => {
            write!(text, "{is}the only node that can run it")
        }
        (None, None) if unit.prefer.is_empty() => {
            write!(text, "{is}the node that hosts least of those that can run it")
        }
        (None, None) => write!(text, "no preferred node can be had, and {id} can run it"),
    };
    text
}

/// What every node has against these groups, and the words that help.
fn why_nowhere(facts: &Facts<'_>, groups: &[usize], beside: Option<&Unit>) -> String {
    let mut text = String::new();
    let mut failed = None;
    let mut banned = false;
    for node in 0..facts.nodes.len() {
        let own = groups
            .iter()
            .find_map(|group| obstacle(facts, *group, node).map(|found| (*group, found)));
        let found = own.or_else(|| beside.and_then(|unit| unit_obstacle(facts, unit, node)));
        let Some((group, found)) = found else { continue };
        match found {
            Obstacle::Failed(_) => failed = Some(group),
            Obstacle::Banned(_) => banned = true,
            _ => {}
        }
        if node < NAMED_MAX {
            let separator = if text.is_empty() { "" } else { "; " };
            let _ = write!(text, "{separator}{} ", facts.nodes[node].id);
            if groups.first() != Some(&group) && !found.speaks_for_itself() {
                let _ = write!(text, "(for {}) ", facts.group_id(group));
            }
            text.push_str(&says(facts, group, &found));
        }
    }
    if facts.nodes.is_empty() {
        text.push_str("there are no nodes");
    }
    if facts.nodes.len() > NAMED_MAX {
        let _ = write!(text, "; and {} more nodes", facts.nodes.len() - NAMED_MAX);
    }
    if let Some(group) = failed {
        let _ = write!(text, "; `crm clear {}` lets it try again", facts.group_id(group));
    }
    if banned {
        text.push_str("; where no better copy will come back, `crm promote --stale NODE GROUP` there serves an older one");
    }
    text
}
