//! The processes of one agent call, however they forked, and their end.
//!
//! The daemon is a child subreaper, so whoever leaves the tree of an agent becomes a child of the
//! daemon; it is known by its session, and by the variable that marks the call. Where the call has
//! a cgroup, that counts too and cannot be escaped by forking.

use super::cgroup::Cgroup;
use super::environ::{self, Environ};
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
    /// When it was started, as `/proc` counts; nothing older is its offspring.
    pub(crate) since: Option<u64>,
    pub(crate) token: String,
    pub(crate) cgroup: Option<Cgroup>,
}

/// What a look at the processes has found.
#[derive(Clone, Debug, Default)]
struct Found {
    ours: Vec<Stat>,
    /// They hang, and so nobody can tell whose they are: not to be killed, and not to be overlooked.
    unknown: Vec<Stat>,
}

impl Found {
    fn is_empty(&self) -> bool {
        self.ours.is_empty() && self.unknown.is_empty()
    }

    fn text(&self) -> String {
        let pids: Vec<String> =
            self.ours.iter().chain(&self.unknown).map(|stat| stat.pid.to_string()).collect();
        if pids.is_empty() { "unknown".to_owned() } else { pids.join(", ") }
    }
}

impl Tree {
    /// Those that still live, except what cannot be known (see the module's text).
    async fn alive(&self) -> Found {
        let mut found = BTreeMap::new();
        let mut unknown = Vec::new();
        let mut seen = BTreeSet::new();
        let mut queue: Vec<i32> = vec![self.leader];
        for stat in self.orphans() {
            match self.is_ours(&stat).await {
                Some(true) => queue.push(stat.pid),
                // The cgroup knows its own.
                None if self.cgroup.is_none() && !stat.zombie => unknown.push(stat),
                _ => {}
            }
        }
        while let Some(pid) = queue.pop() {
            if !seen.insert(pid) {
                continue;
            }
            let Some(stat) = procfs::stat(pid) else { continue };
            if pid == self.leader && !(stat.session == self.leader && self.has_its_number()) {
                continue;
            }
            if !stat.zombie {
                found.insert(pid, stat);
            }
            queue.extend(procfs::children(pid));
        }
        Found { ours: found.into_values().collect(), unknown }
    }

    /// Children of this daemon that may be of this call.
    fn orphans(&self) -> Vec<Stat> {
        let me = std::process::id().cast_signed();
        let all = procfs::children(me).into_iter().filter_map(procfs::stat);
        all.filter(|stat| self.since.is_none_or(|since| stat.started >= since)).collect()
    }

    /// The leader's number may have gone to a stranger once it was reaped.
    fn has_its_number(&self) -> bool {
        self.since.is_none_or(|since| procfs::is_or_was(self.leader, since))
    }

    /// `None`: it cannot be known.
    async fn is_ours(&self, stat: &Stat) -> Option<bool> {
        if stat.session == self.leader && self.has_its_number() {
            return Some(true);
        }
        environ::of(stat).await.has(TOKEN, &self.token)
    }

    /// Whether anything is left.
    pub(crate) async fn is_empty(&self) -> bool {
        !self.cgroup.as_ref().is_some_and(Cgroup::is_populated) && self.alive().await.is_empty()
    }

    /// Whether a child of this daemon cannot be told from ours yet: it left the session and its new program is
    /// just being set up, and for that moment has no environment. So has one that was started without any, for good.
    /// A cgroup knows it all the same.
    async fn may_be_starting(&self) -> bool {
        if self.cgroup.is_some() {
            return false;
        }
        for stat in self.orphans().into_iter().filter(|stat| !stat.zombie) {
            if environ::of(&stat).await == Environ::Read(Vec::new()) {
                return true;
            }
        }
        false
    }

    async fn kill(&self) {
        if let Some(cgroup) = &self.cgroup {
            cgroup.kill();
        }
        for stat in self.alive().await.ours {
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
            self.kill().await;
            let starting = begun.elapsed() < STARTING && self.may_be_starting().await;
            if !starting && self.is_empty().await {
                return Ok(());
            }
            if begun.elapsed() >= patience {
                return Err(self.alive().await.text());
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    /// The kernel gives the number of a process that is gone to another one.
    #[test]
    fn a_stranger_with_the_number_of_the_first_process_is_left_alone() {
        let mut stranger = Command::new("setsid").args(["sleep", "300"]).spawn().expect("child");
        let begun = std::time::Instant::now();
        let stat = loop {
            let stat = procfs::stat(stranger.id().cast_signed()).expect("it sleeps");
            if stat.session == stat.pid {
                break stat;
            }
            assert!(begun.elapsed() < Duration::from_secs(20), "setsid(1) makes a session");
        };
        let tree = |since: u64| Tree {
            leader: stat.pid,
            since: Some(since),
            token: "none of these".to_owned(),
            cgroup: None,
        };
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
        let (own, other) = runtime.block_on(async {
            (tree(stat.started).alive().await.ours, tree(stat.started - 1).alive().await.ours)
        });
        let _ = stranger.kill();
        let _ = stranger.wait();
        assert_eq!((own, other), (vec![stat], vec![]));
    }
}
