//! H16, H17: what a node without a lease may not do for its watchdog.

use super::driver::{Driver, FOR_LONG, owner};
use crate::agents::Mood;
use crate::clock::SECOND;
use crate::faults::Kind;
use crate::queue::Seat;
use crm_core::operation::Action;
use crm_core::rules::Rules;

/// The owner of a group is cut off for longer than T_out.
fn cut_off<R: Rules>(driver: &mut Driver<R>) -> Option<Seat> {
    driver.settles()?;
    let seat = owner(&driver.world, 0)?;
    let others = driver.others(&[seat]);
    driver.parts(&[seat], &others);
    Some(seat)
}

/// H16: its daemon dies and is started again. What runs is kept; the new run has no lease, and must
/// not feed the watchdog, or the group runs on while the others take it.
pub(super) fn restart_cut_off<R: Rules>(driver: &mut Driver<R>) -> Option<()> {
    let seat = cut_off(driver)?;
    driver.waits(SECOND / 2)?;
    let back = driver.about(SECOND / 4);
    driver.strikes(Kind::DaemonCrash { seat }, back);
    driver.waits(20 * SECOND)
}

/// H17: its stops hang. S after the end of its lease it must not feed the watchdog any more.
pub(super) fn stops_that_hang<R: Rules>(driver: &mut Driver<R>) -> Option<()> {
    let seat = cut_off(driver)?;
    let mood = Mood { hang_per_mille: 1_000, only: Some(Action::Stop), ..Mood::default() };
    driver.strikes(Kind::Agents { seat, mood }, FOR_LONG);
    driver.waits(20 * SECOND)
}
