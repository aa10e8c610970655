//! When `status` is due: at once when nothing is known or an event came, else every interval.

use super::group::{Goal, GroupState};
use super::resource::{ResourceState, Verdict};
use crate::id::GroupId;
use crate::status::ResourcePhase;
use crate::time::{Span, Time};

/// No polling faster than this, whatever the configuration says.
const INTERVAL_MIN: Span = Span::millis(100);
/// Events that lead nowhere are followed up ever more slowly, up to this, so that an agent whose
/// `status` causes the very event it waits for cannot spin (I10).
const HINT_GAP_FIRST: Span = Span::millis(10);
const HINT_GAP_MAX: Span = Span::secs(1);
/// After this long without an event the next one is followed up at once again.
const HINT_QUIET: Span = Span::secs(2);

/// An event that comes while a resource starts is most often the start's own. The look at it waits for so long after
/// the start, so that what starts next has the processors.
const START_SETTLES: Span = Span::millis(500);

impl GroupState {
    /// When `status` of a resource is due; `None` while it is of no use or something is open.
    pub(super) fn looks_at(&self, i: usize, maintenance: bool) -> Option<Time> {
        let resource = &self.resources[i];
        // What is about to be stopped or recovered is not looked at any more.
        let working = !maintenance && !self.is_stuck();
        let wanted = match resource.phase {
            ResourcePhase::Unknown | ResourcePhase::StopFailed => true,
            ResourcePhase::Running => !(working && self.goal() == Goal::Down),
            ResourcePhase::Failed => {
                let recovering = resource.verdict == Verdict::Recover && self.goal() == Goal::Up;
                !(working && (recovering || self.goal() == Goal::Down))
            }
            // What a group that goes had may be another group's by now: it is not looked at again.
            ResourcePhase::Stopped => {
                resource.spec.observe_everywhere && !(self.retiring && self.all_stopped_from(0))
            }
            ResourcePhase::Starting | ResourcePhase::Stopping => false,
        };
        (wanted && self.busy(i).is_none()).then_some(resource.look_at)
    }
}

impl ResourceState {
    pub(super) fn interval(&self) -> Span {
        self.spec.interval.max(INTERVAL_MIN)
    }

    /// The first poll after a start comes at some moment of the second half of the interval, the
    /// same on every run, so that resources started together are not polled together for ever.
    pub(super) fn spread_looks(&mut self, now: Time, group: &GroupId) {
        let names = group.as_str().bytes().chain([0]).chain(self.spec.id.as_str().bytes());
        let mixed = names.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        let interval = self.interval();
        let part = (mixed >> 32) % 500 + 500;
        self.look_at = now + Span(interval.0 / 1000 * part);
    }

    /// Something about this resource changed while its start was under way, which has succeeded since.
    pub(super) fn hint_of_start(&mut self, now: Time) {
        self.look_at = self.look_at.min(now + START_SETTLES);
    }

    /// Something about this resource changed: look at once.
    pub(super) fn hint(&mut self, now: Time) {
        if let Some(open) = &mut self.open {
            open.hinted = true;
            return;
        }
        let looked = self.looked.unwrap_or_default();
        if now.since(looked) >= HINT_QUIET {
            self.false_alarms = 0;
        }
        let gap = match self.false_alarms {
            0 => Span::ZERO,
            alarms => Span(HINT_GAP_FIRST.0 << alarms.min(10)).min(HINT_GAP_MAX),
        };
        let at = (looked + gap).max(now);
        if at < self.look_at {
            self.look_at = at;
            self.false_alarms = self.false_alarms.saturating_add(1);
        }
    }
}
