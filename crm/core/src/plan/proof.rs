//! What proves that a group runs neither on its owner nor on anybody else (R11, R12, H13, H36).

use crate::id::{GroupId, NodeId};
use crate::model::{Cluster, Fencing};
use crate::node::Node;
use crate::place::NodeSituation;
use crate::record::{Grant, GrantState, Record};
use crate::rules::{Rule, Rules};
use std::collections::BTreeMap;

impl<R: Rules> Node<R> {
    /// Whether the owner is known not to run the group, and how that is known.
    pub(super) fn owner_is_proved_off(
        &self,
        next: &Record,
        cluster: &Cluster,
        group: &GroupId,
        grant: &Grant,
    ) -> Option<String> {
        let owner = &grant.owner;
        if let Some(peer) = self.peers.get(owner)
            && peer.is_proved_dead()
        {
            return Some(format!("whose death is proved (record {})", next.stamp));
        }
        if self.is_proved_reset(owner) {
            let bound = self.timing.reset_bound();
            return Some(format!(
                "whose lease ended and whose watchdog has reset it by now (silent for more than {bound})"
            ));
        }
        let report = if *owner == self.id {
            Some(&self.report)
        } else {
            self.peers.get(owner).and_then(|peer| peer.report.as_ref())
        };
        // H13: only a report made under the version that ended the grant, or a later one.
        let reported = report.is_some_and(|report| {
            let bound = report.obeyed >= grant.since || !R::holds(Rule::ReportIsBound);
            let stopped = match report.groups.get(group) {
                Some(state) => state.phase.is_stopped(),
                // Not even known there any more: removed from the configuration and stopped.
                None => cluster.group(group).is_none(),
            };
            bound && stopped
        });
        if grant.state == GrantState::Ending && reported {
            return Some("whose stop is reported".to_owned());
        }
        // H36: silence, where the admin said that it is enough.
        let silent = self.peers.get(owner).is_some_and(|peer| {
            !peer.alive && (peer.heard.is_some() || self.listened_long_enough())
        });
        let waived = cluster.fencing == Fencing::None
            && cluster.group(group).is_some_and(|spec| spec.moves_on_silence());
        if waived && silent {
            return Some(
                "which is silent; the configuration lets this group move on silence".to_owned(),
            );
        }
        None
    }

    /// Which nodes that are heard have not reported each group stopped.
    pub(super) fn may_run(&self, nodes: &BTreeMap<NodeId, NodeSituation>) -> MayRun {
        let mut may_run = MayRun::default();
        for (node, report) in self.reports() {
            if nodes.get(node) == Some(&NodeSituation::Online) {
                for (group, _) in report.groups.iter().filter(|(_, g)| !g.phase.is_stopped()) {
                    may_run.0.entry(group.clone()).or_default().push(node.clone());
                }
            }
        }
        may_run
    }
}

/// Nodes on which each group may run, as far as they say.
#[derive(Debug, Default)]
pub(super) struct MayRun(BTreeMap<GroupId, Vec<NodeId>>);

impl MayRun {
    /// Whether any node other than these two may run the group.
    pub(super) fn elsewhere_but(&self, group: &GroupId, node: &NodeId, owner: &NodeId) -> bool {
        self.0.get(group).is_some_and(|on| on.iter().any(|other| other != node && other != owner))
    }
}
