//! The situation, indexed by position, so that each rule reads it cheaply.

use super::follow::{Followed, followed};
use super::{NodeSituation, Situation};
use crate::id::{GroupId, NodeId, Stamp};
use crate::model::{Fencing, Group};
use crate::packet::{Eligibility, GroupPhase};
use crate::record::{Failures, GrantState};
use std::collections::BTreeMap;

/// Everything placement knows. Nodes and groups are meant by their position in the file.
pub(super) struct Facts<'a> {
    pub(super) situation: &'a Situation<'a>,
    pub(super) nodes: Vec<NodeFacts<'a>>,
    pub(super) groups: Vec<GroupFacts<'a>>,
    node_positions: BTreeMap<&'a NodeId, usize>,
    group_positions: BTreeMap<&'a GroupId, usize>,
}

pub(super) struct NodeFacts<'a> {
    pub(super) id: &'a NodeId,
    pub(super) situation: NodeSituation,
    pub(super) standby: bool,
    pub(super) leaving: bool,
}

pub(super) struct GroupFacts<'a> {
    pub(super) spec: &'a Group,
    pub(super) hold: Hold<'a>,
    /// The grant is `Held`, not `Ending`.
    pub(super) held: bool,
    /// The record that granted it, or ended the grant.
    pub(super) since: Option<Stamp>,
    /// Phase on the owner; unknown where nothing was reported.
    pub(super) phase: GroupPhase,
    /// Nodes of `prefer`, best first.
    pub(super) prefer: Vec<usize>,
    pub(super) failures: Option<&'a BTreeMap<NodeId, Failures>>,
    pub(super) bans: Option<&'a BTreeMap<NodeId, String>>,
    pub(super) eligible: Option<&'a BTreeMap<NodeId, Eligibility>>,
    /// Some resource is observed everywhere: eligibility counts.
    pub(super) observed: bool,
    pub(super) followed: Option<Followed<'a>>,
}

/// Who owns a group, and whether it can be taken from there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hold<'a> {
    /// Granted to nobody.
    Nobody,
    /// Its owner is proved dead, or left: it is free.
    Gone(usize),
    /// Its owner is online.
    Owned(usize),
    /// Its owner is silent, and the configuration lets this group move on silence (H36).
    Silence(usize),
    /// Its owner is heard, but the configuration no longer has it: the group ends there in order.
    Removed,
    /// Nothing can be taken from its owner now.
    Stuck { owner: &'a NodeId, node: Option<usize>, why: Stuck },
}

/// Why nothing can be taken from an owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stuck {
    /// Silent, not proved dead: safety before liveness.
    Silent,
    /// Heard, but not ready: it keeps what it has.
    Joining,
    /// R21: a stop failed there, so it may run.
    StopFailed,
    /// The configuration no longer has the node, and it is not heard.
    Unconfigured,
}

