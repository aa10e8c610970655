//! One line for each node: what speaks for it, or against it.

use super::NodeSituation;
use super::choose::Settlement;
use super::facts::Facts;
use super::obstacle::{Obstacle, obstacle};
use super::preference::rank;
use super::unit::{Apart, Unit};
use crate::status::Verdict;
use std::fmt::Write;

/// Every node: the chosen one, the possible ones from the best on, then the others.
pub(super) fn verdicts(
    facts: &Facts<'_>,
    settlement: &Settlement<'_>,
    group: usize,
) -> Vec<Verdict> {
    let decision = &settlement.decisions[group];
    let unit = &settlement.units[decision.unit];
    let chosen = decision.node.and_then(|node| facts.node(node));
    let together = unit.core.contains(&group);
    // A group tied to one that is down or cannot move may go nowhere else.
    let tied = unit.apart.iter().any(|(other, why)| {
        *other == group && matches!(why, Apart::MateStuck(_) | Apart::MateDown(_))
    });
    let mut lines: Vec<_> = (0..facts.nodes.len())
        .map(|node| {
            let found = if together && unit.possible[node] {
                None
            } else {
                let own = obstacle(facts, group, node).map(|found| (group, found));
                own.or_else(|| if together { unit_obstacle(facts, unit, node) } else { None })
            };
            let tied = tied && Some(node) != chosen;
            let hosts = if unit.prefer.is_empty() { settlement.board.hosts[node] } else { 0 };
            let place = (Some(node) != chosen, found.is_some() || tied, rank(unit, node), hosts);
            (place, node, found)
        })
        .collect();
    lines.sort_unstable_by_key(|(place, node, _)| (*place, *node));
    lines
        .into_iter()
        .map(|(place, node, found)| {
            let reason = match found {
                Some((mate, found)) if mate != group => {
                    format!("group {}: it {}", facts.group_id(mate), says(facts, mate, &found))
                }
                Some((_, found)) => format!("it {}", says(facts, group, &found)),
                None if place.1 => "it could, but not with those it runs with".to_owned(),
                None => merits(facts, settlement, group, node),
            };
            Verdict { node: facts.nodes[node].id.clone(), possible: !place.1, reason }
        })
        .collect()
}

/// What speaks for a node that could run the group.
fn merits(facts: &Facts<'_>, settlement: &Settlement<'_>, group: usize, node: usize) -> String {
    let number = settlement.decisions[group].unit;
    let unit = &settlement.units[number];
    let mut text = String::from(if facts.groups[group].owner() == Some(node) {
        "it has the group"
    } else {
        "it could"
    });
    if let Some(choice) = unit.prefer.iter().position(|preferred| *preferred == node) {
        let _ = write!(text, ", choice {}", choice + 1);
    }
    if facts.groups[group].owner() == Some(node)
        && let Some(why) = facts.not_good_at(group, node)
    {
        let _ = write!(text, ", but has no good copy any more: {why}");
    }
    if let Some(other) = settlement.board.avoided_on(number, node) {
        let _ = write!(text, ", but {}, which it avoids, is there", facts.group_id(other));
    }
    text
}

/// The first obstacle of any group of the unit, and whose it is.
pub(super) fn unit_obstacle<'a>(
    facts: &Facts<'a>,
    unit: &Unit,
    node: usize,
) -> Option<(usize, Obstacle<'a>)> {
    unit.core.iter().find_map(|group| obstacle(facts, *group, node).map(|found| (*group, found)))
}

/// What a node lacks, to follow its name or `it`.
pub(super) fn says(facts: &Facts<'_>, group: usize, found: &Obstacle<'_>) -> String {
    match *found {
        Obstacle::Situation(situation) => match situation {
            NodeSituation::Online => "is online",
            NodeSituation::Joining => "is joining and not ready yet",
            NodeSituation::Awaited => "has not come up yet",
            NodeSituation::Lost => "is silent",
            NodeSituation::Gone => "is proved dead",
        }
        .to_owned(),
        Obstacle::Standby => "is in standby".to_owned(),
        Obstacle::Leaving => "is leaving".to_owned(),
        Obstacle::Left => "has left the cluster".to_owned(),
        Obstacle::Banned(reason) => format!("has a stale copy of the data: {reason}"),
        Obstacle::Failed(failures) => {
            let id = facts.group_id(group);
            let what = if failures.stop_failed {
                format!("failed to stop {id}")
            } else {
                format!("saw {id} fail")
            };
            match failures.count {
                0 | 1 => format!("{what}: {}", failures.reason),
                count => format!("{what} {count} times, last: {}", failures.reason),
            }
        }
        Obstacle::NotPreferred => {
            format!("is not in prefer of {}, which runs nowhere else", facts.group_id(group))
        }
        Obstacle::OtherRole { service, wanted, held: Some(held) } => {
            format!("has role {held} of {service}, not {wanted}")
        }
        Obstacle::OtherRole { service, wanted, held: None } => {
            format!("has no known role of {service}, and the group follows {wanted}")
        }
        Obstacle::ClaimedTwice { service, role } => {
            format!("is not alone in claiming role {role} of {service}")
        }
        Obstacle::NotEligible(reason) => format!("is not eligible: {reason}"),
        Obstacle::EligibilityUnknown { reason: Some(reason) } => {
            format!("may be eligible or not: {reason}")
        }
        Obstacle::EligibilityUnknown { reason: None } => {
            "has not said that it is eligible".to_owned()
        }
    }
}
