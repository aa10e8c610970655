//! What must never happen, as functions named as sentences. They look at the model's truth and at
//! what nodes say and do, never at what a node believes. [`crate::observe`] calls those that
//! belong to one moment; [`check`] runs after every event.

use crate::faults::Wish;
use crate::ghost::Belief;
use crate::queue::{Datagram, Seat};
use crate::world::World;
use crm_core::Output;
use crm_core::id::{NodeId, Stamp, StoreId};
use crm_core::model::{Fencing, Group};
use crm_core::operation::Operation;
use crm_core::packet::Message;
use crm_core::record::{GrantState, HISTORY_MAX, Record};
use crm_core::rules::Rules;
use crm_core::status::Status;
use std::collections::{BTreeMap, BTreeSet};

/// After every event.
pub(crate) fn check<R: Rules>(world: &mut World<R>) {
    if std::mem::take(&mut world.ghost.resources_moved) {
        a_group_runs_on_at_most_one_node(world);
    }
}

impl<R: Rules> World<R> {
    pub(crate) fn blame(&mut self, invariant: &'static str, detail: String) {
        self.trace.line(self.now, "*", "VIOLATION", format_args!("{invariant}: {detail}"));
        self.ghost.blame(self.now, invariant, detail);
    }

    /// Exempt from I1 and I3 by name: the admin chose `fencing: none` (H36).
    pub(crate) fn moves_on_silence(&self, group: &Group) -> bool {
        self.cluster.fencing == Fencing::None && group.moves_on_silence()
    }
}

/// I1. Looks at resources that run or may come to run, on machines that have power.
pub(crate) fn a_group_runs_on_at_most_one_node<R: Rules>(world: &mut World<R>) {
    for group in &world.cluster.groups {
        if world.moves_on_silence(group) {
            continue;
        }
        let holders: Vec<&NodeId> = world
            .machines
            .iter()
            .filter(|machine| machine.powered && machine.agents.holds_group(&group.id))
            .map(|machine| &machine.id)
            .collect();
        if holders.len() > 1 {
            let detail = format!("group {} runs on {holders:?}", group.id);
            world.blame("a_group_runs_on_at_most_one_node", detail);
            return;
        }
    }
}

/// I2, as far as the daemon can know: by the results of its own calls.
pub(crate) fn resources_start_in_order_and_stop_in_reverse<R: Rules>(
    world: &mut World<R>,
    seat: Seat,
    operation: &Operation,
    starts: bool,
) {
    let Operation { group, resource, .. } = operation;
    let Some(spec) = world.cluster.group(group) else { return };
    let Some(at) = spec.resources.iter().position(|r| &r.id == resource) else { return };
    let (others, wanted) = if starts {
        (&spec.resources[..at], Belief::Running)
    } else {
        (&spec.resources[at + 1..], Belief::Stopped)
    };
    for other in others {
        let key = (seat, group.clone(), other.id.clone());
        let belief = world.ghost.beliefs.get(&key).copied().unwrap_or(Belief::Unknown);
        if belief != wanted {
            let node = world.machines[seat].id.clone();
            let (verb, other) = (if starts { "started" } else { "stopped" }, other.id.clone());
            let detail = format!("{verb} {group}/{resource} on {node} while {other} is {belief:?}");
            world.blame("resources_start_in_order_and_stop_in_reverse", detail);
            return;
        }
    }
}

