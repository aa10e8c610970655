//! Follows `drbdsetup events2`: lines go in, changes and the full picture come out.
//!
//! The shell feeds lines, and calls [`Tracker::restart`] when the program has ended and is started
//! again. A picture is given only while it is known to be whole: after a line that does not fit,
//! there is none until the next full dump.

use std::collections::BTreeMap;
use std::fmt;

use crate::clip;
use crate::events::{self, Event, Object, Verb};
use crate::state::{Connection, Disk, Picture, Replication, Resource, Role};

/// What has changed in a resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The name of the resource.
    pub resource: String,
    /// What.
    pub what: What,
}

/// What has changed; `from` is how it was before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// The resource is there.
    Appeared,
    /// The resource is gone.
    Gone,
    /// A program was called on this node for it (`split-brain`, `fence-peer`, ...).
    HelperCalled {
        /// The name.
        helper: String,
    },
    /// That program has ended.
    HelperAnswered {
        /// The name.
        helper: String,
        /// Its exit code.
        status: i32,
    },
    /// This node's role.
    Role {
        /// Before.
        from: Role,
        /// Now.
        to: Role,
    },
    /// I/O is held back, or goes on.
    Suspended {
        /// Why it is held back; empty if it goes on.
        reasons: Vec<String>,
    },
    /// This node's copy of a volume.
    Disk {
        /// Its number.
        volume: u32,
        /// Before.
        from: Disk,
        /// Now.
        to: Disk,
    },
    /// DRBD's own quorum for a volume.
    Quorum {
        /// Its number.
        volume: u32,
        /// Now.
        held: bool,
    },
    /// A connection.
    Connection {
        /// Its name.
        peer: String,
        /// Before.
        from: Connection,
        /// Now.
        to: Connection,
    },
    /// The role of a peer.
    PeerRole {
        /// The connection.
        peer: String,
        /// Before.
        from: Role,
        /// Now.
        to: Role,
    },
    /// What flows.
    Replication {
        /// The connection.
        peer: String,
        /// The volume.
        volume: u32,
        /// Before.
        from: Replication,
        /// Now.
        to: Replication,
    },
    /// The copy of a peer.
    PeerDisk {
        /// The connection.
        peer: String,
        /// The volume.
        volume: u32,
        /// Before.
        from: Disk,
        /// Now.
        to: Disk,
    },
    /// Counters or the progress of a resync; nothing that decides anything.
    Progress,
}

/// Why there is no picture.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Lost {
    /// No full dump has come yet.
    #[error("the state of DRBD is not known yet")]
    NoDump,
    /// A line did not fit; the source must be started again.
    #[error("`drbdsetup events2` said something that does not fit: {0}")]
    Misfit(String),
}

/// The state of DRBD on this node, as the events tell it.
#[derive(Debug)]
pub struct Tracker {
    picture: Picture,
    /// A dump that has not ended.
    dump: Option<Picture>,
    lost: Option<Lost>,
}

impl Default for Tracker {
    fn default() -> Tracker {
        Tracker { picture: Picture::new(), dump: None, lost: Some(Lost::NoDump) }
    }
}

impl Tracker {
    /// Knows nothing yet.
    #[must_use]
    pub fn new() -> Tracker {
        Tracker::default()
    }

    /// The source has been started again: its dump replaces what is known. Until then there is no
    /// picture; the last one is kept only to tell what has changed.
    pub fn restart(&mut self) {
        self.dump = None;
        self.lost = Some(Lost::NoDump);
    }

    /// The full picture.
    ///
    /// # Errors
    /// It is not known to be whole; on [`Lost::Misfit`] start the source again and call
    /// [`Tracker::restart`].
    pub fn picture(&self) -> Result<&Picture, &Lost> {
        self.lost.as_ref().map_or(Ok(&self.picture), Err)
    }

    /// Takes one line, without or with its end, and says what has changed by it.
    ///
    /// # Errors
    /// The line does not fit; there is no picture until the next full dump.
    pub fn line(&mut self, line: &str) -> Result<Vec<Change>, Lost> {
        if line.trim().is_empty() {
            return Ok(Vec::new());
        }
        if let Some(lost @ Lost::Misfit(_)) = &self.lost {
            return Err(lost.clone());
        }
        self.apply(line).map_err(|why| {
            let lost = Lost::Misfit(why);
            self.dump = None;
            self.lost = Some(lost.clone());
            lost
        })
    }

