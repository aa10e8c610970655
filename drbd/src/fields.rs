//! The `key:value` words that `events2` and `status` share, and where each belongs.

use std::collections::BTreeSet;

use crate::state::{
    Connection, Disk, Peer, PeerVolume, Percent, Replication, Resource, Resync, Role, Volume,
};

/// `key:value`; a word without a colon is none.
pub(crate) fn split(word: &str) -> Option<(&str, &str)> {
    word.split_once(':').filter(|(key, _)| !key.is_empty())
}

/// A whole number without sign; anything else is not known.
pub(crate) fn number<T: std::str::FromStr>(text: &str) -> Option<T> {
    (!text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()))
        .then(|| text.parse().ok())?
}

/// The reasons for a suspension; `no` is none.
pub(crate) fn reasons(value: &str) -> BTreeSet<String> {
    let words = value.split(',').filter(|word| !matches!(*word, "no" | ""));
    words.take(MOST_REASONS).map(crate::clip).collect()
}

/// Only a plain `yes` counts as one: DRBD's quorum must not be taken for granted.
fn yes(value: &str) -> Option<bool> {
    Some(value == "yes")
}

pub(crate) fn resource(resource: &mut Resource, key: &str, value: &str) {
    match key {
        "role" => resource.role = Role::read(value),
        "suspended" => resource.suspended = reasons(value),
        _ => {}
    }
}

pub(crate) fn volume(volume: &mut Volume, key: &str, value: &str) {
    let counters = &mut volume.statistics;
    match key {
        "minor" => volume.minor = number(value),
        "disk" => volume.disk = Disk::read(value),
        "client" => volume.client = yes(value),
        "quorum" => volume.quorum = yes(value),
        "size" => counters.size_kib = number(value),
        "read" => counters.read_kib = number(value),
        "written" => counters.written_kib = number(value),
        "upper-pending" => counters.upper_pending = number(value),
        "lower-pending" => counters.lower_pending = number(value),
        _ => {}
    }
}

pub(crate) fn peer(peer: &mut Peer, key: &str, value: &str) {
    match key {
        "peer-node-id" | "node-id" => peer.node_id = number(value),
        "connection" => peer.connection = Connection::read(value),
        "role" => peer.role = Role::read(value),
        "congested" => peer.congested = yes(value),
        _ => {}
    }
}

pub(crate) fn peer_volume(volume: &mut PeerVolume, key: &str, value: &str) {
    let counters = &mut volume.statistics;
    match key {
        "replication" => {
            volume.replication = Replication::read(value);
            if !volume.replication.is_source() && !volume.replication.is_target() {
                volume.resync = None;
            }
        }
        "peer-disk" => volume.disk = Disk::read(value),
        "resync-suspended" => volume.resync_suspended = reasons(value),
        "done" => {
            volume.resync =
                Some(Resync { done: Percent::read(value), ..volume.resync.unwrap_or_default() });
        }
        "received" => counters.received_kib = number(value),
        "sent" => counters.sent_kib = number(value),
        "out-of-sync" => {
            counters.out_of_sync_kib = number(value);
            if let Some(resync) = &mut volume.resync {
                resync.left_kib = counters.out_of_sync_kib;
            }
        }
        "pending" => counters.pending = number(value),
        "unacked" => counters.unacked = number(value),
        _ => {}
    }
}

const MOST_REASONS: usize = 8;
