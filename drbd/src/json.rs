//! `drbdsetup status --json` of DRBD 9. 8.4 has no JSON: it answers with its usage and exit code 20.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::Unreadable;
use crate::state::{
    Connection, Disk, Peer, PeerStatistics, PeerVolume, Percent, Picture, Replication, Resource,
    Resync, Role, Volume, VolumeStatistics,
};

/// Reads the whole answer. What is missing, or is of another type, is not known.
///
/// # Errors
/// It is no list of resources, one has no name or the name of another, or a volume has no number.
pub fn read(text: &str) -> Result<Picture, Unreadable> {
    let unreadable = || Unreadable::new("the JSON of `drbdsetup status --json`", text);
    let value: Value = serde_json::from_str(text).map_err(|_| unreadable())?;
    let mut picture = Picture::new();
    for value in value.as_array().ok_or_else(unreadable)? {
        let resource = resource(value).ok_or_else(unreadable)?;
        if picture.insert(resource.name.clone(), resource).is_some() {
            return Err(unreadable());
        }
    }
    Ok(picture)
}

fn resource(value: &Value) -> Option<Resource> {
    let mut resource = Resource {
        name: value.get("name")?.as_str().filter(|name| !name.is_empty())?.to_owned(),
        role: Role::read(word(value, "role")),
        suspended: suspended(value),
        ..Resource::default()
    };
    for value in list(value, "devices")? {
        let number = u32::try_from(value.get("volume")?.as_u64()?).ok()?;
        resource.volumes.insert(number, volume(value)).is_none().then_some(())?;
    }
    for value in list(value, "connections")? {
        let peer = peer(value)?;
        let node = peer.node_id.map(|id| format!("node {id}")).unwrap_or_default();
        let name = value.get("name").and_then(Value::as_str).map_or(node, str::to_owned);
        resource.peers.insert(name, peer).is_none().then_some(())?;
    }
    Some(resource)
}

/// `false`, `true`, or the reasons, which newer versions give beside it.
fn suspended(value: &Value) -> BTreeSet<String> {
    match value.get("suspended") {
        None | Some(Value::Null | Value::Bool(false)) => BTreeSet::new(),
        Some(Value::String(words)) => crate::fields::reasons(words),
        Some(_) => {
            let kinds = ["user", "no-data", "fencing", "quorum"];
            let set = |kind: &&str| {
                value.get(format!("suspended-{kind}")).and_then(Value::as_bool) == Some(true)
            };
            let said: BTreeSet<String> = kinds.into_iter().filter(set).map(str::to_owned).collect();
            if said.is_empty() { BTreeSet::from(["yes".to_owned()]) } else { said }
        }
    }
}

fn volume(value: &Value) -> Volume {
    Volume {
        minor: number(value, "minor").and_then(|minor| u32::try_from(minor).ok()),
        disk: Disk::read(word(value, "disk-state")),
        client: flag(value, "client"),
        quorum: flag(value, "quorum"),
        statistics: VolumeStatistics {
            size_kib: number(value, "size"),
            read_kib: number(value, "read"),
            written_kib: number(value, "written"),
            upper_pending: number(value, "upper-pending"),
            lower_pending: number(value, "lower-pending"),
        },
    }
}

fn peer(value: &Value) -> Option<Peer> {
    let mut peer = Peer {
        node_id: number(value, "peer-node-id").and_then(|id| u32::try_from(id).ok()),
        connection: Connection::read(word(value, "connection-state")),
        role: Role::read(word(value, "peer-role")),
        congested: flag(value, "congested"),
        ..Peer::default()
    };
    for value in list(value, "peer_devices")? {
        let number = u32::try_from(value.get("volume")?.as_u64()?).ok()?;
        peer.volumes.insert(number, peer_volume(value)).is_none().then_some(())?;
    }
    Some(peer)
}

fn peer_volume(value: &Value) -> PeerVolume {
    let replication = Replication::read(word(value, "replication-state"));
    let out_of_sync_kib = number(value, "out-of-sync");
    let moves = replication.is_source() || replication.is_target();
    let resync = moves.then(|| Resync {
        done: value.get("percent-in-sync").and_then(percent),
        left_kib: out_of_sync_kib,
        finish: number(value, "estimated-seconds-to-finish").map(std::time::Duration::from_secs),
        ..Resync::default()
    });
    PeerVolume {
        disk: Disk::read(word(value, "peer-disk-state")),
        resync_suspended: crate::fields::reasons(word(value, "resync-suspended")),
        resync,
        replication,
        statistics: PeerStatistics {
            sent_kib: number(value, "sent"),
            received_kib: number(value, "received"),
            out_of_sync_kib,
            pending: number(value, "pending"),
            unacked: number(value, "unacked"),
        },
    }
}

/// The words of a number are those that were written, so nothing is rounded on the way.
fn percent(value: &Value) -> Option<Percent> {
    value.as_number().and_then(|number| Percent::read(&number.to_string()))
}

fn word<'a>(value: &'a Value, key: &str) -> &'a str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

fn number(value: &Value, key: &str) -> Option<u64> {
    value.get(key).and_then(Value::as_u64)
}

/// What is there and is no plain `true` counts as no.
fn flag(value: &Value, key: &str) -> Option<bool> {
    value.get(key).map(|value| value.as_bool().unwrap_or(false))
}

/// A missing list is an empty one; anything else in its place is an error.
fn list<'a>(value: &'a Value, key: &str) -> Option<std::slice::Iter<'a, Value>> {
    match value.get(key) {
        None => Some([].iter()),
        Some(list) => list.as_array().map(|list| list.iter()),
    }
}
