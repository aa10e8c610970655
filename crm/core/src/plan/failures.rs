//! What the record knows of failures, and what expires in it: failures, maintenance, a leave.

use crate::event::Event;
use crate::id::{GroupId, NodeId};
use crate::model::Cluster;
use crate::node::Node;
use crate::packet::FailureKind;
use crate::record::Record;
use crate::rules::Rules;
use crate::time::Time;
use std::collections::BTreeSet;

/// Failures counted per group and node, at most.
const FAILURES_MAX: u32 = 1_000_000;

impl<R: Rules> Node<R> {
    pub(super) fn count_failures(&mut self, next: &mut Record, cluster: &Cluster) {
        let mut lines = Vec::new();
        let reports = self.reports();
        for (name, report) in reports {
            let incarnation = if *name == self.id {
                Some(self.incarnation)
            } else {
                self.peers.get(name).and_then(|peer| peer.session.live())
            };
            let Some(incarnation) = incarnation else { continue };
            let counted = match next.failures_counted.get(name) {
                Some((run, number)) if *run == incarnation => *number,
                _ => 0,
            };
            for failure in report.failures.iter().filter(|failure| failure.number > counted) {
                next.failures_counted.insert(name.clone(), (incarnation, failure.number));
                // One that the configuration dropped is still being stopped, and can fail at that.
                if cluster.group(&failure.group).is_none() && next.owner(&failure.group).is_none() {
                    continue;
                }
                let known =
                    next.failures.entry(failure.group.clone()).or_default().entry(name.clone());
                let entry = known.or_default();
                if failure.kind != FailureKind::Block {
                    entry.count = (entry.count + 1).min(FAILURES_MAX);
                }
                entry.reason = format!("{}: {}", failure.resource, failure.reason);
                entry.stop_failed |= failure.kind == FailureKind::Stop;
                lines.push((name.clone(), failure.group.clone(), entry.reason.clone()));
            }
        }
        for (node, group, reason) in lines {
            self.event(
                Event::warning(
                    "failure-counted",
                    format!("group {group} failed on node {node}: {reason}"),
                )
                .node(&node)
                .group(&group),
            );
        }
    }

    /// Failures expire, maintenance ends, a leaver that came back has come back.
    pub(super) fn forget_what_expired(&mut self, next: &mut Record, cluster: &Cluster) {
        let now = self.now;
        let mut proved = self.proved();
        proved.extend(self.peers.keys().filter(|name| self.is_proved_reset(name)).cloned());
        let back: Vec<NodeId> = next
            .intents
            .leaving
            .iter()
            .filter(|name| self.reports().get(name).is_some_and(|report| !report.leaving))
            .filter(|name| {
                **name == self.id || self.peers.get(*name).is_some_and(|peer| peer.alive)
            })
            .cloned()
            .collect();
        for name in back {
            next.intents.leaving.remove(&name);
        }
        let stopped = self.settled_stops(next);
        let Some(coordinator) = self.coordinating_mut() else { return };
        let mut look_again: Option<Time> = None;
        let present: BTreeSet<(GroupId, NodeId)> = next
            .failures
            .iter()
            .flat_map(|(group, nodes)| nodes.keys().map(|node| (group.clone(), node.clone())))
            .collect();
        coordinator.failing_since.retain(|key, _| present.contains(key));
        for (group, node) in present {
            let dropped = next.retired.get(&group).filter(|_| next.grants.contains_key(&group));
            let Some(spec) = cluster.group(&group).or(dropped) else {
                next.failures.remove(&group);
                continue;
            };
            let since =
                *coordinator.failing_since.entry((group.clone(), node.clone())).or_insert(now);
            let expires = since + spec.failure_expiry;
            let Some(nodes) = next.failures.get_mut(&group) else { continue };
            let Some(failures) = nodes.get_mut(&node) else { continue };
            if proved.contains(&node) || stopped.contains(&(group.clone(), node.clone())) {
                // A machine that was off runs nothing: its failed stop is settled.
                failures.stop_failed = false;
            }
            if failures.is_blocked() {
                // It waits for the operator, for as long as the group is there.
                if next.grants.get(&group).is_none_or(|grant| grant.owner != node) {
                    nodes.remove(&node);
                }
            } else if now >= expires && !failures.stop_failed {
                nodes.remove(&node);
                coordinator.failing_since.remove(&(group.clone(), node));
            } else if now < expires {
                look_again = Some(look_again.map_or(expires, |at| at.min(expires)));
            }
            if nodes.is_empty() {
                next.failures.remove(&group);
            }
        }
        match next.intents.maintenance {
            Some(maintenance) => {
                let since = *coordinator.maintenance_since.get_or_insert(now);
                if let Some(lasts) = maintenance.lasts {
                    let ends = since + lasts;
                    if now >= ends {
                        next.intents.maintenance = None;
                        coordinator.maintenance_since = None;
                    } else {
                        look_again = Some(look_again.map_or(ends, |at| at.min(ends)));
                    }
                }
            }
            None => coordinator.maintenance_since = None,
        }
        next.intents.pins.retain(|group, _| cluster.group(group).is_some());
        next.intents.stopped.retain(|group| cluster.group(group).is_some());
        next.intents.restarts.retain(|group, _| cluster.group(group).is_some());
        self.plan_again_at(look_again);
    }

    /// Failed stops of which the node itself says by now that nothing of the group runs there: it looked again,
    /// perhaps after a boot.
    fn settled_stops(&self, next: &Record) -> BTreeSet<(GroupId, NodeId)> {
        let reports = self.reports();
        let failed = next.failures.iter().flat_map(|(group, nodes)| {
            let failed = nodes.iter().filter(|(_, failures)| failures.stop_failed);
            failed.map(|(node, _)| (group.clone(), node.clone()))
        });
        let says = |(group, node): &(GroupId, NodeId)| {
            let word = reports.get(node).and_then(|report| report.groups.get(group));
            word.is_some_and(|state| state.phase.is_stopped())
        };
        failed.filter(says).collect()
    }
}
