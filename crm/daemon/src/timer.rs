//! The one timer of the event loop, in the kernel: exact, and one wake-up each time. The runtime's
//! own timers round to milliseconds, and wake the loop once or twice before a long one is over.

use crm_core::time::Time;
use nix::sys::time::{TimeSpec, TimeValLike};
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Goes on while the machine is suspended, as the core's clock does.
#[derive(Debug)]
pub(crate) struct Timer {
    timer: TimerFd,
    ready: AsyncFd<OwnedFd>,
    armed: Option<Time>,
}

impl Timer {
    /// # Errors
    /// The kernel has no descriptor left.
    pub(crate) fn new() -> io::Result<Timer> {
        let flags = TimerFlags::TFD_CLOEXEC | TimerFlags::TFD_NONBLOCK;
        let timer = TimerFd::new(ClockId::CLOCK_BOOTTIME, flags)?;
        let ready = timer.as_fd().try_clone_to_owned()?;
        let ready = crate::sys::register(ready, Interest::READABLE)?;
        Ok(Timer { timer, ready, armed: None })
    }

    /// [`Timer::due`] returns at this time, or at once if that is over.
    ///
    /// # Errors
    /// The kernel refuses the time.
    pub(crate) fn arm(&mut self, at: Time) -> io::Result<()> {
        if self.armed == Some(at) {
            return Ok(());
        }
        // Zero would mean never.
        let micros = i64::try_from(at.0.max(1)).unwrap_or(i64::MAX);
        let expiration = Expiration::OneShot(TimeSpec::microseconds(micros));
        self.timer.set(expiration, TimerSetTimeFlags::TFD_TIMER_ABSTIME)?;
        self.armed = Some(at);
        Ok(())
    }

    /// Waits until the armed time. May be cancelled.
    pub(crate) async fn due(&mut self) {
        loop {
            let Ok(mut ready) = self.ready.readable().await else {
                // Not seen in life; the loop must not spin, nor wait for ever.
                tokio::time::sleep(FALLBACK).await;
                break;
            };
            let mut count = [0; 8];
            let read = nix::unistd::read(ready.get_inner(), &mut count);
            ready.clear_ready();
            if read.is_ok() {
                break;
            }
        }
        self.armed = None;
    }
}

const FALLBACK: std::time::Duration = std::time::Duration::from_millis(10);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;
    use crm_core::time::Span;

    #[tokio::test(flavor = "current_thread")]
    async fn it_is_due_at_its_time_and_at_once_when_that_is_over() {
        let mut timer = Timer::new().expect("timer");
        for ahead in [Span::millis(30), Span::ZERO, Span::millis(5)] {
            let at = clock::now() + ahead;
            timer.arm(at).expect("armed");
            timer.due().await;
            assert!(clock::now() >= at);
        }
        timer.arm(Time(0)).expect("armed");
        timer.due().await;
    }

    #[tokio::test(flavor = "current_thread")]
    async fn a_later_time_replaces_an_earlier_one() {
        let mut timer = Timer::new().expect("timer");
        let (early, late) = (clock::now() + Span::millis(1), clock::now() + Span::millis(40));
        timer.arm(early).expect("armed");
        timer.arm(late).expect("armed");
        timer.due().await;
        assert!(clock::now() >= late);
    }
}
