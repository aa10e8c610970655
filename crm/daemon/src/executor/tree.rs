//! The processes of one agent call, however they forked, and their end.
//!
//! The daemon is a child subreaper, so whoever leaves the tree of an agent becomes a child of the
//! daemon; it is known by its session, and by the variable that marks the call. Where the call has
//! a cgroup, that counts too and cannot be escaped by forking.

use super::cgroup::Cgroup;
use super::environment::TOKEN;
use super::procfs::{self, Stat};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// How long the kernel may take to end killed processes before somebody is told.
pub(crate) const DEATH_PATIENCE: Duration = Duration::from_secs(if cfg!(test) { 1 } else { 10 });

/// How long a child without an environment is taken for one that is just being started.
const STARTING: Duration = Duration::from_millis(50);

/// The processes of one call.
#[derive(Clone, Debug)]
pub(crate) struct Tree {
    /// First process: leads the session.
    pub(crate) leader: i32,
    pub(crate) token: String,
    pub(crate) cgroup: Option<Cgroup>,
}

impl Tree {
    /// Those that still live, except what cannot be known (see the module's text).
    pub(crate) fn alive(&self) -> Vec<Stat> {
        let mut found = BTreeMap::new();
        let mut seen = BTreeSet::new();
        let me = std::process::id().cast_signed();
        let mut queue: Vec<i32> = vec![self.leader];
        queue.extend(procfs::children(me).into_iter().filter(|pid| self.is_ours(*pid)));
        while let Some(pid) = queue.pop() {
            if !seen.insert(pid) {
                continue;
            }
            let Some(stat) = procfs::stat(pid) else { continue };
            // The leader's number may have gone to a stranger once it was reaped.
            if pid == self.leader && stat.session != self.leader {
                continue;
            }
            if !stat.zombie {
                found.insert(pid, stat);
            }
            queue.extend(procfs::children(pid));
        }
        found.into_values().collect()
    }

    fn is_ours(&self, pid: i32) -> bool {
        procfs::stat(pid).is_some_and(|stat| stat.session == self.leader)
            || procfs::has_variable(pid, TOKEN, &self.token)
    }

    /// Whether anything is left.
    pub(crate) fn is_empty(&self) -> bool {
        !self.cgroup.as_ref().is_some_and(Cgroup::is_populated) && self.alive().is_empty()
    }

    /// Whether a child of this daemon cannot be told from ours yet: it left the session and its new program is
    /// just being set up. A cgroup knows it all the same.
    fn may_be_starting(&self) -> bool {
        let me = std::process::id().cast_signed();
        self.cgroup.is_none() && procfs::children(me).into_iter().any(procfs::may_be_starting)
    }

    fn kill(&self) {
        if let Some(cgroup) = &self.cgroup {
            cgroup.kill();
        }
        for stat in self.alive() {
            procfs::kill(&stat);
        }
    }

    /// Kills until nothing is left.
    ///
    /// # Errors
    /// The processes that still live after `patience`, if there are any: they hang in the kernel.
    pub(crate) async fn end(&self, patience: Duration) -> Result<(), String> {
        let begun = Instant::now();
        let mut pause = Duration::from_millis(1);
        loop {
            self.kill();
            if self.is_empty() && !(begun.elapsed() < STARTING && self.may_be_starting()) {
                return Ok(());
            }
            if begun.elapsed() >= patience {
                let pids: Vec<String> = self.alive().iter().map(|s| s.pid.to_string()).collect();
                return Err(if pids.is_empty() { "unknown".to_owned() } else { pids.join(", ") });
            }
            sleep(pause).await;
            pause = (pause * 2).min(Duration::from_millis(100));
        }
    }

    /// Removes the cgroup if nobody is inside; else the sweep does it one day.
    pub(crate) fn tidy(&self) {
        if let Some(cgroup) = &self.cgroup {
            let _ = cgroup.remove();
        }
    }
}
