//! Situations made up from a seed, and the lawful steps that carry an answer out.

use crm_core::id::{Epoch, GroupId, NodeId, ServiceId, Stamp};
use crm_core::model::*;
use crm_core::packet::{Eligibility, GroupPhase};
use crm_core::place::{Choice, NodeSituation, Placement, Situation, place};
use crm_core::record::{Failures, Grant, GrantState, Intents, Maintenance};
use crm_core::time::Span;
use std::collections::BTreeMap;

/// xorshift64*: enough to wander, and the same everywhere.
struct Dice(u64);

impl Dice {
    fn new(seed: u64) -> Dice {
        Dice((seed + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % end.max(1)
    }

    fn one_in(&mut self, many: usize) -> bool {
        self.below(many) == 0
    }

    fn pick<T: Clone>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())].clone()
    }
}

/// A situation that owns its parts.
#[derive(Clone)]
pub(crate) struct World {
    pub(crate) cluster: Cluster,
    pub(crate) nodes: BTreeMap<NodeId, NodeSituation>,
    pub(crate) intents: Intents,
    pub(crate) failures: BTreeMap<GroupId, BTreeMap<NodeId, Failures>>,
    pub(crate) bans: BTreeMap<GroupId, BTreeMap<NodeId, String>>,
    pub(crate) grants: BTreeMap<GroupId, Grant>,
    pub(crate) phases: BTreeMap<GroupId, GroupPhase>,
    pub(crate) eligible: BTreeMap<GroupId, BTreeMap<NodeId, Eligibility>>,
    pub(crate) roles: BTreeMap<ServiceId, BTreeMap<NodeId, String>>,
    version: u64,
}

impl World {
    pub(crate) fn random(seed: u64) -> World {
        let mut dice = Dice::new(seed);
        let names: Vec<NodeId> =
            (0..1 + dice.below(6)).map(|at| NodeId::new(&format!("n{at}"))).collect();
        let groups: Vec<GroupId> =
            (0..dice.below(9)).map(|at| GroupId::new(&format!("g{at}"))).collect();
        let service = ServiceId::new("pg");
        let specs =
            groups.iter().enumerate().map(|(at, id)| group(&mut dice, id, at, &groups, &names));
        let specs: Vec<Group> = specs.collect();
        let fencing = if dice.one_in(2) {
            Fencing::None
        } else {
            Fencing::Devices { devices: BTreeMap::new(), delay: Span::ZERO }
        };
        let mut world = World {
            cluster: Cluster {
                name: "random".into(),
                nodes: names
                    .iter()
                    .map(|id| NodeSpec {
                        id: id.clone(),
                        links: vec![],
                        voter: true,
                        watchdog: None,
                    })
                    .collect(),
                witness: None,
                timing: Timing::default(),
                fencing,
                tiebreak_ping: None,
                groups: specs,
                services: vec![],
                operators: vec![],
            },
            nodes: BTreeMap::new(),
            intents: Intents::default(),
            failures: BTreeMap::new(),
            bans: BTreeMap::new(),
            grants: BTreeMap::new(),
            phases: BTreeMap::new(),
            eligible: BTreeMap::new(),
            roles: BTreeMap::new(),
            version: 100,
        };
        // A node that the configuration no longer has.
        let mut owners = names.clone();
        if dice.one_in(6) {
            owners.push(NodeId::new("old"));
        }
        for name in &owners {
            let situation = match dice.below(9) {
                0 => NodeSituation::Joining,
                1 => NodeSituation::Awaited,
                2 => NodeSituation::Lost,
                3 => NodeSituation::Gone,
                _ => NodeSituation::Online,
            };
            world.nodes.insert(name.clone(), situation);
            if dice.one_in(7) {
                world.intents.standby.insert(name.clone());
            }
            if dice.one_in(12) {
                world.intents.leaving.insert(name.clone());
            }
            if dice.one_in(2) {
                let role = dice.pick(&["primary", "standby", "other"]).to_owned();
                world.roles.entry(service.clone()).or_default().insert(name.clone(), role);
            }
        }
        world.intents.cluster_stopped = dice.one_in(25);
        world.intents.maintenance = dice.one_in(15).then_some(Maintenance { lasts: None });
        for id in &groups {
            if dice.one_in(8) {
                world.intents.stopped.insert(id.clone());
            }
            if dice.one_in(6) {
                world.intents.pins.insert(id.clone(), dice.pick(&names));
            }
            if !dice.one_in(3) {
                let state = if dice.one_in(5) { GrantState::Ending } else { GrantState::Held };
                let since = Stamp { epoch: Epoch(1), version: dice.below(90) as u64 };
                world
                    .grants
                    .insert(id.clone(), Grant { state, ..Grant::held(dice.pick(&owners), since) });
                let phase = dice.pick(&[
                    GroupPhase::Unknown,
                    GroupPhase::Stopped,
                    GroupPhase::Starting,
                    GroupPhase::Running,
                    GroupPhase::Running,
                    GroupPhase::Running,
                    GroupPhase::Stopping,
                    GroupPhase::Failed,
                    GroupPhase::StopFailed,
                ]);
                world.phases.insert(id.clone(), phase);
            }
            for name in &names {
                if dice.one_in(12) {
                    let failures =
                        Failures { count: 1, reason: "x".into(), stop_failed: dice.one_in(3) };
                    world.failures.entry(id.clone()).or_default().insert(name.clone(), failures);
                }
                if dice.one_in(15) {
                    world.bans.entry(id.clone()).or_default().insert(name.clone(), "y".into());
                }
                let word = Eligibility {
                    eligible: dice.pick(&[Some(true), Some(true), Some(false), None]),
                    reason: String::new(),
                };
                if !dice.one_in(5) {
                    world.eligible.entry(id.clone()).or_default().insert(name.clone(), word);
                }
            }
        }
        world
    }

