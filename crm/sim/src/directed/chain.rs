//! H9: a chain of leases is no longer than one.

use super::driver::{Driver, holds, leader};
use crate::clock::SECOND;
use crm_core::rules::Rules;

/// The coordinator and a follower that runs a group are cut off from three of five. The three elect
/// another coordinator, which counts the follower out T_out after its election. Meanwhile the first
/// coordinator renews the follower's lease, until its own has ended.
pub(super) fn chain<R: Rules>(driver: &mut Driver<R>) -> Option<()> {
    driver.settles()?;
    let first = leader(&driver.world)?;
    let others = driver.others(&[first]);
    let follower = driver.one_of(&others)?;
    driver.brings(0, follower)?;
    let first = leader(&driver.world)?;
    let others = driver.others(&[first, follower]);
    driver.parts(&[first, follower], &others);
    driver.until(90 * SECOND, |world| {
        (0..world.machines.len()).any(|seat| seat != follower && holds(world, seat, 0))
    })?;
    driver.waits(2 * SECOND)
}
