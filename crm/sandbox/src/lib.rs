//! Nodes out of namespaces of this machine, for `crm demo` and for the tests.
//!
//! A node is a set of namespaces (network, mounts, host name, processes) that lives as long as
//! the process that keeps it, so nothing is left behind, whatever happens to the owner. Uses
//! `unshare`, `nsenter` and `ip`, which every Debian has.

// No panic on any input.
#![cfg_attr(not(test), warn(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod keeper;
mod network;
mod power;

pub use keeper::Keeper;
pub use network::{add_port, ip, make_bridge};
pub use power::{FenceMode, Power, SharedPower, Switchboard, script};
