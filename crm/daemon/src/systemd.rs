//! What systemd is told, where it started this daemon. Silent elsewhere.

use crm_core::time::{Span, Time};
use sd_notify::NotifyState;
use std::time::Duration;

/// The service's watchdog, fed by the event loop itself, so that a loop that hangs is noticed.
#[derive(Debug)]
pub(crate) struct ServiceWatchdog {
    every: Option<Span>,
    next: Time,
}

impl ServiceWatchdog {
    pub(crate) fn new() -> ServiceWatchdog {
        let half = sd_notify::watchdog_enabled().map(|limit| {
            let micros = u64::try_from(limit.as_micros() / 2).unwrap_or(u64::MAX);
            Span::micros(micros.max(1000))
        });
        ServiceWatchdog { every: half, next: Time(0) }
    }

    /// When the loop must come by again.
    pub(crate) fn deadline(&self) -> Option<Time> {
        self.every.map(|_| self.next)
    }

    pub(crate) fn feed(&mut self, now: Time) {
        if let Some(every) = self.every
            && now >= self.next
        {
            let _ = sd_notify::notify(&[NotifyState::Watchdog]);
            self.next = now + every;
        }
    }
}

/// Feeds the watchdog while something takes its time before the event loop begins. It is the same
/// thread, so a hang of it is still noticed.
pub(crate) async fn fed_until<T>(work: impl Future<Output = T>) -> T {
    let mut watchdog = ServiceWatchdog::new();
    let pause = watchdog.every.map_or(Duration::MAX, |every| Duration::from_micros(every.0));
    tokio::pin!(work);
    loop {
        tokio::select! {
            done = &mut work => return done,
            () = tokio::time::sleep(pause) => watchdog.feed(crate::clock::now()),
        }
    }
}

pub(crate) fn ready(text: &str) {
    let _ = sd_notify::notify(&[NotifyState::Ready, NotifyState::Status(text)]);
}

pub(crate) fn status(text: &str) {
    let _ = sd_notify::notify(&[NotifyState::Status(text)]);
}

pub(crate) fn stopping(text: &str) {
    let _ = sd_notify::notify(&[NotifyState::Stopping, NotifyState::Status(text)]);
}
