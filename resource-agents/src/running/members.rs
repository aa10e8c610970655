//! Everything that the command has started: its session and group, and what has left them but
//! still carries the mark in its environment.

use super::record::{Record, is_alive};
use crate::procfs::{self, Stat};

/// The name of the variable that marks what the command has started.
pub(crate) const MARK: &str = "CRM_PROCESS";

/// All living members, without the agent itself.
pub(crate) fn find(record: &Record) -> Vec<i32> {
    let own = std::process::id();
    let entry = format!("{MARK}={}", record.mark);
    // The kernel gives a session's number to nobody else while a member lives. Only if its
    // leader lives and is another process has the number been used again.
    let reused =
        Stat::of(record.session).is_some_and(|leader| leader.started != record.session_started);
    procfs::pids()
        .filter(|pid| *pid > 1 && u32::try_from(*pid) != Ok(own))
        .filter_map(Stat::of)
        .filter(|stat| !stat.is_dead())
        .filter(|stat| {
            let inside = stat.session == record.session || stat.group == record.session;
            (inside && !reused)
                || (stat.pid == record.pid && is_alive(record.pid, record.started))
                || carries(stat.pid, &entry)
        })
        .map(|stat| stat.pid)
        .collect()
}

fn carries(pid: i32, entry: &str) -> bool {
    procfs::read_bytes(format!("/proc/{pid}/environ"))
        .is_ok_and(|text| text.split(|byte| *byte == 0).any(|word| word == entry.as_bytes()))
}
