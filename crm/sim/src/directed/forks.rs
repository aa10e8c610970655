//! Two histories: H1, H4.

use super::driver::{Driver, FOR_LONG, committed, leader, on_disk};
use crate::clock::{MILLI, SECOND};
use crate::faults::{Kind, Wish};
use crm_core::rules::Rules;

/// H1: a version alone does not order records. The coordinator is cut off and writes one more record, on its own disk only. Another is elected
/// and writes its first record, of the same version, to a majority, but does not hear so. The first
/// one is back, stands, and is shown that record. Then the second hears that its own was accepted.
pub(super) fn same_version<R: Rules>(driver: &mut Driver<R>) -> Option<()> {
    driver.settles()?;
    let first = leader(&driver.world)?;
    let others = driver.others(&[first]);
    let before = committed(&driver.world);
    let cut = driver.parts(&[first], &others);
    driver.waits(MILLI)?;
    driver.world.wish(first, Wish::Standby { node: *others.first()? })?;
    driver.until(9 * SECOND, |world| on_disk(world, first) > before)?;
    driver.until(9 * SECOND, |world| leader(world) != Some(first))?;
    let second = leader(&driver.world)?;
    let third = *driver.others(&[first, second]).first()?;
    driver.strikes(Kind::Hold { from: third, to: second }, FOR_LONG);
    driver.until(9 * SECOND, |world| on_disk(world, third).epoch > before.epoch)?;
    driver.mends(cut);
    driver.parts(&[first], &[second]);
    driver.until(9 * SECOND, |world| {
        committed(world).epoch > before.epoch && leader(world) == Some(first)
    })?;
    driver.lets_go(third, second);
    driver.waits(SECOND)
}

/// H4: two and two of four do not hear one another for longer than T_out. Neither half may go on:
/// that a silent node has stopped does not say that it does not elect itself.
pub(super) fn halves<R: Rules>(driver: &mut Driver<R>) -> Option<()> {
    driver.settles()?;
    let first = leader(&driver.world)?;
    let others = driver.others(&[first]);
    let beside = driver.one_of(&others)?;
    let rest = driver.others(&[first, beside]);
    driver.parts(&[first, beside], &rest);
    driver.waits(25 * SECOND)
}
