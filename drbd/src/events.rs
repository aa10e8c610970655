//! One line of `drbdsetup events2`, of 8.4 and 9, with or without timestamps and statistics.

use std::collections::BTreeMap;

use crate::Unreadable;

/// What a line says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// `exists -`: the dump of everything ends here.
    DumpEnds,
    /// Something exists, is new, or has changed.
    Object {
        /// How it came to be said.
        verb: Verb,
        /// Which thing.
        object: Object<'a>,
        /// Everything else on the line.
        fields: BTreeMap<&'a str, &'a str>,
    },
    /// DRBD calls a program on this node (`call`), or that program has ended (`response`).
    Helper {
        /// The resource.
        resource: &'a str,
        /// `split-brain`, `fence-peer`, ...
        helper: &'a str,
        /// How it ended; `None` if it has only been called.
        status: Option<i32>,
    },
    /// Something that this version has no use for (paths).
    Other,
}

/// How a thing came to be said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// It is part of a dump.
    Exists,
    /// It is new.
    Create,
    /// Some of it changed; only that is on the line.
    Change,
    /// It is gone.
    Destroy,
    /// The resource has another name now (9).
    Rename,
}

/// Which thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Object<'a> {
    /// A resource, by name.
    Resource(&'a str),
    /// A volume on this node.
    Device {
        /// The resource.
        resource: &'a str,
        /// Its number.
        volume: u32,
    },
    /// A connection.
    Connection {
        /// The resource.
        resource: &'a str,
        /// Its name, or the number of the peer where DRBD leaves out the name.
        peer: &'a str,
    },
    /// A volume across a connection.
    PeerDevice {
        /// The resource.
        resource: &'a str,
        /// The connection.
        peer: &'a str,
        /// Its number.
        volume: u32,
    },
}

/// Reads one line.
///
/// # Errors
/// It is no line of `events2`, or it lacks the name of the thing it is about.
pub fn read(line: &str) -> Result<Event<'_>, Unreadable> {
    let unreadable = || Unreadable::new("a line of `drbdsetup events2`", line);
    if line.len() > LONGEST_LINE {
        return Err(unreadable());
    }
    let mut words = line.split_whitespace().peekable();
    if words.peek().is_some_and(|word| is_timestamp(word)) {
        words.next();
    }
    let verb = words.next().ok_or_else(unreadable)?;
    let kind = words.next().ok_or_else(unreadable)?;
    if (verb, kind) == ("exists", "-") {
        return if words.next().is_none() { Ok(Event::DumpEnds) } else { Err(unreadable()) };
    }
    let mut fields = BTreeMap::new();
    for word in words {
        let (key, value) = crate::fields::split(word).ok_or_else(unreadable)?;
        if fields.insert(key, value).is_some_and(|before| before != value) {
            return Err(unreadable());
        }
    }
    let name = |key: &str| {
        fields.get(key).copied().filter(|name: &&str| !name.is_empty()).ok_or_else(unreadable)
    };
    // 8.4 leaves out the name of a connection that was cut before the dump.
    let peer = || name("conn-name").or_else(|_| name("peer-node-id"));
    let volume = || {
        let number = fields.get("volume").and_then(|volume| crate::fields::number(volume));
        number.ok_or_else(unreadable)
    };
    let verb = match verb {
        "exists" => Verb::Exists,
        "create" => Verb::Create,
        "change" => Verb::Change,
        "destroy" => Verb::Destroy,
        "rename" => Verb::Rename,
        "call" | "response" if kind == "helper" => {
            let status = fields.get("status").and_then(|status| status.parse().ok());
            if verb == "response" && status.is_none() {
                return Err(unreadable());
            }
            let status = status.filter(|_| verb == "response");
            // A helper of the whole node names no resource.
            let resource = fields.get("name").copied().unwrap_or_default();
            return Ok(Event::Helper { resource, helper: name("helper")?, status });
        }
        _ => return Err(unreadable()),
    };
    let object = match kind {
        "resource" => Object::Resource(name("name")?),
        "device" => Object::Device { resource: name("name")?, volume: volume()? },
        "connection" => Object::Connection { resource: name("name")?, peer: peer()? },
        "peer-device" => {
            Object::PeerDevice { resource: name("name")?, peer: peer()?, volume: volume()? }
        }
        "path" => return Ok(Event::Other),
        _ => return Err(unreadable()),
    };
    Ok(Event::Object { verb, object, fields })
}

/// `2026-11-21T04:54:31.784696+00:00`
fn is_timestamp(word: &str) -> bool {
    word.starts_with(|c: char| c.is_ascii_digit()) && word.contains('T') && word.contains(':')
}

/// Far longer than anything DRBD writes.
const LONGEST_LINE: usize = 16 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_are_none_are_errors_and_not_guesses() {
        for line in [
            "",
            "exists",
            "exists -x",
            "exists - -",
            "exists resource",
            "exists resource role:Primary",
            "exists resource name: role:Primary",
            "change device name:r0 disk:UpToDate",
            "change device name:r0 volume:-1 disk:UpToDate",
            "change device name:r0 volume:0 disk",
            "change device name:r0 volume:0 disk:UpToDate disk:Inconsistent",
            "vanish resource name:r0",
            "change planet name:r0",
            "response helper name:r0 helper:fence-peer status:many",
            "r0: No such resource",
        ] {
            assert!(read(line).is_err(), "{line:?}");
        }
    }

    #[test]
    fn a_helper_is_called_and_answers() {
        let call = "2026-11-21T04:55:35.127391+00:00 call helper name:r0 peer-node-id:0 \
                    conn-name:peer volume:0 minor:0 helper:split-brain";
        assert_eq!(
            read(call),
            Ok(Event::Helper { resource: "r0", helper: "split-brain", status: None })
        );
        let answer = "response helper name:r0 helper:fence-peer status:7";
        assert_eq!(
            read(answer),
            Ok(Event::Helper { resource: "r0", helper: "fence-peer", status: Some(7) })
        );
    }

    #[test]
    fn paths_are_passed_over() {
        let line = "exists path name:r0 peer-node-id:1 conn-name:b local:ipv4:10.0.0.1:7788 \
                    peer:ipv4:10.0.0.2:7788 established:yes";
        assert_eq!(read(line), Ok(Event::Other));
    }
}
