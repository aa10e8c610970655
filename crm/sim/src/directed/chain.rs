//! H9: from when silence is counted, and a chain of leases that is no longer than one.

use super::driver::{Driver, holds, leader};
use crate::clock::SECOND;
use crate::faults::Kind;
use crate::network::Sort;
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

/// One of three does not hear the owner of a group for longer than T_out, while the coordinator hears
/// both and renews the owner's lease. Then the coordinator's daemon restarts, and the first is
/// elected: T_out begins now, and not when it last heard the owner.
pub(super) fn long_silence<R: Rules>(driver: &mut Driver<R>) -> Option<()> {
    driver.settles()?;
    let coordinator = leader(&driver.world)?;
    let others = driver.others(&[coordinator]);
    let silent = driver.one_of(&others)?;
    driver.brings(0, silent)?;
    let coordinator = leader(&driver.world)?;
    let next = *driver.others(&[coordinator, silent]).first()?;
    if silent == coordinator {
        return None;
    }
    driver.parts(&[next], &[silent]);
    driver.waits(16 * SECOND)?;
    // Nobody else is elected.
    driver.loses(next, coordinator, Sort::PreVoteReply);
    driver.loses(silent, coordinator, Sort::PreVoteReply);
    driver.loses(coordinator, silent, Sort::PreVoteReply);
    driver.strikes(Kind::DaemonCrash { seat: coordinator }, SECOND / 4);
    driver.until(9 * SECOND, |world| leader(world) == Some(next))?;
    driver.waits(3 * SECOND)
}
