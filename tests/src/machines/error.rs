//! What can go wrong in the laboratory itself. A failing product shows as [`LabError::Unmet`] or
//! [`LabError::Failed`].

use std::path::PathBuf;
use std::time::Duration;

/// An error of the laboratory, with what was expected and what was found.
///
/// Its debug form is its message: tests unwrap, and a failing test must be readable.
#[derive(thiserror::Error)]
pub enum LabError {
    /// A file or a socket of the laboratory.
    #[error("{what}: {source}")]
    Io {
        /// What was being done.
        what: String,
        /// The system's answer.
        source: std::io::Error,
    },
    /// The images to boot from are not there.
    #[error(
        "expected the machines' images in {}, found none; run tests/machines/prepare (or tests/run machines)",
        .0.display()
    )]
    NotPrepared(PathBuf),
    /// The product's Debian package is not there.
    #[error("expected the package in {}, found none; run dist/build-deb (or tests/run machines)", .0.display())]
    NoPackage(PathBuf),
    /// Nothing came in time.
    #[error("{what}: nothing within {} s; last seen: {last}", .waited.as_secs())]
    Silent {
        /// What was waited for.
        what: String,
        /// How long.
        waited: Duration,
        /// What had come until then.
        last: String,
    },
    /// The other end went away: the machine has lost power or was never on.
    #[error("{0}: the machine is not there (switched off?)")]
    Gone(String),
    /// A command in a machine ended with an exit code that was not expected.
    #[error("{machine}: `{command}` ended with {code}:\n{text}")]
    Failed {
        /// The machine.
        machine: String,
        /// The command.
        command: String,
        /// Its exit code.
        code: i32,
        /// What it printed on both its outputs.
        text: String,
    },
    /// A condition did not come true in time.
    #[error("{machine}: `{command}` was not met within {} s; last exit code {code}:\n{text}", .waited.as_secs())]
    Unmet {
        /// The machine.
        machine: String,
        /// The command that tells whether the condition holds.
        command: String,
        /// How long it was tried.
        waited: Duration,
        /// The last exit code.
        code: i32,
        /// What it printed the last time.
        text: String,
    },
    /// The emulator refused something.
    #[error("{machine}: the emulator refused `{command}`: {answer}")]
    Refused {
        /// The machine.
        machine: String,
        /// The emulator's command.
        command: String,
        /// Its answer.
        answer: String,
    },
}

impl LabError {
    /// Wraps an I/O error with what was being done, for `map_err`.
    pub fn io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }
}

impl std::fmt::Debug for LabError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

/// Result of a laboratory operation.
pub type Result<T> = std::result::Result<T, LabError>;