/// I3 and R10. The record must be committed in truth, and this incarnation must have been told so,
/// or be the coordinator that committed it.
pub(crate) fn nothing_starts_without_a_committed_grant_of_this_incarnation<R: Rules>(
    world: &mut World<R>,
    seat: Seat,
    operation: &Operation,
) {
    const NAME: &str = "nothing_starts_without_a_committed_grant_of_this_incarnation";
    let machine = &world.machines[seat];
    let Some(group) = world.cluster.group(&operation.group) else { return };
    let exempt = world.moves_on_silence(group);
    let Some(daemon) = &machine.daemon else { return };
    let status = daemon.node.status(machine.clock.read(world.now));
    let (stamp, incarnation, id) = (status.obeyed, daemon.incarnation, machine.id.clone());
    let about = format!("{}/{} on {id}", operation.group, operation.resource);
    let Some(seen) = world.ghost.records.get(&stamp) else {
        world.blame(NAME, format!("{about}: nobody wrote the obeyed record {stamp}"));
        return;
    };
    let granted = seen
        .record
        .grants
        .get(&operation.group)
        .is_some_and(|grant| grant.owner == id && grant.state == GrantState::Held);
    let banned = seen.record.bans.get(&operation.group).is_some_and(|b| b.contains_key(&id));
    let leads = world.ghost.coordinators.get(&stamp.epoch) == Some(&(seat, incarnation));
    let alone = world.machines.len() == 1;
    let run = machine.run;
    let told = world.ghost.told.get(&(seat, run)).is_some_and(|told| told.contains(&stamp));
    if world.ghost.lacking.get(&operation.group).is_some_and(|seats| seats.contains(&seat)) {
        let about = format!("{about}: its copy lacks what the owner wrote alone");
        world.blame("a_copy_that_lacks_writes_is_never_started", about);
    } else if banned {
        world.blame("a_banned_replica_is_never_started", format!("{about}: banned in {stamp}"));
    } else if exempt {
    } else if !granted {
        world.blame(NAME, format!("{about}: record {stamp} does not grant it"));
    } else if !leads && !told && !alone {
        world.blame(
            NAME,
            format!("{about}: this incarnation was never told that {stamp} is committed"),
        );
    } else {
        a_commit_is_decisive(world, seat, stamp, NAME, &about);
    }
}

/// R8. `decisive` over what was on the disks in truth: more than half of both voter sets, or half
/// and every other voter of it switched off on behalf of this node.
pub(crate) fn a_commit_is_decisive<R: Rules>(
    world: &mut World<R>,
    seat: Seat,
    stamp: Stamp,
    invariant: &'static str,
    claim: &str,
) -> bool {
    let Some(seen) = world.ghost.records.get(&stamp).cloned() else { return true };
    let fenced: BTreeSet<Seat> = world
        .devices
        .requests
        .values()
        .filter(|request| request.executed.is_some())
        .map(|request| request.target)
        .chain(world.ghost.confirmed.iter().copied())
        .collect();
    for voters in [&seen.record.voters, &seen.record.old_voters] {
        let seats: Vec<Seat> = voters.keys().filter_map(|id| world.seat_of(id)).collect();
        let have = seats.iter().filter(|seat| seen.durable.contains(*seat)).count();
        let rest_is_dead =
            seats.iter().all(|seat| seen.durable.contains(seat) || fenced.contains(seat));
        if have * 2 > voters.len() || (have * 2 == voters.len() && rest_is_dead) {
            continue;
        }
        let node = world.machines[seat].id.clone();
        let names: Vec<&str> = voters.keys().map(NodeId::as_str).collect();
        let detail = format!(
            "{node} takes {stamp} for committed ({claim}), but it was on {have} of the disks of {names:?}"
        );
        world.blame(invariant, detail);
        return false;
    }
    true
}

/// I5. Every committed record is an ancestor of every later one.
pub(crate) fn a_committed_change_is_in_every_later_committed_record<R: Rules>(
    world: &mut World<R>,
    stamp: Stamp,
) {
    const NAME: &str = "a_committed_change_is_in_every_later_committed_record";
    let lost = |stamp: &Stamp| world.ghost.lost.as_ref().is_some_and(|lost| lost.has(*stamp));
    let apart = world.ghost.lost.as_ref().is_some_and(|lost| lost.apart);
    if apart || lost(&stamp) {
        return;
    }
    let before = world.ghost.committed.range(..stamp).rfind(|(s, _)| !lost(s));
    let before = before.map(|(s, f)| (*s, *f));
    let mut after = world.ghost.committed.range(stamp..);
    let after = after.find(|(s, _)| **s != stamp && !lost(s)).map(|(s, f)| (*s, *f));
    let own = world.ghost.committed.get(&stamp).map(|f| (stamp, *f));
    let pairs = [(before, own), (own, after)];
    for (earlier, later) in pairs {
        let (Some(earlier), Some(later)) = (earlier, later) else { continue };
        let Some(seen) = world.ghost.records.get(&later.0) else { continue };
        if !seen.record.descends_from(earlier) {
            let detail = format!(
                "{} is committed, and {} after it does not descend from it",
                earlier.0, later.0
            );
            world.blame(NAME, detail);
            return;
        }
    }
}

