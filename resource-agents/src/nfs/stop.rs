//! Stop: the threads first, so that no client is told that something is not there; then the exports and the programs.
//! With the threads go open files and locks, so that the volume can be unmounted.

use std::time::Duration;

use nix::sys::signal::Signal;

use super::parts::{self, Parts};
use super::{Server, exports, kernel};
use crate::contract::{Call, Failure, Outcome};
use crate::procfs;
use crate::running::stop;

pub(super) fn stop(call: &Call, server: &Server) -> Outcome {
    let deadline = call.context.deadline;
    let parts = Parts::load(call)?;
    if parts.is_ours() {
        kernel::stop_threads(deadline)?;
    }
    // Also where somebody else serves: below this mount point nothing may be held.
    exports::remove_below(&server.mount, deadline)?;
    for name in [parts::ANSWERS, parts::REMEMBERS] {
        stop::stop(&call.part(name), Signal::SIGTERM, PATIENCE)?;
    }
    let left = Parts::load(call)?.alive();
    match left.is_empty() {
        true => Ok(()),
        false => Err(Failure::generic(format!("still running: {}", procfs::describe_all(&left)))),
    }
}

/// Neither has anything to write when it ends.
const PATIENCE: Duration = Duration::from_secs(3);
