//! `watch drbd RESOURCE`, by one `drbdsetup events2` for all resources of this node.
//!
//! It runs while something is watched. When it ends, or says what does not fit, it is started again;
//! its full dump then tells what has changed meanwhile.

use super::{Owner, changed};
use crate::happening::Tell;
use crate::sys::{Child, Spawn};
use crm_drbd::tracker::{Change, Tracker, What};
use nix::fcntl::OFlag;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::CString;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;
use tokio::task::AbortHandle;

const TOOL: &str = "drbdsetup";
const DIRECTORIES: &[&str] = &["/usr/sbin", "/sbin", "/usr/local/sbin"];
/// Between an end and the next start; longer and longer while it does not work at all.
const RETRY_FIRST: Duration = Duration::from_millis(200);
const RETRY_MAX: Duration = Duration::from_secs(10);
/// Longer than any line of DRBD.
const LINE_MAX: usize = 16 * 1024;

#[derive(Debug)]
pub(super) struct Drbd {
    tell: Tell,
    watched: Rc<RefCell<Watched>>,
    listening: Option<AbortHandle>,
    program: Option<PathBuf>,
}

/// Who watches a resource.
type Watched = BTreeMap<String, BTreeSet<Owner>>;

impl Drbd {
    pub(super) fn new(tell: Tell) -> Drbd {
        Drbd { tell, watched: Rc::default(), listening: None, program: None }
    }

    pub(super) fn add(&mut self, owner: &Owner, resource: &str) {
        let mut watched = self.watched.borrow_mut();
        watched.entry(resource.to_owned()).or_default().insert(owner.clone());
        drop(watched);
        if self.listening.is_none() {
            let (tell, watched) = (self.tell.clone(), self.watched.clone());
            let program = self.program.clone();
            let task =
                tokio::task::spawn_local(async move { follow(&tell, &watched, program).await });
            self.listening = Some(task.abort_handle());
        }
    }

    pub(super) fn remove(&mut self, owner: &Owner, resource: &str) {
        let mut watched = self.watched.borrow_mut();
        if let Some(owners) = watched.get_mut(resource) {
            owners.remove(owner);
            if owners.is_empty() {
                watched.remove(resource);
            }
        }
        if watched.is_empty()
            && let Some(task) = self.listening.take()
        {
            // Its child ends with it.
            task.abort();
        }
    }
}

/// Ends the child when nobody listens any more; the daemon reaps it as it does orphans.
struct Source(Child);

impl Drop for Source {
    fn drop(&mut self) {
        self.0.kill();
    }
}

async fn follow(tell: &Tell, watched: &RefCell<Watched>, program: Option<PathBuf>) {
    let mut tracker = Tracker::new();
    let mut pause = RETRY_FIRST;
    loop {
        tracker.restart();
        if let Some(program) = program.clone().or_else(find) {
            // What is wrong with it is told by `status`, which asks the same tool.
            let _ = listen(tell, watched, &mut tracker, &program).await;
        }
        let worked = tracker.picture().is_ok();
        pause = if worked { RETRY_FIRST } else { (pause * 2).min(RETRY_MAX) };
        tokio::time::sleep(pause).await;
    }
}

fn find() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let directories = std::env::split_paths(&path).filter(|directory| directory.is_absolute());
    let mut files = directories
        .chain(DIRECTORIES.iter().map(PathBuf::from))
        .map(|directory| directory.join(TOOL));
    files.find(|file| file.is_file())
}

/// Until it ends, or says what does not fit.
async fn listen(
    tell: &Tell,
    watched: &RefCell<Watched>,
    tracker: &mut Tracker,
    program: &std::path::Path,
) -> io::Result<()> {
    let (ears, mouth) = nix::unistd::pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK)?;
    blocking(&mouth)?;
    let nothing = || File::options().read(true).write(true).open("/dev/null").map(OwnedFd::from);
    let spawn = Spawn {
        program: CString::new(program.as_os_str().as_bytes())?,
        arguments: vec![c"drbdsetup".into(), c"events2".into()],
        environment: vec![c"LC_ALL=C".into(), c"PATH=/usr/sbin:/usr/bin:/sbin:/bin".into()],
        input: nothing()?,
        output: mouth,
        channel: nothing()?,
        cgroup: None,
        priority: None,
    };
    let source = Source(spawn.start()?);
    let mut ears = pipe::Receiver::from_owned_fd(ears)?;
    let mut text = Vec::new();
    let mut part = vec![0; 4096];
    loop {
        let length = ears.read(&mut part).await?;
        if length == 0 {
            // It has ended; what it was in the middle of saying counts for nothing.
            drop(source);
            return Ok(());
        }
        text.extend_from_slice(&part[..length]);
        while let Some(end) = text.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = text.drain(..=end).collect();
            let changes = tracker
                .line(&String::from_utf8_lossy(&line))
                .map_err(|lost| io::Error::new(io::ErrorKind::InvalidData, lost.to_string()))?;
            pass_on(tell, &watched.borrow(), &changes);
        }
        if text.len() > LINE_MAX {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "a line without end"));
        }
    }
}

/// The child writes as programs do: it waits.
fn blocking(pipe: &OwnedFd) -> io::Result<()> {
    nix::fcntl::fcntl(pipe, nix::fcntl::FcntlArg::F_SETFL(OFlag::empty()))?;
    Ok(())
}

