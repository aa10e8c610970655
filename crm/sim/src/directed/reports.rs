//! H13: a report proves a stop only under the record that asked for it.

use super::driver::{Driver, FOR_LONG, leader, owner, runs};
use crate::agents::Mood;
use crate::clock::{MILLI, SECOND};
use crate::faults::{Kind, Wish};
use crate::network::Sort;
use crm_core::operation::Action;
use crm_core::rules::Rules;

/// A node is given a group and starts it, but its reports are lost: the coordinator knows the last
/// one, which says that the group is stopped there. Then the group is to move on.
pub(super) fn lost_reports<R: Rules>(driver: &mut Driver<R>) -> Option<()> {
    driver.settles()?;
    let coordinator = leader(&driver.world)?;
    let from = owner(&driver.world, 0)?;
    let candidates = driver.others(&[coordinator, from]);
    let through = driver.one_of(&candidates)?;
    let elsewhere = driver.others(&[through]);
    let next = driver.one_of(&elsewhere)?;
    driver.loses(through, coordinator, Sort::Report);
    driver.world.wish(coordinator, Wish::Migrate { group: 0, to: Some(through) })?;
    driver.until(60 * SECOND, |world| runs(world, through, 0))?;
    driver.waits(300 * MILLI)?;
    let slowness = driver.about(3 * SECOND);
    let mood = Mood { slowness, only: Some(Action::Stop), ..Mood::default() };
    driver.strikes(Kind::Agents { seat: through, mood }, FOR_LONG);
    driver.world.wish(coordinator, Wish::Migrate { group: 0, to: Some(next) })?;
    driver.waits(8 * SECOND)
}