    pub(crate) fn place(&self) -> Placement {
        place(&Situation {
            cluster: &self.cluster,
            nodes: &self.nodes,
            intents: &self.intents,
            failures: &self.failures,
            bans: &self.bans,
            grants: &self.grants,
            retired: &BTreeMap::new(),
            phases: &self.phases,
            eligible: &self.eligible,
            roles: &self.roles,
        })
    }

    fn grant(&mut self, group: &GroupId, owner: &NodeId, state: GrantState, phase: GroupPhase) {
        self.version += 1;
        let since = Stamp { epoch: Epoch(1), version: self.version };
        self.grants.insert(group.clone(), Grant { state, ..Grant::held(owner.clone(), since) });
        self.phases.insert(group.clone(), phase);
    }

    /// One lawful step for every group (R11), as the planner and a willing node would make it.
    /// Returns whether anything changed.
    pub(crate) fn step(&mut self) -> bool {
        let before = (self.grants.clone(), self.phases.clone(), self.intents.pins.clone());
        for (group, choice) in &self.place().groups {
            self.step_one(group, choice);
            if choice.pin_finished.is_some() {
                self.intents.pins.remove(group);
            }
        }
        let owners = |grants: &BTreeMap<GroupId, Grant>| -> Vec<(GroupId, NodeId, GrantState)> {
            grants.iter().map(|(id, g)| (id.clone(), g.owner.clone(), g.state)).collect()
        };
        owners(&before.0) != owners(&self.grants)
            || before.1 != self.phases
            || before.2 != self.intents.pins
    }

    fn step_one(&mut self, group: &GroupId, choice: &Choice) {
        let start = |world: &mut World| {
            if let Some(node) = choice.node.as_ref().filter(|_| !choice.wait)
                && world.nodes.get(node) == Some(&NodeSituation::Online)
            {
                world.grant(group, node, GrantState::Held, GroupPhase::Running);
            }
        };
        let Some(grant) = self.grants.get(group).cloned() else { return start(self) };
        let situation = self.nodes.get(&grant.owner).copied().unwrap_or(NodeSituation::Lost);
        let heard = matches!(situation, NodeSituation::Online | NodeSituation::Joining);
        let phase = self.phases.get(group).copied().unwrap_or(GroupPhase::Unknown);
        let waived = self.cluster.fencing == Fencing::None
            && self.cluster.group(group).is_some_and(Group::moves_on_silence);
        let free = situation == NodeSituation::Gone
            || (!heard && waived)
            || (grant.state == GrantState::Ending && phase.is_stopped());
        if choice.node.as_ref() == Some(&grant.owner) {
            if grant.state == GrantState::Ending {
                // Its stop goes on, and only then it may be given back.
                if phase.is_stopped() {
                    start(self);
                } else if heard && phase != GroupPhase::StopFailed {
                    self.phases.insert(group.clone(), GroupPhase::Stopped);
                }
            } else if situation == NodeSituation::Online
                && !matches!(phase, GroupPhase::StopFailed | GroupPhase::Failed)
            {
                self.phases.insert(group.clone(), GroupPhase::Running);
            }
        } else if free {
            self.grants.remove(group);
            self.phases.remove(group);
            start(self);
        } else if heard && grant.state == GrantState::Held && choice.stops_after.is_none() {
            self.grant(group, &grant.owner, GrantState::Ending, phase);
        } else if heard && grant.state == GrantState::Ending && phase != GroupPhase::StopFailed {
            self.phases.insert(group.clone(), GroupPhase::Stopped);
        }
    }

