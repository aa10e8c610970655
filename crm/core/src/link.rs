//! One link to one peer: what was heard on it, lost on it, and how long it was silent.

use crate::same::hash_by;
use crate::status::LinkStatus;
use crate::time::{Span, Time};
use std::collections::VecDeque;

/// Round trips kept for the median.
const ROUND_TRIPS: usize = 32;
/// Heartbeats over which loss is counted.
const LOSS_WINDOW: u64 = 1000;

#[derive(Clone, Debug, Default)]
pub(crate) struct Link {
    heard: Option<Time>,
    /// Send time of the peer's newest heartbeat on this link, and when it came: echoed back.
    pub(crate) last_sent: Option<(Time, Time)>,
    last_beat: Option<u64>,
    /// Number of my next heartbeat on this link.
    pub(crate) next_beat: u64,
    received: u64,
    missed: u64,
    window_received: u64,
    window_missed: u64,
    round_trips: VecDeque<Span>,
    longest_gap: Span,
    pub(crate) down_reported: bool,
}

impl Link {
    pub(crate) fn hear(&mut self, now: Time) {
        self.heard = Some(now);
    }

    pub(crate) fn forget_run(&mut self) {
        self.last_sent = None;
        self.last_beat = None;
    }

    /// A heartbeat came: `beat` is its number on this link, `sent` the peer's clock.
    pub(crate) fn beat(&mut self, now: Time, beat: u64, sent: Time, deadtime: Span) {
        if let Some((_, before)) = self.last_sent {
            let gap = now.since(before);
            // A longer silence was a verdict, not a gap to live with.
            if gap < deadtime && gap > self.longest_gap {
                self.longest_gap = gap;
            }
        }
        if let Some(last) = self.last_beat
            && beat > last
        {
            let lost = (beat - last - 1).min(LOSS_WINDOW);
            self.missed += lost;
            self.window_missed += lost;
        }
        if self.last_beat.is_none_or(|last| beat > last) {
            self.last_beat = Some(beat);
            self.last_sent = Some((sent, now));
        }
        self.received += 1;
        self.window_received += 1;
        if self.window_received + self.window_missed >= LOSS_WINDOW {
            self.window_received /= 2;
            self.window_missed /= 2;
        }
    }

    pub(crate) fn round_trip(&mut self, span: Span) {
        if self.round_trips.len() == ROUND_TRIPS {
            self.round_trips.pop_front();
        }
        self.round_trips.push_back(span);
    }

    pub(crate) fn is_up(&self, now: Time, deadtime: Span) -> bool {
        self.heard.is_some_and(|heard| now.since(heard) < deadtime)
    }

    pub(crate) fn status(
        &self,
        now: Time,
        number: u8,
        address: &str,
        deadtime: Span,
        keepalive: Span,
    ) -> LinkStatus {
        let mut sorted: Vec<Span> = self.round_trips.iter().copied().collect();
        sorted.sort_unstable();
        let counted = self.window_received + self.window_missed;
        LinkStatus {
            link: number,
            address: address.to_owned(),
            up: self.is_up(now, deadtime),
            loss_per_mille: u32::try_from(
                (self.window_missed * 1000).checked_div(counted).unwrap_or(0),
            )
            .unwrap_or(1000),
            round_trip: sorted.get(sorted.len() / 2).copied(),
            round_trip_worst: sorted.last().copied(),
            longest_gap: self.longest_gap,
            supported_deadtime: self.longest_gap * 2 + keepalive,
            received: self.received,
            missed: self.missed,
        }
    }
}

hash_by!(Link: heard last_sent down_reported);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lost_heartbeats_and_the_longest_gap_are_counted() {
        let mut link = Link::default();
        let dead = Span::secs(1);
        for (at, beat) in [(0, 1), (200, 2), (600, 4), (800, 5)] {
            link.hear(Time(at * 1000));
            link.beat(Time(at * 1000), beat, Time(at * 1000), dead);
        }
        let status = link.status(Time(900_000), 0, "x", dead, Span::millis(200));
        assert_eq!((status.received, status.missed), (4, 1));
        assert_eq!(status.longest_gap, Span::millis(400));
        assert_eq!(status.loss_per_mille, 200);
        assert!(status.up);
    }
}
