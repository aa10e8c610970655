//! What an all-knowing observer has seen: truth for the invariants, never given to a node.

use crate::clock::Micros;
use crate::queue::Seat;
use crm_core::id::{Epoch, GroupId, Incarnation, NodeId, RequestId, ResourceId, Stamp, StoreId};
use crm_core::record::Record;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A broken promise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Name of the invariant: a function of [`crate::invariants`] or [`crate::liveness`].
    pub invariant: &'static str,
    pub detail: String,
    pub at: Micros,
}

/// One record that somebody wrote.
#[derive(Clone, Debug)]
pub struct Seen {
    pub record: Arc<Record>,
    pub fingerprint: u64,
    /// Seats whose disk held it at some time.
    pub durable: BTreeSet<Seat>,
}

/// What a daemon has learnt of one resource from its own calls; truth may have moved on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Belief {
    Unknown,
    Running,
    Stopped,
    /// A call that may change it is open, or ended in doubt.
    Doubtful,
}

/// Everything observed.
#[derive(Clone, Debug, Default)]
pub struct Ghost {
    pub records: BTreeMap<Stamp, Seen>,
    /// Stamps that a coordinator claimed to be committed, and which it was.
    pub committed: BTreeMap<Stamp, u64>,
    pub coordinators: BTreeMap<Epoch, (Seat, Incarnation)>,
    /// Highest epoch that each machine told anybody.
    pub epochs: BTreeMap<Seat, Epoch>,
    /// Votes given, by voter, its store and epoch.
    pub votes: BTreeMap<(Seat, StoreId, Epoch), NodeId>,
    /// Committed notices that reached a daemon in its present incarnation, by seat and run.
    pub told: BTreeMap<(Seat, u32), BTreeSet<Stamp>>,
    /// Packets that reached a daemon, by seat and run: sender's incarnation and number. Kept only
    /// where an attacker replays some.
    pub delivered: BTreeMap<(Seat, u32), BTreeSet<(Incarnation, u64)>>,
    /// When a packet last reached a machine from another one, which knew of its present run.
    pub heard: BTreeMap<(Seat, Seat), Micros>,
    pub beliefs: BTreeMap<(Seat, GroupId, ResourceId), Belief>,
    /// Starts of each group, by time: for ping-pong.
    pub starts: BTreeMap<GroupId, Vec<Micros>>,
    /// What operators were promised: a key such as `standby beta`, and what may be true of it.
    pub promises: BTreeMap<String, Promise>,
    /// Machines that were off when an operator said so.
    pub confirmed: BTreeSet<Seat>,
    /// Copies of a group's data that lack what its owner wrote alone (H24); only directed plans know of any.
    pub lacking: BTreeMap<GroupId, BTreeSet<Seat>>,
    /// What an operator gave up knowingly (H23).
    pub lost: Option<Lost>,
    /// Whether something changed that I1 looks at.
    pub resources_moved: bool,
    pub violation: Option<Violation>,
}

/// Committed records that an operator gave up, when he called the node dead that knew them: histories have parted (H35).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lost {
    /// Whom the word called dead.
    pub node: Seat,
    /// Its present run was told of a record of the side that went on.
    pub met: bool,
    /// It went on by its own history, unaware, as the documents say of it: two histories go on.
    pub apart: bool,
    /// The newest record that the other side knew then.
    pub after: Stamp,
    /// Epochs from here on are of the side that went on by his word.
    pub until: Epoch,
}

impl Lost {
    /// Whether this record is of the history that was given up.
    #[must_use]
    pub fn has(&self, stamp: Stamp) -> bool {
        stamp > self.after && stamp.epoch < self.until
    }
}

/// What the newest record must say of one intent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Promise {
    /// Values and stamp of the last acknowledged command, or commands, if one record took several.
    pub acknowledged: Option<(BTreeSet<bool>, Stamp)>,
    /// Values of commands whose outcome is not known, which may come true at any time.
    pub open: BTreeMap<RequestId, bool>,
}

impl Ghost {
    /// Remembers the first broken promise; later ones are its consequences.
    pub fn blame(&mut self, at: Micros, invariant: &'static str, detail: String) {
        if self.violation.is_none() {
            self.violation = Some(Violation { invariant, detail, at });
        }
    }

    /// Drops what is too old to matter.
    pub fn forget_old(&mut self) {
        while self.records.len() > RECORDS_MAX {
            self.records.pop_first();
        }
        while self.committed.len() > RECORDS_MAX {
            self.committed.pop_first();
        }
        while self.votes.len() > RECORDS_MAX {
            self.votes.pop_first();
        }
    }
}

/// Records that the observer remembers.
const RECORDS_MAX: usize = 600;
