//! The plain text of `drbdsetup status` and `drbdadm status`, of 8.4 and 9, short or verbose.
//!
//! The short form leaves out what goes without saying: a peer with a role and without a connection
//! is connected, a volume without a number is number 0.

use crate::fields;
use crate::state::{Connection, Picture, Replication, Resource, Role};
use crate::{Unreadable, clip};

/// Where the following words belong.
enum Place {
    Nowhere,
    Resource(String),
    Volume(String, u32),
    Peer(String, String),
    PeerVolume(String, String, u32),
}

/// Reads the whole text. No resource at all is an empty picture.
///
/// # Errors
/// A line that is none of the tool's, such as an error message.
pub fn read(text: &str) -> Result<Picture, Unreadable> {
    let mut picture = Picture::new();
    let mut place = Place::Nowhere;
    for line in text.lines().take(MOST_LINES) {
        // `# No currently configured DRBD found.`
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        place = self::line(&mut picture, place, line)
            .ok_or_else(|| Unreadable::new("a line of `drbdsetup status`", line))?;
    }
    picture.values_mut().for_each(complete);
    Ok(picture)
}

fn line(picture: &mut Picture, place: Place, line: &str) -> Option<Place> {
    let indent = line.len() - line.trim_start_matches(' ').len();
    let mut words: Vec<&str> = line.split_whitespace().collect();
    let name = words.first().copied().filter(|word| !word.contains(':'));
    if name.is_some() {
        words.remove(0);
    }
    let pairs: Option<Vec<(&str, &str)>> = words.into_iter().map(fields::split).collect();
    let pairs = pairs?;
    let first = pairs.first().map_or("", |(key, _)| *key);
    let number = || match pairs.iter().find(|(key, _)| *key == "volume") {
        Some((_, number)) => fields::number(number),
        None => Some(0),
    };
    let place = match (indent, name, place) {
        (0, Some(name), _) if !pairs.is_empty() => {
            let fresh = Resource { name: clip(name), ..Resource::default() };
            if picture.insert(name.to_owned(), fresh).is_some() {
                return None;
            }
            Place::Resource(name.to_owned())
        }
        (2, Some(peer), place) if !pairs.is_empty() => {
            let resource = place.resource()?;
            let peers = &mut picture.get_mut(&resource)?.peers;
            peers.insert(peer.to_owned(), Default::default()).is_none().then_some(())?;
            Place::Peer(resource, peer.to_owned())
        }
        (2, None, place) if matches!(first, "volume" | "disk") => {
            let (resource, volume) = (place.resource()?, number()?);
            let volumes = &mut picture.get_mut(&resource)?.volumes;
            volumes.insert(volume, Default::default()).is_none().then_some(())?;
            Place::Volume(resource, volume)
        }
        (4, None, Place::Peer(resource, peer) | Place::PeerVolume(resource, peer, _))
            if matches!(first, "volume" | "replication" | "peer-disk") =>
        {
            let volume = number()?;
            let volumes = &mut picture.get_mut(&resource)?.peers.get_mut(&peer)?.volumes;
            volumes.insert(volume, Default::default()).is_none().then_some(())?;
            Place::PeerVolume(resource, peer, volume)
        }
        // What did not fit on the line before.
        (4.., None, place) => place,
        _ => return None,
    };
    for (key, value) in pairs {
        set(picture, &place, key, value)?;
    }
    Some(place)
}

fn set(picture: &mut Picture, place: &Place, key: &str, value: &str) -> Option<()> {
    let resource = picture.get_mut(&place.resource()?)?;
    match place {
        Place::Nowhere => return None,
        Place::Resource(_) => fields::resource(resource, key, value),
        Place::Volume(_, volume) => {
            fields::volume(resource.volumes.get_mut(volume)?, key, value);
        }
        Place::Peer(_, peer) => fields::peer(resource.peers.get_mut(peer)?, key, value),
        Place::PeerVolume(_, peer, volume) => {
            let volume = resource.peers.get_mut(peer)?.volumes.get_mut(volume)?;
            fields::peer_volume(volume, key, value);
        }
    }
    Some(())
}

/// Adds what goes without saying in the short form.
fn complete(resource: &mut Resource) {
    for peer in resource.peers.values_mut() {
        let said = |word: &str| word != "(not said)";
        if !said(peer.connection.word()) && said(peer.role.word()) && !peer.role.is_unknown() {
            peer.connection = Connection::Connected;
        } else if !said(peer.role.word()) && !peer.connection.is_unknown() {
            peer.role = Role::Unseen;
        }
        let connected = peer.connection == Connection::Connected;
        for volume in peer.volumes.values_mut() {
            if !said(volume.replication.word()) && connected && !volume.disk.is_unknown() {
                volume.replication = Replication::Established;
            }
        }
    }
}

impl Place {
    fn resource(&self) -> Option<String> {
        match self {
            Place::Nowhere => None,
            Place::Resource(resource)
            | Place::Volume(resource, _)
            | Place::Peer(resource, _)
            | Place::PeerVolume(resource, _, _) => Some(resource.clone()),
        }
    }
}

const MOST_LINES: usize = 100_000;
