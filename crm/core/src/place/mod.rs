//! Placement: which group should be where, as one pure function with a reason for every choice.
//!
//! It decides what should be; `grants` turns the difference into lawful steps (R11). It never
//! looks at time: what has expired, who is awaited, who is proved dead is told to it.

mod choose;
mod follow;
mod possible;
mod unit;

use crate::id::{GroupId, NodeId, ServiceId};
use crate::model::Cluster;
use crate::packet::{Eligibility, GroupPhase};
use crate::record::{Failures, Grant, Intents};
use std::collections::BTreeMap;

/// Everything placement looks at.
#[derive(Clone, Debug)]
pub struct Situation<'a> {
    pub cluster: &'a Cluster,
    pub nodes: &'a BTreeMap<NodeId, NodeSituation>,
    pub intents: &'a Intents,
    pub failures: &'a BTreeMap<GroupId, BTreeMap<NodeId, Failures>>,
    pub bans: &'a BTreeMap<GroupId, BTreeMap<NodeId, String>>,
    pub grants: &'a BTreeMap<GroupId, Grant>,
    /// Phase of a group on its owner, as last reported.
    pub phases: &'a BTreeMap<GroupId, GroupPhase>,
    /// Reported eligibility, for groups with a resource that is observed everywhere. Missing is no.
    pub eligible: &'a BTreeMap<GroupId, BTreeMap<NodeId, Eligibility>>,
    /// Role of each service on each node, as last reported; missing is unknown.
    pub roles: &'a BTreeMap<ServiceId, BTreeMap<NodeId, String>>,
}

/// What placement needs to know of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodeSituation {
    /// Heard, obeys a record of this cluster: may be given groups.
    Online,
    /// Heard, but not ready to be given anything.
    Joining,
    /// Silent, and a fresh quorum still waits for it (`initdead`).
    Awaited,
    /// Silent, not proved dead: keeps what it owns, gets nothing.
    Lost,
    /// Proved dead, or left: what it owned is free.
    Gone,
}

/// What should be where.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Placement {
    pub groups: BTreeMap<GroupId, Choice>,
}

/// Where one group should be, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// `None`: nowhere.
    pub node: Option<NodeId>,
    /// One sentence for people.
    pub reason: String,
    /// What is thought of each node, the chosen one first.
    pub verdicts: Vec<crate::status::Verdict>,
    /// The pin of a migrate is over: arrived, or cannot be followed.
    pub pin_finished: Option<String>,
    /// Nothing is to be started yet, though a node is chosen.
    pub wait: bool,
}

/// Places every group. Deterministic, and a fixed point: placing again after the choices are
/// carried out changes nothing.
#[must_use]
pub fn place(situation: &Situation<'_>) -> Placement {
    choose::choose(situation)
}
