//! What the chosen protection promises, and what it does not (H4, H36).

use super::Rulebook;
use crate::budget::{Protection, candidates, device_time, keeps_quorum, protection_on};
use crm_core::id::NodeId;
use crm_core::model::{Fencing, Group};
use crm_core::time::Span;

const CURES: &str = "cures: a fencing device for each node; or a watchdog on each node and a third vote, a \
     node's or a `witness`; or `unsafe_failover: true` on this group, if two nodes with its data are the lesser evil";

impl Rulebook<'_> {
    pub(super) fn protection(&mut self) {
        let cluster = self.cluster;
        if let Fencing::Devices { delay, .. } = &cluster.fencing {
            self.devices(*delay);
        }
        for group in &cluster.groups {
            self.group_protection(group);
        }
        if cluster.witness.is_some() && cluster.nodes.len() > 2 && cluster.nodes.len() % 2 == 1 {
            self.findings
                .warning(
                    self.places.find("witness"),
                    "a witness makes the number of voters even here",
                )
                .label(format!("{} nodes vote already", cluster.nodes.len()))
                .help("it helps clusters of two or four nodes; remove it");
        }
    }

    fn devices(&mut self, delay: Span) {
        let cluster = self.cluster;
        for node in cluster.nodes.iter().filter(|node| !cluster.has_device(&node.id)) {
            if cluster.nodes.len() < 2 || (node.watchdog.is_some() && keeps_quorum(cluster)) {
                continue;
            }
            self.findings
                .warning(self.places.find("fencing"), format!("node `{}` has no fencing device", node.id))
                .label("its death cannot be proved")
                .help("groups that run there wait for the operator when it falls silent; name a device for it");
        }
        let worst = cluster
            .nodes
            .iter()
            .map(|node| device_time(cluster, &node.id))
            .max()
            .unwrap_or_default();
        // Only a written delay can be too short: the default follows the devices.
        if delay <= worst && !keeps_quorum(cluster) && cluster.nodes.len() > 1 {
            self.findings
                .warning(
                    self.places.find("fencing_delay"),
                    "`fencing_delay` is shorter than a device may take",
                )
                .label(format!("the delay is {delay}, the slowest device may take {worst}"))
                .help(
                    "on a cut link both nodes may shoot one another; leave it out for a safe one",
                );
        }
    }

    fn group_protection(&mut self, group: &Group) {
        let cluster = self.cluster;
        let path = format!("groups/{}", group.id);
        let nodes = candidates(cluster, group);
        if nodes.len() < 2 {
            if cluster.nodes.len() > 1 {
                self.findings
                    .warning(
                        self.places.find(&path),
                        format!("group `{}` has nowhere else to run", group.id),
                    )
                    .label("only one node may run it")
                    .help("name a second node in `prefer`, or remove `only_preferred`");
            }
            return;
        }
        let kinds: Vec<Protection> =
            nodes.iter().map(|node| protection_on(cluster, group, node)).collect();
        if kinds.contains(&Protection::Operator) && cluster.fencing == Fencing::None {
            self.unproved(group, &nodes);
        }
        if kinds.contains(&Protection::Silence) {
            if group.unsafe_failover && !group.is_stateless() {
                self.findings
                    .warning(
                        self.places.find(&format!("{path}/unsafe_failover")),
                        format!("two nodes may run group `{}` at once", group.id),
                    )
                    .label("silence alone moves its data, as you asked")
                    .help("after a cut link the two copies of the data differ, and one of them is lost");
            } else {
                self.findings
                    .warning(
                        self.places.find(&path),
                        format!("two nodes may hold group `{}` at once", group.id),
                    )
                    .label("it is stateless, and `fencing: none` lets silence move it")
                    .help("it holds no data; when the link heals, the node that took it last keeps it");
            }
        } else if group.unsafe_failover {
            self.findings
                .warning(
                    self.places.find(&format!("{path}/unsafe_failover")),
                    "`unsafe_failover` has no effect here",
                )
                .label(if cluster.fencing == Fencing::None {
                    "watchdogs and three votes protect this cluster"
                } else {
                    "a fencing device protects this cluster"
                })
                .help("remove it, so that nobody believes otherwise");
        }
    }

    /// A group with data, and a node of it whose silence nothing proves to be its death.
    fn unproved(&mut self, group: &Group, nodes: &[&NodeId]) {
        let cluster = self.cluster;
        let at = self.places.find(&format!("groups/{}", group.id));
        let bare = |id: &&&NodeId| cluster.node(id).is_some_and(|node| node.watchdog.is_none());
        if cluster.witness.is_some()
            && let Some(node) = nodes.iter().find(bare)
        {
            let node_at = self.places.find(&format!("nodes/{node}"));
            self.findings
                .error(at, format!("group `{}` has data, and node `{node}` has no watchdog", group.id))
                .label("the witness outvotes a silent node, and nothing ends what still runs on it")
                .also(node_at, "no `watchdog` here")
                .help(format!(
                    "add `watchdog: /dev/watchdog` to node `{node}` (`softdog` will do), or a fencing \
                     device for each node; or `unsafe_failover: true` to this group, if two nodes with \
                     its data are the lesser evil"
                ));
            return;
        }
        let armed = cluster.nodes.iter().any(|node| node.watchdog.is_some());
        let label = if armed && !keeps_quorum(cluster) {
            "it has data, and watchdogs without a third vote prove nothing"
        } else {
            "it has data, and nothing proves a silent node dead"
        };
        self.findings
            .warning(
                at,
                format!("group `{}` waits for the operator when its node falls silent", group.id),
            )
            .label(label)
            .help(CURES);
    }
}
