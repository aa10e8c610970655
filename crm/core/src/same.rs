//! When two states of a node count as the same, for a search through all of them.
//!
//! Types of the state implement `Hash` by their meaning: a hash leaves out what only counts, names
//! or informs (numbers of packets, heartbeats, reports and writes; round trips; reasons; the state
//! of the small generator that spreads timers). Two kinds of values are handed to the hasher by a
//! method that nothing else here uses, so that it can tell them from plain numbers: a [`Time`] by
//! `write_i128`, to be counted from now, and the number of an operation, a fencing request, a write
//! or an operator's request by `write_i64`, which may be left out.
//!
//! [`Time`]: crate::time::Time

use crate::node::Node;
use crate::rules::Rules;
use std::hash::{Hash, Hasher};

/// Implements `Hash` by these fields alone.
macro_rules! hash_by {
    ($type:ty: $($field:ident)+) => {
        impl std::hash::Hash for $type {
            fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
                $(std::hash::Hash::hash(&self.$field, state);)+
            }
        }
    };
}
pub(crate) use hash_by;

impl<R: Rules> Hash for Node<R> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.id.hash(state);
        self.incarnation.hash(state);
        (self.joining, self.halted, self.joined, self.started).hash(state);
        self.stored.hash(state);
        self.durable.hash(state);
        self.writing.hash(state);
        for (name, peer) in &self.peers {
            name.hash(state);
            peer.hash(state);
            // Whether its newest report is here; the numbers themselves say nothing.
            let told = peer.heartbeat.as_ref().map_or(0, |beat| beat.report);
            let known = peer.report.as_ref().map_or(0, |report| report.number);
            (told > known).hash(state);
        }
        self.next_heartbeat.hash(state);
        self.role.hash(state);
        self.highest_epoch.hash(state);
        self.stand_at.hash(state);
        if let Some(leader) = &self.leader {
            (&leader.node, leader.epoch, leader.heard).hash(state);
            (leader.report_seen < self.report.number).hash(state);
        }
        self.obeyed.as_ref().map(|obeyed| obeyed.record.stamp).hash(state);
        self.lease_until.hash(state);
        self.committed_hint.hash(state);
        self.fences.hash(state);
        self.executor.hash(state);
        (self.executor_touched, self.wants_stale).hash(state);
        self.report.hash(state);
        self.roles.hash(state);
        self.commands.hash(state);
        self.silence.hash(state);
        self.strangers.hash(state);
        self.shutdown.hash(state);
        (self.leave_asked, self.leaderless_since).hash(state);
        self.watchdog.hash(state);
        self.fork.is_some().hash(state);
        self.failures_known.hash(state);
    }
}
