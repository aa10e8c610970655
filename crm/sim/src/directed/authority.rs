//! H7, R12: no authority for a later run of a node while a proof of its death is acted on.

use super::driver::{Driver, FOR_LONG, committed, leader, on_disk};
use crate::clock::{MILLI, SECOND};
use crate::faults::{Kind, Wish};
use crm_core::rules::Rules;

/// While a record is under way, slow disks keeping it from being committed, the owner of a group is
/// proved dead and back at once. It persists that record, and its lease is renewed. The record is
/// committed, and the next one gives the group away: the coordinator's own disk takes a while.
pub(super) fn back_too_soon<R: Rules>(driver: &mut Driver<R>) -> Option<()> {
    driver.settles()?;
    let coordinator = leader(&driver.world)?;
    let others = driver.others(&[coordinator]);
    let back = driver.one_of(&others)?;
    driver.brings(0, back)?;
    let coordinator = leader(&driver.world)?;
    let others = driver.others(&[coordinator, back]);
    driver.strikes(Kind::BootsFast { seat: back }, FOR_LONG);
    let mut slow = Vec::new();
    for other in &others {
        let slowness = driver.about(4 * SECOND);
        slow.push(driver.strikes(Kind::SlowDisk { seat: *other, slowness }, FOR_LONG));
    }
    driver.world.wish(coordinator, Wish::Fence { node: back })?;
    driver.until(9 * SECOND, |world| !world.machines[back].powered)?;
    let before = committed(&driver.world);
    driver.world.wish(coordinator, Wish::Standby { node: *others.first()? })?;
    driver.until(9 * SECOND, |world| world.machines[back].powered)?;
    driver.until(9 * SECOND, |world| on_disk(world, back) > before)?;
    for number in slow {
        driver.mends(number);
    }
    let slowness = driver.about(400 * MILLI);
    driver.strikes(Kind::SlowDisk { seat: coordinator, slowness }, FOR_LONG);
    driver.waits(9 * SECOND)
}

/// The owner of a group is cut off together with the coordinator. The others elect one of their own,
/// which has the owner proved dead and gives the group away. The owner is back at once, beside the
/// old coordinator, whose lease still holds.
pub(super) fn back_beside_the_deposed<R: Rules>(driver: &mut Driver<R>) -> Option<()> {
    driver.settles()?;
    let deposed = leader(&driver.world)?;
    let others = driver.others(&[deposed]);
    let back = driver.one_of(&others)?;
    driver.brings(0, back)?;
    let deposed = leader(&driver.world)?;
    let others = driver.others(&[deposed, back]);
    driver.strikes(Kind::BootsFast { seat: back }, FOR_LONG);
    driver.parts(&[deposed, back], &others);
    driver.until(9 * SECOND, |world| !world.machines[back].powered)?;
    driver.waits(9 * SECOND)
}
