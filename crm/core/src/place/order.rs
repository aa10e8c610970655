//! The order in which groups stop when several have to: whoever starts after a group stops before it.

use super::choose::{Decision, leaves};
use super::facts::{Facts, Hold, Stuck};
use crate::id::GroupId;
use crate::model::Cluster;
use std::collections::BTreeMap;

/// All groups, those first that no other group waits for. Groups in a circle, which no
/// configuration that was checked has, keep the reverse of the file's order.
#[must_use]
pub fn stop_order(cluster: &Cluster) -> Vec<GroupId> {
    let positions: BTreeMap<&GroupId, usize> =
        cluster.groups.iter().enumerate().map(|(at, group)| (&group.id, at)).collect();
    let needs: Vec<Vec<usize>> = cluster
        .groups
        .iter()
        .map(|group| {
            group.starts_after.iter().filter_map(|id| positions.get(id).copied()).collect()
        })
        .collect();
    let starts = start_order(&needs);
    starts.iter().rev().map(|group| cluster.groups[*group].id.clone()).collect()
}

/// Everything after what it needs. Depth first without recursion: a chain may be as long as the
/// configuration.
fn start_order(needs: &[Vec<usize>]) -> Vec<usize> {
    let mut seen = vec![false; needs.len()];
    let mut starts: Vec<usize> = Vec::with_capacity(needs.len());
    for first in 0..needs.len() {
        if std::mem::replace(&mut seen[first], true) {
            continue;
        }
        let mut path = vec![(first, 0)];
        while let Some((group, next)) = path.last_mut() {
            match needs[*group].get(*next) {
                Some(need) => {
                    *next += 1;
                    if !std::mem::replace(&mut seen[*need], true) {
                        path.push((*need, 0));
                    }
                }
                None => {
                    starts.push(*group);
                    path.pop();
                }
            }
        }
    }
    starts
}

/// Groups that are to leave their owner, each with one that starts after it and stops first.
///
/// Nobody waits for what cannot be known or has failed: a silent owner, a failed stop. And a
/// group that stays where it is holds nobody up: `starts_after` is about starting.
pub(super) fn stops_after(facts: &Facts<'_>, decisions: &[Decision<'_>]) -> Vec<(usize, usize)> {
    let stops = |group: usize| {
        let in_order = matches!(
            facts.groups[group].hold,
            Hold::Owned(_) | Hold::Removed | Hold::Stuck { why: Stuck::Joining, .. }
        );
        in_order && !facts.groups[group].phase.is_stopped() && leaves(facts, decisions, group)
    };
    let dependents: Vec<usize> = (0..facts.groups.len())
        .filter(|group| !facts.groups[*group].spec.starts_after.is_empty() && stops(*group))
        .collect();
    if dependents.is_empty() {
        return Vec::new();
    }
    let needs: Vec<Vec<usize>> = facts
        .groups
        .iter()
        .map(|group| group.spec.starts_after.iter().filter_map(|id| facts.group(id)).collect())
        .collect();
    let mut place = vec![0; needs.len()];
    for (at, group) in start_order(&needs).into_iter().enumerate() {
        place[group] = at;
    }
    let mut found = BTreeMap::new();
    for dependent in dependents {
        for base in &needs[dependent] {
            // In a circle somebody has to be first.
            if place[*base] < place[dependent] && stops(*base) && facts.groups[*base].held {
                found.entry(*base).or_insert(dependent);
            }
        }
    }
    found.into_iter().collect()
}
