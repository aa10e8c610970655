//! Fencing devices, one for each machine (AS3): a request may be lost, run late, or succeed
//! unreported. What is reported as off was off after the request was issued.

use crate::clock::{MILLI, Micros, SECOND};
use crate::queue::Seat;
use crate::random::Random;
use crm_core::id::FenceId;
use crm_core::time::Span;
use std::collections::BTreeMap;

/// How the device of one machine behaves (faults).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Device {
    #[default]
    Good,
    /// Answers late, but in time.
    Slow,
    /// The request never arrives; the requester gives up.
    Loses,
    /// Carried out long after the requester gave up, perhaps after the target rebooted.
    Late,
    /// Carried out, and reported as failed.
    Unreported,
    /// Refuses at once.
    Fails,
    /// Reports success and does nothing, which AS3 excludes.
    Lies,
}

/// One request, as the device and the requester's shell know it.
#[derive(Clone, Debug)]
pub struct Request {
    pub by: Seat,
    pub run: u32,
    pub id: FenceId,
    pub target: Seat,
    pub issued: Micros,
    /// When the device will carry it out, if ever.
    pub executes: Option<Micros>,
    pub executed: Option<Micros>,
    pub reported: bool,
    pub cancelled: bool,
    /// What it reports is not true (AS3 excludes it).
    pub lie: bool,
}

/// When a request is carried out, and when and how it is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Course {
    pub executes: Option<Micros>,
    pub reports: Micros,
    pub off: bool,
}

/// Every request of a world.
#[derive(Clone, Debug, Default)]
pub struct Devices {
    pub moods: BTreeMap<Seat, Device>,
    pub requests: BTreeMap<u64, Request>,
    next: u64,
}

impl Devices {
    /// Takes a request; returns its number and its fate.
    pub fn take(
        &mut self,
        now: Micros,
        random: &mut Random,
        by: Seat,
        run: u32,
        id: FenceId,
        target: Seat,
        timeout: Span,
    ) -> (u64, Course) {
        let gives_up = now + timeout.as_micros();
        let executes = now + random.spread(200 * MILLI, 2 * SECOND);
        let device = self.moods.get(&target).copied().unwrap_or_default();
        let answer = |random: &mut Random, at| at + random.spread(10 * MILLI, 500 * MILLI);
        let course = match device {
            Device::Good => {
                Course { executes: Some(executes), reports: answer(random, executes), off: true }
            }
            Device::Slow => {
                let executes =
                    now + random.between(timeout.as_micros() / 4, timeout.as_micros() / 2);
                let reports = executes + random.below(timeout.as_micros() / 3);
                Course { executes: Some(executes), reports, off: true }
            }
            Device::Loses => Course { executes: None, reports: gives_up, off: false },
            Device::Late => {
                let executes = gives_up + random.spread(100 * MILLI, 40 * SECOND);
                Course { executes: Some(executes), reports: gives_up, off: false }
            }
            Device::Unreported => {
                Course { executes: Some(executes), reports: gives_up.max(executes), off: false }
            }
            Device::Fails => Course { executes: None, reports: answer(random, now), off: false },
            Device::Lies => Course { executes: None, reports: answer(random, executes), off: true },
        };
        self.next += 1;
        let request = Request {
            by,
            run,
            id,
            target,
            issued: now,
            executes: course.executes,
            executed: None,
            reported: false,
            cancelled: false,
            lie: device == Device::Lies,
        };
        self.requests.insert(self.next, request);
        (self.next, course)
    }

    /// The requester no longer wants it; often it is too late for that.
    pub fn cancel(&mut self, random: &mut Random, by: Seat, run: u32, id: FenceId) {
        for request in self.requests.values_mut() {
            if request.by == by && request.run == run && request.id == id {
                request.cancelled = request.cancelled || random.chance(500);
            }
        }
    }

    /// Whether a device still has something to do or to say.
    #[must_use]
    pub fn are_busy(&self) -> bool {
        self.requests.values().any(|request| {
            let waits = request.executes.is_some() && request.executed.is_none();
            (waits && !request.cancelled) || !request.reported
        })
    }

    /// Forgets what can have no effect any more.
    pub fn forget_old(&mut self, now: Micros) {
        self.requests.retain(|_, request| now.saturating_sub(request.issued) < 300 * SECOND);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn success_is_reported_only_after_execution() {
        let mut random = Random::new(5);
        let moods = [
            Device::Good,
            Device::Slow,
            Device::Loses,
            Device::Late,
            Device::Unreported,
            Device::Fails,
        ];
        for device in moods {
            for _ in 0..50 {
                let mut devices = Devices::default();
                devices.moods.insert(1, device);
                let (_, course) = devices.take(7, &mut random, 0, 1, FenceId(1), 1, Span::secs(10));
                if course.off {
                    assert!(course.executes.is_some_and(|at| at > 7 && at <= course.reports));
                }
                assert!(course.reports <= 7 + 10 * SECOND, "{device:?} {course:?}");
                assert_eq!(course.off, matches!(device, Device::Good | Device::Slow));
            }
        }
    }
}
