//! What a directed plan may do: wait for something, and let something go wrong.

use crate::clock::{MILLI, Micros, SECOND};
use crate::faults::{Fault, Kind, Wish};
use crate::network::{Path, Sort};
use crate::queue::{Happening, Seat};
use crate::random::Random;
use crate::world::World;
use crm_core::id::Stamp;
use crm_core::operator::Outcome;
use crm_core::rules::Rules;

/// A world, and the dice of the plan that directs it. Waits give `None` when what they wait for
/// does not come, or a promise is broken: the course ends there.
pub(super) struct Driver<R: Rules> {
    pub(super) world: World<R>,
    pub(super) dice: Random,
}

impl<R: Rules> Driver<R> {
    /// Goes on until `what` holds.
    pub(super) fn until(&mut self, within: Micros, what: impl Fn(&World<R>) -> bool) -> Option<()> {
        let end = self.world.now + within;
        while !what(&self.world) {
            if self.world.queue.next_at().is_none_or(|at| at > end) || !self.world.step() {
                return None;
            }
        }
        Some(())
    }

    /// Lets time pass: `least` to twice as much.
    pub(super) fn waits(&mut self, least: Micros) -> Option<()> {
        let until = self.world.now + self.about(least);
        self.world.run_until(until).is_none().then_some(())
    }

    /// From `least` to twice as much.
    pub(super) fn about(&mut self, least: Micros) -> Micros {
        self.dice.between(least, 2 * least + 1)
    }

    /// A fault begins; it ends when it is mended, or after this long.
    pub(super) fn strikes(&mut self, kind: Kind, lasts: Micros) -> usize {
        let number = self.world.plan.faults.len();
        self.world.plan.faults.push(Fault { at: self.world.now, lasts, kind });
        self.world.strikes(number);
        number
    }

    /// Ends a fault that [`Driver::strikes`] began.
    pub(super) fn mends(&mut self, number: usize) {
        let now = self.world.now;
        if let Some(fault) = self.world.plan.faults.get_mut(number) {
            fault.lasts = now - fault.at;
        }
        self.world.fault_ends(number);
    }

    /// Nothing passes between the two sides.
    pub(super) fn parts(&mut self, one: &[Seat], other: &[Seat]) -> usize {
        let paths = one.iter().flat_map(|a| {
            other
                .iter()
                .flat_map(|b| [(*a, *b), (*b, *a)].map(|(from, to)| Path { from, to, link: None }))
        });
        self.strikes(Kind::Cut(paths.collect()), FOR_LONG)
    }

    /// Messages of one sort are lost on one way.
    pub(super) fn loses(&mut self, from: Seat, to: Seat, sort: Sort) -> usize {
        self.strikes(Kind::Lose { from, to, sort }, FOR_LONG)
    }

    /// What is held back on a way comes now, in any order.
    pub(super) fn lets_go(&mut self, from: Seat, to: Seat) {
        self.world.queue.push(self.world.now, Happening::LetGo { from, to });
    }

    /// An operator asks for this here, until it is done.
    pub(super) fn asks(&mut self, seat: Seat, wish: Wish) -> Option<()> {
        for _ in 0..6 {
            let request = self.world.wish(seat, wish)?;
            self.until(10 * SECOND, |world| world.operator.answer(request).is_some())?;
            if let Some(Outcome::Done { .. }) = self.world.operator.answer(request) {
                return Some(());
            }
            self.waits(SECOND)?;
        }
        None
    }

    /// Goes on until everything runs, all are told of the newest record, and nothing is under way.
    pub(super) fn settles(&mut self) -> Option<()> {
        self.until(90 * SECOND, |world| world.now > 5 * SECOND && at_rest(world))?;
        self.waits(700 * MILLI)?;
        self.until(30 * SECOND, at_rest)
    }

    /// Goes on until all of a group runs on this machine and nobody has anything else under way.
    pub(super) fn brings(&mut self, group: usize, to: Seat) -> Option<()> {
        if owner(&self.world, group) != Some(to) {
            let leader = leader(&self.world)?;
            self.asks(leader, Wish::Migrate { group, to: Some(to) })?;
        }
        self.until(60 * SECOND, |world| runs(world, to, group))?;
        self.settles()
    }

    /// Every machine but these.
    pub(super) fn others(&self, but: &[Seat]) -> Vec<Seat> {
        (0..self.world.machines.len()).filter(|seat| !but.contains(seat)).collect()
    }

    /// One of these.
    pub(super) fn one_of(&mut self, seats: &[Seat]) -> Option<Seat> {
        seats.get(self.dice.index(seats.len())).copied()
    }
}

/// Who wrote the first record of the newest epoch.
pub(super) fn leader<R: Rules>(world: &World<R>) -> Option<Seat> {
    world.ghost.coordinators.last_key_value().map(|(_, (seat, _))| *seat)
}

pub(super) fn committed<R: Rules>(world: &World<R>) -> Stamp {
    world.newest_committed().map(|(stamp, _)| stamp).unwrap_or_default()
}

/// The newest record on a machine's disk.
pub(super) fn on_disk<R: Rules>(world: &World<R>, seat: Seat) -> Stamp {
    world.machines[seat].disk.durable().stamp()
}

/// To whom the newest committed record grants a group.
pub(super) fn owner<R: Rules>(world: &World<R>, group: usize) -> Option<Seat> {
    let (_, record) = world.newest_committed()?;
    let group = &world.cluster.groups.get(group)?.id;
    world.seat_of(record.owner(group)?)
}

/// Whether anything of a group runs here, or may come to run.
pub(super) fn holds<R: Rules>(world: &World<R>, seat: Seat, group: usize) -> bool {
    world.cluster.groups.get(group).is_some_and(|g| world.machines[seat].agents.holds_group(&g.id))
}

/// Whether all of a group runs here.
pub(super) fn runs<R: Rules>(world: &World<R>, seat: Seat, group: usize) -> bool {
    world.cluster.groups.get(group).is_some_and(|g| world.runs_whole(seat, g))
}

/// Everything runs, every machine has the newest record, and no call or write is open.
fn at_rest<R: Rules>(world: &World<R>) -> bool {
    let newest = committed(world);
    let still = world.machines.iter().enumerate().all(|(seat, machine)| {
        machine.powered
            && machine.daemon.is_some()
            && machine.disk.pending() == 0
            && on_disk(world, seat) == newest
            && machine.agents.children().is_empty()
    });
    let voters = world.newest_committed().is_some_and(|(_, record)| {
        record.voters.len() == world.machines.len() && record.old_voters == record.voters
    });
    still && voters && world.lacking().is_none()
}

/// Until it is mended.
pub(super) const FOR_LONG: Micros = 10_000 * SECOND;
