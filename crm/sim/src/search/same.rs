//! When two states of a world count as the same: everything that can make a difference later, with
//! moments counted from now and random numbers by the order in which they appear.

use crate::assumptions::Assumption;
use crate::clock::Micros;
use crate::machine::Machine;
use crate::queue::{Datagram, Happening};
use crate::world::World;
use crm_core::rules::Rules;
use crm_core::same::{EPOCHS, VERSIONS};
use std::hash::{Hash, Hasher};

/// The digest of a state. Two different states share one by chance once in 2^64 pairs.
pub(crate) fn digest<R: Rules>(world: &World<R>, breaks: Option<Assumption>) -> u64 {
    let clock = world.machines.first().map_or(0, |machine| machine.clock.read(world.now).0);
    let stores = || world.machines.iter().map(|machine| machine.disk.durable());
    let epoch = stores().map(|stored| stored.epoch.0).max().unwrap_or(0);
    let version = stores().map(|stored| stored.stamp().version).max().unwrap_or(0);
    let mut hasher = Canonical::new(clock, (epoch, version));
    for machine in &world.machines {
        (
            machine.powered,
            machine.lost,
            machine.daemon_ran,
            machine.daemon_ended,
            machine.boots_fast,
        )
            .hash(&mut hasher);
        hasher.moment(machine.watchdog, world.now);
        hasher.moment(machine.frozen_until, world.now);
        machine.disk.durable().hash(&mut hasher);
        machine.disk.fails.hash(&mut hasher);
        machine.disk.pending().hash(&mut hasher);
        for (key, state) in machine.agents.holding() {
            (key, state as u8).hash(&mut hasher);
        }
        for child in machine.agents.children().values() {
            (&child.key, child.action, child.timed_out, child.cancelled).hash(&mut hasher);
            (child.run == machine.run).hash(&mut hasher);
        }
        machine.backlog.len().hash(&mut hasher);
        if breaks == Some(Assumption::Clock) {
            let own = machine.clock.read(world.now).0;
            own.wrapping_sub(clock).hash(&mut hasher);
            hasher.moment(machine.pause.map(|pause| pause.until), world.now);
            hasher.now = own;
        }
        if breaks == Some(Assumption::Disk) {
            counters(world, machine, &mut hasher);
        }
        if let Some(daemon) = &machine.daemon {
            daemon.node.hash(&mut hasher);
            (daemon.ending, daemon.watchdog_open, daemon.write_failed).hash(&mut hasher);
        }
    }
    hasher.now = clock;
    for (at, what) in world.queue.in_order() {
        happening(world, at, what, &mut hasher);
    }
    network(world, &mut hasher);
    truth(world, &mut hasher);
    hasher.finish()
}

/// H20: what a store may go back to, and by how much others know more of it.
fn counters<R: Rules>(world: &World<R>, machine: &Machine<R>, hasher: &mut Canonical) {
    machine.disk.before().for_each(|stored| stored.hash(hasher));
    let Some(daemon) = &machine.daemon else { return };
    for (store, writes) in daemon.node.writes_known() {
        let disks = world.machines.iter().map(|machine| machine.disk.durable());
        let has = disks.filter(|disk| disk.store == store).map(|disk| disk.writes).max();
        writes.saturating_sub(has.unwrap_or(0)).hash(hasher);
    }
}

