//! Our own resource agents and the agent's side of the contract.
//!
//! - [`main_from_args`] is the whole multi-call program; any binary may embed it.
//! - [`meta_data`] describes a built-in agent: the daemon, the configuration checker and the
//!   command line read it.
//! - [`contract`] is what every agent obeys: actions, exit codes, parameters, descriptor 3.
//! - [`conformance`] runs an agent (ours, OCF, anybody's) through that contract.
//! - [`drbd`] asks DRBD's tools on this machine.
//! - [`systemd`] speaks to systemd.
//! - [`ocf`] reads the meta-data of OCF agents into the same type.

// No panic on any input.
#![cfg_attr(not(test), warn(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod conformance;
pub mod contract;
pub mod drbd;
pub mod metadata;
pub mod ocf;
pub mod systemd;

mod apache;
mod channel;
mod child;
mod deadline;
mod duration;
mod filesystem;
mod http;
mod line;
mod mysql;
mod nfs;
mod oracle;
mod process;
mod procfs;
mod program;
mod running;
mod samba;
mod seen;
mod state;
mod syscall;
mod tcp;
mod tomcat;
mod vip;

pub use duration::parse_duration;
pub use metadata::MetaData;
pub use program::{BUILTIN, is_builtin, main_from_args, meta_data};
