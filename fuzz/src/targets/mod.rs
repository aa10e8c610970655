//! One reader, or one family of readers, a file.

mod agents;
mod authkeys;
mod configuration;
mod control;
mod datagram;
mod drbd;
mod message;
mod state;

/// Feeds one input; panics if anything is wrong.
pub type Target = fn(&[u8]);

const ALL: [(&str, Target); 8] = [
    ("agents", agents::feed),
    ("authkeys", authkeys::feed),
    ("configuration", configuration::feed),
    ("control", control::feed),
    ("datagram", datagram::feed),
    ("drbd", drbd::feed),
    ("message", message::feed),
    ("state", state::feed),
];

pub fn by_name(name: &str) -> Option<Target> {
    ALL.iter().find(|(known, _)| *known == name).map(|(_, target)| *target)
}

pub fn names() -> [&'static str; ALL.len()] {
    ALL.map(|(name, _)| name)
}
