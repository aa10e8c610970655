//! Stop: a clean shutdown, else a kill, and success only when no server works in the directory.

use nix::sys::signal::Signal;

use super::servers::{self, Server};
use super::{Instance, status};
use crate::contract::{Call, Failure, Outcome};
use crate::deadline::{Deadline, Pause};
use crate::procfs;
use crate::running::record::Record;
use crate::running::stop;

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
    let strangers = servers::of(instance);
    if !strangers.is_empty() {
        call.channel.progress(format!(
            "shutting down what somebody else started in {}: {}",
            instance.datadir.display(),
            procfs::describe_all(&pids(&strangers))
        ));
        let polite = deadline.at_most(patience.min(deadline.remaining().mul_f64(SHARE_OF_ASKING)));
        signal(&strangers, Signal::SIGTERM);
        if !wait(&strangers, polite) {
            call.channel.progress("killing what did not shut down");
            signal(&strangers, Signal::SIGKILL);
            wait(&strangers, deadline);
        }
    }
    let left = servers::of(instance);
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

/// Only to the very processes that were found.
fn signal(servers: &[Server], signal: Signal) {
    let alive: Vec<Server> = servers.iter().copied().filter(|server| server.is_alive()).collect();
    stop::signal(&pids(&alive), signal);
}

fn wait(servers: &[Server], deadline: Deadline) -> bool {
    let mut pause = Pause::new();
    loop {
        if servers.iter().all(|server| !server.is_alive()) {
            return true;
        }
        if !pause.sleep(deadline) {
            return false;
        }
    }
}

fn pids(servers: &[Server]) -> Vec<i32> {
    servers.iter().map(|server| server.pid).collect()
}

/// Of the time that is left; the rest is for killing.
const SHARE_OF_ASKING: f64 = 0.8;
