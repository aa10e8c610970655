//! What an onlooker who sees everything notes of each group: where it serves, since when it does not,
//! and whether two nodes hold it.

use crate::agents::State;
use crate::clock::Micros;
use crate::queue::Seat;
use crate::world::World;
use crm_core::model::Group;
use crm_core::rules::Sound;

/// Notes on all groups, in the order of the configuration.
#[derive(Clone, Debug)]
pub(super) struct Watch {
    pub(super) groups: Vec<Notes>,
    /// When something last started, stopped, or got or lost power.
    pub(super) moved_at: Micros,
    mark: u64,
}

/// Notes on one group.
#[derive(Clone, Debug, Default)]
pub(super) struct Notes {
    /// Where it is whole.
    pub(super) on: Option<Seat>,
    pub(super) down_since: Option<Micros>,
    /// Sum of the times that it was down, those that have ended.
    pub(super) down: Micros,
    /// Where it was whole last.
    pub(super) last_on: Option<Seat>,
    /// When its first resource began to start after it went down.
    pub(super) starting_at: Option<Micros>,
    both_since: Option<Micros>,
    /// Sum of the times that two nodes held it.
    pub(super) both: Micros,
}

impl Watch {
    pub(super) fn new(groups: usize) -> Watch {
        Watch { groups: vec![Notes::default(); groups], moved_at: 0, mark: 0 }
    }

    /// Looks again, if anything changed.
    pub(super) fn look(&mut self, world: &mut World<Sound>) {
        let mark = mark(world);
        if mark == self.mark {
            return;
        }
        self.mark = mark;
        self.moved_at = world.now;
        for (number, notes) in self.groups.iter_mut().enumerate() {
            let before = (notes.on, notes.both_since.is_some());
            notes.look(world, number);
            if before != (notes.on, notes.both_since.is_some()) {
                tell(world, number, notes, before);
            }
        }
    }

    pub(super) fn all_up(&self) -> bool {
        self.groups.iter().all(|notes| notes.on.is_some())
    }
}

impl Notes {
    fn look(&mut self, world: &World<Sound>, number: usize) {
        let Some(group) = world.cluster.groups.get(number) else { return };
        let now = world.now;
        let runs: Vec<Seat> = live(world).filter(|seat| is_whole(world, *seat, group)).collect();
        let holders =
            live(world).filter(|seat| world.machines[*seat].agents.holds_group(&group.id)).count();
        // It stays where it was as long as it serves there.
        self.on = self.on.filter(|seat| runs.contains(seat)).or(runs.first().copied());
        match (self.on, self.down_since) {
            (None, None) => (self.down_since, self.starting_at) = (Some(now), None),
            (Some(_), Some(since)) => {
                self.down += now - since;
                self.down_since = None;
            }
            _ => {}
        }
        if self.down_since.is_some() && self.starting_at.is_none() && is_starting(world, group) {
            self.starting_at = Some(now);
        }
        self.last_on = self.on.or(self.last_on);
        match (holders > 1, self.both_since) {
            (true, None) => self.both_since = Some(now),
            (false, Some(since)) => {
                self.both += now - since;
                self.both_since = None;
            }
            _ => {}
        }
    }

    /// How long two nodes have held it so far.
    pub(super) fn both_until(&self, now: Micros) -> Micros {
        self.both + self.both_since.map_or(0, |since| now - since)
    }

    /// How long it has been down so far.
    pub(super) fn down_until(&self, now: Micros) -> Micros {
        self.down + self.down_since.map_or(0, |since| now - since)
    }
}

/// Machines that have power and do not stand still.
fn live(world: &World<Sound>) -> impl Iterator<Item = Seat> {
    let machines = world.machines.iter().enumerate();
    machines.filter(|(_, m)| m.powered && m.pause.is_none()).map(|(seat, _)| seat)
}

fn is_whole(world: &World<Sound>, seat: Seat, group: &Group) -> bool {
    group.resources.iter().all(|resource| {
        let key = (group.id.clone(), resource.id.clone());
        world.machines[seat].agents.state(&key) == State::Running
    })
}

fn is_starting(world: &World<Sound>, group: &Group) -> bool {
    live(world).any(|seat| {
        let mut states = world.machines[seat].agents.holding();
        states.any(|(key, state)| key.0 == group.id && state == State::Starting)
    })
}

/// Different whenever something happened that [`Watch`] notes.
fn mark(world: &World<Sound>) -> u64 {
    world.machines.iter().fold(1, |mark: u64, machine| {
        let state = machine.agents.changes * 4
            + u64::from(machine.powered) * 2
            + u64::from(machine.pause.is_some());
        mark.wrapping_mul(0x0000_0100_0000_01b3).wrapping_add(state)
    })
}

fn tell(world: &mut World<Sound>, number: usize, notes: &Notes, before: (Option<Seat>, bool)) {
    if !world.trace.wanted() {
        return;
    }
    let group = world.cluster.groups[number].id.clone();
    let name = |seat: Seat| world.machines[seat].id.clone();
    let mut lines = Vec::new();
    match notes.both_since {
        Some(_) if !before.1 => {
            let holders: Vec<String> = live(world)
                .filter(|seat| world.machines[*seat].agents.holds_group(&group))
                .map(|seat| name(seat).to_string())
                .collect();
            lines.push(format!("{group} IS HELD BY {}", holders.join(" AND ")));
        }
        None if before.1 => lines.push(format!("{group} is held by one node again")),
        _ => {}
    }
    match notes.on {
        now if now == before.0 => {}
        Some(seat) => lines.push(format!("{group} runs on {}", name(seat))),
        None => lines.push(format!("{group} is down")),
    }
    for line in lines {
        world.trace.line(world.now, "*", "group", format_args!("{line}"));
    }
}
