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
            return Some(
                "whose lease ended and whose watchdog has reset it by now (T_out is over)"
                    .to_owned(),
            );
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
                // Whoever obeys this record knows the group: it says nothing of it before it has looked.
                None => false,
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
            && !next.armed.contains_key(owner)
            && cluster.group(group).is_some_and(|spec| next.moves_on_silence(spec));
        if waived && silent {
            return Some(
                "which is silent; the configuration lets this group move on silence".to_owned(),
            );
        }
        None
    }

    /// Which nodes that are heard have not reported each group stopped. One that does not know a
    /// group yet has not looked for it yet.
    pub(super) fn may_run(
        &self,
        nodes: &BTreeMap<NodeId, NodeSituation>,
        cluster: &Cluster,
    ) -> MayRun {
        let mut may_run = MayRun::default();
        for (node, report) in self.reports() {
            if nodes.get(node) == Some(&NodeSituation::Online) {
                for (group, _) in report.groups.iter().filter(|(_, g)| !g.phase.is_stopped()) {
                    may_run.0.entry(group.clone()).or_default().push(node.clone());
                }
                let all = cluster.groups.iter().map(|group| &group.id);
                for group in all.filter(|group| !report.groups.contains_key(*group)) {
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
