//! Nodes that speak with the cluster's key and are not in this node's configuration (R19, R20): who was taken out and
//! does not know it, and who belongs to a cluster that went on without this node.
//!
//! A node that was off, or cut off, when the configuration dropped it keeps a record that still counts its vote. In a
//! pair an operator's word there would elect it, beside the one that removed it. So every member answers it:
//!
//! - With a Hello, which makes the member *heard* there: nobody who is heard can be called dead (R20).
//! - With the record that does not name it, once this node obeys that record, so only what is committed. It takes it as
//!   any node takes a newer record, and may obey it at once: a committed record that names it nowhere can only end what
//!   it runs. It gives no vote for it, and the record gives it none, so no quorum anywhere has changed.
//!
//! No session is kept of such a node. The answer echoes the very run and packet that it answers, so a recorded question
//! draws an answer that its sender drops.

use crate::event::Event;
use crate::id::{Incarnation, NodeId, Stamp};
use crate::model::{Cluster, WITNESS};
use crate::node::Node;
use crate::packet::{MINOR_HIGHEST, MINOR_LOWEST, Message, Packet};
use crate::persist::After;
use crate::record::Record;
use crate::rules::Rules;
use crate::time::{Span, Time};
use crate::{Destination, Output};
use std::collections::BTreeMap;

/// Strangers remembered at one time.
const STRANGERS_MAX: usize = 64;
/// A record can be large: it is told again after this, if it did not come through.
const TELL_AGAIN: Span = Span::secs(2);

/// Who spoke lately, and what it was told.
#[derive(Clone, Debug, Default, Hash)]
pub(crate) struct Strangers(BTreeMap<NodeId, Stranger>);

#[derive(Clone, Debug, Hash)]
struct Stranger {
    /// Of its newest record.
    stamp: Stamp,
    heard: Time,
    answered: Option<Time>,
    told: Option<Time>,
}

impl Strangers {
    fn meet(&mut self, name: &NodeId, stamp: Stamp, now: Time) {
        if !self.0.contains_key(name) && self.0.len() >= STRANGERS_MAX {
            let oldest = self.0.iter().min_by_key(|(_, stranger)| stranger.heard);
            if let Some(oldest) = oldest.map(|(name, _)| name.clone()) {
                self.0.remove(&oldest);
            }
        }
        let fresh = Stranger { stamp, heard: now, answered: None, told: None };
        let stranger = self.0.entry(name.clone()).or_insert(fresh);
        (stranger.stamp, stranger.heard) = (stamp, now);
    }
}

impl<R: Rules> Node<R> {
    /// An authentic packet of a node that the configuration does not name. Nothing of it is believed but that it is there
    /// and how new its record is.
    pub(crate) fn on_stranger(&mut self, from: &NodeId, incarnation: Incarnation, packet: &Packet) {
        let Message::Heartbeat(beat) = &packet.message else { return };
        if self.config.is_none() || !self.is_plausible(&packet.message) {
            return;
        }
        self.strangers.meet(from, beat.stamp, self.now);
        // Who joins has no record yet; who has a newer one has nothing to learn here.
        if beat.stamp == Stamp::default() || beat.stamp > self.stamp() {
            return;
        }
        let (now, keepalive) = (self.now, self.timing.keepalive);
        let hears_this_run = packet.echo == Some(self.incarnation);
        let record = self.record_without(from, beat.stamp).filter(|_| hears_this_run);
        let Some(stranger) = self.strangers.0.get_mut(from) else { return };
        let tell = stranger.told.is_none_or(|at| now.since(at) >= TELL_AGAIN);
        let message = match record {
            Some(record) if tell => {
                stranger.told = Some(now);
                Message::Removed { record: Box::new(record) }
            }
            _ if stranger.answered.is_none_or(|at| now.since(at).0 >= keepalive.0 / 2) => {
                Message::Hello
            }
            _ => return,
        };
        stranger.answered = Some(now);
        let number = self.next_number;
        self.next_number += 1;
        let packet = Packet {
            to: from.clone(),
            number,
            echo: Some(incarnation),
            seen: packet.number,
            minor_lowest: MINOR_LOWEST,
            minor_highest: MINOR_HIGHEST,
            message,
        };
        self.push(Output::Send { to: Destination::Node(from.clone()), packet: Box::new(packet) });
    }

