//! H5: a proof says nothing in another epoch.

use super::driver::{Driver, FOR_LONG, committed, holds, leader};
use crate::clock::{MILLI, SECOND};
use crate::faults::{Kind, Wish};
use crate::network::Sort;
use crate::queue::Happening;
use crm_core::rules::Rules;

/// The coordinator, which runs nothing, has a node proved dead and is then cut off. That node boots,
/// elects another coordinator together with the third one, and is given a group. The first one is
/// back and follows; then the second dies, and the first leads again.
pub(super) fn old_proof<R: Rules>(driver: &mut Driver<R>) -> Option<()> {
    driver.settles()?;
    let first = leader(&driver.world)?;
    let others = driver.others(&[first]);
    driver.asks(first, Wish::Standby { node: first })?;
    driver.until(60 * SECOND, |world| (0..2).all(|group| !holds(world, first, group)))?;
    let dead = driver.one_of(&others)?;
    let third = *driver.others(&[first, dead]).first()?;
    driver.strikes(Kind::Crash { seat: dead }, FOR_LONG);
    // Its groups are moved on the same proof, or the operator asks for one.
    let _ = driver.asks(first, Wish::Fence { node: dead });
    driver.until(60 * SECOND, |world| {
        let proved = world.devices.requests.values().any(|r| r.target == dead && r.reported);
        proved && (0..2).all(|group| holds(world, third, group))
    })?;
    driver.waits(500 * MILLI)?;
    let proved_in = committed(&driver.world).epoch;
    let cut = driver.parts(&[first], &others);
    driver.world.queue.push(driver.world.now, Happening::PowerOn { seat: dead });
    driver.until(60 * SECOND, |world| committed(world).epoch > proved_in)?;
    driver.waits(4 * SECOND)?;
    let second = leader(&driver.world)?;
    driver.asks(second, Wish::Online { node: first })?;
    driver.asks(second, Wish::Migrate { group: 0, to: Some(dead) })?;
    driver.until(60 * SECOND, |world| holds(world, dead, 0) && !holds(world, third, 0))?;
    driver.mends(cut);
    driver.waits(4 * SECOND)?;
    // Whoever else might be elected is not answered.
    driver.loses(first, dead, Sort::PreVoteReply);
    driver.strikes(Kind::Crash { seat: third }, FOR_LONG);
    let led = committed(&driver.world).epoch;
    driver.until(30 * SECOND, |world| committed(world).epoch > led)?;
    driver.waits(5 * SECOND)
}
