//! H24: a ban ends with the word of who saw that very ban, and the copy whole again after it.

use super::driver::{Driver, FOR_LONG, owner};
use crate::clock::{MILLI, SECOND};
use crate::faults::Kind;
use crate::queue::Seat;
use crm_core::operator::{Command, Outcome};
use crm_core::rules::Rules;

/// The owner writes alone, so the other copy is banned; then that is whole again, and its handler says so. Before its
/// word arrives the owner writes alone once more, under a new ban. The word is late, and the owner dies.
pub(super) fn late_lift<R: Rules>(driver: &mut Driver<R>) -> Option<()> {
    driver.settles()?;
    let owner = owner(&driver.world, 0)?;
    let other = *driver.others(&[owner]).first()?;
    let (group, node) = (driver.world.cluster.groups.first()?.id.clone(), driver.name(other));
    let seen = driver.bans(owner, other)?;
    driver.waits(300 * MILLI)?;
    driver.bans(owner, other)?;
    driver.world.ghost.lacking.entry(group.clone()).or_default().insert(other);
    driver.waits(300 * MILLI)?;
    let late = Command::LiftBan { group, node, ban: seen };
    let request = driver.world.handler_says(other, late)?;
    driver.until(10 * SECOND, |world| world.operator.answer(request).is_some())?;
    driver.waits(500 * MILLI)?;
    driver.strikes(Kind::Crash { seat: owner }, FOR_LONG);
    // Longer than it takes to prove it dead.
    driver.waits(40 * SECOND)
}

impl<R: Rules> Driver<R> {
    /// The owner of the first group is told that another copy lacks its writes from now on: the ban's words.
    fn bans(&mut self, owner: Seat, other: Seat) -> Option<String> {
        let group = self.world.cluster.groups.first()?.id.clone();
        let (node, by) = (self.name(other), self.name(owner));
        let reason = "it is written to alone".to_owned();
        let ban = Command::Ban { group: group.clone(), node: node.clone(), by, reason };
        let request = self.world.handler_says(owner, ban)?;
        self.until(10 * SECOND, |world| world.operator.answer(request).is_some())?;
        let Some(Outcome::Done { .. }) = self.world.operator.answer(request) else { return None };
        let (_, record) = self.world.newest_committed()?;
        record.bans.get(&group)?.get(&node).cloned()
    }

    fn name(&self, seat: Seat) -> crm_core::id::NodeId {
        self.world.machines[seat].id.clone()
    }
}
