//! R16, H23, H35: the only voter of its record is back, and somebody went on without it.

use super::driver::{Driver, FOR_LONG, holds, on_disk, owner};
use crate::clock::{MILLI, SECOND};
use crate::faults::{Kind, Wish};
use crate::fence::Device;
use crate::queue::{Happening, Seat};
use crm_core::rules::Rules;

/// One of two leaves in order, and so without a vote; the other one loses its power. The first is back, and an operator says
/// of the other what is true: it is dead. Then that one is back as well, behind a cut link, and alone votes in its record.
/// The device of the first does not answer.
pub(super) fn back_alone<R: Rules>(driver: &mut Driver<R>) -> Option<()> {
    let (first, last, leave) = one_leaves(driver)?;
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

/// One of two leaves in order, the other one changes things alone and loses its power. The first is back, and an operator
/// lets it go on without that. Then the other is back, too: what each has is no part of the other's history. In the
/// end the operator does what he is told: its state directory is emptied, and it joins anew.
pub(super) fn parted<R: Rules>(driver: &mut Driver<R>) -> Option<()> {
    let (first, last, leave) = one_leaves(driver)?;
    // Of the last change before a power cut its disk does not say yet that it was committed.
    for wish in [Wish::Standby { node: first }, Wish::Online { node: first }] {
        let before = on_disk(&driver.world, last);
        driver.asks(last, wish)?;
        driver.until(9 * SECOND, |world| on_disk(world, last) > before)?;
    }
    driver.strikes(Kind::Crash { seat: last }, FOR_LONG);
    driver.mends(leave);
    driver.until(60 * SECOND, |world| world.machines[first].daemon.is_some())?;
    driver.waits(3 * SECOND)?;
    driver.asks(first, Wish::AcceptLoss { node: last })?;
    driver.until(90 * SECOND, |world| holds(world, first, 0))?;
    driver.world.queue.push(driver.world.now, Happening::PowerOn { seat: last });
    driver.until(60 * SECOND, |world| world.machines[last].daemon.is_some())?;
    driver.waits(10 * SECOND)?;
    joins_anew(driver, last)
}

/// Both have gone on, one runs everything and the other one is back behind a cut link. The link mends as the daemon of the
/// first has just restarted: it runs, and obeys nothing yet.
pub(super) fn beside_a_restart<R: Rules>(driver: &mut Driver<R>) -> Option<()> {
    let (_, last, cut) = both_went_on(driver)?;
    let back = driver.about(100 * MILLI);
    driver.strikes(Kind::DaemonCrash { seat: last }, back);
    driver.until(9 * SECOND, |world| world.machines[last].daemon.is_none())?;
    driver.until(9 * SECOND, |world| world.machines[last].daemon.is_some())?;
    driver.mends(cut);
    driver.waits(10 * SECOND)?;
    joins_anew(driver, last)
}

/// The same, and the link mends for no longer than it takes the one that runs to hear of the other's epoch, and to be elected
/// above it. The other one, which has not heard of that, has it fenced and is elected, too.
pub(super) fn one_epoch_each<R: Rules>(driver: &mut Driver<R>) -> Option<()> {
    let (first, last, cut) = both_went_on(driver)?;
    driver.mends(cut);
    let above = on_disk(&driver.world, first).epoch;
    driver.until(9 * SECOND, |world| {
        world.ghost.coordinators.last_key_value().is_some_and(|(epoch, _)| *epoch > above)
    })?;
    let cut = driver.parts(&[first], &[last]);
    driver.waits(10 * SECOND)?;
    driver.mends(cut);
    driver.waits(10 * SECOND)?;
    let given_up = if holds(&driver.world, last, 0) { first } else { last };
    joins_anew(driver, given_up)
}

/// As in [`parted`], but the one that is back is behind a cut link, has the other one fenced, and runs everything by its own
/// history. Who was fenced and is back, who runs, and the cut.
fn both_went_on<R: Rules>(driver: &mut Driver<R>) -> Option<(Seat, Seat, usize)> {
    let (first, last, leave) = one_leaves(driver)?;
    driver.strikes(Kind::Crash { seat: last }, FOR_LONG);
    driver.mends(leave);
    driver.until(60 * SECOND, |world| world.machines[first].daemon.is_some())?;
    driver.waits(3 * SECOND)?;
    driver.asks(first, Wish::AcceptLoss { node: last })?;
    driver.until(90 * SECOND, |world| holds(world, first, 0))?;
    let cut = driver.parts(&[first], &[last]);
    driver.world.queue.push(driver.world.now, Happening::PowerOn { seat: last });
    driver.until(90 * SECOND, |world| holds(world, last, 0))?;
    driver.until(90 * SECOND, |world| world.machines[first].daemon.is_some())?;
    Some((first, last, cut))
}

/// What the operator is told to do with the one whose changes he gives up.
fn joins_anew<R: Rules>(driver: &mut Driver<R>, seat: Seat) -> Option<()> {
    driver.strikes(Kind::EmptyDisk { seat }, 4 * SECOND);
    driver.waits(20 * SECOND)
}

/// Who left, who stayed and alone votes, and the fault that ends when the first is back.
fn one_leaves<R: Rules>(driver: &mut Driver<R>) -> Option<(Seat, Seat, usize)> {
    driver.settles()?;
    let seats = driver.others(&[]);
    let first = driver.one_of(&seats)?;
    let last = *driver.others(&[first]).first()?;
    let leave = driver.strikes(Kind::Leave { seat: first }, FOR_LONG);
    driver.until(120 * SECOND, |world| world.machines[first].daemon.is_none())?;
    driver.until(60 * SECOND, |world| owner(world, 0) == Some(last) && holds(world, last, 0))?;
    Some((first, last, leave))
}
