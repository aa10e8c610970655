//! Everything that the command has started: its session and group, and what has left them but
//! still carries the mark in its environment.

use super::record::{Record, is_alive};
use crate::contract::Failure;
use crate::procfs::{self, Stat};
use crate::seen::{self, Process, Seen};

/// The name of the variable that marks what the command has started.
pub(crate) const MARK: &str = "CRM_PROCESS";

/// The members of one record, over several looks.
pub(crate) struct Members<'a> {
    pub(crate) record: &'a Record,
    seen: Seen,
}

impl Members<'_> {
    pub(crate) fn of(record: &Record) -> Members<'_> {
        Members { record, seen: Seen::default() }
    }

    /// All that live, without the agent itself.
    ///
    /// # Errors
    /// They cannot be seen.
    pub(crate) fn look(&mut self) -> Result<Vec<i32>, Failure> {
        self.seen.look(|| find(self.record)).map(|found| seen::pids(&found))
    }
}

fn find(record: &Record) -> Result<Vec<Process>, Failure> {
    let own = std::process::id();
    let entry = format!("{MARK}={}", record.mark);
    // The kernel gives a session's number to nobody else while a member lives. Only if its
    // leader lives and is another process has the number been used again.
    let reused =
        Stat::of(record.session).is_some_and(|leader| leader.started != record.session_started);
    let found = procfs::pids()?
        .into_iter()
        .filter(|pid| *pid > 1 && u32::try_from(*pid) != Ok(own))
        .filter_map(Stat::of)
        .filter(|stat| !stat.is_dead())
        .filter(|stat| {
            let inside = stat.session == record.session || stat.group == record.session;
            (inside && !reused)
                || (stat.pid == record.pid && is_alive(record.pid, record.started))
                || carries(stat, &entry)
        })
        .map(Process::from)
        .collect();
    Ok(found)
}

fn carries(stat: &Stat, entry: &str) -> bool {
    procfs::read_bytes(stat.directory().join("environ"))
        .is_ok_and(|text| text.split(|byte| *byte == 0).any(|word| word == entry.as_bytes()))
}
