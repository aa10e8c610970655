//! A machine's disk: writes take time, a crash loses those that were not synced (AS1).

use crate::clock::{MILLI, Micros};
use crate::queue::Happening;
use crate::random::Random;
use crm_core::id::WriteId;
use crm_core::record::Stored;
use std::collections::VecDeque;

/// What survives a power cut, and what is on its way.
#[derive(Clone, Debug)]
pub struct Disk {
    durable: Stored,
    /// What was durable before the last few writes: for a disk that lies.
    before: VecDeque<Stored>,
    pending: VecDeque<(WriteId, Stored)>,
    /// When the last write in the queue will be synced.
    busy_until: Micros,
    /// A sync takes this much longer (fault).
    pub slowness: Micros,
    /// The next write fails (fault).
    pub fails: bool,
    /// Every write fails (fault).
    pub full: bool,
    /// Nothing ends that needs it (fault).
    pub hangs: bool,
    /// What goes on when it does not hang any more.
    pub waiting: Vec<Happening>,
}

impl Disk {
    #[must_use]
    pub fn new(durable: Stored) -> Disk {
        Disk {
            durable,
            before: VecDeque::new(),
            pending: VecDeque::new(),
            busy_until: 0,
            slowness: 0,
            fails: false,
            full: false,
            hangs: false,
            waiting: Vec::new(),
        }
    }

    #[must_use]
    pub fn durable(&self) -> &Stored {
        &self.durable
    }

    #[must_use]
    pub fn pending(&self) -> usize {
        self.pending.len()
    }

    /// Takes a write; returns when it will be synced.
    pub fn write(
        &mut self,
        now: Micros,
        random: &mut Random,
        write: WriteId,
        stored: Stored,
    ) -> Micros {
        let mut takes = random.spread(100, 20 * MILLI) + self.slowness;
        if random.chance(5) {
            takes += 500 * MILLI;
        }
        self.busy_until = self.busy_until.max(now) + takes;
        self.pending.push_back((write, stored));
        self.busy_until
    }

    /// A sync is through: everything up to `write` is durable.
    pub fn synced(&mut self, write: WriteId) {
        while self.pending.front().is_some_and(|(id, _)| *id <= write) {
            if let Some((_, stored)) = self.pending.pop_front() {
                if self.before.len() == FORGOTTEN_MAX {
                    self.before.pop_front();
                }
                self.before.push_back(std::mem::replace(&mut self.durable, stored));
            }
        }
    }

    /// What is under way will not survive.
    pub fn loses_what_is_not_synced(&mut self) {
        self.pending.clear();
    }

    /// The power is gone, or the daemon that was writing. A write that was not acknowledged is
    /// lost, or is there all the same: nobody may rely on either.
    pub fn crash(&mut self, random: &mut Random) {
        while let Some((_, stored)) = self.pending.pop_front() {
            if random.chance(700) {
                break;
            }
            self.durable = stored;
        }
        self.pending.clear();
        self.busy_until = 0;
    }

    /// What it held before its last writes, oldest first.
    pub fn before(&self) -> impl DoubleEndedIterator<Item = &Stored> {
        self.before.iter()
    }

    /// Somebody puts back a copy from so many writes ago (H20; AS1 excludes it).
    pub fn goes_back(&mut self, writes: usize) {
        if let Some(older) = self.before.iter().rev().nth(writes.saturating_sub(1)).cloned() {
            self.durable = older;
            self.pending.clear();
            self.before.clear();
        }
    }

    /// The disk had not written what it said it had (AS1 is broken).
    pub fn forgets(&mut self, random: &mut Random) {
        if let Some(older) = self.before.get(random.index(self.before.len().max(1))) {
            self.durable = older.clone();
        }
    }
}

/// Writes that a lying disk may lose.
const FORGOTTEN_MAX: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;
    use crm_core::id::{Epoch, StoreId};

    fn stored(epoch: u64) -> Stored {
        Stored { epoch: Epoch(epoch), ..Stored::new(StoreId(1)) }
    }

    #[test]
    fn only_synced_writes_are_sure_to_survive() {
        let mut random = Random::new(3);
        let mut outcomes = [0; 3];
        for _ in 0..200 {
            let mut disk = Disk::new(stored(0));
            let first = disk.write(0, &mut random, WriteId(1), stored(1));
            let second = disk.write(0, &mut random, WriteId(2), stored(2));
            assert!(first <= second);
            disk.synced(WriteId(1));
            assert_eq!(disk.durable().epoch, Epoch(1));
            disk.crash(&mut random);
            outcomes[disk.durable().epoch.0 as usize] += 1;
        }
        assert_eq!(outcomes[0], 0, "a synced write was lost");
        assert!(outcomes[1] > 0 && outcomes[2] > 0, "{outcomes:?}");
    }
}