    /// What the hard rules have against `group` on `node`, apart from being there already.
    pub(crate) fn forbidden(&self, group: &Group, node: &NodeId) -> Option<&'static str> {
        let at = |map: &BTreeMap<GroupId, BTreeMap<NodeId, Failures>>| {
            map.get(&group.id).is_some_and(|nodes| nodes.contains_key(node))
        };
        if self.nodes.get(node) != Some(&NodeSituation::Online) {
            Some("not online")
        } else if self.cluster.node(node).is_none() {
            Some("not configured")
        } else if self.intents.standby.contains(node) {
            Some("in standby")
        } else if self.intents.leaving.contains(node) {
            Some("leaving")
        } else if self.bans.get(&group.id).is_some_and(|nodes| nodes.contains_key(node)) {
            Some("banned")
        } else if at(&self.failures) {
            Some("failed there")
        } else if group.only_preferred && !group.prefer.contains(node) {
            Some("not preferred")
        } else if group.resources.iter().any(|r| r.observe_everywhere)
            && self
                .eligible
                .get(&group.id)
                .and_then(|nodes| nodes.get(node))
                .and_then(|w| w.eligible)
                != Some(true)
        {
            Some("not eligible")
        } else {
            let role =
                |node| self.roles.get(&ServiceId::new("pg")).and_then(|roles| roles.get(node));
            let follows = |follow: &Follow| {
                role(node).is_some_and(|held| {
                    *held == follow.role || Some(held) == follow.otherwise.as_ref()
                })
            };
            group.follow.as_ref().is_some_and(|f| !follows(f)).then_some("another role")
        }
    }
}

fn group(dice: &mut Dice, id: &GroupId, at: usize, groups: &[GroupId], names: &[NodeId]) -> Group {
    // Towards earlier groups only: the configuration refuses circles.
    let some = |many: usize, dice: &mut Dice| -> Vec<GroupId> {
        groups[..at].iter().filter(|_| dice.one_in(many)).cloned().collect()
    };
    let runs_with = some(9, dice);
    let starts_after = some(7, dice);
    let avoids = some(6, dice).into_iter().filter(|other| !runs_with.contains(other)).collect();
    let resource = Resource {
        id: "one".into(),
        agent: AgentRef { class: AgentClass::Own, name: "any".into() },
        params: BTreeMap::new(),
        args: vec![],
        timeouts: Timeouts::default(),
        interval: Span::secs(10),
        on_fail: OnFail::Restart,
        stateless: dice.one_in(3),
        observe_everywhere: dice.one_in(4),
    };
    let follow = dice.one_in(5).then(|| Follow {
        service: "pg".into(),
        role: dice.pick(&["primary", "standby"]).into(),
        otherwise: dice.one_in(2).then(|| "primary".into()),
    });
    let mut prefer: Vec<NodeId> = names.iter().filter(|_| dice.one_in(2)).cloned().collect();
    if dice.one_in(2) {
        prefer.reverse();
    }
    Group {
        id: id.clone(),
        only_preferred: !prefer.is_empty() && dice.one_in(6),
        prefer,
        failback: if dice.one_in(3) { Failback::Auto } else { Failback::Manual },
        on_disk_error: if dice.one_in(2) { OnDiskError::Move } else { OnDiskError::Stay },
        resources: vec![resource],
        runs_with,
        avoids,
        starts_after,
        follow,
        priority: dice.below(3) as i32,
        restart: RestartPolicy { count: 3, window: Span::secs(600) },
        failure_expiry: Span::secs(3600),
        unsafe_failover: dice.one_in(8),
    }
}

/// Many groups with every kind of tie, after the death of a node.
pub(crate) fn crowd(groups: usize, nodes: usize) -> World {
    let mut world = World::random(0);
    let names: Vec<NodeId> = (0..nodes).map(|at| NodeId::new(&format!("n{at:02}"))).collect();
    let ids: Vec<GroupId> = (0..groups).map(|at| GroupId::new(&format!("g{at:05}"))).collect();
    let mut dice = Dice::new(7);
    world.cluster.nodes = names
        .iter()
        .map(|id| NodeSpec { id: id.clone(), links: vec![], voter: true, watchdog: None })
        .collect();
    world.cluster.groups = ids
        .iter()
        .enumerate()
        .map(|(at, id)| {
            let near = at.saturating_sub(3);
            let mut group = group(&mut dice, id, 0, &ids, &names);
            group.follow = None;
            group.starts_after = if at % 4 == 3 { vec![ids[near].clone()] } else { vec![] };
            group.avoids = if at % 10 == 0 && at > 0 { vec![ids[at - 1].clone()] } else { vec![] };
            group.runs_with = if at % 7 == 6 { vec![ids[at - 2].clone()] } else { vec![] };
            group
        })
        .collect();
    world.intents = Intents::default();
    (world.failures, world.bans) = (BTreeMap::new(), BTreeMap::new());
    (world.grants, world.phases) = (BTreeMap::new(), BTreeMap::new());
    world.nodes = names.iter().map(|id| (id.clone(), NodeSituation::Online)).collect();
    world.nodes.insert(names[5].clone(), NodeSituation::Gone);
    for (at, id) in ids.iter().enumerate().filter(|(at, _)| at % 5 != 4) {
        world.grant(id, &names[at % nodes], GrantState::Held, GroupPhase::Running);
    }
    world
}