    /// The record that this node obeys, if it is newer and has no place for that node.
    fn record_without(&self, name: &NodeId, known: Stamp) -> Option<Record> {
        let obeyed = self.obeyed.as_ref()?;
        let tells =
            obeyed.record.stamp > known && has_no_place(&obeyed.record, &obeyed.cluster, name);
        tells.then(|| Record::clone(&obeyed.record))
    }

    /// A member tells that this node was removed. Only what is newer than what is known here counts, so neither a late
    /// packet nor a member that is behind takes out who was taken back since.
    pub(crate) fn on_removed(&mut self, from: &NodeId, record: Record) {
        let Ok(cluster) = (self.parse)(&record.config.text) else { return };
        if record.stamp <= self.stamp()
            || self.fork.is_some()
            || !has_no_place(&record, &cluster, &self.id)
        {
            return;
        }
        if let Some(mine) = self.parted_from(&record) {
            self.found_fork(from, mine, record.stamp);
            return;
        }
        self.step_down("it was removed from the cluster");
        // What was promised for a higher epoch stays promised: this is learnt, not accepted.
        if record.stamp.epoch > self.stored.epoch {
            self.adopt_epoch(record.stamp.epoch);
        }
        let stamp = record.stamp;
        self.stored.record = Some(record);
        self.joining = false;
        self.use_newest_config();
        self.committed_hint = Some((self.stored.epoch, stamp));
        self.persist(After::Learnt);
    }

    /// Whether the cluster went on without this node, as far as its own newest record says.
    pub(crate) fn is_removed(&self) -> bool {
        let (Some(record), Some(cluster)) = (self.record(), &self.config) else { return false };
        has_no_place(record, cluster, &self.id)
    }

    /// What an operator is told on a node that was removed.
    pub(crate) fn removal(&self) -> Option<String> {
        let stamp = self.stamp();
        self.is_removed().then(|| {
            format!(
                "this node was removed from the cluster, whose record {stamp} does not name it: it runs nothing, and no word given here counts"
            )
        })
    }

    /// What can be done about that.
    pub(crate) fn way_back() -> &'static str {
        "to take it back, name it in cluster.yaml on a node of the cluster and `crm apply` there; else end it for good with `systemctl disable --now crmd`"
    }

    pub(crate) fn tell_of_removal(&mut self) {
        if let Some(removal) = self.removal() {
            self.event(Event::error("removed", format!("{removal}; {}", Self::way_back())));
        }
    }

    /// Who is not in this node's configuration, has a newer record, and spoke lately.
    pub(crate) fn newer_stranger(&self) -> Option<(&NodeId, Stamp)> {
        let mine = self.stamp();
        let lately = |stranger: &Stranger| self.now.since(stranger.heard) <= self.timing.deadtime;
        let newer = self.strangers.0.iter().find(|(_, s)| s.stamp > mine && lately(s));
        newer.map(|(name, stranger)| (name, stranger.stamp))
    }

    /// What follows from that, for people.
    pub(crate) fn passed_by(&self) -> Option<String> {
        let (name, stamp) = self.newer_stranger()?;
        Some(format!(
            "node {name}, which is not in the record of this node, has a newer one ({stamp}, here {}): others went on without this node",
            self.stamp()
        ))
    }
}

/// Whether nothing of that record is about the node: it is not configured, has no vote and owns nothing.
fn has_no_place(record: &Record, cluster: &Cluster, name: &NodeId) -> bool {
    let configured =
        cluster.node(name).is_some() || (name.as_str() == WITNESS && cluster.witness.is_some());
    !configured
        && !record.voters.contains_key(name)
        && !record.old_voters.contains_key(name)
        && !record.grants.values().any(|grant| grant.owner == *name)
        && !record.roles.values().any(|roles| roles.contains_key(name))
}
