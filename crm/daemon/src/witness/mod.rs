//! The witness: a third machine's vote for many clusters (R4). For each it keeps a voter of the core,
//! with its own keys and its own small store; it runs nothing, fences nobody and never stands.
//!
//! Read in this order: [`WitnessOptions`], `start` (what must be right before the first packet),
//! `event_loop` (one thread for all clusters), `seat` (one cluster, with or without a voter), `voter`
//! (the core and its store), `network` (sockets that all clusters share).

mod event_loop;
mod keys;
mod network;
mod options;
mod seat;
mod start;
mod voter;

pub use options::WitnessOptions;
pub use start::{check_files, serve};

/// The unit and the socket's name for people.
pub(crate) const NAME: &str = "crm witness";
