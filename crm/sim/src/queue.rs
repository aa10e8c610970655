//! What is going to happen, in order of time; ties in order of arrival.

use crate::clock::Micros;
use crate::envelope::Opened;
use crm_core::id::{GroupId, ResourceId, WriteId};
use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::sync::Arc;

/// Position of a machine in its layout.
pub type Seat = usize;

/// Where a datagram on the wire comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Sent by a node, and delivered (perhaps late, perhaps twice, perhaps damaged).
    Genuine,
    /// Recorded earlier by somebody on the network and sent again (I9).
    Replayed,
    /// Made by somebody without this cluster's key, or of another cluster (I9).
    Forged,
}

/// A datagram under way.
#[derive(Clone, Debug)]
pub struct Datagram {
    pub from: Seat,
    pub to: Seat,
    pub link: u8,
    pub bytes: Arc<[u8]>,
    pub origin: Origin,
    pub damaged: bool,
    /// What it says, in a world that seals nothing; it has no bytes then.
    pub said: Option<Arc<Opened>>,
}

/// One thing that happens. Events of an earlier boot, daemon or child are void when they come.
#[derive(Clone, Debug)]
pub enum Happening {
    /// A node's own deadline.
    Wake {
        seat: Seat,
        run: u32,
    },
    Arrives(Datagram),
    Synced {
        seat: Seat,
        run: u32,
        write: WriteId,
        failed: bool,
    },
    /// A child of a daemon ends: by itself, or because it was killed.
    ChildEnds {
        seat: Seat,
        boot: u32,
        child: u64,
        killed: bool,
    },
    /// A child's time is over: the shell kills it.
    ChildTimesOut {
        seat: Seat,
        boot: u32,
        child: u64,
    },
    /// The kernel's notification of a change reaches the daemon.
    Changed {
        seat: Seat,
        boot: u32,
        group: GroupId,
        resource: ResourceId,
    },
    FenceExecutes {
        order: u64,
    },
    FenceReports {
        order: u64,
        off: bool,
    },
    PingEnds {
        seat: Seat,
        run: u32,
        answered: bool,
    },
    WatchdogBites {
        seat: Seat,
        boot: u32,
    },
    PowerOn {
        seat: Seat,
    },
    DaemonStarts {
        seat: Seat,
        boot: u32,
    },
    DaemonDies {
        seat: Seat,
        run: u32,
    },
    Thaws {
        seat: Seat,
    },
    /// A machine that stood still goes on.
    Resumes {
        seat: Seat,
    },
    /// The fault, operator or step of the plan with this number.
    Strikes {
        fault: usize,
    },
    FaultEnds {
        fault: usize,
    },
    OperatorActs {
        act: usize,
    },
    /// Packets held back on a path are let go.
    LetGo {
        from: Seat,
        to: Seat,
    },
    /// Everything heals now.
    Heals,
    /// The operator looks whether the healed cluster needs a hand.
    TidiesUp,
    /// A step of the phases after healing.
    Phase,
    /// Whoever manages the roles looks and decides.
    RolesTurn,
    /// A regular look at sizes.
    Weighs,
}

#[derive(Clone, Debug)]
struct Entry {
    at: Micros,
    number: u64,
    what: Happening,
}

impl PartialEq for Entry {
    fn eq(&self, other: &Entry) -> bool {
        self.number == other.number
    }
}
impl Eq for Entry {}
impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Entry) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Entry {
    // Reversed: the heap's greatest is the earliest.
    fn cmp(&self, other: &Entry) -> Ordering {
        (other.at, other.number).cmp(&(self.at, self.number))
    }
}

/// The future.
#[derive(Clone, Debug, Default)]
pub struct Queue {
    heap: BinaryHeap<Entry>,
    number: u64,
}

impl Queue {
    pub fn push(&mut self, at: Micros, what: Happening) {
        self.number += 1;
        self.heap.push(Entry { at, number: self.number, what });
    }

    pub fn pop(&mut self) -> Option<(Micros, Happening)> {
        self.heap.pop().map(|entry| (entry.at, entry.what))
    }

    #[must_use]
    pub fn next_at(&self) -> Option<Micros> {
        self.heap.peek().map(|entry| entry.at)
    }

    /// What happens next, and when.
    #[must_use]
    pub fn peek(&self) -> Option<(Micros, &Happening)> {
        self.heap.peek().map(|entry| (entry.at, &entry.what))
    }

    /// Everything to come, in order.
    #[must_use]
    pub fn in_order(&self) -> Vec<(Micros, &Happening)> {
        let mut entries: Vec<&Entry> = self.heap.iter().collect();
        entries.sort_unstable_by_key(|entry| (entry.at, entry.number));
        entries.into_iter().map(|entry| (entry.at, &entry.what)).collect()
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.heap.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.heap.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_orders_and_arrival_breaks_ties() {
        let mut queue = Queue::default();
        for (at, seat) in [(5, 0), (1, 1), (5, 2), (1, 3)] {
            queue.push(at, Happening::Thaws { seat });
        }
        let order: Vec<_> = std::iter::from_fn(|| queue.pop())
            .map(|(at, what)| match what {
                Happening::Thaws { seat } => (at, seat),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(order, [(1, 1), (1, 3), (5, 0), (5, 2)]);
    }
}
