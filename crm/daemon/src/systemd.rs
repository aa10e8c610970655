//! What systemd is told, where it started this daemon. Silent elsewhere.

use crm_core::time::{Span, Time};
use sd_notify::NotifyState;

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

pub(crate) fn ready(text: &str) {
    let _ = sd_notify::notify(&[NotifyState::Ready, NotifyState::Status(text)]);
}

pub(crate) fn status(text: &str) {
    let _ = sd_notify::notify(&[NotifyState::Status(text)]);
}

pub(crate) fn stopping(text: &str) {
    let _ = sd_notify::notify(&[NotifyState::Stopping, NotifyState::Status(text)]);
}
