//! Putting the pieces of a message together again, within fixed bounds.
//!
//! Every piece that comes here is authentic. A message is handed out only if
//! its digest agrees, and with the *highest* counter among its pieces, not
//! that of the piece that happened to come last: the pieces of one sending
//! then yield one counter in whatever order they are replayed, so the core's
//! replay window catches the second time.

use std::sync::Arc;

use crate::fragment::{MAX_MESSAGE, MessageDigest, Piece, message_digest};

#[derive(Default)]
pub(crate) struct Reassembly {
    partials: Vec<Partial>,
    counters: ReassemblyCounters,
}

/// What happened to messages of several pieces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ReassemblyCounters {
    /// Messages put together.
    pub completed: u64,
    /// Pieces that were there already.
    pub duplicate: u64,
    /// Messages given up because newer ones needed the room.
    pub evicted: u64,
    /// Messages given up because no piece came for too long.
    pub expired: u64,
}

/// Where a piece comes from and when.
pub(crate) struct Arrival<'a> {
    pub(crate) sender: &'a Arc<str>,
    pub(crate) incarnation: u128,
    pub(crate) counter: u64,
    pub(crate) now_us: u64,
    /// Bytes of every piece but the last.
    pub(crate) chunk: usize,
}

/// A message is whole, but not what its digest says.
pub(crate) struct WrongDigest;

struct Partial {
    sender: Arc<str>,
    incarnation: u128,
    digest: MessageDigest,
    total: u16,
    /// As long as the message can be; cut to its length by the last piece.
    buffer: Vec<u8>,
    received: Vec<bool>,
    missing: u16,
    counter: u64,
    touched_us: u64,
}

impl Reassembly {
    /// Takes one piece; gives the payload and its counter when it was the last
    /// one missing.
    pub(crate) fn accept(
        &mut self,
        from: &Arrival<'_>,
        piece: &Piece,
        bytes: &[u8],
    ) -> Result<Option<(Vec<u8>, u64)>, WrongDigest> {
        self.expire(from.now_us);
        let known = self.partials.iter().position(|partial| partial.is_for(from, piece));
        let at = known.unwrap_or_else(|| self.begin(from, piece));
        let Some(partial) = self.partials.get_mut(at) else { return Ok(None) };
        if !partial.take(from, piece, bytes) {
            self.counters.duplicate += 1;
            return Ok(None);
        }
        if partial.missing > 0 {
            return Ok(None);
        }
        let whole = self.partials.swap_remove(at);
        if message_digest(&whole.buffer) != whole.digest {
            return Err(WrongDigest);
        }
        self.counters.completed += 1;
        Ok(Some((whole.buffer, whole.counter)))
    }

    /// Gives up messages of which nothing came for [`REASSEMBLY_EXPIRY_US`].
    pub(crate) fn expire(&mut self, now_us: u64) {
        let before = self.partials.len();
        self.partials
            .retain(|partial| now_us.saturating_sub(partial.touched_us) < REASSEMBLY_EXPIRY_US);
        self.counters.expired += (before - self.partials.len()) as u64;
    }

    pub(crate) fn counters(&self) -> ReassemblyCounters {
        self.counters
    }

    pub(crate) fn bytes_held(&self) -> usize {
        self.partials.iter().map(|partial| partial.buffer.len()).sum()
    }

    /// Makes room, begins a message and tells where it is.
    fn begin(&mut self, from: &Arrival<'_>, piece: &Piece) -> usize {
        let length = (usize::from(piece.total) * from.chunk).min(MAX_MESSAGE);
        while self.of_sender(from.sender).count() >= MAX_MESSAGES_PER_SENDER {
            let oldest = oldest(self.of_sender(from.sender));
            self.evict(oldest);
        }
        while self.bytes_held() + length > MAX_BYTES_IN_FLIGHT && !self.partials.is_empty() {
            let oldest = oldest(self.partials.iter().enumerate());
            self.evict(oldest);
        }
        self.partials.push(Partial {
            sender: Arc::clone(from.sender),
            incarnation: from.incarnation,
            digest: piece.digest,
            total: piece.total,
            buffer: vec![0; length],
            received: vec![false; usize::from(piece.total)],
            missing: piece.total,
            counter: from.counter,
            touched_us: from.now_us,
        });
        self.partials.len() - 1
    }

    fn of_sender(&self, sender: &str) -> impl Iterator<Item = (usize, &Partial)> {
        self.partials.iter().enumerate().filter(move |(_, partial)| *partial.sender == *sender)
    }

    fn evict(&mut self, at: usize) {
        self.partials.remove(at);
        self.counters.evicted += 1;
    }
}

impl Partial {
    fn is_for(&self, from: &Arrival<'_>, piece: &Piece) -> bool {
        self.digest == piece.digest
            && self.incarnation == from.incarnation
            && self.total == piece.total
            && *self.sender == **from.sender
    }

    /// Whether the piece was a new one.
    fn take(&mut self, from: &Arrival<'_>, piece: &Piece, bytes: &[u8]) -> bool {
        self.counter = self.counter.max(from.counter);
        let index = usize::from(piece.index);
        let start = index * from.chunk;
        let place = self.buffer.get_mut(start..start + bytes.len());
        let (Some(place), Some(received)) = (place, self.received.get_mut(index)) else {
            return false;
        };
        if *received {
            return false;
        }
        *received = true;
        place.copy_from_slice(bytes);
        self.missing -= 1;
        self.touched_us = self.touched_us.max(from.now_us);
        if piece.index + 1 == piece.total {
            self.buffer.truncate(start + bytes.len());
        }
        true
    }
}