/// One look for all that changed at once; counters are nothing to look at.
fn pass_on(tell: &Tell, watched: &Watched, changes: &[Change]) {
    let mut told = BTreeSet::new();
    for change in changes.iter().filter(|change| change.what != What::Progress) {
        if told.insert(&change.resource) {
            for owner in watched.get(&change.resource).into_iter().flatten() {
                changed(tell, owner, format!("DRBD: {change}"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::happening::Happening;
    use crm_core::id::{GroupId, ResourceId};
    use std::os::unix::fs::PermissionsExt;

    /// A stand-in for drbdsetup: it prints what it finds in a file, and more as the file grows. It
    /// is not DRBD.
    const STAND_IN: &str = "#!/bin/sh\nhere=$(dirname \"$0\")\necho $$ >>\"$here/pids\"\n\
        exec tail -n +1 -f \"$here/says\"\n";

    const DUMP: &str = "exists resource name:r0 role:Secondary suspended:no\n\
        exists device name:r0 volume:0 minor:0 disk:UpToDate\nexists -\n";

    struct Stage(PathBuf);

    impl Stage {
        fn new(name: &str) -> Stage {
            let directory =
                std::env::temp_dir().join(format!("crm-watch-{name}-{}", std::process::id()));
            std::fs::create_dir_all(&directory).expect("directory");
            let tool = directory.join(TOOL);
            std::fs::write(&tool, STAND_IN).expect("stand-in");
            std::fs::set_permissions(&tool, std::fs::Permissions::from_mode(0o755)).expect("mode");
            std::fs::write(directory.join("says"), DUMP).expect("dump");
            Stage(directory)
        }

        fn says(&self, line: &str) {
            use std::io::Write;
            let file = File::options().append(true).open(self.0.join("says"));
            writeln!(file.expect("open"), "{line}").expect("write");
        }

        fn pids(&self) -> Vec<i32> {
            let text = std::fs::read_to_string(self.0.join("pids")).unwrap_or_default();
            text.lines().filter_map(|line| line.parse().ok()).collect()
        }
    }

    impl Drop for Stage {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    fn lives(pid: i32) -> bool {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'))
    }

    fn owner() -> Owner {
        (GroupId::new("g"), ResourceId::new("r"))
    }

    async fn next(inbox: &mut tokio::sync::mpsc::UnboundedReceiver<Happening>) -> String {
        let seen = tokio::time::timeout(Duration::from_secs(10), inbox.recv()).await;
        match seen {
            Ok(Some(Happening::Changed { what, .. })) => what,
            other => panic!("no event: {other:?}"),
        }
    }

    #[tokio::test(flavor = "current_thread")]
    async fn a_change_of_a_watched_resource_is_passed_on_and_the_source_ends_with_the_watch() {
        let stage = Stage::new("change");
        let local = tokio::task::LocalSet::new();
        local
            .run_until(async {
                let (tell, mut inbox) = Tell::channel();
                let mut drbd = Drbd::new(tell);
                drbd.program = Some(stage.0.join(TOOL));
                drbd.add(&owner(), "r0");
                assert_eq!(next(&mut inbox).await, "DRBD: r0: is there");
                stage.says("create resource name:r1 role:Secondary");
                stage.says("change device name:r0 volume:0 disk:Failed");
                assert_eq!(next(&mut inbox).await, "DRBD: r0: disk 0 UpToDate -> Failed");
                // What does not fit makes it start anew; the dump tells what is different.
                std::fs::write(stage.0.join("next"), DUMP).expect("write");
                stage.says("something else");
                std::fs::rename(stage.0.join("next"), stage.0.join("says")).expect("rename");
                assert_eq!(next(&mut inbox).await, "DRBD: r0: disk 0 Failed -> UpToDate");
                let pids = stage.pids();
                assert_eq!(pids.len(), 2);
                drbd.remove(&owner(), "r0");
                let began = std::time::Instant::now();
                while pids.iter().any(|pid| lives(*pid)) {
                    assert!(began.elapsed() < Duration::from_secs(10), "the source goes on");
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                assert!(inbox.try_recv().is_err());
            })
            .await;
    }

    #[tokio::test(flavor = "current_thread")]
    async fn a_source_that_dies_is_started_again() {
        let stage = Stage::new("dies");
        let local = tokio::task::LocalSet::new();
        local
            .run_until(async {
                let (tell, mut inbox) = Tell::channel();
                let mut drbd = Drbd::new(tell);
                drbd.program = Some(stage.0.join(TOOL));
                drbd.add(&owner(), "r0");
                assert_eq!(next(&mut inbox).await, "DRBD: r0: is there");
                let later = DUMP.replace("UpToDate", "Outdated");
                std::fs::write(stage.0.join("says"), later).expect("write");
                let first = stage.pids()[0];
                nix::sys::signal::kill(
                    nix::unistd::Pid::from_raw(first),
                    nix::sys::signal::Signal::SIGKILL,
                )
                .expect("kill");
                assert_eq!(next(&mut inbox).await, "DRBD: r0: disk 0 UpToDate -> Outdated");
                drbd.remove(&owner(), "r0");
            })
            .await;
    }
}
