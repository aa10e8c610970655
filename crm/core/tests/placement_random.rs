//! Placement under situations that nobody thought of: it never panics, depends on nothing but the
//! situation, keeps its hard rules, moves nothing without a cause, and comes to rest.

use crm_core::id::{Epoch, GroupId, NodeId, ServiceId, Stamp};
use crm_core::model::*;
use crm_core::packet::{Eligibility, GroupPhase};
use crm_core::place::{Choice, NodeSituation, Placement, Situation, place};
use crm_core::record::{Failures, Grant, GrantState, Intents, Maintenance};
use crm_core::time::Span;
use std::collections::BTreeMap;

const SEEDS: u64 = 2_000;

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
struct World {
    cluster: Cluster,
    nodes: BTreeMap<NodeId, NodeSituation>,
    intents: Intents,
    failures: BTreeMap<GroupId, BTreeMap<NodeId, Failures>>,
    bans: BTreeMap<GroupId, BTreeMap<NodeId, String>>,
    grants: BTreeMap<GroupId, Grant>,
    phases: BTreeMap<GroupId, GroupPhase>,
    eligible: BTreeMap<GroupId, BTreeMap<NodeId, Eligibility>>,
    roles: BTreeMap<ServiceId, BTreeMap<NodeId, String>>,
    version: u64,
}

