//! The order in which groups stop when many have to: the reverse of how they start.

use crate::id::GroupId;
use crate::model::Cluster;
use std::collections::BTreeMap;

/// All groups, those first that nothing else waits for or runs with: whoever starts after a group
/// stops before it. Groups in a circle keep the reverse of the file's order.
#[must_use]
pub fn stop_order(cluster: &Cluster) -> Vec<GroupId> {
    let positions: BTreeMap<&GroupId, usize> =
        cluster.groups.iter().enumerate().map(|(at, group)| (&group.id, at)).collect();
    let needs: Vec<Vec<usize>> = cluster
        .groups
        .iter()
        .map(|group| {
            let names = group.starts_after.iter().chain(&group.runs_with);
            names.filter_map(|name| positions.get(name).copied()).collect()
        })
        .collect();
    // Depth first without recursion: a chain may be as long as the configuration.
    let mut seen = vec![false; needs.len()];
    let mut starts: Vec<usize> = Vec::with_capacity(needs.len());
    for first in 0..needs.len() {
        let mut path = vec![(first, 0)];
        if std::mem::replace(&mut seen[first], true) {
            continue;
        }
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
    starts.iter().rev().map(|group| cluster.groups[*group].id.clone()).collect()
}
