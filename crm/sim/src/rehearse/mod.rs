//! Rehearsals for the owner of one configuration: the real core under every fault that this
//! configuration can meet, and what each does to its groups.
//!
//! [`Subject`] is the configuration, [`every::single`] lists its faults, [`try_once`] runs one or
//! two of them from a seed, [`verify`] runs all and sums up, [`replay`] and [`simulate`] tell one
//! run as a story. Only the sound rules are ever used here.

mod case;
mod draw;
pub mod every;
mod fault;
mod pace;
mod report;
mod strike;
mod subject;
mod tell;
mod token;
mod trial;
mod verify;
mod watch;

pub use case::Case;
pub use draw::draw;
pub use fault::{Assumption, Fault};
pub use pace::assumed;
pub use report::{Report, Row, Tally, Worst};
pub use subject::Subject;
#[cfg(test)]
pub(crate) use tell::decisions;
pub use tell::{Moment, replay, simulate};
pub use token::Token;
pub use trial::{End, GroupOutcome, Trial, try_once};
pub use verify::{Order, Progress, verify};