    fn apply(&mut self, line: &str) -> Result<Vec<Change>, String> {
        match events::read(line).map_err(|error| error.to_string())? {
            Event::Other => Ok(Vec::new()),
            Event::Helper { resource, helper, status } => {
                let helper = clip(helper);
                let what = match status {
                    None => What::HelperCalled { helper },
                    Some(status) => What::HelperAnswered { helper, status },
                };
                Ok(vec![Change { resource: clip(resource), what }])
            }
            Event::DumpEnds => {
                let fresh = self.dump.take().unwrap_or_default();
                let before = std::mem::replace(&mut self.picture, fresh);
                self.lost = None;
                Ok(between_pictures(&before, &self.picture))
            }
            Event::Object { verb: Verb::Exists, object, fields } => {
                let dump = self.dump.get_or_insert_default();
                put(dump, Verb::Create, object, &fields).map_err(|why| format!("{why}: {line}"))
            }
            .map(|()| Vec::new()),
            Event::Object { verb, object, fields } => {
                if self.lost.is_some() || self.dump.is_some() {
                    return Err(format!("a change inside a dump: {}", clip(line)));
                }
                let name = object.resource();
                let before = self.picture.get(name).cloned();
                put(&mut self.picture, verb, object, &fields)
                    .map_err(|why| format!("{why}: {}", clip(line)))?;
                let mut changes = match (&before, self.picture.get(name)) {
                    (None, None) => Vec::new(),
                    (before, after) => between(name, before.as_ref(), after),
                };
                if let Some(new) = fields.get("new_name").filter(|_| verb == Verb::Rename) {
                    changes.extend(between(new, None, self.picture.get(*new)));
                }
                Ok(changes)
            }
        }
    }
}

impl<'a> Object<'a> {
    fn resource(self) -> &'a str {
        match self {
            Object::Resource(resource)
            | Object::Device { resource, .. }
            | Object::Connection { resource, .. }
            | Object::PeerDevice { resource, .. } => resource,
        }
    }
}

/// Carries one event out on a picture.
fn put(
    picture: &mut Picture,
    verb: Verb,
    object: Object<'_>,
    fields: &BTreeMap<&str, &str>,
) -> Result<(), &'static str> {
    let name = object.resource();
    if let Object::Resource(_) = object {
        return put_resource(picture, verb, name, fields);
    }
    let resource = picture.get_mut(name).ok_or("it belongs to a resource that is not there")?;
    match object {
        Object::Resource(_) => Ok(()),
        Object::Device { volume, .. } => {
            let entry = entry(&mut resource.volumes, verb, volume)?;
            fill(entry, fields, crate::fields::volume);
            Ok(())
        }
        Object::Connection { peer, .. } => {
            // The same connection once it has its name.
            if let Some(nameless) = fields.get("peer-node-id").filter(|id| **id != peer)
                && verb == Verb::Create
            {
                resource.peers.remove(*nameless);
            }
            let entry = entry(&mut resource.peers, verb, peer.to_owned())?;
            fill(entry, fields, crate::fields::peer);
            Ok(())
        }
        Object::PeerDevice { peer, volume, .. } => {
            // 8.4 may destroy the connection first, and goes on to tell of its end without its name (a peer of a copy
            // that stands alone becomes Outdated): nothing counts on that.
            let nameless = verb == Verb::Change && !fields.contains_key("conn-name");
            if (verb == Verb::Destroy || nameless) && !resource.peers.contains_key(peer) {
                return Ok(());
            }
            let peer = resource.peers.get_mut(peer).ok_or("its connection is not there")?;
            let entry = entry(&mut peer.volumes, verb, volume)?;
            fill(entry, fields, crate::fields::peer_volume);
            Ok(())
        }
    }
}

fn put_resource(
    picture: &mut Picture,
    verb: Verb,
    name: &str,
    fields: &BTreeMap<&str, &str>,
) -> Result<(), &'static str> {
    if verb == Verb::Rename {
        let new = fields.get("new_name").ok_or("the new name is not said")?;
        let mut resource = picture.remove(name).ok_or("it is not there")?;
        resource.name = (*new).to_owned();
        picture.insert((*new).to_owned(), resource);
        return Ok(());
    }
    if picture.len() >= MOST_RESOURCES && !picture.contains_key(name) {
        return Err("there are too many resources");
    }
    if let Some(resource) = entry(picture, verb, name.to_owned())? {
        resource.name = name.to_owned();
        fields.iter().for_each(|(key, value)| crate::fields::resource(resource, key, value));
    }
    Ok(())
}

/// The thing that a verb is about; `None` once it is destroyed.
fn entry<K: Ord, V: Default>(
    things: &mut BTreeMap<K, V>,
    verb: Verb,
    key: K,
) -> Result<Option<&mut V>, &'static str> {
    match verb {
        Verb::Create | Verb::Exists if things.len() >= MOST_THINGS => Err("there are too many"),
        Verb::Create | Verb::Exists => {
            let thing = things.entry(key).or_default();
            *thing = V::default();
            Ok(Some(thing))
        }
        Verb::Change => things.get_mut(&key).map(Some).ok_or("it is not there"),
        Verb::Destroy => {
            things.remove(&key);
            Ok(None)
        }
        Verb::Rename => Err("only resources can be renamed"),
    }
}

fn fill<T>(thing: Option<&mut T>, fields: &BTreeMap<&str, &str>, set: fn(&mut T, &str, &str)) {
    if let Some(thing) = thing {
        fields.iter().for_each(|(key, value)| set(thing, key, value));
    }
}

