//! The assumptions AS1 to AS6, each of which can be broken alone: the promises then fall, and which
//! one falls first says what the assumption carries. No plan breaks one unless it is told to.

use crate::clock::{Clock, SECOND};
use crate::queue::Seat;
use crate::world::World;
use crm_core::rules::Rules;

/// What the product takes for granted about its surroundings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Assumption {
    /// AS1: what was synced is there after a loss of power.
    Disk,
    /// AS2: clocks of any two nodes differ by at most 1 % and never stop.
    Clock,
    /// AS3: a device that reports success has switched the target off after the request.
    Fencing,
    /// AS4: the watchdog resets a machine that is not fed.
    Watchdog,
    /// AS5: the network does not hold the key.
    Network,
    /// AS6: nobody but crm starts what crm manages.
    Starter,
}

/// Each by its name in the documents, and what breaking it does here.
pub const ASSUMPTIONS: &[(&str, Assumption, &str)] = &[
    ("as1", Assumption::Disk, "a disk forgets synced writes when the power goes"),
    ("as2", Assumption::Clock, "clocks run up to 88 % too slow or too fast"),
    ("as3", Assumption::Fencing, "devices report success and do nothing"),
    ("as4", Assumption::Watchdog, "no watchdog ever resets a machine"),
    ("as5", Assumption::Network, "an attacker holds the key of the cluster"),
    ("as6", Assumption::Starter, "somebody else starts resources"),
];

impl Assumption {
    #[must_use]
    pub fn find(name: &str) -> Option<Assumption> {
        ASSUMPTIONS.iter().find(|(known, _, _)| *known == name).map(|(_, found, _)| *found)
    }

    #[must_use]
    pub fn name(self) -> &'static str {
        ASSUMPTIONS.iter().find(|(_, known, _)| *known == self).map_or("", |(name, _, _)| name)
    }
}

impl<R: Rules> World<R> {
    pub(crate) fn lacks(&self, assumption: Assumption) -> bool {
        self.plan.breaks == Some(assumption)
    }

    /// The clock of a machine that boots now.
    pub(crate) fn new_clock(&mut self) -> Clock {
        let offset = self.random.power.spread(SECOND, 30 * SECOND);
        let drift = self.random.power.between(0, 9_800) as i64 - 4_900;
        if self.lacks(Assumption::Clock) {
            return Clock::wild(self.now, offset, drift * 180);
        }
        if self.unsealed {
            return Clock::new(0, crate::world::CLOCK_OFFSET, 0);
        }
        Clock::new(self.now, offset, drift)
    }

    /// AS6: what an init script or a person might start behind crm's back.
    pub(crate) fn somebody_starts(&mut self, seat: Seat, which: usize) {
        let Some(key) = self.key(which) else { return };
        let machine = &mut self.machines[seat];
        if machine.powered {
            machine.agents.is_started_by_somebody(&key);
            self.ghost.resources_moved = true;
            let (group, resource) = &key;
            let id = machine.id.clone();
            self.trace.line(self.now, id.as_str(), "stranger", format_args!("{group}/{resource}"));
        }
    }
}
