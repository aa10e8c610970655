//! What can go wrong at one event: every choice that the search has beside letting it happen.

use super::story::LONG;
use crate::assumptions::Assumption;
use crate::clock::{MILLI, Micros, SECOND};
use crate::invariants;
use crate::network::Path;
use crate::queue::{Happening, Seat};
use crate::world::World;
use crm_core::packet::Message;
use crm_core::rules::Rules;

/// One thing that goes wrong, at the event that would have come next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Twist {
    /// The packet is lost.
    Lose,
    /// The packet comes this much later, after those that were sent later.
    Late { by: Micros },
    /// The write fails.
    WriteFails,
    /// The agent says that it failed, and what it did is half done.
    CallFails,
    /// The agent never ends by itself.
    CallHangs,
    /// The device never gets the request.
    FenceLost,
    /// The device carries it out long after the requester gave up.
    FenceLate { by: Micros },
    /// The device carries it out, and the machine boots again before that is reported.
    BootsAtOnce,
    /// It was carried out, and is reported as failed.
    Unreported,
    /// It was carried out, and is reported late.
    ReportedLate { by: Micros },
    /// The plug of a machine, just before the event; `torn`: what is not synced is lost.
    PowerCut { seat: Seat, back: Micros, torn: bool },
    /// Only the daemon; what runs goes on.
    DaemonDies { seat: Seat, back: Micros, torn: bool },
    /// The daemon gets nothing for so long; its clock goes on.
    Freezes { seat: Seat, lasts: Micros },
    /// A machine hears the others no more, or is not heard, or both.
    Isolated { seat: Seat, hears: bool, is_heard: bool, lasts: Micros },
    /// Two of three machines do not hear one another.
    Cut { a: Seat, b: Seat, lasts: Micros },
    /// What one machine sends another is held back, and then comes all at once.
    Held { from: Seat, to: Seat, lasts: Micros },
    /// A power cut, and somebody puts back a copy of the store from so many writes ago (H20; breaks AS1).
    Restored { seat: Seat, writes: usize },
    /// A virtual machine is paused: its clock and its watchdog stand still too (H25; breaks AS2).
    Paused { seat: Seat, lasts: Micros },
}

impl Twist {
    /// Whose plug is pulled, what is not synced being there all the same.
    fn power_cut(self) -> Option<Seat> {
        match self {
            Twist::PowerCut { seat, back: SHORT, torn: false } => Some(seat),
            _ => None,
        }
    }

    /// A word for its kind.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Twist::Lose => "lose",
            Twist::Late { .. } => "late",
            Twist::WriteFails => "write-fails",
            Twist::CallFails => "call-fails",
            Twist::CallHangs => "call-hangs",
            Twist::FenceLost => "fence-lost",
            Twist::FenceLate { .. } => "fence-late",
            Twist::BootsAtOnce => "boots-at-once",
            Twist::Unreported => "unreported",
            Twist::ReportedLate { .. } => "reported-late",
            Twist::PowerCut { .. } => "power-cut",
            Twist::DaemonDies { .. } => "daemon-dies",
            Twist::Freezes { .. } => "freezes",
            Twist::Isolated { .. } => "isolated",
            Twist::Cut { .. } => "cut",
            Twist::Held { .. } => "held",
            Twist::Restored { .. } => "restored",
            Twist::Paused { .. } => "paused",
        }
    }
}

/// Which of the choices are tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Menu {
    /// Faults of machines and of the network only when something other than a heartbeat happens, or
    /// a daemon wakes; one length of each.
    Short,
    /// Both lengths of everything.
    Full,
}

/// The choices at the next event.
pub(crate) fn choices<R: Rules>(
    world: &World<R>,
    menu: Menu,
    breaks: Option<Assumption>,
) -> Vec<Twist> {
    let mut all = within(world, menu);
    let seats: Vec<Seat> = all.iter().filter_map(|twist| twist.power_cut()).collect();
    for seat in seats {
        let disk = &world.machines[seat].disk;
        match breaks {
            Some(Assumption::Disk) => {
                let before = disk.before().count();
                all.extend(
                    [1, before]
                        .into_iter()
                        .take(before)
                        .map(|writes| Twist::Restored { seat, writes }),
                );
            }
            Some(Assumption::Clock) if world.machines[seat].pause.is_none() => {
                all.push(Twist::Paused { seat, lasts: LONG });
            }
            _ => {}
        }
    }
    all
}

