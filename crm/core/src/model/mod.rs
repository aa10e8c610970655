//! The configuration as the core sees it: validated, complete, without YAML.
//!
//! Every default is already filled in. `crm-config` makes it from text; the core receives that
//! function from its shell and never parses anything itself.

mod group;
mod resource;
mod service;
mod things;
mod timing;

pub use group::{Failback, Follow, Group, OnDiskError, RestartPolicy};
pub use resource::{AgentClass, AgentRef, OnFail, Resource, Timeouts};
pub use service::{Service, ServiceKind};
pub use things::{Thing, exclusive, network_address};
pub use timing::{LeaseTimes, Timing};

use crate::id::{GroupId, NodeId, ServiceId};
use crate::time::Span;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Turns a configuration text into a model; given to the core by its shell, so that the core
/// needs no YAML. Must be deterministic. The error is one line for the operator.
pub type ParseConfig = fn(&str) -> Result<Cluster, String>;

/// Name under which the witness votes.
pub const WITNESS: &str = "witness";

/// A whole cluster, as configured.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cluster {
    pub name: String,
    /// In the order of the file.
    pub nodes: Vec<NodeSpec>,
    pub witness: Option<WitnessSpec>,
    pub timing: Timing,
    pub fencing: Fencing,
    /// An address that must answer pings before this node may shoot in a tie.
    pub tiebreak_ping: Option<String>,
    /// In the order of the file.
    pub groups: Vec<Group>,
    pub services: Vec<Service>,
    /// Users who may change things, besides root.
    pub operators: Vec<String>,
}

/// A machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeSpec {
    pub id: NodeId,
    /// One address a link, same order on all nodes.
    pub links: Vec<String>,
    /// Whether it votes. Two to seven nodes vote by default, more only if told.
    pub voter: bool,
    /// The watchdog device of this node, if one is to be armed.
    pub watchdog: Option<String>,
}

/// The witness: a voter that runs nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WitnessSpec {
    pub address: String,
}

/// How a silent node is proved dead.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Fencing {
    /// The admin said `fencing: none`: silence is all there is (H36).
    None,
    Devices {
        /// Methods of each node, tried in order.
        devices: BTreeMap<NodeId, Vec<FenceDevice>>,
        /// How long the side that hosts less waits in a tie; longer than the device's worst case.
        delay: Span,
    },
}

/// One method to prove one node dead.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FenceDevice {
    /// `command`, or the name of a fence agent such as `fence_ipmilan`.
    pub agent: String,
    pub params: BTreeMap<String, String>,
    /// After this long without an answer the request has failed.
    pub timeout: Span,
}

impl Cluster {
    #[must_use]
    pub fn node(&self, id: &NodeId) -> Option<&NodeSpec> {
        self.nodes.iter().find(|node| &node.id == id)
    }
    #[must_use]
    pub fn group(&self, id: &GroupId) -> Option<&Group> {
        self.groups.iter().find(|group| &group.id == id)
    }
    #[must_use]
    pub fn service(&self, id: &ServiceId) -> Option<&Service> {
        self.services.iter().find(|service| &service.id == id)
    }
    /// Whether `id` has at least one fencing device.
    #[must_use]
    pub fn has_device(&self, id: &NodeId) -> bool {
        match &self.fencing {
            Fencing::None => false,
            Fencing::Devices { devices, .. } => devices.get(id).is_some_and(|d| !d.is_empty()),
        }
    }
    /// Whether `id` votes when it is a member: voting nodes, and the witness.
    #[must_use]
    pub fn is_voter(&self, id: &NodeId) -> bool {
        if id.as_str() == WITNESS {
            return self.witness.is_some();
        }
        self.node(id).is_some_and(|node| node.voter)
    }
}
