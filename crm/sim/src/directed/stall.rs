//! Machines that stand still, whole (R13: who noticed its own stall takes its lease for lapsed) or their disks only.

use super::driver::{Driver, FOR_LONG, holds, leader, owner, runs};
use crate::clock::{MILLI, SECOND};
use crate::faults::{Kind, Wish};
use crate::network::Sort;
use crm_core::rules::Rules;

/// A node has written the record that grants it a group when its machine stands still; the notice
/// that it is committed waits in its socket. The others count the node out and take the group. Then
/// it goes on, and by its own clock hardly more than a second is over: AS2 does not hold. It must
/// not trust a lease that, by that clock, still lasts.
pub(super) fn slow_wake<R: Rules>(driver: &mut Driver<R>) -> Option<()> {
    driver.settles()?;
    let coordinator = leader(&driver.world)?;
    let from = owner(&driver.world, 0)?;
    let candidates = driver.others(&[coordinator, from]);
    let sleeper = driver.one_of(&candidates)?;
    let third = *driver.others(&[coordinator, sleeper]).first()?;
    // What ran there would go on when it wakes, whatever crm does.
    if owner(&driver.world, 1) == Some(sleeper) {
        driver.brings(1, third)?;
    }
    if leader(&driver.world) != Some(coordinator) || owner(&driver.world, 0) == Some(sleeper) {
        return None;
    }
    driver.world.wish(coordinator, Wish::Migrate { group: 0, to: Some(sleeper) })?;
    let name = driver.world.machines[sleeper].id.clone();
    let group = driver.world.cluster.groups.first()?.id.clone();
    driver.until(60 * SECOND, |world| {
        let newest = world.ghost.records.last_key_value();
        newest.is_some_and(|(_, seen)| seen.record.owner(&group) == Some(&name))
    })?;
    // So that the record is not committed before the sleeper has it.
    let slowness = driver.about(400 * MILLI);
    let slow = driver.strikes(Kind::SlowDisk { seat: third, slowness }, FOR_LONG);
    driver.until(SECOND, |world| {
        let stored = world.machines[sleeper].disk.durable().record.as_ref();
        stored.is_some_and(|record| record.owner(&group) == Some(&name))
    })?;
    driver.loses(coordinator, sleeper, Sort::Heartbeat);
    let lasts = driver.about(25 * SECOND);
    let ticks = driver.dice.between(1_000 * MILLI, 1_800 * MILLI);
    driver.strikes(Kind::Pause { seat: sleeper, ticks }, lasts);
    driver.waits(SECOND)?;
    driver.mends(slow);
    driver.until(lasts, |world| holds(world, third, 0) || holds(world, coordinator, 0))?;
    driver.until(lasts, |world| world.machines[sleeper].pause.is_none())?;
    driver.waits(2 * SECOND)
}

/// AS1: the coordinator's disk neither writes nor fails, its heartbeats go on, and an operator wants a group away
/// from there. The two others are a majority: they must not wait for who can commit nothing.
pub(super) fn hanging_disk<R: Rules>(driver: &mut Driver<R>) -> Option<()> {
    driver.settles()?;
    let coordinator = leader(&driver.world)?;
    driver.brings(0, coordinator)?;
    if leader(&driver.world) != Some(coordinator) {
        return None;
    }
    let others = driver.others(&[coordinator]);
    driver.strikes(Kind::HangingDisk { seat: coordinator }, FOR_LONG);
    driver.waits(SECOND)?;
    driver.world.wish(*others.first()?, Wish::Migrate { group: 0, to: None })?;
    let goes_on =
        driver.until(120 * SECOND, |world| others.iter().any(|other| runs(world, *other, 0)));
    if goes_on.is_none() && driver.world.ghost.violation.is_none() {
        let scene = driver.world.scene(&driver.world.cluster.groups.first()?.id.clone());
        driver.world.blame("a_majority_goes_on_within_bounds", scene);
    }
    goes_on
}
