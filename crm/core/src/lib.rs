//! `crm-core`: the cluster logic as a pure state machine.
//!
//! **The drain invariant.** A shell calls [`Node::handle`] with the present time and one
//! [`Input`], then takes every [`Output`] from `poll_output` until there is none, carries them out
//! in order, and calls `handle` again when something happens or when `deadline` has come. Nothing
//! else moves a node: no clock, no socket, no file, no thread, no randomness of its own. The same
//! inputs give the same outputs, which is what makes the simulator's proof a proof.

// No panic on any input.
#![cfg_attr(not(test), warn(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod digest;
pub mod event;
pub mod execute;
pub mod id;
pub mod model;
pub mod operation;
pub mod operator;
pub mod packet;
pub mod place;
pub mod record;
pub mod rules;
pub mod status;
pub mod time;

mod commands;
mod coordinator;
mod detect;
mod election;
mod exchange;
mod exposure;
mod fencing;
mod fingerprint;
mod follow;
mod input;
mod lease;
mod leave;
mod link;
mod node;
mod output;
mod peer;
mod persist;
mod plan;
mod plausible;
mod quorum;
mod refused;
mod run;
pub mod same;
mod session;
mod silence;
mod stranger;
mod stuck;
mod view;
mod watchdog;

pub use input::{FenceResult, Input, Shutdown};
pub use node::{Node, Start};
pub use output::{Destination, Output, WatchdogDuty};
pub use refused::Refused;
