//! Numbers that no sound cluster can have reached: a peer that names one is broken, and is not followed.

use crate::id::{Epoch, Stamp};
use crate::node::Node;
use crate::packet::Message;
use crate::rules::Rules;

/// An election or a change each microsecond for an hour: a node that was away for years is not as far behind.
const AHEAD_MAX: u64 = 1 << 32;

impl<R: Rules> Node<R> {
    /// Whether the epochs and versions of a message can follow on what is known here. The one after the
    /// highest would be the lowest again, and a node could vote twice in it (I6).
    pub(crate) fn is_plausible(&self, message: &Message) -> bool {
        let (epoch, stamp) = numbers(message);
        let known = self.highest_epoch.max(self.stored.epoch).0.saturating_add(AHEAD_MAX);
        let version = self.stamp().version.saturating_add(AHEAD_MAX);
        epoch.is_none_or(|epoch| epoch.0 <= known)
            && stamp.is_none_or(|stamp| stamp.epoch.0 <= known && stamp.version <= version)
    }
}

/// What a message makes this node adopt.
fn numbers(message: &Message) -> (Option<Epoch>, Option<Stamp>) {
    match message {
        Message::Heartbeat(beat) => (Some(beat.epoch), Some(beat.stamp)),
        Message::Propose { epoch, record } => (Some(*epoch), Some(record.stamp)),
        Message::Vote { epoch, record, .. } => (Some(*epoch), record.as_ref().map(|r| r.stamp)),
        Message::Removed { record } => (Some(record.stamp.epoch), Some(record.stamp)),
        Message::Committed { epoch, stamp } => (Some(*epoch), Some(*stamp)),
        Message::PreVote { epoch } | Message::VoteRequest { epoch } | Message::Behind { epoch } => {
            (Some(*epoch), None)
        }
        _ => (None, None),
    }
}
