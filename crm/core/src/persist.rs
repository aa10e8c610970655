//! What must be on the disk before it is spoken of (AS1, R2, R3, R4, R8, R9).
//!
//! Every change of the store is one write; what depends on it waits here and is done when the
//! shell says `Written`. A later write covers the earlier ones.

use crate::Output;
use crate::id::{Digest, Epoch, NodeId, Stamp, WriteId};
use crate::node::Node;
use crate::packet::Message;
use crate::rules::{Rule, Rules};
use crate::time::Time;

/// What is known to be on the disk; only this is told to others (H21).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Durable {
    pub(crate) epoch: Epoch,
    pub(crate) stamp: Stamp,
    pub(crate) config: Digest,
    /// H20: told ahead of the disk, a power cut would look like a store that was rolled back.
    pub(crate) writes: u64,
}

crate::same::hash_by!(Durable: epoch stamp config);

/// A write under way.
#[derive(Clone, Debug)]
pub(crate) struct Pending {
    write: WriteId,
    durable: Durable,
    after: After,
    pub(crate) given: Time,
}

// When it was given matters to a disk that hangs alone, and there is none in the search.
crate::same::hash_by!(Pending: write durable after);

/// What follows a write.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum After {
    Nothing,
    /// R2: answer the candidate.
    Vote {
        to: NodeId,
        epoch: Epoch,
    },
    /// R4: ask for votes, and shoot in a tie.
    Stand {
        epoch: Epoch,
    },
    /// R8: send the record and count the own acknowledgement.
    Proposed {
        stamp: Stamp,
    },
    /// R9: acknowledge the record.
    Accepted {
        to: NodeId,
        epoch: Epoch,
        stamp: Stamp,
    },
    /// R19: a committed record that was told is obeyed.
    Learnt,
}

impl<R: Rules> Node<R> {
    /// Writes the store; `after` is done once it is durable.
    pub(crate) fn persist(&mut self, after: After) {
        self.stored.writes += 1;
        let write = self.next_write;
        self.next_write = WriteId(write.0 + 1);
        let durable = Durable {
            epoch: self.stored.epoch,
            stamp: self.stored.stamp(),
            config: self.stored.record.as_ref().map(|r| r.config.digest).unwrap_or_default(),
            writes: self.stored.writes,
        };
        let mut stored = Box::new(self.stored.clone());
        if !R::holds(Rule::EpochIsPersisted) && matches!(after, After::Accepted { .. }) {
            stored.epoch = self.durable.epoch;
        }
        self.outputs.push_back(Output::Write { write, stored });
        let at_once = match &after {
            After::Vote { .. } => !R::holds(Rule::VoteIsPersisted),
            After::Accepted { .. } => !R::holds(Rule::RecordIsPersisted),
            _ => false,
        };
        if at_once {
            self.durable = durable;
            self.follow_up(after);
            self.writing.push_back(Pending {
                write,
                durable,
                after: After::Nothing,
                given: self.now,
            });
        } else {
            self.writing.push_back(Pending { write, durable, after, given: self.now });
        }
    }

    pub(crate) fn on_written(&mut self, write: WriteId) {
        while self.writing.front().is_some_and(|pending| pending.write <= write) {
            if let Some(pending) = self.writing.pop_front() {
                self.durable = pending.durable;
                self.store_answers(self.now.since(pending.given));
                self.follow_up(pending.after);
            }
        }
    }

    fn follow_up(&mut self, after: After) {
        match after {
            After::Nothing => {}
            After::Vote { to, epoch } => self.send_vote(&to, epoch),
            After::Stand { epoch } => self.ask_for_votes(epoch),
            After::Learnt => self.obey_if_committed(),
            After::Proposed { stamp } => self.on_own_record_written(stamp),
            After::Accepted { to, epoch, stamp } => {
                // A higher epoch adopted meanwhile makes this acknowledgement a lie.
                if epoch == self.stored.epoch && self.stamp() == stamp {
                    let store = self.stored.store;
                    self.send(&to, Message::Accepted { epoch, stamp, store });
                    self.obey_if_committed();
                }
            }
        }
    }
}