/// What is still to happen; what is void by now is left out.
fn happening<R: Rules>(world: &World<R>, at: Micros, what: &Happening, hasher: &mut Canonical) {
    let kind = std::mem::discriminant(what);
    let put = |hasher: &mut Canonical| {
        kind.hash(hasher);
        hasher.moment(Some(at), world.now);
    };
    match what {
        Happening::Wake { seat, run } => {
            let machine = &world.machines[*seat];
            let wakes_at = machine.daemon.as_ref().and_then(|daemon| daemon.wakes_at);
            if machine.run == *run && wakes_at == Some(at) {
                put(hasher);
                seat.hash(hasher);
            }
        }
        Happening::Arrives(Datagram { from, to, link, said, .. }) => {
            put(hasher);
            (from, to, link).hash(hasher);
            if let Some(said) = said {
                (said.incarnation, &said.packet).hash(hasher);
            }
        }
        Happening::Synced { seat, run, failed, .. } => {
            if world.machines[*seat].runs(*run) {
                put(hasher);
                (seat, failed).hash(hasher);
            }
        }
        Happening::ChildEnds { seat, boot, child, killed } => {
            if world.machines[*seat].boot == *boot
                && let Some(child) = world.machines[*seat].agents.children().get(child)
            {
                put(hasher);
                (seat, &child.key, killed).hash(hasher);
            }
        }
        // It follows from when the call began, and matters where the end is missing.
        Happening::ChildTimesOut { seat, boot, child } => {
            if world.machines[*seat].boot == *boot
                && world.machines[*seat].agents.children().contains_key(child)
            {
                put(hasher);
                seat.hash(hasher);
            }
        }
        Happening::FenceExecutes { order } | Happening::FenceReports { order, .. } => {
            let Some(request) = world.devices.requests.get(order) else { return };
            put(hasher);
            (request.by, request.target, request.cancelled, request.reported).hash(hasher);
            (request.executed.is_some(), world.machines[request.by].runs(request.run)).hash(hasher);
            if let Happening::FenceReports { off, .. } = what {
                off.hash(hasher);
            }
        }
        Happening::PingEnds { seat, run, answered } => {
            if world.machines[*seat].runs(*run) {
                put(hasher);
                (seat, answered).hash(hasher);
            }
        }
        Happening::WatchdogBites { seat, boot } => {
            let machine = &world.machines[*seat];
            if machine.boot == *boot && machine.watchdog.is_some() {
                kind.hash(hasher);
                seat.hash(hasher);
            }
        }
        Happening::PowerOn { seat } => {
            if !world.machines[*seat].powered {
                put(hasher);
                seat.hash(hasher);
            }
        }
        Happening::DaemonStarts { seat, boot } => {
            let machine = &world.machines[*seat];
            if machine.boot == *boot && machine.powered && machine.daemon.is_none() {
                put(hasher);
                seat.hash(hasher);
            }
        }
        Happening::DaemonDies { seat, run } => {
            if world.machines[*seat].runs(*run) {
                put(hasher);
                seat.hash(hasher);
            }
        }
        Happening::Thaws { seat } => {
            if world.machines[*seat].frozen_until.is_some() {
                put(hasher);
                seat.hash(hasher);
            }
        }
        Happening::LetGo { from, to } => {
            put(hasher);
            (from, to).hash(hasher);
        }
        Happening::FaultEnds { fault } => {
            if world.network.is_troubled_by(*fault) {
                put(hasher);
            }
        }
        Happening::OperatorActs { act } => {
            put(hasher);
            act.hash(hasher);
        }
        Happening::Resumes { seat } => {
            if world.machines[*seat].pause.is_some() {
                put(hasher);
                seat.hash(hasher);
            }
        }
        Happening::Strikes { fault } => {
            put(hasher);
            fault.hash(hasher);
        }
        Happening::Changed { .. }
        | Happening::Heals
        | Happening::TidiesUp
        | Happening::Phase
        | Happening::RolesTurn
        | Happening::Weighs => {}
    }
}

fn network<R: Rules>(world: &World<R>, hasher: &mut Canonical) {
    let seats = world.machines.len();
    for from in 0..seats {
        for to in 0..seats {
            if from != to {
                world.network.is_cut(from, to, 0).hash(hasher);
                world.network.holds_back(from, to).hash(hasher);
            }
        }
    }
}