/// H23, R16: whom a word called dead goes on by its own history only while it has not learnt that another went on, in this run
/// or from its own disk. From then on there are two, of which one is a person's choice to give up.
pub(crate) fn who_knows_that_another_went_on_does_not<R: Rules>(
    world: &mut World<R>,
    seat: Seat,
    stamp: Stamp,
) {
    let Some(lost) = &mut world.ghost.lost else { return };
    let went_on = world.ghost.committed.keys().any(|known| known.epoch >= lost.until);
    if lost.node != seat || !lost.has(stamp) || !went_on {
        return;
    }
    let machine = &world.machines[seat];
    let heard_of = &machine.disk.durable().company;
    if !lost.met && heard_of.values().all(|known| known.epoch < lost.until) {
        lost.apart = true;
        return;
    }
    let detail = format!("{} commits {stamp}, and knows that another went on", machine.id);
    world.blame("who_knows_that_another_went_on_does_not", detail);
}

/// H35: a record that this store knows to be committed is in the past of what replaces it.
pub(crate) fn parted_histories_are_never_merged<R: Rules>(
    world: &mut World<R>,
    seat: Seat,
    record: &Record,
) {
    let machine = &world.machines[seat];
    let Some(known) = machine.disk.durable().committed else { return };
    if world.ghost.lost.is_some() && !record.descends_from(known) {
        let detail = format!(
            "{} knows {} to be committed and takes {}, which does not descend from it",
            machine.id, known.0, record.stamp
        );
        world.blame("parted_histories_are_never_merged", detail);
    }
}

/// I5, in the operator's terms: what was answered `done` stays until somebody asks otherwise.
pub(crate) fn an_acknowledged_change_stays<R: Rules>(world: &mut World<R>) {
    // A group that was taken out of the configuration takes what was wanted of it along.
    let Some((newest, _)) = world.newest_committed() else { return };
    let records = &world.ghost.records;
    for (key, promise) in &mut world.ghost.promises {
        let (Some(group), Some((_, since))) = (key.strip_prefix("stopped "), &promise.acknowledged)
        else {
            continue;
        };
        let named = format!("\n  {group}:");
        let mut later = records.range(*since..=newest.max(*since));
        if !later.all(|(_, seen)| seen.record.config.text.contains(&named)) {
            // What is still under way may come true when the group is back.
            promise.acknowledged = None;
        }
    }
    let Some((stamp, record)) = world.newest_committed() else { return };
    let broken = world.ghost.promises.iter().find_map(|(key, promise)| {
        let (wanted, since) = promise.acknowledged.as_ref()?;
        let value = intent(record, key)?;
        let may_be = wanted.contains(&value) || promise.open.values().any(|open| *open == value);
        (*since <= stamp && !may_be).then(|| {
            format!("`{key}: {wanted:?}` was acknowledged in {since}, record {stamp} says {value}")
        })
    });
    if let Some(detail) = broken {
        world.blame("an_acknowledged_change_stays", detail);
    }
}

fn intent(record: &Record, key: &str) -> Option<bool> {
    let intents = &record.intents;
    Some(match key.split_once(' ') {
        Some(("stopped", group)) => intents.stopped.contains(&group.into()),
        Some(("standby", node)) => intents.standby.contains(&node.into()),
        Some(("cluster", _)) => intents.cluster_stopped,
        None if key == "maintenance" => intents.maintenance.is_some(),
        _ => return None,
    })
}