/// Those that leave the assumptions alone.
fn within<R: Rules>(world: &World<R>, menu: Menu) -> Vec<Twist> {
    let Some((_, what)) = world.queue.peek() else { return Vec::new() };
    let mut all = Vec::new();
    match what {
        Happening::Arrives(datagram) => {
            let seat = datagram.to;
            if world.machines[seat].daemon.is_none() {
                return all;
            }
            let message = datagram.said.as_ref().map(|said| &said.packet.message);
            all.push(Twist::Late { by: LATE });
            if !matches!(message, Some(Message::Heartbeat(_))) {
                all.push(Twist::Lose);
                machine(world, seat, menu, &mut all);
                network(world, menu, &mut all);
            }
        }
        Happening::Wake { seat, run } if world.machines[*seat].runs(*run) => {
            machine(world, *seat, menu, &mut all);
            network(world, menu, &mut all);
        }
        Happening::Synced { seat, run, .. } if world.machines[*seat].runs(*run) => {
            all.push(Twist::WriteFails);
            machine(world, *seat, menu, &mut all);
        }
        Happening::ChildEnds { seat, boot, child, killed } => {
            let machines = &world.machines[*seat];
            if machines.boot == *boot && machines.agents.children().contains_key(child) {
                if !killed {
                    all.extend([Twist::CallFails, Twist::CallHangs]);
                }
                machine(world, *seat, menu, &mut all);
            }
        }
        Happening::FenceExecutes { order } => {
            if let Some(request) = world.devices.requests.get(order) {
                all.extend([
                    Twist::FenceLost,
                    Twist::FenceLate { by: LONG_AFTER },
                    Twist::BootsAtOnce,
                ]);
                machine(world, request.target, menu, &mut all);
                machine(world, request.by, menu, &mut all);
            }
        }
        Happening::FenceReports { order, .. } => {
            if let Some(request) = world.devices.requests.get(order) {
                if request.executed.is_some() {
                    all.extend([Twist::Unreported, Twist::ReportedLate { by: SLOW }]);
                }
                machine(world, request.by, menu, &mut all);
            }
        }
        _ => {}
    }
    all
}

fn machine<R: Rules>(world: &World<R>, seat: Seat, menu: Menu, all: &mut Vec<Twist>) {
    let machine = &world.machines[seat];
    if !machine.powered {
        return;
    }
    let unsynced = machine.disk.pending() > 0;
    let lengths: &[Micros] = if menu == Menu::Full { &[SHORT, LONG] } else { &[SHORT] };
    for torn in [false, true] {
        if torn && !unsynced {
            continue;
        }
        for back in lengths {
            all.push(Twist::PowerCut { seat, back: *back, torn });
        }
        if machine.daemon.is_some() {
            all.push(Twist::DaemonDies { seat, back: AT_ONCE, torn });
        }
    }
    if machine.daemon.is_some() && machine.frozen_until.is_none() {
        for lasts in lengths {
            all.push(Twist::Freezes { seat, lasts: *lasts });
        }
    }
}

fn network<R: Rules>(world: &World<R>, menu: Menu, all: &mut Vec<Twist>) {
    let seats = world.machines.len();
    let lengths: &[Micros] = if menu == Menu::Full { &[SHORT, LONG] } else { &[LONG] };
    for lasts in lengths.iter().copied() {
        for seat in 0..seats {
            // Two machines: cutting off either is the same.
            let ways: &[(bool, bool)] = match seats {
                2 if seat == 0 => &[(false, false), (true, false), (false, true)],
                2 => &[],
                _ => &[(false, false), (true, false), (false, true)],
            };
            for (hears, is_heard) in ways.iter().copied() {
                all.push(Twist::Isolated { seat, hears, is_heard, lasts });
            }
        }
        if seats > 2 {
            for a in 0..seats {
                all.extend((a + 1..seats).map(|b| Twist::Cut { a, b, lasts }));
            }
        }
    }
    if menu == Menu::Full {
        for from in 0..seats {
            let others = (0..seats).filter(|to| *to != from);
            all.extend(others.map(|to| Twist::Held { from, to, lasts: SHORT }));
        }
    }
}

/// Lets it go wrong. `number` tells the faults of one path apart.
pub(crate) fn apply<R: Rules>(world: &mut World<R>, twist: Twist, number: usize) {
    let Some((next, _)) = world.queue.peek() else { return };
    match twist {
        Twist::PowerCut { .. }
        | Twist::DaemonDies { .. }
        | Twist::Freezes { .. }
        | Twist::Isolated { .. }
        | Twist::Cut { .. }
        | Twist::Held { .. }
        | Twist::Restored { .. }
        | Twist::Paused { .. } => {
            world.now = next;
            strike(world, twist, FIRST + number);
        }
        _ => bend(world, twist),
    }
    invariants::check(world);
}

