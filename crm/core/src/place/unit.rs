//! Units: groups that `runs_with` ties together are placed as one.

use crate::model::Cluster;
use std::collections::BTreeMap;

/// Positions of the groups of each unit, in placing order: highest priority first, then file
/// order.
pub(super) fn units(cluster: &Cluster) -> Vec<Vec<usize>> {
    let position: BTreeMap<_, usize> =
        cluster.groups.iter().enumerate().map(|(at, group)| (&group.id, at)).collect();
    let mut root: Vec<usize> = (0..cluster.groups.len()).collect();
    for (at, group) in cluster.groups.iter().enumerate() {
        for other in group.runs_with.iter().filter_map(|id| position.get(id)) {
            let (one, two) = (find(&root, at), find(&root, *other));
            let (low, high) = (one.min(two), one.max(two));
            if let Some(slot) = root.get_mut(high) {
                *slot = low;
            }
        }
    }
    let mut units: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for at in 0..cluster.groups.len() {
        units.entry(find(&root, at)).or_default().push(at);
    }
    let mut units: Vec<Vec<usize>> = units.into_values().collect();
    let priority = |unit: &Vec<usize>| {
        unit.iter().filter_map(|at| cluster.groups.get(*at)).map(|g| g.priority).max().unwrap_or(0)
    };
    units.sort_by_key(|unit| std::cmp::Reverse(priority(unit)));
    units
}

fn find(root: &[usize], mut at: usize) -> usize {
    while let Some(up) = root.get(at).copied()
        && up != at
    {
        at = up;
    }
    at
}
