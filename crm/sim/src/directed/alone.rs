//! R16, H23: the only voter of its record is back, and somebody went on without it.

use super::driver::{Driver, FOR_LONG, holds, on_disk, owner};
use crate::clock::SECOND;
use crate::faults::{Kind, Wish};
use crate::fence::Device;
use crate::queue::Happening;
use crm_core::rules::Rules;

/// One of two leaves in order, and so without a vote; the other one loses its power. The first is back, and an operator says
/// of the other what is true: it is dead. Then that one is back as well, behind a cut link, and alone votes in its record.
/// The device of the first does not answer.
pub(super) fn back_alone<R: Rules>(driver: &mut Driver<R>) -> Option<()> {
    driver.settles()?;
    let seats = driver.others(&[]);
    let first = driver.one_of(&seats)?;
    let last = *driver.others(&[first]).first()?;
    let leave = driver.strikes(Kind::Leave { seat: first }, FOR_LONG);
    driver.until(120 * SECOND, |world| world.machines[first].daemon.is_none())?;
    driver.until(60 * SECOND, |world| owner(world, 0) == Some(last) && holds(world, last, 0))?;
    driver.strikes(Kind::Crash { seat: last }, FOR_LONG);
    // Who has seen less does not go on: this operator accepts no loss.
    if on_disk(&driver.world, last) > on_disk(&driver.world, first) {
        return None;
    }
    driver.strikes(Kind::Device { target: first, device: Device::Fails }, FOR_LONG);
    driver.mends(leave);
    driver.until(60 * SECOND, |world| world.machines[first].daemon.is_some())?;
    driver.waits(3 * SECOND)?;
    driver.asks(first, Wish::ConfirmDead { node: last })?;
    driver.until(90 * SECOND, |world| holds(world, first, 0))?;
    driver.parts(&[first], &[last]);
    driver.world.queue.push(driver.world.now, Happening::PowerOn { seat: last });
    driver.until(60 * SECOND, |world| world.machines[last].daemon.is_some())?;
    driver.waits(20 * SECOND)
}
