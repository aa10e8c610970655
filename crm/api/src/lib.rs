//! `crm-api`: what is spoken on the control socket of `crmd`, and a blocking client for it.
//!
//! One JSON object a line, each with the version of the protocol:
//! `{"v":1,"request":"status"}` is answered by `{"v":1,"reply":{"status":{...}}}`. A request has
//! one reply, except `events`, which is answered by any number of `event` (and `missed`) lines and,
//! unless it follows, one `end`.

// No panic on any input.
#![cfg_attr(not(test), warn(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod client;
mod error;
mod message;
mod report;

pub use client::{Client, DEFAULT_SOCKET, Stream};
pub use error::{ApiError, Exit};
pub use message::{
    Problem, Refusal, Reply, ReplyLine, Request, RequestLine, StampedEvent, decode, encode,
};
pub use report::{
    ConfigReport, DeviceCheck, DevicesReport, LinkCounters, LinksReport, VersionReport,
    WitnessCluster, WitnessReport,
};

/// Version of this protocol. It rises only when an old client would misunderstand.
pub const PROTOCOL_VERSION: u32 = 1;

/// Longest line in either direction that a request may have, in bytes. It holds the largest
/// configuration.
pub const LINE_BYTES_MAX: usize = 1024 * 1024;

/// Longest line of a reply, in bytes: a status of the largest cluster, or a configuration whose
/// every byte is escaped.
pub const REPLY_BYTES_MAX: usize = 16 * 1024 * 1024;
