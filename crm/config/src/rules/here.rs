//! What a running cluster has measured, held against a configuration (`crm check` on a node).

use super::Rulebook;
use crm_core::id::{GroupId, NodeId};
use crm_core::time::Span;

/// What is known of the machine that checks, and of its links.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Here {
    /// The node that this machine is; `None`: not known.
    pub node: Option<NodeId>,
    /// Links that have been watched for a while.
    pub gaps: Vec<MeasuredGap>,
    /// Watchdog devices of this node's configuration that are not on this machine.
    pub missing_watchdogs: Vec<String>,
    /// Nodes that are online, and whose watchdog is not armed although the configuration in force names one.
    pub unarmed: Vec<NodeId>,
    /// What init would start on this machine although the cluster is to (AS6).
    pub started_at_boot: Vec<StartedAtBoot>,
}

/// A resource that somebody else than crm starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StartedAtBoot {
    pub group: GroupId,
    /// Its place in the group.
    pub resource: usize,
    /// A unit, a link of a runlevel, or a line of the table of filesystems.
    pub by: String,
}

/// The longest time between two heartbeats of a peer that was alive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MeasuredGap {
    pub peer: NodeId,
    pub link: u8,
    pub longest_gap: Span,
    /// The shortest deadtime that this supports.
    pub supports: Span,
}

impl Rulebook<'_> {
    /// A deadtime that a living peer would have exceeded, what init starts, and watchdogs that are not there.
    pub(super) fn here(&mut self, here: &Here) {
        let deadtime = self.cluster.timing.deadtime;
        // A peer is silent only when every link is: the best one of each peer counts.
        let mut best: Vec<&MeasuredGap> = Vec::new();
        for gap in &here.gaps {
            match best.iter_mut().find(|known| known.peer == gap.peer) {
                Some(known) if gap.supports < known.supports => *known = gap,
                Some(_) => {}
                None => best.push(gap),
            }
        }
        let worst = best.into_iter().max_by_key(|gap| gap.supports);
        if let Some(gap) = worst.filter(|gap| gap.supports > deadtime) {
            let MeasuredGap { peer, link, longest_gap, supports } = gap;
            self.findings
                .warning(
                    self.near("deadtime", "keepalive"),
                    "`deadtime` is short for what was measured",
                )
                .label(format!(
                    "it is {deadtime}, and node `{peer}` was once silent for {longest_gap} on link {link} while it lived"
                ))
                .help(format!(
                    "this history supports {supports} and more; `crm status --links` shows it"
                ));
        }
        for StartedAtBoot { group, resource, by } in &here.started_at_boot {
            let disable = match by.strip_prefix('/') {
                None => format!(
                    "if it is the same one, only crm may start it: `systemctl disable --now {by}`"
                ),
                Some(_) if by.starts_with("/etc/fstab") => {
                    "write `noauto` among its options, or remove the line".to_owned()
                }
                Some(_) => "take it out of the runlevels: `update-rc.d SCRIPT disable`".to_owned(),
            };
            self.findings
                .warning(
                    self.places.find(&format!("groups/{group}/resources/{resource}")),
                    format!("{by} starts this on this machine at every boot"),
                )
                .label("it may then run on two nodes, whatever the cluster does (AS6)")
                .help(disable);
        }
        for node in &here.unarmed {
            if self.cluster.node(node).is_some_and(|spec| spec.watchdog.is_some()) {
                self.findings
                    .warning(
                        self.places.find(&format!("nodes/{node}/watchdog")),
                        format!("the watchdog of node `{node}` is not armed"),
                    )
                    .label("now, its silence proves nothing")
                    .help("it is armed once three vote and the node has a lease; `crm events` on that node says what fails");
            }
        }
        let Some(node) = &here.node else { return };
        for device in &here.missing_watchdogs {
            self.findings
                .warning(
                    self.places.find(&format!("nodes/{node}/watchdog")),
                    format!("there is no {device} on this machine"),
                )
                .label(format!("nothing would reset node `{node}`"))
                .help("load the driver of the board, or softdog");
        }
    }
}
