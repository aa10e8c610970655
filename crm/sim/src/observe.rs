//! Watches what nodes say, write and call, for the invariants.

use crate::faults::{Kind, Wish};
use crate::ghost::{Belief, Seen};
use crate::invariants::{
    a_commit_is_decisive, a_committed_change_is_in_every_later_committed_record,
    an_acknowledged_change_stays, an_address_starts_only_where_its_role_is, epochs_never_go_back,
    nothing_starts_without_a_committed_grant_of_this_incarnation, one_coordinator_per_epoch,
    parted_histories_are_never_merged, resources_start_in_order_and_stop_in_reverse,
    who_knows_that_another_went_on_does_not,
};
use crate::layouts;
use crate::queue::Seat;
use crate::world::World;
use crm_core::Input;
use crm_core::id::{Epoch, NodeId, Stamp, StoreId};
use crm_core::operation::{Action, Operation};
use crm_core::packet::{Message, Packet};
use crm_core::record::Stored;
use crm_core::rules::Rules;
use std::sync::Arc;

/// A node says something.
pub(crate) fn packet<R: Rules>(world: &mut World<R>, seat: Seat, packet: &Packet) {
    match &packet.message {
        Message::Heartbeat(beat) => {
            // Before its store is proved a node says nothing of it: epoch 0.
            if beat.epoch != Epoch(0) {
                epochs_never_go_back(world, seat, beat.epoch);
            }
            on_disk(world, seat, beat.epoch, Some(beat.stamp), "a heartbeat");
            if let Some(leading) = &beat.leading {
                one_coordinator_per_epoch(world, seat, beat.epoch);
                if let Some(stamp) = leading.committed {
                    commit(world, seat, stamp, "its heartbeat");
                }
            }
        }
        Message::Vote { epoch, store, .. } => {
            on_disk(world, seat, *epoch, None, "a vote");
            one_vote_per_epoch(world, seat, *store, *epoch, &packet.to);
        }
        Message::VoteRequest { epoch } => on_disk(world, seat, *epoch, None, "a request for votes"),
        Message::Accepted { stamp, epoch, .. } => {
            on_disk(world, seat, *epoch, Some(*stamp), "an acknowledgement");
        }
        Message::Propose { epoch, .. } => one_coordinator_per_epoch(world, seat, *epoch),
        Message::Committed { stamp, .. } => commit(world, seat, *stamp, "a notice"),
        _ => {}
    }
}

/// AS1, R2, R9, H21: what is said was on the disk before.
fn on_disk<R: Rules>(
    world: &mut World<R>,
    seat: Seat,
    epoch: Epoch,
    stamp: Option<Stamp>,
    what: &str,
) {
    let machine = &world.machines[seat];
    let durable = machine.disk.durable();
    let had = stamp.is_none_or(|stamp| {
        stamp == Stamp::default()
            || durable.stamp() == stamp
            || world.ghost.records.get(&stamp).is_none_or(|seen| seen.durable.contains(&seat))
    });
    if durable.epoch < epoch || !had {
        let detail = format!(
            "{} said epoch {epoch}{} in {what} while its disk held epoch {} record {}",
            machine.id,
            stamp.map(|s| format!(" record {s}")).unwrap_or_default(),
            durable.epoch,
            durable.stamp()
        );
        world.blame("what_is_said_is_on_the_disk", detail);
    }
}

/// R2. A machine that came back with an empty disk is another voter (R18, H22): no vote of its new store counts where the
/// old one is listed.
fn one_vote_per_epoch<R: Rules>(
    world: &mut World<R>,
    seat: Seat,
    store: StoreId,
    epoch: Epoch,
    to: &NodeId,
) {
    let voted = world.ghost.votes.entry((seat, store, epoch)).or_insert_with(|| to.clone());
    if voted != to {
        let detail =
            format!("{} voted for {voted} and for {to} in epoch {epoch}", world.machines[seat].id);
        world.blame("one_vote_per_epoch", detail);
    }
}

/// Somebody takes a stamp for committed.
pub(crate) fn commit<R: Rules>(world: &mut World<R>, seat: Seat, stamp: Stamp, claim: &str) {
    if world.ghost.committed.contains_key(&stamp) || stamp == Stamp::default() {
        return;
    }
    let Some(seen) = world.ghost.records.get(&stamp) else {
        let oldest = world.ghost.records.first_key_value().map(|(stamp, _)| *stamp);
        if oldest.is_none_or(|oldest| oldest < stamp) {
            let detail = format!(
                "{} takes {stamp} for committed, which nobody wrote",
                world.machines[seat].id
            );
            world.blame("a_commit_is_decisive", detail);
        }
        return;
    };
    let fingerprint = seen.fingerprint;
    let grants = seen.record.grants.clone();
    if !a_commit_is_decisive(world, seat, stamp, "a_commit_is_decisive", claim) {
        return;
    }
    world.figures.commits += 1;
    if let Some((_, before)) = world.newest_committed() {
        let moved = grants
            .iter()
            .filter(|(group, grant)| before.owner(group).is_some_and(|owner| *owner != grant.owner))
            .count();
        world.figures.moves += moved as u64;
    }
    world.ghost.committed.insert(stamp, fingerprint);
    who_knows_that_another_went_on_does_not(world, seat, stamp);
    a_committed_change_is_in_every_later_committed_record(world, stamp);
    an_acknowledged_change_stays(world);
    what_was_dropped_is_not_started(world);
}

