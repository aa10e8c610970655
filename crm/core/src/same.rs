//! When two states of a node count as the same, for a search through all of them.
//!
//! Types of the state implement `Hash` by their meaning: a hash leaves out what only counts, names
//! or informs (numbers of packets, heartbeats, reports and writes; round trips; reasons; the state
//! of the small generator that spreads timers). Two kinds of values are handed to the hasher by a
//! method that nothing else here uses, so that it can tell them from plain numbers: a [`Time`], an
//! [`Epoch`] and the version of a [`Stamp`] by `write_i128`, to be counted from now and from the
//! present ones ([`EPOCHS`], [`VERSIONS`]), and the number of an operation, a fencing request, a write
//! or an operator's request by `write_i64`, which may be left out.
//!
//! [`Epoch`]: crate::id::Epoch
//! [`Stamp`]: crate::id::Stamp

use crate::id::{NodeId, StoreId};
use crate::model::Cluster;
use crate::node::Node;
use crate::peer::Peer;
use crate::rules::Rules;
use crate::time::{Span, Time};
use std::hash::{Hash, Hasher};

/// Marks an epoch among what is handed over by `write_i128`; it stands in the lower 64 bits. A moment
/// has no mark.
pub const EPOCHS: i128 = 1 << 64;
/// Marks the version of a stamp.
pub const VERSIONS: i128 = 2 << 64;

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
        (self.joining, self.halted, self.joined).hash(state);
        self.past(self.started, state);
        self.stored.hash(state);
        self.durable.hash(state);
        self.writing.hash(state);
        for (name, peer) in &self.peers {
            name.hash(state);
            peer.hash(state);
            self.moments_of(name, peer, state);
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
        self.misread.is_some().hash(state);
        self.failures_known.hash(state);
    }
}

impl<R: Rules> Node<R> {
    /// How far this node knows the stores of others to have been written (H20).
    pub fn writes_known(&self) -> impl Iterator<Item = (StoreId, u64)> {
        self.peers.values().filter_map(|peer| peer.writes)
    }

    /// Moments of a peer that are only ever counted back from.
    fn moments_of<H: Hasher>(&self, name: &NodeId, peer: &Peer<R>, state: &mut H) {
        self.past(peer.alive_since, state);
        self.past(peer.run_since, state);
        peer.proposed_at.is_some().hash(state);
        if let Some(at) = peer.proposed_at {
            self.past(at, state);
        }
        let Some(coordinator) = self.coordinating() else { return };
        self.past(coordinator.elected, state);
        // T_out counts from the later one (H9), and only for who may have a watchdog.
        let armed =
            |cluster: &Cluster| cluster.node(name).is_some_and(|node| node.watchdog.is_some());
        if self.config.as_deref().is_some_and(armed) {
            peer.renewed.max(coordinator.elected).hash(state);
        }
    }

    /// A moment from which no more is counted than until a node has listened, has a lease and need not
    /// wait for others any more; what is longer ago is one.
    fn past<H: Hasher>(&self, at: Time, state: &mut H) {
        let timing = &self.timing;
        let lengths = [timing.initdead, timing.lease, timing.deadtime, timing.rejoin_after];
        let longest = lengths.into_iter().max().unwrap_or_default() + MARGIN;
        if self.now.since(at) > longest { Time(0) } else { at }.hash(state);
    }
}

/// A run of a daemon that lasts this long is none of a crash loop; that, and how late a node may wake.
const MARGIN: Span = Span::secs(2);