/// I6.
pub(crate) fn one_coordinator_per_epoch<R: Rules>(
    world: &mut World<R>,
    seat: Seat,
    epoch: crm_core::id::Epoch,
) {
    let Some(daemon) = &world.machines[seat].daemon else { return };
    let me = (seat, daemon.incarnation);
    let known = *world.ghost.coordinators.entry(epoch).or_insert(me);
    if known != me {
        let detail = format!(
            "epoch {epoch} has the coordinators {} and {}",
            world.machines[known.0].id, world.machines[seat].id
        );
        world.blame("one_coordinator_per_epoch", detail);
    }
    while world.ghost.coordinators.len() > 200 {
        world.ghost.coordinators.pop_first();
    }
}

/// I7: a group that follows a role starts only where the daemon knows that the role is held.
pub(crate) fn an_address_starts_only_where_its_role_is<R: Rules>(
    world: &mut World<R>,
    seat: Seat,
    operation: &Operation,
) {
    let spec = world.cluster.group(&operation.group);
    let Some(follow) = spec.and_then(|group| group.follow.clone()) else { return };
    let told = world.told_role(seat);
    let fits = |role: &str| role == follow.role || Some(role) == follow.otherwise.as_deref();
    if !told.is_some_and(fits) {
        let detail = format!(
            "{} starts {}, which follows {} {}, and holds the role {told:?}",
            world.machines[seat].id, operation.group, follow.service, follow.role
        );
        world.blame("an_address_starts_only_where_its_role_is", detail);
    }
}

/// H30: who is cut off from a majority of three or more does not end the healthy side's machines.
pub(crate) fn a_minority_fences_nobody<R: Rules>(world: &mut World<R>, by: Seat, target: Seat) {
    // Who does not vote yet decides nothing, and a founder alone, or one of two, is no minority.
    let record = world.newest_committed().map(|(_, record)| record.clone());
    let Some(record) = record.filter(|record| record.voters.len() >= 3) else { return };
    // A configuration may let fewer vote than there are machines.
    let votes = |seat: &Seat| record.voters.contains_key(&world.machines[*seat].id);
    let all = (0..world.machines.len()).filter(votes).count();
    let asked = world.plan.acts.iter().any(|act| matches!(act.wish, Wish::Fence { .. }));
    // The operator's word may come at any time, and half of an even number is a tie.
    if asked {
        return;
    }
    let lately = world.cluster.timing.deadtime.as_micros();
    let near: BTreeSet<&NodeId> = (0..world.machines.len())
        .filter(|other| {
            let heard = world.ghost.heard.get(&(by, *other));
            *other == by || heard.is_some_and(|at| world.now.saturating_sub(*at) < lately * 3 / 4)
        })
        .map(|seat| &world.machines[seat].id)
        .collect();
    let half_of = |voters: &BTreeMap<NodeId, StoreId>| {
        voters.keys().filter(|voter| near.contains(voter)).count() * 2 >= voters.len()
    };
    // Who leads may have committed a record with fewer voters, and told it to nobody yet: who is dead until it is heard
    // again is given no authority.
    let own = world.machines[by].disk.durable().record.as_ref();
    let fewer_vote = own.is_some_and(|own| {
        own.stamp > record.stamp && half_of(&own.voters) && half_of(&own.old_voters)
    });
    let near = (0..world.machines.len())
        .filter(|seat| votes(seat) && near.contains(&world.machines[*seat].id))
        .count();
    if near * 2 < all && !fewer_vote {
        let detail = format!(
            "{} asks to fence {} while it hears {} of {all} voters, itself included",
            world.machines[by].id, world.machines[target].id, near
        );
        world.blame("a_minority_fences_nobody", detail);
    }
}