/// What the promises look at beside the machines.
fn truth<R: Rules>(world: &World<R>, hasher: &mut Canonical) {
    let newest = world.ghost.committed.last_key_value().map(|(stamp, _)| *stamp);
    newest.hash(hasher);
    for (stamp, seen) in world.ghost.records.range(newest.unwrap_or_default()..) {
        (stamp, &seen.durable).hash(hasher);
    }
    world.ghost.coordinators.last_key_value().hash(hasher);
    if let Some(lost) = &world.ghost.lost {
        (lost.after, lost.until, lost.met, lost.apart).hash(hasher);
        // Which epochs are whose (I6).
        (hasher.newest.0 % world.machines.len() as u64).hash(hasher);
        // Where histories have parted, whose past is in whose.
        for machine in &world.machines {
            let Some(record) = &machine.disk.durable().record else { continue };
            let known = world.machines.iter().filter_map(|other| other.disk.durable().committed);
            known.for_each(|known| record.descends_from(known).hash(hasher));
        }
    }
    let executed = world.devices.requests.values().filter(|request| request.executed.is_some());
    let fenced: std::collections::BTreeSet<usize> = executed.map(|r| r.target).collect();
    fenced.hash(hasher);
    for machine in &world.machines {
        let seat = world.seat_of(&machine.id);
        let told = seat.and_then(|seat| world.ghost.told.get(&(seat, machine.run)));
        told.and_then(|told| told.last()).hash(hasher);
    }
}

/// FNV-1a over words; moments from now, random numbers by their first appearance.
struct Canonical {
    state: u64,
    now: u64,
    /// The newest epoch and version on any disk.
    newest: (u64, u64),
    names: Vec<u128>,
}

impl Canonical {
    fn new(now: u64, newest: (u64, u64)) -> Canonical {
        Canonical { state: 0xcbf2_9ce4_8422_2325, now, newest, names: Vec::new() }
    }

    fn word(&mut self, word: u64) {
        self.state = (self.state ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
    }

    /// An epoch or a version, counted from the newest on any disk; 0 is none yet.
    fn number(&mut self, number: u64, newest: u64) {
        self.word(if number == 0 { u64::MAX } else { number.wrapping_sub(newest) });
    }

    fn count(&mut self, at: i128, now: i128) {
        let from_now = (at - now).clamp(-OLD, FAR) as i64;
        self.word(from_now as u64);
    }

    fn moment(&mut self, at: Option<Micros>, now: Micros) {
        match at {
            Some(at) => self.count(i128::from(at), i128::from(now)),
            None => self.word(u64::MAX),
        }
    }
}

impl Hasher for Canonical {
    fn write(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            self.word(u64::from_le_bytes(*word));
        }
        if !rest.is_empty() {
            self.word(rest.iter().fold(1, |word, byte| word << 8 | u64::from(*byte)));
        }
    }
    fn write_u8(&mut self, number: u8) {
        self.word(u64::from(number));
    }
    fn write_u32(&mut self, number: u32) {
        self.word(u64::from(number));
    }
    fn write_u64(&mut self, number: u64) {
        self.word(number);
    }
    fn write_usize(&mut self, number: usize) {
        self.word(number as u64);
    }
    fn write_isize(&mut self, number: isize) {
        self.word(number as u64);
    }
    fn write_u128(&mut self, name: u128) {
        let known = self.names.iter().position(|known| *known == name);
        let place = known.unwrap_or_else(|| {
            self.names.push(name);
            self.names.len() - 1
        });
        self.word(place as u64);
    }
    // Numbers that only name a request.
    fn write_i64(&mut self, _: i64) {}
    fn write_i128(&mut self, at: i128) {
        let (epoch, version) = self.newest;
        match at & !i128::from(u64::MAX) {
            EPOCHS => self.number(at as u64, epoch),
            VERSIONS => self.number(at as u64, version),
            _ => self.count(at, i128::from(self.now)),
        }
    }
    fn finish(&self) -> u64 {
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z ^ (z >> 31)
    }
}

/// Longer ago than every length of time that a searched configuration knows is just long ago.
const OLD: i128 = 15_000_000;
/// As far ahead as nothing that matters.
const FAR: i128 = 60_000_000;
