//! Stop: a clean shutdown, else a kill, and success only when no server works in the directory.

use nix::sys::signal::Signal;

use super::{Instance, servers, status};
use crate::contract::{Call, Failure, Outcome};
use crate::deadline::{Deadline, Pause};
use crate::procfs;
use crate::running::record::Record;
use crate::running::stop;
use crate::seen::{Seen, pids};

pub(super) fn stop(call: &Call, instance: &Instance) -> Outcome {
    let deadline = call.context.deadline;
    let patience = match call.parameters.text("stop_timeout") {
        Some(_) => call.parameters.duration("stop_timeout"),
        None => deadline.remaining(),
    };
    if Record::load(&call.context)?.is_some() {
        stop::stop(call, Signal::SIGTERM, patience)?;
    }
    // Those that somebody else started on this directory would hold its filesystem as well.
    let mut seen = Seen::default();
    let strangers = pids(&seen.look(|| servers::find(instance))?);
    if !strangers.is_empty() {
        call.channel.progress(format!(
            "shutting down what somebody else started in {}: {}",
            instance.datadir.display(),
            procfs::describe_all(&strangers)
        ));
        let polite = deadline.at_most(patience.min(deadline.remaining().mul_f64(SHARE_OF_ASKING)));
        stop::signal(&strangers, Signal::SIGTERM);
        if !wait(&mut seen, polite) {
            call.channel.progress("killing what did not shut down");
            stop::signal(&pids(seen.alive()), Signal::SIGKILL);
            wait(&mut seen, deadline);
        }
    }
    let left = seen.look(|| servers::find(instance))?;
    if !left.is_empty() {
        return Err(Failure::generic(format!(
            "expected no server in {}, found {}; if it cannot be killed it waits in the kernel, for a \
             disk",
            instance.datadir.display(),
            procfs::describe_all(&pids(&left))
        )));
    }
    status::forget_ready(call);
    Ok(())
}

fn wait(seen: &mut Seen, deadline: Deadline) -> bool {
    let mut pause = Pause::new();
    loop {
        if seen.alive().is_empty() {
            return true;
        }
        if !pause.sleep(deadline) {
            return false;
        }
    }
}

/// Of the time that is left; the rest is for killing.
const SHARE_OF_ASKING: f64 = 0.8;
