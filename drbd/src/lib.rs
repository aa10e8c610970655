//! DRBD: what its tools say, what that means, and what may be done about it.
//!
//! Everything here is pure: text comes in, typed values go out. Nothing is run, opened or waited for.
//!
//! - [`state`] is the one picture that all texts are read into: [`proc_drbd`] (0.7 to 8.4),
//!   [`events`] and [`tracker`] (`drbdsetup events2`), [`status`] and [`json`] (`drbdsetup status`),
//!   [`answers`] (`drbdadm role|cstate|dstate`).
//! - [`eligibility`] says whether a node may become Primary, and why not.
//! - [`refusal`] turns exit codes and messages of the tools into reasons and hints.
//! - [`generation`] and [`split_brain`] recognise histories that have parted.
//! - [`conf`] reads `drbd.conf` and `.res` files, finds what breaks promises in them, and writes them.
//!
//! A word that is not known stays a word that is not known ([`state::Disk::Unknown`] and its
//! siblings); nothing is ever promoted on one.

// No panic on any input.
#![cfg_attr(not(test), warn(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod answers;
pub mod conf;
pub mod eligibility;
pub mod events;
pub mod generation;
pub mod json;
pub mod proc_drbd;
pub mod refusal;
pub mod resync;
pub mod split_brain;
pub mod state;
pub mod status;
pub mod tracker;
pub mod vocabulary;

mod fields;

pub use eligibility::{Eligibility, RecordWord};
pub use state::{Picture, Resource};

/// Text that is not what it should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected {expected}, found {found:?}")]
pub struct Unreadable {
    /// What should have been there.
    pub expected: &'static str,
    /// The beginning of what was there.
    pub found: String,
}

impl Unreadable {
    pub(crate) fn new(expected: &'static str, found: &str) -> Unreadable {
        Unreadable { expected, found: clip(found) }
    }
}

/// The beginning of a text that came from outside, short enough for a message.
pub(crate) fn clip(text: &str) -> String {
    text.chars().take(LONGEST_WORD).map(|c| if c.is_control() { ' ' } else { c }).collect()
}

const LONGEST_WORD: usize = 120;
