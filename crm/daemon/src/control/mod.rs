//! The control socket: JSON lines, as `crm-api` says, for root, operators and readers.

mod connection;
mod describe;
mod listener;
mod peer;

pub(crate) use describe::describe;
pub(crate) use listener::{Control, Shared};

use crm_api::{Reply, Request};
use tokio::sync::oneshot;

/// A request that the event loop answers.
#[derive(Debug)]
pub(crate) struct Question {
    pub(crate) request: Request,
    /// Who asks, for the log: `alice (1000)`.
    pub(crate) who: String,
    pub(crate) answer: oneshot::Sender<Reply>,
}
