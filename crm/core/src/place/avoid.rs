//! `avoids`: groups that must not share a node while another node can be had. Counts both ways.

use super::facts::{Facts, GroupFacts};
use super::preference::{best, rank};
use super::unit::Unit;
use crate::id::Stamp;
use std::cmp::Reverse;

/// Where every group is, while the units are placed one by one.
pub(super) struct Board {
    /// Node of each group: its present one, until its unit has been placed.
    pub(super) at: Vec<Option<usize>>,
    /// How many groups each node hosts.
    pub(super) hosts: Vec<usize>,
    /// The unit of each group; `None` for groups that are not placed with one.
    pub(super) unit_of: Vec<Option<usize>>,
    /// Groups of other units that a unit avoids, or that avoid it.
    avoided: Vec<Vec<usize>>,
}

impl Board {
    pub(super) fn new(facts: &Facts<'_>, units: &[Unit]) -> Board {
        let at: Vec<Option<usize>> = facts
            .groups
            .iter()
            .enumerate()
            .map(|(position, group)| match group.hold {
                _ if facts.is_stopped(position) && group.phase.is_stopped() => None,
                super::facts::Hold::Gone(_) | super::facts::Hold::Silence(_) => None,
                _ => group.owner(),
            })
            .collect();
        let mut hosts = vec![0; facts.nodes.len()];
        for node in at.iter().flatten() {
            hosts[*node] += 1;
        }
        let mut unit_of = vec![None; facts.groups.len()];
        let mut home = vec![0; facts.groups.len()];
        for (position, unit) in units.iter().enumerate() {
            for group in &unit.core {
                unit_of[*group] = Some(position);
                home[*group] = position;
            }
            for (group, _) in &unit.apart {
                home[*group] = position;
            }
        }
        let mut avoided = vec![Vec::new(); units.len()];
        for (one, group) in facts.groups.iter().enumerate() {
            for other in group.spec.avoids.iter().filter_map(|other| facts.group(other)) {
                // Groups that must run together cannot avoid one another.
                if home[one] != home[other] {
                    for (unit, group) in [(unit_of[one], other), (unit_of[other], one)] {
                        if let Some(unit) = unit
                            && !avoided[unit].contains(&group)
                        {
                            avoided[unit].push(group);
                        }
                    }
                }
            }
        }
        Board { at, hosts, unit_of, avoided }
    }

    pub(super) fn anything_avoided(&self) -> bool {
        self.avoided.iter().any(|groups| !groups.is_empty())
    }

    /// Puts a group on a node, or on none.
    pub(super) fn put(&mut self, group: usize, node: Option<usize>) {
        if let Some(before) = self.at[group] {
            self.hosts[before] -= 1;
        }
        if let Some(node) = node {
            self.hosts[node] += 1;
        }
        self.at[group] = node;
    }

    /// A group on this node which the unit avoids.
    pub(super) fn avoided_on(&self, unit: usize, node: usize) -> Option<usize> {
        self.avoided[unit].iter().copied().find(|group| self.at[*group] == Some(node))
    }

    /// Nodes that the unit could have without meeting a group that it avoids.
    pub(super) fn free(&self, units: &[Unit], unit: usize) -> Vec<bool> {
        let mut free = units[unit].possible.clone();
        for node in self.avoided[unit].iter().filter_map(|group| self.at[*group]) {
            free[node] = false;
        }
        free
    }

    /// Whether the unit has to leave `node` to a group that it avoids.
    pub(super) fn gives_way(
        &self,
        facts: &Facts<'_>,
        units: &[Unit],
        pinned: &[Option<usize>],
        unit: usize,
        node: usize,
    ) -> Option<usize> {
        self.avoided[unit].iter().copied().filter(|group| self.at[*group] == Some(node)).find(
            |group| match self.unit_of[*group] {
                None => true,
                Some(other) if pinned[other].is_some() => true,
                Some(other) if !self.free(units, other).contains(&true) => true,
                Some(other) => {
                    self.claim(facts, units, unit, node) < self.claim(facts, units, other, node)
                }
            },
        )
    }

    /// How good a claim a unit has to a node that it shares with one it avoids: the higher
    /// priority; then the one that would not rather be elsewhere; then the one that is not on its
    /// way out already; then the one that was there first; then the order of the file.
    fn claim(
        &self,
        facts: &Facts<'_>,
        units: &[Unit],
        number: usize,
        node: usize,
    ) -> (i32, bool, Reverse<(bool, bool, Stamp)>, Reverse<usize>) {
        let unit = &units[number];
        let groups = || unit.core.iter().map(|group| &facts.groups[*group]);
        let priority = groups().map(|group| group.spec.priority).max().unwrap_or_default();
        let free = self.free(units, number);
        let content = best(unit, &free, &self.hosts)
            .is_none_or(|other| rank(unit, node) <= rank(unit, other));
        let arrived = groups().filter_map(|group| group.since).min();
        // A grant that ends, and one that is given back, is a newer one: its age alone would turn
        // the decision round each time it is carried out.
        let ends = groups().any(GroupFacts::ends);
        let arrived = (ends, arrived.is_none(), arrived.unwrap_or_default());
        (priority, content, Reverse(arrived), Reverse(number))
    }
}
