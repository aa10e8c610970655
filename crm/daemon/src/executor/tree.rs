//! The processes of one agent call, however they forked, and their end.
//!
//! The daemon is a child subreaper, so whoever leaves the tree of an agent becomes a child of the
//! daemon; it is known by its session, and by the variable that marks the call. Where the call has
//! a cgroup, that counts too and cannot be escaped by forking.

use super::cgroup::Cgroup;
use super::environ::{self, Environ};
use super::environment::TOKEN;
use super::procfs::{self, Stat};
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::io;
use std::rc::Rc;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// How long the kernel may take to end killed processes before somebody is told.
pub(crate) const DEATH_PATIENCE: Duration = Duration::from_secs(if cfg!(test) { 1 } else { 10 });

/// How long a child without an environment is taken for one that is just being started.
pub(super) const STARTING: Duration = Duration::from_millis(50);

/// The processes of one call.
#[derive(Clone, Debug)]
pub(crate) struct Tree {
    /// First process: leads the session.
    pub(crate) leader: i32,
    /// When it was started, as `/proc` counts; nothing older is its offspring.
    pub(crate) since: Option<u64>,
    token: String,
    cgroup: Option<Cgroup>,
    _leads: Rc<Leads>,
}

thread_local! {
    /// The first processes of all calls, by number and start: none of them is of another call.
    static LEADERS: RefCell<BTreeSet<(i32, u64)>> = const { RefCell::new(BTreeSet::new()) };
}

/// As long as a call has a tree, its first process is known as such.
#[derive(Debug)]
struct Leads(Option<(i32, u64)>);

impl Leads {
    fn new(leader: i32, since: Option<u64>) -> Leads {
        let who = since.map(|since| (leader, since));
        LEADERS.with_borrow_mut(|all| all.extend(who));
        Leads(who)
    }
}

impl Drop for Leads {
    fn drop(&mut self) {
        if let Some(who) = self.0 {
            // At the end of the thread there is nothing to take it from.
            let _ = LEADERS.try_with(|all| all.borrow_mut().remove(&who));
        }
    }
}

/// What a look at the processes has found.
#[derive(Debug, Default)]
struct Found {
    ours: Vec<Stat>,
    /// They hang, and so nobody can tell whose they are: not to be killed, and not to be overlooked.
    unknown: Vec<Stat>,
    /// Why there may be more.
    unseen: Option<io::Error>,
    /// The children of this daemon that were there, by number and start, and whether they had ended.
    listed: BTreeSet<(i32, u64, bool)>,
    /// Somebody among them ended before it was known whose it is: it may have forked.
    vanished: bool,
}

impl Found {
    fn is_empty(&self) -> bool {
        self.ours.is_empty() && self.unknown.is_empty() && self.unseen.is_none()
    }

    fn text(&self) -> String {
        let pids = self.ours.iter().chain(&self.unknown).map(|stat| stat.pid.to_string());
        let unseen = self.unseen.iter().map(|error| format!("/proc cannot be read: {error}"));
        let all: Vec<String> = pids.chain(unseen).collect();
        if all.is_empty() { "unknown".to_owned() } else { all.join(", ") }
    }
}

impl Tree {
    pub(crate) fn new(
        leader: i32,
        since: Option<u64>,
        token: String,
        cgroup: Option<Cgroup>,
    ) -> Tree {
        Tree { leader, since, token, cgroup, _leads: Rc::new(Leads::new(leader, since)) }
    }

    /// What marks the processes of this call.
    pub(crate) fn token(&self) -> &str {
        &self.token
    }

    /// Those that still live, except what cannot be known (see the module's text).
    async fn alive(&self) -> Found {
        let mut found = Found::default();
        if let Err(error) = self.look(&mut found).await {
            found.unseen = Some(error);
        }
        found
    }

    /// # Errors
    /// There may be more than what was found: they cannot be seen.
    async fn look(&self, found: &mut Found) -> io::Result<()> {
        let mut seen = BTreeSet::new();
        let mut queue: Vec<i32> = vec![self.leader];
        for stat in self.orphans()? {
            found.listed.insert((stat.pid, stat.started, stat.zombie));
            if stat.session == self.leader && self.has_its_number()? {
                queue.push(stat.pid);
                continue;
            }
            if stat.zombie {
                continue;
            }
            let environ = environ::of(&stat).await;
            let Some(now) = procfs::stat(stat.pid)?.filter(|now| lives_on(&stat, now)) else {
                found.vanished = true;
                continue;
            };
            match self.is_ours(&now, &environ) {
                Some(true) => queue.push(stat.pid),
                // The cgroup knows its own.
                None if self.cgroup.is_none() => found.unknown.push(stat),
                _ => {}
            }
        }
        while let Some(pid) = queue.pop() {
            if !seen.insert(pid) {
                continue;
            }
            let Some(stat) = procfs::stat(pid)? else { continue };
            if pid == self.leader && !(stat.session == self.leader && self.has_its_number()?) {
                continue;
            }
            if !stat.zombie {
                found.ours.push(stat);
            }
            queue.extend(procfs::children(pid)?);
        }
        Ok(())
    }

