//! What the shell of a node knows beside the core's status.

use crm_core::id::{Incarnation, NodeId, StoreId};
use crm_core::status::Status;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Which daemon answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VersionReport {
    /// Of the package.
    pub version: String,
    pub node: NodeId,
    /// Event numbers count within one incarnation.
    pub incarnation: Incarnation,
    pub pid: u32,
    /// Seconds since the daemon started.
    pub uptime_secs: u64,
    /// Bytes of the heap that are in use now, where the allocator tells: what the process takes from the kernel
    /// beforehand hides how that grows.
    #[serde(default)]
    pub heap_bytes: Option<u64>,
}

/// The configuration in force; `text` is `None` while this node knows none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfigReport {
    /// Of `text`, in hexadecimal.
    pub digest: Option<String>,
    pub text: Option<String>,
}

/// What the fencing devices of the other nodes answered to this one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DevicesReport {
    pub devices: Vec<DeviceCheck>,
}

/// One device, as this node can use it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceCheck {
    /// Which node it powers off.
    pub node: NodeId,
    /// 1 is tried first.
    pub level: u32,
    pub agent: String,
    /// It can be asked without powering anything off: a fence agent, or a `command` with `check`.
    pub checkable: bool,
    /// Seconds since it was asked last.
    pub looked_secs: Option<u64>,
    /// Seconds since it last answered that it can be used.
    pub proved_secs: Option<u64>,
    /// What it said of the power then.
    pub on: Option<bool>,
    /// Why it cannot be used now.
    pub problem: Option<String>,
}

/// The sockets of a node and what it refused.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinksReport {
    pub links: Vec<LinkCounters>,
    /// Datagrams dropped by the wire and authentic packets that nothing was done for, by reason (HB4,
    /// I9). Reasons that never came are not in it.
    pub rejected: BTreeMap<String, u64>,
    /// Authentic payloads that this version cannot read.
    pub not_understood: u64,
    /// Packets for a node whose address is not known.
    pub no_address: u64,
}

/// One socket.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkCounters {
    pub link: u8,
    /// Address and port it is bound to, or is to be bound to.
    pub address: String,
    /// Why it is not bound, if it is not.
    pub problem: Option<String>,
    pub datagrams_in: u64,
    pub datagrams_out: u64,
    /// Sends and receives that the kernel refused.
    pub errors: u64,
}

/// What a witness says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WitnessReport {
    pub sockets: Vec<LinkCounters>,
    /// Datagrams that are not of this product, or name a cluster that is not served here.
    pub strange: u64,
    /// In the order of witness.yaml.
    pub clusters: Vec<WitnessCluster>,
}

/// One cluster of a witness.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WitnessCluster {
    pub cluster: String,
    /// What is wrong with its files or its disk, and what to do.
    pub problem: Option<String>,
    /// Where this witness keeps how it voted.
    pub state_file: String,
    /// Identity of that store; another one is another voter (R18). `None`: nobody votes now.
    pub store: Option<StoreId>,
    /// The cluster as this voter sees it.
    pub status: Option<Box<Status>>,
    /// As [`LinksReport::rejected`].
    pub rejected: BTreeMap<String, u64>,
}