/// AS6: only crm starts what it manages. What it stopped before the configuration dropped it does not run when it is
/// configured again, whatever a failed look says then.
fn what_was_dropped_is_not_started<R: Rules>(world: &mut World<R>) {
    if !world.plan.acts.iter().any(|act| matches!(act.wish, Wish::Apply { .. })) {
        return;
    }
    let Some((_, record)) = world.newest_committed() else { return };
    let Ok(cluster) = layouts::parse(&record.config.text) else { return };
    let beliefs = &world.ghost.beliefs;
    for (seat, machine) in world.machines.iter_mut().enumerate() {
        machine.agents.forget_starts(|(group, resource)| {
            let has = cluster.group(group).is_some_and(|group| {
                group.resources.iter().any(|configured| configured.id == *resource)
            });
            let key = (seat, group.clone(), resource.clone());
            !has && beliefs.get(&key) == Some(&Belief::Stopped)
        });
    }
}

/// A node writes its store.
pub(crate) fn write<R: Rules>(world: &mut World<R>, seat: Seat, stored: &Stored) {
    let Some(record) = &stored.record else { return };
    parted_histories_are_never_merged(world, seat, record);
    let stamp = record.stamp;
    let fingerprint = record.fingerprint();
    match world.ghost.records.get(&stamp) {
        Some(seen) if seen.fingerprint != fingerprint => {
            let detail = format!(
                "{} writes another record {stamp} than the one known under this stamp: {:?} and {:?}",
                world.machines[seat].id, record, seen.record
            );
            world.blame("a_stamp_names_one_record", detail);
        }
        Some(_) => {}
        None => {
            let record = Arc::new(record.clone());
            let seen = Seen { record, fingerprint, durable: Default::default() };
            world.ghost.records.insert(stamp, seen);
            // Who writes a stamp of an epoch first, having voted for itself, coordinates it.
            if stored.epoch == stamp.epoch && stored.vote.as_ref() == Some(&world.machines[seat].id)
            {
                one_coordinator_per_epoch(world, seat, stamp.epoch);
            }
        }
    }
}

/// A write is through.
pub(crate) fn durable<R: Rules>(world: &mut World<R>, seat: Seat) {
    let stored = world.machines[seat].disk.durable();
    let stamp = stored.stamp();
    if let Some(seen) = world.ghost.records.get_mut(&stamp) {
        seen.durable.insert(seat);
    }
}

/// Remembers what reached a daemon, if an attacker may send it again.
pub(crate) fn arrival<R: Rules>(world: &mut World<R>, seat: Seat, input: &Input) {
    let attacked = world.plan.faults.iter().any(|fault| matches!(fault.kind, Kind::Replay { .. }));
    if attacked && let Input::Packet { incarnation, packet, .. } = input {
        let run = world.machines[seat].run;
        let delivered = world.ghost.delivered.entry((seat, run)).or_default();
        delivered.insert((*incarnation, packet.number));
    }
}

/// Whether this daemon must refuse the packet: it had it before, or it is for an earlier daemon.
pub(crate) fn came_before<R: Rules>(world: &World<R>, seat: Seat, input: &Input) -> bool {
    let Input::Packet { incarnation, packet, .. } = input else { return false };
    let machine = &world.machines[seat];
    let mine = machine.daemon.as_ref().map(|daemon| daemon.incarnation);
    let delivered = world.ghost.delivered.get(&(seat, machine.run));
    (packet.echo.is_some() && packet.echo != mine)
        || delivered.is_some_and(|all| all.contains(&(*incarnation, packet.number)))
}

/// A genuine packet reaches a daemon.
pub(crate) fn delivery<R: Rules>(world: &mut World<R>, seat: Seat, from: Seat, packet: &Packet) {
    let machine = &world.machines[seat];
    let Some(daemon) = &machine.daemon else { return };
    if packet.echo != Some(daemon.incarnation) {
        return;
    }
    world.ghost.heard.insert((seat, from), world.now);
    if let Some(lost) = world.ghost.lost.as_mut().filter(|lost| lost.node == seat)
        && let Message::Heartbeat(beat) = &packet.message
    {
        lost.met |= beat.stamp.epoch >= lost.until;
    }
    let stamp = match &packet.message {
        Message::Committed { stamp, .. } => Some(*stamp),
        Message::Heartbeat(beat) => beat.leading.as_ref().and_then(|leading| leading.committed),
        _ => None,
    };
    if let Some(stamp) = stamp {
        let told = world.ghost.told.entry((seat, machine.run)).or_default();
        told.insert(stamp);
        while told.len() > 100 {
            told.pop_first();
        }
    }
}

/// A node calls an agent.
pub(crate) fn call<R: Rules>(world: &mut World<R>, seat: Seat, operation: &Operation) {
    let machine = &world.machines[seat];
    let key = (operation.group.clone(), operation.resource.clone());
    let open = machine.agents.children().values().any(|c| c.run == machine.run && c.key == key);
    if open {
        let detail = format!("{}: two calls of {}/{} are open", machine.id, key.0, key.1);
        world.blame("one_call_of_a_resource_at_a_time", detail);
    }
    match operation.action {
        Action::Start => {
            resources_start_in_order_and_stop_in_reverse(world, seat, operation, true);
            nothing_starts_without_a_committed_grant_of_this_incarnation(world, seat, operation);
            an_address_starts_only_where_its_role_is(world, seat, operation);
            let starts = world.ghost.starts.entry(key.0.clone()).or_default();
            starts.push(world.now);
        }
        Action::Stop => resources_start_in_order_and_stop_in_reverse(world, seat, operation, false),
        _ => return,
    }
    world.ghost.beliefs.insert((seat, key.0, key.1), Belief::Doubtful);
}
