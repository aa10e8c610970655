//! Orders that bite their own tail, and wishes that contradict one another.

use super::Rulebook;
use crate::tree::shorten;
use crm_core::id::GroupId;
use crm_core::model::Group;
use std::collections::{BTreeMap, BTreeSet};

impl Rulebook<'_> {
    pub(super) fn order(&mut self) {
        self.cycle("starts_after", |group| &group.starts_after, "none of them could ever start");
        self.cycle(
            "runs_with",
            |group| &group.runs_with,
            "one must follow the other, not each the other",
        );
        self.together_and_apart();
    }

    fn cycle(&mut self, key: &str, next: impl Fn(&Group) -> &Vec<GroupId>, harm: &str) {
        let edges: BTreeMap<&GroupId, &Vec<GroupId>> =
            self.cluster.groups.iter().map(|group| (&group.id, next(group))).collect();
        let mut settled: BTreeSet<&GroupId> = BTreeSet::new();
        for group in &self.cluster.groups {
            let Some(round) = find_cycle(&group.id, &edges, &mut settled) else { continue };
            let names: Vec<&str> = round.iter().map(|id| id.as_str()).collect();
            if names.len() < 2 {
                continue; // A group that names itself has been reported.
            }
            let first = names.first().copied().unwrap_or_default();
            self.findings
                .error(
                    self.places.find(&format!("groups/{first}/{key}")),
                    format!("`{key}` goes in a circle"),
                )
                .label(format!("{} -> {first}", shorten(&names.join(" -> "))))
                .help(format!("{harm}: remove one of these"));
        }
    }

    /// Groups tied by `runs_with`, in either direction and over others, must not avoid one another.
    fn together_and_apart(&mut self) {
        let mut team: BTreeMap<&GroupId, &GroupId> =
            self.cluster.groups.iter().map(|group| (&group.id, &group.id)).collect();
        for group in &self.cluster.groups {
            for other in &group.runs_with {
                let (Some(&mine), Some(&theirs)) = (team.get(&group.id), team.get(other)) else {
                    continue;
                };
                for leader in team.values_mut().filter(|leader| **leader == theirs) {
                    *leader = mine;
                }
            }
        }
        for group in &self.cluster.groups {
            for (index, other) in group.avoids.iter().enumerate() {
                let same = team.get(&group.id).is_some_and(|mine| team.get(other) == Some(mine));
                if same && other != &group.id {
                    self.findings
                        .error(
                            self.places.find(&format!("groups/{}/avoids/{index}", group.id)),
                            format!("`{}` must run with `{other}` and avoid it", group.id),
                        )
                        .label("`runs_with` ties these two together")
                        .help("remove one of the two");
                }
            }
        }
    }
}

/// A circle that `start` leads into, each group on it once. Groups that lead into none, or into one
/// that was found before, are `settled`. Iterative: the depth is the input's choice.
fn find_cycle<'a>(
    start: &'a GroupId,
    edges: &BTreeMap<&'a GroupId, &'a Vec<GroupId>>,
    settled: &mut BTreeSet<&'a GroupId>,
) -> Option<Vec<&'a GroupId>> {
    let mut path: Vec<(&GroupId, usize)> = vec![(start, 0)];
    let mut found = None;
    while let Some((group, index)) = path.pop() {
        if settled.contains(group) {
            continue;
        }
        let next = edges.get(group).and_then(|next| next.get(index));
        let Some(next) = next else {
            settled.insert(group);
            continue;
        };
        path.push((group, index + 1));
        if let Some(begin) = path.iter().position(|(on_path, _)| *on_path == next) {
            if found.is_none() {
                found = Some(path.iter().skip(begin).map(|(group, _)| *group).collect());
            }
        } else if edges.contains_key(next) {
            path.push((next, 0));
        }
    }
    found
}
