//! Sealed datagrams: payload bytes in, authenticated bytes out, and back.
//!
//! This crate is pure. It opens no socket, reads no clock and makes no random
//! numbers: time comes in as microseconds, randomness as bytes. It reports
//! authenticated facts only (who sent, in which incarnation, with which
//! counter, what). Whether that incarnation is the live one, whether the
//! counter is fresh and whether the packet echoes us is judged by the core.
//!
//! The packet format and the promises are described in `docs/wire.md`.
//!
//! Read in this order: [`AuthKeys`] (the key file), [`Endpoint`] (seal and
//! open), [`Reject`] (why a datagram was dropped).

// No panic on any input.
#![cfg_attr(not(test), warn(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod authkeys;
mod base64;
mod cluster_id;
mod endpoint;
mod fragment;
mod header;
mod import;
mod keyfile;
mod open;
mod reassembly;
mod reject;
mod rotation;
mod seal;
mod secret;
mod sender_keys;

pub use authkeys::{AuthKey, AuthKeys, AuthKeysError, MAX_KEYS, ModeError, check_mode, generate};
pub use base64::Base64Error;
pub use cluster_id::ClusterId;
pub use endpoint::{Endpoint, EndpointError};
pub use fragment::{MAX_FRAGMENTS, MAX_MESSAGE, chunk_size};
pub use header::{MAJOR_VERSION, MAX_DATAGRAM, MAX_NAME, NameError, check_name, named_cluster};
pub use import::{HeartbeatKey, HeartbeatKeys, ImportWarning, Method, import_authkeys};
pub use keyfile::{KeyFileProblem, KeyId};
pub use open::Opened;
pub use reassembly::{
    MAX_BYTES_IN_FLIGHT, MAX_MESSAGES_PER_SENDER, REASSEMBLY_EXPIRY_US, ReassemblyCounters,
};
pub use reject::{Reject, RejectCounters};
pub use rotation::{RotationError, add_key, drop_key, switch_sending};
pub use seal::SealError;
pub use secret::Secret;
pub use sender_keys::{MAX_INCARNATIONS_PER_SENDER, MAX_SENDERS};
