//! A whole machine that stands still: its processors do nothing, then go on as if nothing had been.

use crate::clock::Micros;
use crate::queue::{Happening, Seat};
use crate::world::World;
use crm_core::rules::Rules;

/// Why and since when a machine stands still.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pause {
    pub since: Micros,
    pub until: Micros,
    /// Its clock and its watchdog stand still too, as in a paused virtual machine (AS2 excludes it).
    pub clock_too: bool,
    /// By how much its clock goes on all the same.
    pub ticks: Micros,
}

impl<R: Rules> World<R> {
    /// A machine stands still until `until`.
    pub(crate) fn pauses(&mut self, seat: Seat, until: Micros, clock_too: bool) {
        let machine = &mut self.machines[seat];
        if !machine.powered || machine.pause.is_some() {
            return;
        }
        machine.pause = Some(Pause { since: self.now, until, clock_too, ticks: 0 });
        self.trace.note(&[20, seat as u64, self.now, until]);
        self.trace.line(self.now, machine.id.as_str(), "stands still", format_args!(""));
        self.queue.push(until, Happening::Resumes { seat });
        self.freezes(seat, until);
    }

    /// The same, and its clock shows only so much of it.
    pub(crate) fn mostly_pauses(&mut self, seat: Seat, until: Micros, ticks: Micros) {
        self.pauses(seat, until, true);
        if let Some(pause) = &mut self.machines[seat].pause {
            pause.ticks = ticks;
        }
    }

    pub(crate) fn resumes(&mut self, seat: Seat) {
        let machine = &mut self.machines[seat];
        let Some(pause) = machine.pause.filter(|pause| pause.until <= self.now) else { return };
        machine.pause = None;
        if pause.clock_too {
            let stood = (self.now - pause.since).saturating_sub(pause.ticks);
            machine.clock.stood_still(stood);
            machine.watchdog = machine.watchdog.map(|at| at + stood);
        }
        self.trace.line(self.now, machine.id.as_str(), "goes on", format_args!(""));
        self.ghost.resources_moved = true;
    }

    /// When a happening of a machine that stands still happens instead.
    pub(crate) fn stands_still(&self, what: &Happening) -> Option<Micros> {
        let (seat, by_clock) = match what {
            Happening::Synced { seat, .. }
            | Happening::ChildEnds { seat, .. }
            | Happening::ChildTimesOut { seat, .. }
            | Happening::Changed { seat, .. }
            | Happening::DaemonStarts { seat, .. }
            | Happening::DaemonDies { seat, .. } => (*seat, false),
            Happening::WatchdogBites { seat, .. } => (*seat, true),
            _ => return None,
        };
        let pause = self.machines.get(seat)?.pause?;
        // A watchdog of the hardware runs while the processors do not.
        if by_clock && !pause.clock_too {
            return None;
        }
        Some(self.now + (pause.until - pause.since)).filter(|later| *later > self.now)
    }
}