fn between_pictures(before: &Picture, after: &Picture) -> Vec<Change> {
    let gone = before.keys().filter(|name| !after.contains_key(*name));
    let names = gone.chain(after.keys());
    names.flat_map(|name| between(name, before.get(name), after.get(name))).collect()
}

/// What makes `after` out of `before`.
fn between(name: &str, before: Option<&Resource>, after: Option<&Resource>) -> Vec<Change> {
    if before == after {
        return Vec::new();
    }
    let nothing = Resource::default();
    let mut all = Vec::new();
    match (before, after) {
        (_, None) => all.push(What::Gone),
        (None, Some(_)) => all.push(What::Appeared),
        (Some(_), Some(_)) => {}
    }
    let (old, new) = (before.unwrap_or(&nothing), after.unwrap_or(&nothing));
    if after.is_some() {
        differences(old, new, &mut all);
    }
    if all.is_empty() {
        all.push(What::Progress);
    }
    all.into_iter().map(|what| Change { resource: name.to_owned(), what }).collect()
}

fn differences(old: &Resource, new: &Resource, all: &mut Vec<What>) {
    if let Some((from, to)) = changed(&old.role, &new.role) {
        all.push(What::Role { from, to });
    }
    if old.suspended != new.suspended {
        all.push(What::Suspended { reasons: new.suspended.iter().cloned().collect() });
    }
    for (volume, volume_old, volume_new) in pairs(&old.volumes, &new.volumes) {
        if let Some((from, to)) = changed(&volume_old.disk, &volume_new.disk) {
            all.push(What::Disk { volume: *volume, from, to });
        }
        if let Some(held) = volume_new.quorum.filter(|_| volume_old.quorum != volume_new.quorum) {
            all.push(What::Quorum { volume: *volume, held });
        }
    }
    for (peer, peer_old, peer_new) in pairs(&old.peers, &new.peers) {
        if let Some((from, to)) = changed(&peer_old.connection, &peer_new.connection) {
            all.push(What::Connection { peer: peer.clone(), from, to });
        }
        if let Some((from, to)) = changed(&peer_old.role, &peer_new.role) {
            all.push(What::PeerRole { peer: peer.clone(), from, to });
        }
        for (volume, seen_old, seen_new) in pairs(&peer_old.volumes, &peer_new.volumes) {
            let (peer, volume) = (peer.clone(), *volume);
            if let Some((from, to)) = changed(&seen_old.replication, &seen_new.replication) {
                all.push(What::Replication { peer: peer.clone(), volume, from, to });
            }
            if let Some((from, to)) = changed(&seen_old.disk, &seen_new.disk) {
                all.push(What::PeerDisk { peer, volume, from, to });
            }
        }
    }
}

fn changed<T: Clone + PartialEq>(from: &T, to: &T) -> Option<(T, T)> {
    (from != to).then(|| (from.clone(), to.clone()))
}

/// Every key of both, with what is there before and after; nothing is a default.
fn pairs<'a, K: Ord, V: Default + Clone>(
    old: &'a BTreeMap<K, V>,
    new: &'a BTreeMap<K, V>,
) -> Vec<(&'a K, V, V)> {
    let gone = old.keys().filter(|key| !new.contains_key(*key));
    let of = |things: &BTreeMap<K, V>, key: &K| things.get(key).cloned().unwrap_or_default();
    gone.chain(new.keys()).map(|key| (key, of(old, key), of(new, key))).collect()
}

impl fmt::Display for Change {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: {}", self.resource, self.what)
    }
}

impl fmt::Display for What {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            What::Appeared => out.write_str("is there"),
            What::Gone => out.write_str("is gone"),
            What::HelperCalled { helper } => write!(out, "calls {helper}"),
            What::HelperAnswered { helper, status } => write!(out, "{helper} answered {status}"),
            What::Role { from, to } => write!(out, "role {from} -> {to}"),
            What::Suspended { reasons } if reasons.is_empty() => out.write_str("I/O goes on"),
            What::Suspended { reasons } => write!(out, "I/O is held back: {}", reasons.join(", ")),
            What::Disk { volume, from, to } => write!(out, "disk {volume} {from} -> {to}"),
            What::Quorum { volume, held: true } => write!(out, "volume {volume} has quorum"),
            What::Quorum { volume, held: false } => write!(out, "volume {volume} lost quorum"),
            What::Connection { peer, from, to } => write!(out, "{peer} {from} -> {to}"),
            What::PeerRole { peer, from, to } => write!(out, "{peer} role {from} -> {to}"),
            What::Replication { peer, volume, from, to } => {
                write!(out, "{peer}/{volume} replication {from} -> {to}")
            }
            What::PeerDisk { peer, volume, from, to } => {
                write!(out, "{peer}/{volume} disk {from} -> {to}")
            }
            What::Progress => out.write_str("goes on"),
        }
    }
}

const MOST_RESOURCES: usize = 4096;
const MOST_THINGS: usize = 4096;
