//! Stop: ask everything that the command started to end, then kill what is left, and return
//! only when nothing of it lives.

use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::record::Record;
use super::{members, output};
use crate::contract::{Call, Failure, Outcome};
use crate::deadline::{Deadline, Pause};
use crate::procfs;

pub(crate) fn stop(call: &Call, asking: Signal, patience: Duration) -> Outcome {
    let Some(record) = Record::load(&call.context)? else {
        call.channel.progress("it has not been started here");
        return Record::remove(&call.context);
    };
    let deadline = call.context.deadline;
    let polite = deadline.at_most(patience.min(deadline.remaining().mul_f64(SHARE_OF_ASKING)));
    signal(&members::find(&record), asking);
    // A stopped process cannot heed the signal until it is continued.
    signal(&members::find(&record), Signal::SIGCONT);
    if !wait_until_gone(&record, polite, &mut || {}) {
        let left = members::find(&record);
        call.channel.progress(format!(
            "killing what did not end upon {asking}: {}",
            procfs::describe_all(&left)
        ));
        if !kill_all(&record, deadline, &mut || {}) {
            return Err(Failure::generic(format!(
                "cannot be killed: {}; it waits in the kernel, for a disk or a server",
                procfs::describe_all(&members::find(&record))
            )));
        }
    }
    output::remove(&call.context);
    Record::remove(&call.context)
}

pub(crate) fn signal(pids: &[i32], signal: Signal) {
    for pid in pids {
        // It may have gone meanwhile.
        let _ = kill(Pid::from_raw(*pid), signal);
    }
}

/// Kills again and again, since a dying family may still fork; true once nothing lives.
pub(crate) fn kill_all(record: &Record, deadline: Deadline, collect: &mut dyn FnMut()) -> bool {
    let mut pause = Pause::new();
    loop {
        let left = members::find(record);
        if left.is_empty() {
            return true;
        }
        signal(&left, Signal::SIGKILL);
        collect();
        if !pause.sleep(deadline) {
            return members::find(record).is_empty();
        }
    }
}

/// Waits until no member lives. The main process is looked at often, all others once it is gone.
pub(crate) fn wait_until_gone(
    record: &Record,
    deadline: Deadline,
    collect: &mut dyn FnMut(),
) -> bool {
    let mut pause = Pause::new();
    loop {
        collect();
        if !record.main_is_alive() && members::find(record).is_empty() {
            return true;
        }
        if !pause.sleep(deadline) {
            return false;
        }
    }
}

pub(crate) const AFTER_FAILED_START: Duration = Duration::from_millis(500);
/// Of the time that is left; the rest is for killing.
const SHARE_OF_ASKING: f64 = 0.8;
