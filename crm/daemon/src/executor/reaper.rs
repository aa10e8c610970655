//! Reaps the processes that became children of this daemon because whoever started them ended.

use super::launch::Awaited;
use super::procfs;
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::Pid;

/// Reaps orphans, never a child that somebody waits for.
#[derive(Debug)]
pub(crate) struct Reaper {
    awaited: Awaited,
}

impl Reaper {
    /// Becomes the parent of every process that leaves the tree of an agent.
    ///
    /// # Errors
    /// The kernel does not offer it.
    pub(crate) fn adopt_orphans(awaited: Awaited) -> nix::Result<Reaper> {
        nix::sys::prctl::set_child_subreaper(true)?;
        Ok(Reaper { awaited })
    }

    /// After each `SIGCHLD`.
    pub(crate) fn reap(&self) {
        let me = std::process::id().cast_signed();
        // Who cannot be seen now is reaped with the next one.
        for pid in procfs::children(me).unwrap_or_default() {
            let is_orphan = !self.awaited.borrow().contains(&pid);
            if is_orphan && procfs::stat(pid).is_ok_and(|stat| stat.is_some_and(|s| s.zombie)) {
                let _ = waitpid(Pid::from_raw(pid), Some(WaitPidFlag::WNOHANG));
            }
        }
    }
}