impl World {
    fn random(seed: u64) -> World {
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
                world.grants.insert(id.clone(), Grant { owner: dice.pick(&owners), state, since });
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

    fn place(&self) -> Placement {
        place(&Situation {
            cluster: &self.cluster,
            nodes: &self.nodes,
            intents: &self.intents,
            failures: &self.failures,
            bans: &self.bans,
            grants: &self.grants,
            phases: &self.phases,
            eligible: &self.eligible,
            roles: &self.roles,
        })
    }

    fn grant(&mut self, group: &GroupId, owner: &NodeId, state: GrantState, phase: GroupPhase) {
        self.version += 1;
        let since = Stamp { epoch: Epoch(1), version: self.version };
        self.grants.insert(group.clone(), Grant { owner: owner.clone(), state, since });
        self.phases.insert(group.clone(), phase);
    }

    /// One lawful step for every group (R11), as the planner and a willing node would make it.
    /// Returns whether anything changed.
    fn step(&mut self) -> bool {
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
    fn forbidden(&self, group: &Group, node: &NodeId) -> Option<&'static str> {
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

#[test]
fn the_same_situation_gives_the_same_answer_for_every_group() {
    for seed in 0..SEEDS {
        let world = World::random(seed);
        let placement = world.place();
        assert_eq!(placement, world.clone().place(), "seed {seed}");
        assert_eq!(placement.groups.len(), world.cluster.groups.len(), "seed {seed}");
        for (id, choice) in &placement.groups {
            assert!(!choice.reason.is_empty(), "seed {seed}: no reason for {id}");
            assert_eq!(choice.verdicts.len(), world.cluster.nodes.len(), "seed {seed}: {id}");
        }
    }
}

#[test]
fn nothing_is_given_to_a_node_that_may_not_have_it() {
    let mut given = 0;
    for seed in 0..SEEDS {
        let world = World::random(seed);
        for (id, choice) in &world.place().groups {
            let (Some(node), Some(group)) = (&choice.node, world.cluster.group(id)) else {
                continue;
            };
            let owner = world.grants.get(id).map(|grant| &grant.owner);
            if owner == Some(node) || choice.wait || world.intents.maintenance.is_some() {
                continue;
            }
            given += 1;
            let against = world.forbidden(group, node);
            assert_eq!(against, None, "seed {seed}: {id} to {node}: {}", choice.reason);
            assert!(!world.intents.stopped.contains(id) && !world.intents.cluster_stopped);
        }
    }
    assert!(given > SEEDS / 2, "only {given} groups were given to anybody");
}

#[test]
fn a_group_that_runs_well_is_not_moved_without_a_cause() {
    let (mut kept, mut moved) = (0, 0);
    for seed in 0..SEEDS {
        let world = World::random(seed);
        let placement = world.place();
        for group in &world.cluster.groups {
            let Some(grant) = world.grants.get(&group.id) else { continue };
            let choice = &placement.groups[&group.id];
            if choice.node.as_ref() == Some(&grant.owner) {
                kept += 1;
                continue;
            }
            moved += 1;
            let owner = &grant.owner;
            let unit = unit(&world.cluster, &group.id);
            let tied = || unit.iter().filter_map(|id| world.cluster.group(id));
            let stopped = |id| world.intents.cluster_stopped || world.intents.stopped.contains(id);
            let cause = grant.state == GrantState::Ending
                || tied().any(|g| stopped(&g.id) || world.forbidden(g, owner).is_some())
                || tied().any(|g| world.intents.pins.contains_key(&g.id))
                || tied().any(|g| g.failback == Failback::Auto)
                || tied().any(|g| world.grants.get(&g.id).is_none_or(|g| g.owner != *owner))
                || tied().any(|g| g.follow.is_some())
                || meets_what_it_avoids(&world, &placement, &unit, owner);
            assert!(cause, "seed {seed}: {} left {owner}: {}", group.id, choice.reason);
        }
    }
    assert!(kept > SEEDS && moved > SEEDS, "{kept} kept, {moved} moved");
}

fn unit(cluster: &Cluster, id: &GroupId) -> Vec<GroupId> {
    let mut unit = vec![id.clone()];
    loop {
        let more = cluster.groups.iter().find(|group| {
            let tied = |other: &Group| {
                unit.contains(&other.id)
                    && (group.runs_with.contains(&other.id) || other.runs_with.contains(&group.id))
            };
            !unit.contains(&group.id) && cluster.groups.iter().any(tied)
        });
        match more {
            Some(group) => unit.push(group.id.clone()),
            None => return unit,
        }
    }
}

/// Now, or once everything is where it is to be.
fn meets_what_it_avoids(
    world: &World,
    placement: &Placement,
    unit: &[GroupId],
    node: &NodeId,
) -> bool {
    unit.iter().filter_map(|id| world.cluster.group(id)).any(|group| {
        world.cluster.groups.iter().any(|other| {
            (group.avoids.contains(&other.id) || other.avoids.contains(&group.id))
                && (world.grants.get(&other.id).is_some_and(|grant| grant.owner == *node)
                    || placement.groups[&other.id].node.as_ref() == Some(node))
        })
    })
}

/// Steps until nothing changes; the number of steps, or `None` if it never rests.
fn rest(world: &mut World) -> Option<usize> {
    (0..200).find(|_| !world.step())
}

#[test]
fn carried_out_it_comes_to_rest_and_stays() {
    for seed in 0..SEEDS {
        let mut world = World::random(seed);
        assert!(
            rest(&mut world).is_some(),
            "seed {seed} never comes to rest: {:#?}",
            world.place()
        );
        assert!(!world.step(), "seed {seed} moves again");
    }
}

/// A situation that came to rest, and then all was repaired.
fn heal(seed: u64) -> World {
    let mut world = World::random(seed);
    rest(&mut world);
    world.nodes.retain(|node, _| world.cluster.node(node).is_some());
    world.nodes.values_mut().for_each(|situation| *situation = NodeSituation::Online);
    world.intents = Intents { pins: world.intents.pins, ..Intents::default() };
    world.failures.clear();
    world.bans.clear();
    let known = |node: &NodeId| world.cluster.node(node).is_some();
    world.grants.retain(|_, grant| known(&grant.owner));
    for group in &world.cluster.groups {
        for node in &world.cluster.nodes {
            let yes = Eligibility { eligible: Some(true), reason: String::new() };
            world.eligible.entry(group.id.clone()).or_default().insert(node.id.clone(), yes);
        }
        if let Some(phase) = world.phases.get_mut(&group.id)
            && *phase == GroupPhase::StopFailed
        {
            *phase = GroupPhase::Running;
        }
        if world.phases.get(&group.id) == Some(&GroupPhase::Failed) {
            world.phases.insert(group.id.clone(), GroupPhase::Stopped);
        }
    }
    world
}

#[test]
fn i4_when_all_is_well_again_every_group_runs() {
    for seed in 0..SEEDS {
        let mut world = heal(seed);
        assert!(rest(&mut world).is_some(), "seed {seed} never comes to rest");
        for group in &world.cluster.groups {
            let free = unit(&world.cluster, &group.id).iter().all(|id| {
                let group = world.cluster.group(id);
                group.is_some_and(|g| g.follow.is_none() && !g.only_preferred)
            });
            let bases_free = group.starts_after.is_empty();
            if free && bases_free {
                let running =
                    world.grants.get(&group.id).is_some_and(|g| g.state == GrantState::Held);
                let choice = &world.place().groups[&group.id];
                assert!(running, "seed {seed}: {} does not run: {}", group.id, choice.reason);
            }
        }
    }
}

#[test]
fn a_thousand_groups_are_placed_within_bounds() {
    // Not a benchmark: only a rule that grew quadratic (256 times) would be caught, even in a debug
    // build. The best of several tries counts, and more tries where the machine is busy.
    let (few, many) = (crowd(250, 32), crowd(4_000, 32));
    let time = |world: &World| {
        #[allow(clippy::disallowed_types, reason = "a test is a shell: it may look at a clock")]
        let begin = std::time::Instant::now();
        assert_eq!(world.place().groups.len(), world.cluster.groups.len());
        begin.elapsed().as_secs_f64()
    };
    let (mut short, mut long) = (f64::INFINITY, f64::INFINITY);
    for tried in 1..=40 {
        (short, long) = (short.min(time(&few)), long.min(time(&many)));
        if tried >= 5 && long < short * 30.0 {
            return;
        }
    }
    panic!("sixteen times the groups take {:.1} times as long", long / short);
}

/// Many groups with every kind of tie, after the death of a node.
fn crowd(groups: usize, nodes: usize) -> World {
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