impl<'a> Facts<'a> {
    pub(super) fn new(situation: &'a Situation<'a>) -> Facts<'a> {
        let cluster = situation.cluster;
        let nodes: Vec<NodeFacts<'a>> = cluster
            .nodes
            .iter()
            .map(|node| NodeFacts {
                id: &node.id,
                situation: situation.nodes.get(&node.id).copied().unwrap_or(NodeSituation::Lost),
                standby: situation.intents.standby.contains(&node.id),
                leaving: situation.intents.leaving.contains(&node.id),
            })
            .collect();
        let node_positions =
            nodes.iter().enumerate().map(|(position, node)| (node.id, position)).collect();
        let group_positions =
            cluster.groups.iter().enumerate().map(|(at, group)| (&group.id, at)).collect();
        let mut facts =
            Facts { situation, nodes, groups: Vec::new(), node_positions, group_positions };
        facts.groups = cluster.groups.iter().map(|group| facts.group_facts(group)).collect();
        for group in 0..facts.groups.len() {
            facts.groups[group].followed = followed(&facts, group);
        }
        facts
    }

    pub(super) fn node(&self, id: &NodeId) -> Option<usize> {
        self.node_positions.get(id).copied()
    }

    pub(super) fn group(&self, id: &GroupId) -> Option<usize> {
        self.group_positions.get(id).copied()
    }

    pub(super) fn group_id(&self, group: usize) -> &'a GroupId {
        &self.groups[group].spec.id
    }

    /// Stopped by an operator, alone or with the whole cluster (R15).
    pub(super) fn is_stopped(&self, group: usize) -> bool {
        let intents = self.situation.intents;
        intents.cluster_stopped || intents.stopped.contains(self.group_id(group))
    }

    /// Whether the group is known to run: granted, held and reported running.
    pub(super) fn is_running(&self, group: usize) -> bool {
        let facts = &self.groups[group];
        facts.held && facts.phase == GroupPhase::Running
    }

    /// Why a node says that it could not serve the data of a group, if it says so.
    pub(super) fn not_good_at(&self, group: usize, node: usize) -> Option<&'a str> {
        let group = &self.groups[group];
        let word = group.eligible.filter(|_| group.observed)?.get(self.nodes[node].id)?;
        (word.eligible == Some(false)).then_some(word.reason.as_str())
    }

    fn group_facts(&self, spec: &'a Group) -> GroupFacts<'a> {
        let situation = self.situation;
        let phase = situation.phases.get(&spec.id).copied().unwrap_or(GroupPhase::Unknown);
        let grant = situation.grants.get(&spec.id);
        GroupFacts {
            spec,
            hold: grant.map_or(Hold::Nobody, |grant| self.hold(spec, &grant.owner, phase)),
            held: grant.is_some_and(|grant| grant.state == GrantState::Held),
            since: grant.map(|grant| grant.since),
            phase,
            prefer: spec.prefer.iter().filter_map(|node| self.node(node)).collect(),
            failures: situation.failures.get(&spec.id).filter(|nodes| !nodes.is_empty()),
            bans: situation.bans.get(&spec.id).filter(|nodes| !nodes.is_empty()),
            eligible: situation.eligible.get(&spec.id),
            observed: spec.resources.iter().any(|resource| resource.observe_everywhere),
            followed: None,
        }
    }

    fn hold(&self, spec: &Group, owner: &'a NodeId, phase: GroupPhase) -> Hold<'a> {
        let Some(node) = self.node(owner) else {
            return match self.situation.nodes.get(owner) {
                Some(NodeSituation::Gone) => Hold::Nobody,
                Some(NodeSituation::Online | NodeSituation::Joining) => Hold::Removed,
                _ => Hold::Stuck { owner, node: None, why: Stuck::Unconfigured },
            };
        };
        let stuck = |why| Hold::Stuck { owner, node: Some(node), why };
        let failures = self.situation.failures.get(&spec.id).and_then(|nodes| nodes.get(owner));
        let stop_failed =
            phase == GroupPhase::StopFailed || failures.is_some_and(|failed| failed.stop_failed);
        match self.nodes[node].situation {
            NodeSituation::Gone => Hold::Gone(node),
            NodeSituation::Lost | NodeSituation::Awaited => {
                let left = self.situation.retired.get(&spec.id);
                let waived = self.situation.cluster.fencing == Fencing::None
                    && spec.moves_on_silence_with(left);
                if waived { Hold::Silence(node) } else { stuck(Stuck::Silent) }
            }
            NodeSituation::Online | NodeSituation::Joining if stop_failed => {
                stuck(Stuck::StopFailed)
            }
            NodeSituation::Joining => stuck(Stuck::Joining),
            NodeSituation::Online => Hold::Owned(node),
        }
    }
}

impl GroupFacts<'_> {
    /// Its grant ends, and its stop is not proved yet.
    pub(super) fn ends(&self) -> bool {
        self.hold != Hold::Nobody && !self.held
    }

    /// The node that owns it and is online.
    pub(super) fn owned_by(&self) -> Option<usize> {
        match self.hold {
            Hold::Owned(node) => Some(node),
            _ => None,
        }
    }

    /// The node it is granted to, whatever that node's state.
    pub(super) fn owner(&self) -> Option<usize> {
        match self.hold {
            Hold::Nobody | Hold::Removed => None,
            Hold::Gone(node) | Hold::Owned(node) | Hold::Silence(node) => Some(node),
            Hold::Stuck { node, .. } => node,
        }
    }
}
