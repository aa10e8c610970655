//! Placement: which group should be where, as one pure function with a reason for every choice.
//!
//! It decides what should be; `grants` turns the difference into lawful steps (R11). It never
//! looks at time: what has expired, who is awaited, who is proved dead is told to it.

mod avoid;
mod choose;
mod explain;
mod facts;
mod follow;
mod obstacle;
mod order;
mod pin;
mod preference;
mod unit;
mod verdict;
mod wait;

pub use order::stop_order;

use crate::id::{GroupId, NodeId, ServiceId};
use crate::model::{Cluster, Group};
use crate::packet::{Eligibility, GroupPhase};
use crate::record::{Failures, Grant, Intents};
use crate::status::Verdict;
use facts::Facts;
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
    /// What a group's owner may still run of earlier definitions.
    pub retired: &'a BTreeMap<GroupId, Group>,
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

/// The answer: every configured group, and where it should be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Placement {
    pub groups: BTreeMap<GroupId, Choice>,
}

/// Where one group should be, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// Where it should be: its owner where it is to stay, also an owner from which nothing can be
    /// taken. `None`: it should run nowhere.
    pub node: Option<NodeId>,
    /// One sentence for people: why there, or why nowhere.
    pub reason: String,
    /// Every configured node: the chosen one, then those that may run it, the best one first, then
    /// the others.
    pub verdicts: Vec<Verdict>,
    /// Set when the pin of a migrate is over: it arrived, or cannot be followed; says which.
    pub pin_finished: Option<String>,
    /// Nothing is to be granted yet: `starts_after` or `initdead`; `reason` says for what it waits.
    pub wait: bool,
    /// It is to leave its owner, but only once this group, which starts after it, has stopped.
    pub stops_after: Option<GroupId>,
}

/// Decides where every group should be. Deterministic; carrying out the answer and asking again
/// gives the same answer.
#[must_use]
pub fn place(situation: &Situation<'_>) -> Placement {
    let facts = Facts::new(situation);
    let settlement = choose::settle(&facts);
    let groups = (0..facts.groups.len())
        .map(|group| {
            (facts.groups[group].spec.id.clone(), explain::choice(&facts, &settlement, group))
        })
        .collect();
    Placement { groups }
}