/// I9: a packet without the key, of another cluster, or damaged on its way.
pub(crate) fn no_forged_packet_is_opened<R: Rules>(world: &mut World<R>, datagram: &Datagram) {
    let node = world.machines[datagram.to].id.clone();
    let what = if datagram.damaged { "damaged" } else { "forged" };
    world.blame("no_forged_packet_is_opened", format!("{node} opened a {what} datagram"));
}

/// I9: a packet seen before, or recorded before a restart, changes nothing but the counters of
/// its link, and makes the node say nothing but what introduces it.
pub(crate) fn no_replayed_packet_changes_state<R: Rules>(
    world: &mut World<R>,
    seat: Seat,
    before: &Status,
    after: &Status,
    outputs: &[Output],
    packet: &str,
) {
    let same = before.epoch == after.epoch
        && before.stamp == after.stamp
        && before.obeyed == after.obeyed
        && before.coordinator == after.coordinator
        && before.quorum == after.quorum
        && before.groups == after.groups
        && before
            .nodes
            .iter()
            .map(|n| (n.state, n.incarnation))
            .eq(after.nodes.iter().map(|n| (n.state, n.incarnation)));
    let loud = outputs.iter().find(|output| match output {
        Output::Send { packet, .. } => {
            !matches!(packet.message, Message::Hello | Message::Heartbeat(_))
        }
        Output::Event(_) => false,
        _ => true,
    });
    if same && loud.is_none() {
        return;
    }
    let node = world.machines[seat].id.clone();
    let what =
        loud.map_or_else(|| "its state changed".to_owned(), |o| format!("it answered {o:?}"));
    let detail = format!("{node} took a replayed packet: {what}; the packet: {packet:.300}");
    world.blame("no_replayed_packet_changes_state", detail);
}

/// AS1.
pub(crate) fn nothing_is_said_after_a_failed_write<R: Rules>(
    world: &mut World<R>,
    seat: Seat,
    output: &Output,
) {
    // A watchdog that is disarmed says nothing to anybody.
    if !matches!(output, Output::Halt { .. } | Output::Event(_) | Output::Watchdog(_)) {
        let detail = format!("{} after a failed write: {output:?}", world.machines[seat].id);
        world.blame("nothing_is_said_after_a_failed_write", detail);
    }
}

/// I10.
pub(crate) fn memory_is_bounded<R: Rules>(world: &mut World<R>) {
    const NAME: &str = "memory_is_bounded";
    let resources: usize = world.cluster.groups.iter().map(|g| g.resources.len()).sum();
    let text = world.plan.layout.file.map_or(0, str::len);
    let mut found = None;
    for machine in &world.machines {
        let Some(daemon) = &machine.daemon else { continue };
        let stored = machine.disk.durable();
        let history = stored.record.as_ref().map_or(0, |record| record.history.len());
        let size = postcard::to_stdvec(stored).map_or(0, |bytes| bytes.len());
        let limits = [
            ("writes under way", machine.disk.pending(), 64),
            ("ancestors in the record", history, HISTORY_MAX),
            ("bytes in the store", size, 64 * 1024 + 4 * text),
            ("open agent calls", machine.agents.children().len(), 2 * resources + 2),
            ("bytes of incomplete messages", daemon.envelope.held_bytes(), 4 << 20),
        ];
        if let Some((what, is, most)) = limits.into_iter().find(|(_, is, most)| is > most) {
            found = Some(format!("{}: {is} {what}, at most {most} expected", machine.id));
        }
    }
    if let Some(detail) = found {
        world.blame(NAME, detail);
    }
}

/// H21: what a machine ever told others.
pub(crate) fn epochs_never_go_back<R: Rules>(
    world: &mut World<R>,
    seat: Seat,
    epoch: crm_core::id::Epoch,
) {
    let known = world.ghost.epochs.entry(seat).or_default();
    if epoch < *known {
        let detail = format!("{} says {epoch} after {known}", world.machines[seat].id);
        world.blame("epochs_never_go_back", detail);
    } else {
        *known = epoch;
    }
}