    /// Children of this daemon that may be of this call.
    fn orphans(&self) -> io::Result<Vec<Stat>> {
        let mut found = Vec::new();
        for pid in procfs::children(std::process::id().cast_signed())? {
            let stat = procfs::stat(pid)?;
            found.extend(stat.filter(|stat| self.may_have(stat)));
        }
        Ok(found)
    }

    fn may_have(&self, stat: &Stat) -> bool {
        let leads_another = pid_leads(stat) && stat.pid != self.leader;
        !leads_another && self.since.is_none_or(|since| stat.started >= since)
    }

    /// The leader's number may have gone to a stranger once it was reaped.
    fn has_its_number(&self) -> io::Result<bool> {
        self.since.map_or(Ok(true), |since| procfs::is_or_was(self.leader, since))
    }

    /// What the environment of one outside the session tells, and how the process was just after it was read. `None`: it
    /// cannot be known.
    fn is_ours(&self, now: &Stat, environ: &Environ) -> Option<bool> {
        match environ {
            // Without its memory it is ending. One that hangs there may still write what it was told to, and so may a
            // thread that is left. Older kernels show nothing then, instead of an error.
            Environ::Gone => None,
            Environ::Read(bytes) if bytes.is_empty() && (now.exiting || now.half) => None,
            known => known.has(TOKEN, &self.token),
        }
    }

    /// Whether nothing is left.
    pub(crate) async fn is_empty(&self) -> bool {
        !self.may_be_starting().await && self.seems_empty().await
    }

    /// One look is not enough where there is no cgroup. Who is forked between its two halves, by somebody who ends in
    /// that moment, shows in neither, but in the next; and so on, if that one does the same. And of an environment the
    /// kernel shows only the beginning when its process ends meanwhile. So nobody may have come, or gone, in between.
    async fn seems_empty(&self) -> bool {
        if let Some(cgroup) = &self.cgroup {
            return !cgroup.is_populated() && self.alive().await.is_empty();
        }
        let first = self.alive().await;
        if !first.is_empty() || first.vanished {
            return false;
        }
        let second = self.alive().await;
        second.is_empty() && !second.vanished && second.listed.is_subset(&first.listed)
    }

    /// Whether a child of this daemon cannot be told from ours yet: it left the session and its new program is
    /// just being set up, and for that moment has no environment. So has one that was started without any, for good.
    /// A cgroup knows it all the same.
    async fn may_be_starting(&self) -> bool {
        if self.cgroup.is_some() {
            return false;
        }
        let Ok(orphans) = self.orphans() else { return true };
        for stat in orphans.into_iter().filter(|stat| !stat.zombie) {
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
            if !starting && self.seems_empty().await {
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

/// Whether it is the first process of a call.
fn pid_leads(stat: &Stat) -> bool {
    LEADERS.with_borrow(|all| all.contains(&(stat.pid, stat.started)))
}

/// The same process, and not done.
fn lives_on(before: &Stat, now: &Stat) -> bool {
    now.started == before.started && !now.zombie
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
            let stat = procfs::stat(stranger.id().cast_signed()).expect("seen");
            let stat = stat.expect("it sleeps");
            if stat.session == stat.pid {
                break stat;
            }
            assert!(begun.elapsed() < Duration::from_secs(20), "setsid(1) makes a session");
        };
        let tree = |since: u64| Tree::new(stat.pid, Some(since), "none of these".to_owned(), None);
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
        let (own, other) = runtime.block_on(async {
            (tree(stat.started).alive().await.ours, tree(stat.started - 1).alive().await.ours)
        });
        let _ = stranger.kill();
        let _ = stranger.wait();
        assert_eq!((own, other), (vec![stat], vec![]));
    }

    #[test]
    fn i1_what_cannot_be_seen_has_not_ended() {
        let mut child = Command::new("true").spawn().expect("child");
        let _ = child.wait();
        let pid = child.id().cast_signed();
        // Nothing of what other tests run.
        let tree = move || Tree::new(pid, Some(u64::MAX), "gone.2".to_owned(), None);
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
        assert_eq!(runtime.block_on(tree().end(DEATH_PATIENCE)), Ok(()));
        let (is_empty, ended) = crate::testing::without_descriptors(move || {
            runtime.block_on(async {
                (tree().is_empty().await, tree().end(Duration::from_millis(1)).await)
            })
        });
        assert!(!is_empty);
        assert!(ended.is_err_and(|text| text.contains("/proc cannot be read")));
    }
}
