//! What a proof of death may do, and for how long: H5, H7, H11.

use super::driver::{Driver, FOR_LONG, committed, holds, leader, on_disk, owner};
use crate::clock::{MILLI, SECOND};
use crate::faults::{Kind, Wish};
use crate::fence::Device;
use crate::network::Sort;
use crate::queue::Happening;
use crm_core::rules::Rules;

/// H5: a proof says nothing in another epoch. The coordinator, which runs nothing, has a node proved dead and is then cut off. That node boots,
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

/// H7: the coordinator of two, which runs the group, dies. The other proves it dead, is elected, and
/// writes its first record on a slow disk; by then the dead one is back, and reads along.
pub(super) fn tie_winner<R: Rules>(driver: &mut Driver<R>) -> Option<()> {
    driver.settles()?;
    let loser = leader(&driver.world)?;
    driver.brings(0, loser)?;
    if leader(&driver.world) != Some(loser) {
        return None;
    }
    let winner = *driver.others(&[loser]).first()?;
    let before = committed(&driver.world).epoch;
    driver.strikes(Kind::Crash { seat: loser }, FOR_LONG);
    driver.until(40 * SECOND, |world| !world.devices.requests.is_empty())?;
    let slowness = driver.about(SECOND);
    driver.strikes(Kind::SlowDisk { seat: winner, slowness }, FOR_LONG);
    driver.until(9 * SECOND, |world| leader(world) == Some(winner))?;
    // It would be elected while the winner's first record is under way.
    driver.loses(winner, loser, Sort::PreVoteReply);
    driver.world.queue.push(driver.world.now, Happening::PowerOn { seat: loser });
    driver.until(9 * SECOND, |world| on_disk(world, winner).epoch > before)?;
    driver.waits(7 * SECOND)
}

/// H11: one of three dies and is proved dead, then another, of which no proof can be had. The first
/// is back: two of three are a majority, and go on.
pub(super) fn two_of_three<R: Rules>(driver: &mut Driver<R>) -> Option<()> {
    driver.settles()?;
    let lost = leader(&driver.world)?;
    let others = driver.others(&[lost]);
    let back = driver.one_of(&others)?;
    let third = *driver.others(&[lost, back]).first()?;
    driver.strikes(Kind::Crash { seat: back }, FOR_LONG);
    if owner(&driver.world, 0) != Some(back) && owner(&driver.world, 1) != Some(back) {
        driver.world.wish(lost, Wish::Fence { node: back })?;
    }
    driver.until(30 * SECOND, |world| {
        world.devices.requests.values().any(|r| r.target == back && r.reported)
    })?;
    driver.waits(2 * SECOND)?;
    driver.strikes(Kind::Device { target: lost, device: Device::Fails }, FOR_LONG);
    driver.strikes(Kind::Crash { seat: lost }, FOR_LONG);
    driver.waits(500 * MILLI)?;
    driver.world.queue.push(driver.world.now, Happening::PowerOn { seat: back });
    let before = committed(&driver.world).epoch;
    let goes_on = driver.until(60 * SECOND, |world| {
        committed(world).epoch > before && world.machines[third].powered
    });
    if goes_on.is_none() && driver.world.ghost.violation.is_none() {
        let scene = driver.world.scene(&driver.world.cluster.groups.first()?.id.clone());
        driver.world.blame("a_majority_goes_on_within_bounds", scene);
    }
    goes_on
}
