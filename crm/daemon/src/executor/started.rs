//! What was started here since the machine booted and not stopped in order: a small file in the run directory.
//!
//! An agent that is gone has not started anything, says the core, and a daemon that starts knows of nothing that
//! ran before it. But an agent can be taken away under what runs: then its absence proves nothing.

use super::journal::Journal;
use crm_core::operation::{Action, OpOutcome, OpResult, Operation};
use std::fs;
use std::io;
use std::path::PathBuf;

/// OCF's "what this needs is not installed here", as an agent says it itself.
const NOT_INSTALLED: i32 = 5;

impl Journal {
    /// Before a start is called.
    ///
    /// # Errors
    /// Without the note nothing may be started.
    pub(super) fn note_start(&self, operation: &Operation) -> io::Result<()> {
        match operation.action {
            Action::Start | Action::Promote => fs::write(self.note(operation), ""),
            _ => Ok(()),
        }
    }

    /// After a call: forgets what is proved not to run, and takes no word of an agent that is not there for what it
    /// may have started.
    pub(super) fn hold_against_starts(&self, operation: &Operation, result: OpResult) -> OpResult {
        let looked = operation.action == Action::Status;
        let stopped = match result.outcome {
            OpOutcome::NotRunning => true,
            OpOutcome::Done => operation.action == Action::Stop,
            _ => false,
        };
        if stopped {
            let _ = fs::remove_file(self.note(operation));
        }
        let gone = matches!(
            result.outcome,
            OpOutcome::Missing | OpOutcome::Failed { code: NOT_INSTALLED }
        );
        // One that cannot be looked for may be there.
        if !(looked && gone) || self.note(operation).try_exists().is_ok_and(|there| !there) {
            return result;
        }
        let why = result.reason.map(|reason| format!(": {reason}")).unwrap_or_default();
        let reason = format!(
            "it was started here and may still run, but its agent is not there or not complete{why}"
        );
        OpResult { outcome: OpOutcome::Failed { code: 1 }, reason: Some(reason), ..result }
    }

    fn note(&self, operation: &Operation) -> PathBuf {
        let name = format!("{}\0{}", operation.group, operation.resource);
        self.directory()
            .join(format!("{:032x}.started", crm_core::digest::digest(name.as_bytes()).0))
    }
}
