//! Placement under situations that nobody thought of: it never panics, depends on nothing but the
//! situation, keeps its hard rules, moves nothing without a cause, and comes to rest.

mod world;

use crm_core::id::{GroupId, NodeId};
use crm_core::model::{Cluster, Failback, Group, OnDiskError};
use crm_core::packet::{Eligibility, GroupPhase};
use crm_core::place::{NodeSituation, Placement};
use crm_core::record::{GrantState, Intents};
use world::{World, crowd};

const SEEDS: u64 = 2_000;

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
                || tied().any(|g| lost_its_copy(&world, g, owner))
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

/// HB27.
fn lost_its_copy(world: &World, group: &Group, node: &NodeId) -> bool {
    let word = world.eligible.get(&group.id).and_then(|words| words.get(node));
    group.on_disk_error == OnDiskError::Move
        && word.is_some_and(|word| word.eligible == Some(false))
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
    // build. The best of several tries counts: a long one is interrupted more often where the machine is busy.
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
        if tried >= 5 && long < short * 100.0 {
            return;
        }
    }
    panic!("sixteen times the groups take {:.1} times as long", long / short);
}