/// The one of which no piece came for the longest time; the earlier begun of equals.
fn oldest<'a>(partials: impl Iterator<Item = (usize, &'a Partial)>) -> usize {
    partials.min_by_key(|(at, partial)| (partial.touched_us, *at)).map_or(0, |(at, _)| at)
}

/// Messages of one sender under way at a time; at most 2 MiB of memory.
pub const MAX_MESSAGES_PER_SENDER: usize = 2;

/// Bytes of memory for all messages under way.
pub const MAX_BYTES_IN_FLIGHT: usize = 32 << 20;

/// Microseconds without a new piece after which a message is given up.
pub const REASSEMBLY_EXPIRY_US: u64 = 5_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    const CHUNK: usize = 1000;

    struct Bench {
        reassembly: Reassembly,
        counter: u64,
        now_us: u64,
    }

    impl Bench {
        fn new() -> Bench {
            Bench { reassembly: Reassembly::default(), counter: 0, now_us: 1 }
        }

        fn send(&mut self, sender: &str, payload: &[u8], index: usize) -> Option<(Vec<u8>, u64)> {
            self.counter += 1;
            let sender = Arc::from(sender);
            let from = Arrival {
                sender: &sender,
                incarnation: 1,
                counter: self.counter,
                now_us: self.now_us,
                chunk: CHUNK,
            };
            let piece = Piece {
                index: index as u16,
                total: payload.len().div_ceil(CHUNK) as u16,
                digest: message_digest(payload),
            };
            let bytes = payload.chunks(CHUNK).nth(index).unwrap();
            self.reassembly.accept(&from, &piece, bytes).ok().unwrap()
        }
    }

    #[test]
    fn a_second_sending_completes_the_first() {
        let mut bench = Bench::new();
        let payload: Vec<u8> = (0..4500).map(|i| i as u8).collect();
        for index in [4, 0, 2] {
            assert_eq!(bench.send("a", &payload, index), None);
        }
        assert_eq!(bench.send("a", &payload, 0), None);
        assert_eq!(bench.send("a", &payload, 1), None);
        assert_eq!(bench.send("a", &payload, 2), None);
        assert_eq!(bench.send("a", &payload, 3), Some((payload, 7)));
        assert_eq!(bench.reassembly.counters().duplicate, 2);
        assert_eq!(bench.reassembly.bytes_held(), 0);
    }

    #[test]
    fn i10_two_messages_a_sender_the_oldest_goes() {
        let mut bench = Bench::new();
        let payloads: Vec<Vec<u8>> = (0..3).map(|i| vec![i; 3000]).collect();
        for payload in &payloads {
            bench.now_us += 10;
            bench.send("a", payload, 0);
        }
        bench.send("b", &payloads[0], 0);
        assert_eq!(bench.reassembly.bytes_held(), 9000);
        assert_eq!(bench.reassembly.counters().evicted, 1);
        bench.send("a", &payloads[1], 1);
        assert!(bench.send("a", &payloads[1], 2).is_some(), "the younger two are still there");
        bench.send("a", &payloads[0], 1);
        assert!(bench.send("a", &payloads[0], 2).is_none(), "the first one was given up");
    }

    #[test]
    fn i10_all_senders_together_stay_within_the_bound() {
        let mut bench = Bench::new();
        for sender in 0..100 {
            for message in 0..3u8 {
                bench.now_us += 1;
                bench.send(&format!("n{sender}"), &vec![message; MAX_MESSAGE], 0);
                assert!(bench.reassembly.bytes_held() <= MAX_BYTES_IN_FLIGHT);
            }
        }
        assert_eq!(bench.reassembly.bytes_held(), MAX_BYTES_IN_FLIGHT);
    }

    #[test]
    fn expires_after_five_seconds_without_a_new_piece() {
        let mut bench = Bench::new();
        let payload = vec![7; 3000];
        bench.send("a", &payload, 0);
        bench.now_us += REASSEMBLY_EXPIRY_US - 1;
        bench.send("a", &payload, 1);
        bench.now_us += REASSEMBLY_EXPIRY_US - 1;
        bench.reassembly.expire(bench.now_us);
        assert_eq!(bench.reassembly.bytes_held(), 3000);
        bench.reassembly.expire(bench.now_us + 1);
        assert_eq!(bench.reassembly.bytes_held(), 0);
        assert_eq!(bench.reassembly.counters().expired, 1);
    }

    #[test]
    fn a_payload_that_is_not_its_digest_is_refused() {
        let mut reassembly = Reassembly::default();
        let sender = Arc::from("a");
        let piece = |index| Piece { index, total: 2, digest: [0; 16] };
        let from = Arrival { sender: &sender, incarnation: 1, counter: 1, now_us: 0, chunk: CHUNK };
        assert!(reassembly.accept(&from, &piece(0), &[1; CHUNK]).is_ok());
        assert!(reassembly.accept(&from, &piece(1), &[1; 5]).is_err());
        assert_eq!(reassembly.bytes_held(), 0);
    }
}