fn strike<R: Rules>(world: &mut World<R>, twist: Twist, number: usize) {
    let now = world.now;
    match twist {
        Twist::PowerCut { seat, back, torn } => {
            if torn {
                world.machines[seat].disk.loses_what_is_not_synced();
            }
            world.power_off(seat, "crash");
            world.queue.push(now + back, Happening::PowerOn { seat });
        }
        Twist::DaemonDies { seat, back, torn } => {
            if torn {
                world.machines[seat].disk.loses_what_is_not_synced();
            }
            let back = world.in_step(now + back, seat);
            world.daemon_crash(seat, back);
        }
        Twist::Freezes { seat, lasts } => {
            let until = world.in_step(now + lasts, seat);
            world.freezes(seat, until);
        }
        Twist::Isolated { seat, hears, is_heard, lasts } => {
            let others = (0..world.machines.len()).filter(|other| *other != seat);
            let paths = others.flat_map(|other| {
                let out = (!is_heard).then_some(Path { from: seat, to: other, link: None });
                let back = (!hears).then_some(Path { from: other, to: seat, link: None });
                out.into_iter().chain(back)
            });
            world.network.cut(number, paths.collect());
            world.queue.push(in_steps(now + lasts), Happening::FaultEnds { fault: number });
        }
        Twist::Cut { a, b, lasts } => {
            let paths = [(a, b), (b, a)].map(|(from, to)| Path { from, to, link: None });
            world.network.cut(number, paths.to_vec());
            world.queue.push(in_steps(now + lasts), Happening::FaultEnds { fault: number });
        }
        Twist::Held { from, to, lasts } => {
            world.network.hold(from, to);
            world.queue.push(in_steps(now + lasts), Happening::LetGo { from, to });
        }
        Twist::Restored { seat, writes } => {
            world.power_off(seat, "crash");
            world.machines[seat].disk.goes_back(writes);
            // It cannot know what it said; that nobody believes it any more is what is looked at.
            world.ghost.epochs.remove(&seat);
            world.ghost.votes.retain(|(voter, _, _), _| *voter != seat);
            world.queue.push(now + SHORT, Happening::PowerOn { seat });
        }
        Twist::Paused { seat, lasts } => world.pauses(seat, now + lasts, true),
        _ => {}
    }
}

/// Another outcome of the event itself.
fn bend<R: Rules>(world: &mut World<R>, twist: Twist) {
    let Some((at, mut what)) = world.queue.pop() else { return };
    world.now = at;
    match (twist, &mut what) {
        (Twist::Lose | Twist::FenceLost, _) => return,
        // Ended only by its timeout.
        (Twist::CallHangs, _) => return,
        (Twist::Late { by } | Twist::ReportedLate { by } | Twist::FenceLate { by }, _) => {
            world.queue.push(at + by, what);
            return;
        }
        (Twist::WriteFails, Happening::Synced { failed, .. }) => *failed = true,
        (Twist::Unreported, Happening::FenceReports { off, .. }) => *off = false,
        (Twist::CallFails, Happening::ChildEnds { seat, child, .. }) => {
            world.machines[*seat].agents.mark_failing(*child);
        }
        (Twist::BootsAtOnce, Happening::FenceExecutes { order }) => {
            let target = world.devices.requests.get(order).map(|request| request.target);
            if let Some(target) = target {
                world.machines[target].boots_fast = true;
                world.happen(what);
                world.machines[target].boots_fast = false;
            }
            return;
        }
        _ => {}
    }
    world.figures.events += 1;
    world.happen(what);
}

fn in_steps(at: Micros) -> Micros {
    at.next_multiple_of(500 * MILLI)
}

/// Numbers of what a story itself lets happen are below.
const FIRST: usize = 1_000;
/// A packet that comes after the deadtime, while an earlier lease still holds.
const LATE: Micros = 2_200 * MILLI;
/// A daemon that systemd starts again.
const AT_ONCE: Micros = 200 * MILLI;
/// Longer than the deadtime, shorter than a lease.
const SHORT: Micros = 2_200 * MILLI;
/// Still within the device's timeout.
const SLOW: Micros = 1_200 * MILLI;
/// After the requester gave up and the target may have come back.
const LONG_AFTER: Micros = 7 * SECOND;
