//! The last events of this run of the daemon, each one line in the log.

use crate::clock;
use crm_api::StampedEvent;
use crm_core::event::{Event, Severity};
use std::collections::VecDeque;
use tokio::sync::broadcast;

/// How many are kept.
const KEPT: usize = 2000;
/// How many a listener may lag behind before it misses some.
const LISTENER_LAG: usize = 512;
/// Longest text, in bytes.
const TEXT_BYTES_MAX: usize = 4096;

/// The ring, and who listens.
#[derive(Debug)]
pub(crate) struct EventLog {
    kept: VecDeque<StampedEvent>,
    number: u64,
    listeners: broadcast::Sender<StampedEvent>,
}

impl EventLog {
    pub(crate) fn new() -> EventLog {
        let (listeners, _) = broadcast::channel(LISTENER_LAG);
        EventLog { kept: VecDeque::new(), number: 0, listeners }
    }

    /// Logs, keeps and tells.
    pub(crate) fn record(&mut self, mut event: Event) {
        if event.text.len() > TEXT_BYTES_MAX {
            let end = event.text.floor_char_boundary(TEXT_BYTES_MAX);
            event.text.truncate(end);
        }
        log(&event);
        self.number += 1;
        let stamped = StampedEvent { number: self.number, time: clock::wall_text(), event };
        if self.kept.len() >= KEPT {
            self.kept.pop_front();
        }
        self.kept.push_back(stamped.clone());
        // Nobody listens: fine.
        let _ = self.listeners.send(stamped);
    }

    /// Those after `since` that are kept, and how many are not kept any more.
    pub(crate) fn after(&self, since: Option<u64>) -> (Vec<StampedEvent>, u64) {
        let since = since.unwrap_or(0);
        let kept: Vec<StampedEvent> =
            self.kept.iter().filter(|event| event.number > since).cloned().collect();
        let first_wanted = since.saturating_add(1);
        let first_kept = self.kept.front().map_or(self.number + 1, |event| event.number);
        (kept, first_kept.saturating_sub(first_wanted))
    }

    pub(crate) fn listen(&self) -> broadcast::Receiver<StampedEvent> {
        self.listeners.subscribe()
    }
}

fn log(event: &Event) {
    let kind = event.kind.as_str();
    let node = event.node.as_ref().map(|id| id.as_str());
    let group = event.group.as_ref().map(|id| id.as_str());
    let resource = event.resource.as_ref().map(|id| id.as_str());
    let text = event.text.as_str();
    match event.severity {
        Severity::Info => tracing::info!(kind, node, group, resource, "{text}"),
        Severity::Warning => tracing::warn!(kind, node, group, resource, "{text}"),
        Severity::Error => tracing::error!(kind, node, group, resource, "{text}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ring_keeps_the_newest_and_says_how_many_are_gone() {
        let mut log = EventLog::new();
        for number in 0..(KEPT + 10) {
            log.record(Event::info("test", format!("{number}")));
        }
        let (events, gone) = log.after(None);
        assert_eq!((events.len(), gone), (KEPT, 10));
        assert_eq!(events.first().map(|event| event.number), Some(11));
        let (events, gone) = log.after(Some(KEPT as u64 + 8));
        assert_eq!((events.len(), gone), (2, 0));
        let (events, gone) = log.after(Some(1_000_000));
        assert_eq!((events.len(), gone), (0, 0));
    }

    #[test]
    fn a_long_text_is_cut_at_a_character() {
        let mut log = EventLog::new();
        log.record(Event::info("test", "ä".repeat(TEXT_BYTES_MAX)));
        assert!(log.after(None).0[0].event.text.len() <= TEXT_BYTES_MAX);
    }
}
