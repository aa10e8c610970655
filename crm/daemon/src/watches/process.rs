//! `watch process PID`, by a pidfd.

use super::{Owner, changed};
use crate::happening::Tell;
use tokio::io::Interest;
use tokio::task::AbortHandle;

pub(super) fn watch(tell: Tell, owner: Owner, pid: i32) -> AbortHandle {
    // Opened now, not when the task first runs: the number could be somebody else's by then.
    let pidfd =
        crate::sys::pidfd_open(pid).and_then(|fd| crate::sys::register(fd, Interest::READABLE));
    let task = tokio::task::spawn_local(async move {
        let what = match pidfd {
            Ok(pidfd) => match pidfd.readable().await {
                Ok(_) => format!("process {pid} ended"),
                Err(error) => format!("process {pid} cannot be watched: {error}"),
            },
            Err(error) => format!("process {pid} cannot be watched: {error}"),
        };
        changed(&tell, &owner, what);
    });
    task.abort_handle()
}
