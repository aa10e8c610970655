//! A group: resources in order, on one node at a time.

use super::Resource;
use crate::id::{GroupId, NodeId, ServiceId};
use crate::same::hash_by;
use crate::time::Span;
use serde::{Deserialize, Serialize};

/// An ordered list of resources that run on exactly one node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    pub id: GroupId,
    /// Nodes in order of preference. Nodes not named may still run it, after these, in file
    /// order, unless `only_preferred`.
    pub prefer: Vec<NodeId>,
    /// Never run it on a node that `prefer` does not name.
    pub only_preferred: bool,
    pub failback: Failback,
    /// Started in this order, stopped in reverse (I2).
    pub resources: Vec<Resource>,
    /// Must be on the same node as these groups, and down while one of them is stopped.
    pub runs_with: Vec<GroupId>,
    /// Must not be on the same node as these groups, while another node can be had.
    pub avoids: Vec<GroupId>,
    /// Starts only when these groups run (anywhere); where several stop, it stops before them.
    pub starts_after: Vec<GroupId>,
    /// Must be where a service holds a role.
    pub follow: Option<Follow>,
    /// Higher is placed first.
    pub priority: i32,
    pub restart: RestartPolicy,
    /// A failure is forgotten after this long.
    pub failure_expiry: Span,
    /// The admin accepts in so many words that silence alone may move data.
    pub unsafe_failover: bool,
}

/// Whether a group goes back to a node it likes better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Failback {
    Manual,
    Auto,
}

/// How often a resource is restarted where it is before the group moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct RestartPolicy {
    pub count: u32,
    pub window: Span,
}

/// `follow: pg standby`, `otherwise: primary`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Follow {
    pub service: ServiceId,
    pub role: String,
    /// Role to follow while nobody holds `role`.
    pub otherwise: Option<String>,
}

impl Group {
    /// Whether every resource is stateless: only then silence may move it without a proof (H36).
    #[must_use]
    pub fn is_stateless(&self) -> bool {
        self.resources.iter().all(|resource| resource.stateless)
    }
    /// Whether silence alone may move it in a cluster with `fencing: none`.
    #[must_use]
    pub fn moves_on_silence(&self) -> bool {
        self.is_stateless() || self.unsafe_failover
    }
}

hash_by!(Group: id);
