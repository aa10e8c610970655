//! The failover budget: how long a group may be away after its node died, and what proves the
//! death in that time.

use crm_core::id::{GroupId, NodeId};
use crm_core::model::{Cluster, Fencing, Group};
use crm_core::time::Span;
use std::fmt;

/// What stands between a group and two nodes that run it at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protection {
    /// A device proves the silent node dead.
    Device,
    /// The silent node's watchdog has reset it, and a quorum counts the time.
    Watchdog,
    /// Nothing proves anything: silence is enough for this group (H36).
    Silence,
    /// Nothing proves anything, and the group has data: an operator must speak (H4, H36).
    Operator,
    /// There is no second node for it.
    NoOtherNode,
}

/// How long a group may be away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupBudget {
    pub group: GroupId,
    pub protection: Protection,
    /// From the death of its node to the start on another; the resources' own start comes on top.
    /// `None`: until somebody does something.
    pub failover: Option<Span>,
    /// What a node that hosts less than the dead one waits first (`fencing_delay`); zero where a third vote decides.
    pub pause: Span,
    /// The same when every delay is met: an election, and the pause of the side that hosts less.
    pub at_worst: Option<Span>,
}

/// The budget of each group, in the order of the file.
#[must_use]
pub fn budget(cluster: &Cluster) -> Vec<GroupBudget> {
    cluster.groups.iter().map(|group| group_budget(cluster, group)).collect()
}

/// The nodes that may run `group`.
pub(crate) fn candidates<'a>(cluster: &'a Cluster, group: &'a Group) -> Vec<&'a NodeId> {
    if group.only_preferred {
        group.prefer.iter().collect()
    } else {
        cluster.nodes.iter().map(|node| &node.id).collect()
    }
}

/// Whether a majority remains when one node is silent: only then time may count as proof (H4). The
/// witness votes too.
pub(crate) fn keeps_quorum(cluster: &Cluster) -> bool {
    let nodes = cluster.nodes.iter().filter(|node| node.voter).count();
    nodes + usize::from(cluster.witness.is_some()) >= 3
}

/// What protects `group` when `node` falls silent while it runs there.
pub(crate) fn protection_on(cluster: &Cluster, group: &Group, node: &NodeId) -> Protection {
    if cluster.has_device(node) {
        return Protection::Device;
    }
    // Of an armed node silence alone is never enough: its groups wait until it is reset.
    if cluster.node(node).is_some_and(|node| node.watchdog.is_some()) && keeps_quorum(cluster) {
        return Protection::Watchdog;
    }
    if cluster.fencing == Fencing::None && group.moves_on_silence() {
        return Protection::Silence;
    }
    Protection::Operator
}

fn group_budget(cluster: &Cluster, group: &Group) -> GroupBudget {
    let nodes = candidates(cluster, group);
    if nodes.len() < 2 {
        return GroupBudget {
            group: group.id.clone(),
            protection: Protection::NoOtherNode,
            failover: None,
            pause: Span::ZERO,
            at_worst: None,
        };
    }
    // The slowest of its nodes counts, and one that cannot be proved dead is the slowest.
    nodes
        .iter()
        .map(|node| node_budget(cluster, group, node))
        .max_by_key(|budget| budget.at_worst.map_or((1, Span::ZERO), |span| (0, span)))
        .unwrap_or(GroupBudget {
            group: group.id.clone(),
            protection: Protection::NoOtherNode,
            failover: None,
            pause: Span::ZERO,
            at_worst: None,
        })
}

fn node_budget(cluster: &Cluster, group: &Group, node: &NodeId) -> GroupBudget {
    let timing = &cluster.timing;
    let protection = protection_on(cluster, group, node);
    let failover = match protection {
        Protection::Device => Some(timing.deadtime + device_time(cluster, node)),
        Protection::Watchdog => Some(timing.deadtime + timing.reset_bound()),
        Protection::Silence => Some(timing.deadtime),
        Protection::Operator | Protection::NoOtherNode => None,
    };
    let pause = match (&cluster.fencing, protection) {
        (Fencing::Devices { delay, .. }, Protection::Device) if !keeps_quorum(cluster) => *delay,
        _ => Span::ZERO,
    };
    let extra = timing.keepalive + timing.election + pause;
    GroupBudget {
        group: group.id.clone(),
        protection,
        failover,
        pause,
        at_worst: failover.map(|span| span + extra),
    }
}

/// All methods of `node`, one after the other.
pub(crate) fn device_time(cluster: &Cluster, node: &NodeId) -> Span {
    let Fencing::Devices { devices, .. } = &cluster.fencing else { return Span::ZERO };
    devices.get(node).into_iter().flatten().fold(Span::ZERO, |sum, method| sum + method.timeout)
}

impl fmt::Display for GroupBudget {
    /// `db1: moves within 21s of its node's death (a fencing device proves it), 21.700s at worst`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.group)?;
        let how = match self.protection {
            Protection::Device => "a fencing device proves it",
            Protection::Watchdog => "a quorum waits until the watchdog has reset it",
            Protection::Silence => {
                "silence is enough for this group: two nodes may hold it at once"
            }
            Protection::Operator => {
                return f.write_str(
                    "waits for the operator when its node falls silent: nothing proves that node dead",
                );
            }
            Protection::NoOtherNode => return f.write_str("cannot move: no other node may run it"),
        };
        let failover = self.failover.unwrap_or_default();
        let at_worst = self.at_worst.unwrap_or_default();
        write!(f, "moves within {failover} of its node's death ({how})")?;
        if self.pause > Span::ZERO {
            // Of a pair whose other node is idle that is the rule, not the exception.
            write!(
                f,
                ", within {} where the node that takes over hosted less (it waits `fencing_delay`, {}, first)",
                failover + self.pause,
                self.pause
            )?;
        }
        write!(f, ", {at_worst} at worst")
    }
}
