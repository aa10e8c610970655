//! The last events of this run of the daemon, each one line in the log.

use crate::clock;
use crm_api::StampedEvent;
use crm_core::event::{Event, Severity};
use std::collections::VecDeque;
use tokio::sync::broadcast;

/// How many are kept at most,
const KEPT: usize = 2000;
/// and how many bytes of them. Each is one allocation, so that the history of a daemon that runs
/// for months has one size and leaves no holes between others' memory.
const KEPT_BYTES: usize = 384 * 1024;
/// How many a listener may lag behind before it misses some.
const LISTENER_LAG: usize = 512;
/// Longest text, in bytes.
const TEXT_BYTES_MAX: usize = 4096;

/// The ring, and who listens.
#[derive(Debug)]
pub(crate) struct EventLog {
    /// Each as JSON; the newest has `number`, the others count down from it.
    kept: VecDeque<Box<str>>,
    kept_bytes: usize,
    number: u64,
    listeners: broadcast::Sender<StampedEvent>,
}

impl EventLog {
    pub(crate) fn new() -> EventLog {
        let (listeners, _) = broadcast::channel(LISTENER_LAG);
        EventLog { kept: VecDeque::new(), kept_bytes: 0, number: 0, listeners }
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
        self.keep(&stamped);
        // Nobody listens: fine.
        let _ = self.listeners.send(stamped);
    }

    fn keep(&mut self, event: &StampedEvent) {
        // Strings, numbers and fixed words only: there is nothing that JSON cannot write.
        let line = serde_json::to_string(event).unwrap_or_default().into_boxed_str();
        self.kept_bytes += line.len();
        self.kept.push_back(line);
        while self.kept.len() > KEPT || self.kept_bytes > KEPT_BYTES {
            let Some(oldest) = self.kept.pop_front() else { break };
            self.kept_bytes -= oldest.len();
        }
    }

    /// Those after `since` that are kept, and how many are not kept any more.
    pub(crate) fn after(&self, since: Option<u64>) -> (Vec<StampedEvent>, u64) {
        let since = since.unwrap_or(0);
        let before_kept = self.number - self.kept.len() as u64;
        let skipped = usize::try_from(since.saturating_sub(before_kept)).unwrap_or(usize::MAX);
        let kept = self.kept.iter().skip(skipped);
        let events = kept.filter_map(|line| serde_json::from_str(line).ok()).collect();
        (events, before_kept.saturating_sub(since))
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
        assert_eq!(events.first().map(|event| event.event.text.as_str()), Some("10"));
        let (events, gone) = log.after(Some(KEPT as u64 + 8));
        assert_eq!((events.len(), gone), (2, 0));
        assert_eq!(events.last().map(|event| event.number), Some(KEPT as u64 + 10));
        let (events, gone) = log.after(Some(1_000_000));
        assert_eq!((events.len(), gone), (0, 0));
    }

    #[test]
    fn the_ring_has_a_size_in_bytes() {
        let mut log = EventLog::new();
        for _ in 0..KEPT {
            log.record(Event::info("test", "x".repeat(TEXT_BYTES_MAX)));
        }
        assert!(log.kept_bytes <= KEPT_BYTES);
        assert_eq!(log.kept_bytes, log.kept.iter().map(|line| line.len()).sum::<usize>());
        let (events, gone) = log.after(None);
        assert_eq!(events.len() as u64 + gone, KEPT as u64);
        assert!(events.len() > 80);
    }

    #[test]
    fn a_long_text_is_cut_at_a_character() {
        let mut log = EventLog::new();
        log.record(Event::info("test", "ä".repeat(TEXT_BYTES_MAX)));
        assert!(log.after(None).0[0].event.text.len() <= TEXT_BYTES_MAX);
    }
}
