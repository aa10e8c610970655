//! Stop: ask everything that the command started to end, then kill what is left, and return
//! only when nothing of it lives.

use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::members::Members;
use super::output;
use super::record::Record;
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
    let mut members = Members::of(&record);
    signal(&members.look()?, asking);
    // A stopped process cannot heed the signal until it is continued.
    signal(&members.look()?, Signal::SIGCONT);
    if !wait_until_gone(&mut members, polite, &mut || {})? {
        let left = members.look()?;
        call.channel.progress(format!(
            "killing what did not end upon {asking}: {}",
            procfs::describe_all(&left)
        ));
        let left = kill_all(&mut members, deadline, &mut || {})?;
        if !left.is_empty() {
            return Err(Failure::generic(cannot_be_killed(&left)));
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

/// Who is left after a kill, and why.
pub(crate) fn cannot_be_killed(left: &[i32]) -> String {
    format!(
        "cannot be killed: {}; it waits in the kernel, for a disk or a server",
        procfs::describe_all(left)
    )
}

/// Kills again and again, since a dying family may still fork; who is left when the time is over.
pub(crate) fn kill_all(
    members: &mut Members,
    deadline: Deadline,
    collect: &mut dyn FnMut(),
) -> Result<Vec<i32>, Failure> {
    let mut pause = Pause::new();
    loop {
        let left = members.look()?;
        if left.is_empty() {
            return Ok(left);
        }
        signal(&left, Signal::SIGKILL);
        collect();
        if !pause.sleep(deadline) {
            return members.look();
        }
    }
}

/// Waits until no member lives. The main process is looked at often, all others once it is gone.
pub(crate) fn wait_until_gone(
    members: &mut Members,
    deadline: Deadline,
    collect: &mut dyn FnMut(),
) -> Result<bool, Failure> {
    let mut pause = Pause::new();
    loop {
        collect();
        if !members.record.main_is_alive() && members.look()?.is_empty() {
            return Ok(true);
        }
        if !pause.sleep(deadline) {
            return Ok(false);
        }
    }
}

pub(crate) const AFTER_FAILED_START: Duration = Duration::from_millis(500);
/// Of the time that is left; the rest is for killing.
const SHARE_OF_ASKING: f64 = 0.8;
