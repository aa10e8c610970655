//! What a node can tell of itself and the cluster. Served as JSON; the CLI draws it.
//!
//! The coordinator's view is complete. Another node asks it, and falls back on its own view, which
//! says so in `complete`.

use crate::id::{Digest, Epoch, GroupId, Incarnation, NodeId, ResourceId, ServiceId, Stamp};
use crate::packet::GroupPhase;
use crate::same::hash_by;
use crate::time::Span;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    pub cluster: String,
    /// The node that made this view.
    pub node: NodeIdOrNone,
    pub incarnation: Incarnation,
    /// Whether this is the coordinator's view: reports of all nodes are in it.
    pub complete: bool,
    /// A coordinator with a quorum is known, and says that its lease holds.
    pub quorum: bool,
    pub coordinator: Option<NodeId>,
    pub epoch: Epoch,
    /// Newest record on this node's disk.
    pub stamp: Stamp,
    /// Committed record that this node obeys.
    pub obeyed: Stamp,
    pub config: Digest,
    /// Digest of the file on disk, where it differs from the configuration in force.
    pub draft_differs: Option<Digest>,
    /// One line: `device`, `witness and watchdog`, or `none`, and what follows.
    pub protection: String,
    /// What an operator should know now, worst first.
    pub warnings: Vec<String>,
    pub maintenance: Option<String>,
    pub cluster_stopped: bool,
    pub nodes: Vec<NodeStatus>,
    /// The third vote, where the configuration names one.
    pub witness: Option<NodeStatus>,
    pub groups: Vec<GroupStatus>,
    pub services: Vec<ServiceStatus>,
}

/// A node's name in a view; empty before the node knows its own.
pub type NodeIdOrNone = Option<NodeId>;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeStatus {
    pub id: NodeId,
    pub state: NodeState,
    pub voter: bool,
    pub standby: bool,
    pub leaving: bool,
    /// Since when it has not been heard.
    pub silent_for: Option<Span>,
    pub incarnation: Option<Incarnation>,
    pub obeyed: Option<Stamp>,
    /// Whether the record lists its present run as armed, where the configuration gives it a watchdog (H16).
    #[serde(default)]
    pub armed: Option<bool>,
    /// Whether the node has a fencing device, and what it last said.
    pub fencing: Option<String>,
    /// Links as the local node sees them; empty for the local node itself.
    pub links: Vec<LinkStatus>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NodeState {
    /// Heard, and a member.
    Online,
    /// Heard, but it has not obeyed a record in its present incarnation yet.
    Joining,
    /// Silent, not proved dead: nothing of it may be taken (safety before liveness).
    Lost,
    /// Silent and proved dead by a device or by the operator.
    Dead,
    /// Never heard since this daemon started.
    Unseen,
    /// Left in order.
    Left,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkStatus {
    pub link: u8,
    pub address: String,
    pub up: bool,
    /// Lost heartbeats of the last 1000, in parts per thousand.
    pub loss_per_mille: u32,
    /// Median and worst of the recent round trips.
    pub round_trip: Option<Span>,
    pub round_trip_worst: Option<Span>,
    /// Longest time between two heartbeats seen while the peer was alive.
    pub longest_gap: Span,
    /// The shortest deadtime that this history supports.
    pub supported_deadtime: Span,
    pub received: u64,
    pub missed: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupStatus {
    pub id: GroupId,
    /// Where it is granted, or still owned while it ends.
    pub owner: Option<NodeId>,
    pub ending: bool,
    /// Phase on its owner, as reported; `Unknown` where no report is at hand.
    pub phase: GroupPhase,
    /// One sentence: why it is where it is, or why it runs nowhere.
    pub reason: String,
    /// What placement thinks of each node, in its order: the chosen one first.
    pub verdicts: Vec<Verdict>,
    pub stopped_by_operator: bool,
    pub pinned_to: Option<NodeId>,
    pub failures: BTreeMap<NodeId, String>,
    pub bans: BTreeMap<NodeId, String>,
    /// Phases that contradict the grant: found running elsewhere, unknown, stop failed.
    pub elsewhere: BTreeMap<NodeId, GroupPhase>,
    pub resources: Vec<ResourceStatus>,
    /// Last changes of its placement, newest last, each with its evidence.
    pub decisions: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    pub node: NodeId,
    /// May run it now.
    pub possible: bool,
    pub reason: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResourceStatus {
    pub id: ResourceId,
    pub agent: String,
    pub phase: ResourcePhase,
    pub reason: Option<String>,
    pub restarts: u32,
    pub attributes: BTreeMap<String, String>,
}

/// State of one resource on the node that made the view. Unknown is never stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ResourcePhase {
    Unknown,
    Stopped,
    Starting,
    Running,
    Stopping,
    /// Confirmed not running though it should.
    Failed,
    StopFailed,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceStatus {
    pub id: ServiceId,
    pub roles: BTreeMap<NodeId, String>,
    pub reason: String,
}

hash_by!(Status: epoch stamp);
