//! Errors of the client, and the exit codes of `crm` that follow from them.

use crate::message::{Problem, Refusal};
use crm_core::operator::Outcome;
use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

/// Exit codes of `crm` (design 4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    Done = 0,
    Failed = 1,
    Usage = 2,
    Refused = 3,
    TimedOut = 4,
    NoQuorum = 5,
    NoDaemon = 6,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit as u8)
    }
}

impl From<&Outcome> for Exit {
    fn from(outcome: &Outcome) -> Exit {
        match outcome {
            Outcome::Done { .. } => Exit::Done,
            Outcome::Refused { .. } => Exit::Refused,
            Outcome::NoQuorum { .. } => Exit::NoQuorum,
            Outcome::Unknown { .. } => Exit::TimedOut,
        }
    }
}

/// What can go wrong between a client and the daemon.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ApiError {
    /// Nobody listens.
    #[error(
        "no daemon answers at {path}: {source}\nhint: is it running? `systemctl status crmd`; \
         another socket is named by --socket or CRM_SOCKET"
    )]
    NoDaemon { path: PathBuf, source: io::Error },
    /// The user is not in the group of the socket.
    #[error(
        "not allowed to open {path}\nhint: root and members of the group `crm` may read; root and \
         `operators:` may change"
    )]
    NotAllowed { path: PathBuf },
    /// The daemon went away or did not answer in time.
    #[error("the daemon did not answer within {seconds} s")]
    TimedOut { seconds: u64 },
    #[error("the connection to the daemon broke: {0}")]
    Broken(#[source] io::Error),
    #[error("the daemon closed the connection without an answer")]
    Closed,
    #[error("protocol version {found}, this side speaks {known}: upgrade the older one")]
    Version { found: u32, known: u32 },
    #[error("{0}")]
    Protocol(String),
    #[error("the line has {bytes} bytes, at most {most} are allowed")]
    TooLong { bytes: usize, most: usize },
    /// The daemon's own words.
    #[error("{}{}", .0.reason, if .0.hint.is_empty() { String::new() } else { format!("\nhint: {}", .0.hint) })]
    Problem(Problem),
}

impl ApiError {
    /// The exit code that says so.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self {
            ApiError::NoDaemon { .. } | ApiError::Closed | ApiError::Broken(_) => Exit::NoDaemon,
            ApiError::NotAllowed { .. } => Exit::Refused,
            ApiError::TimedOut { .. } => Exit::TimedOut,
            ApiError::Version { .. } | ApiError::Protocol(_) => Exit::Failed,
            ApiError::TooLong { .. } => Exit::Usage,
            ApiError::Problem(problem) => match problem.kind {
                Refusal::BadRequest => Exit::Usage,
                Refusal::NotPermitted | Refusal::Limit => Exit::Refused,
                Refusal::TimedOut => Exit::TimedOut,
                Refusal::NotReady => Exit::NoDaemon,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crm_core::id::Stamp;

    #[test]
    fn every_outcome_has_the_exit_code_of_the_design() {
        let done = Outcome::Done { stamp: Stamp::default(), message: String::new() };
        let refused = Outcome::Refused { reason: String::new(), hint: String::new() };
        let no_quorum = Outcome::NoQuorum { reason: String::new() };
        let unknown = Outcome::Unknown { reason: String::new() };
        let codes =
            [&done, &refused, &no_quorum, &unknown].map(|outcome| Exit::from(outcome) as u8);
        assert_eq!(codes, [0, 3, 5, 4]);
    }
}
