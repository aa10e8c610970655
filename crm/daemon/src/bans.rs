//! A node whose copy was called stale looks from time to time whether it holds everything again (H24).
//!
//! DRBD tells of the end of a resync once, by its handler. That can be before the ban is committed which it
//! would end, or while nobody can commit. The handler judges; here it is only called again.

use crate::sys::{Child, Spawn};
use crm_core::id::GroupId;
use crm_core::time::{Span, Time};
use std::ffi::CString;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Where the package has it, and where `crm drbd config` says that it is.
const HANDLER: &str = "/usr/lib/crm/crm-unfence-peer";
/// Between two looks.
const EVERY: Span = Span::secs(15);
/// A call that takes longer is ended: DRBD's tools can wait in the kernel.
const PATIENCE: Span = Span::secs(60);

#[derive(Debug)]
pub(crate) struct OwnBans {
    handler: PathBuf,
    socket: PathBuf,
    next: Time,
    /// Calls that have not ended, and since when.
    open: Vec<(Time, Child)>,
}

impl OwnBans {
    pub(crate) fn new(now: Time, socket: PathBuf) -> OwnBans {
        OwnBans { handler: PathBuf::from(HANDLER), socket, next: now + EVERY, open: Vec::new() }
    }

    /// When to look next.
    pub(crate) fn deadline(&self) -> Time {
        self.next
    }

    /// Calls the handler for each group of which the copy here is called stale. The daemon reaps it as it does
    /// orphans.
    pub(crate) fn look(&mut self, now: Time, banned: impl FnOnce() -> Vec<GroupId>) {
        if now < self.next {
            return;
        }
        self.next = now + EVERY;
        // One that is gone was reaped meanwhile, or is told to be.
        self.open.retain(|(_, child)| matches!(child.try_wait(), Ok(None)));
        for (_, child) in self.open.iter().filter(|(since, _)| now.since(*since) >= PATIENCE) {
            child.kill_session();
        }
        if !self.open.is_empty() || !self.handler.exists() {
            return;
        }
        for group in banned() {
            match call(&self.handler, &self.socket, &group) {
                Ok(child) => self.open.push((now, child)),
                Err(error) => tracing::debug!("cannot call {}: {error}", self.handler.display()),
            }
        }
    }
}

fn call(handler: &Path, socket: &Path, group: &GroupId) -> io::Result<Child> {
    let nothing = || File::options().read(true).write(true).open("/dev/null").map(OwnedFd::from);
    let socket = [b"CRM_SOCKET=", socket.as_os_str().as_bytes()].concat();
    let spawn = Spawn {
        program: CString::new(handler.as_os_str().as_bytes())?,
        arguments: vec![
            c"crm-unfence-peer".into(),
            c"--once".into(),
            CString::new(group.as_str())?,
        ],
        environment: vec![
            c"LC_ALL=C".into(),
            c"PATH=/usr/sbin:/usr/bin:/sbin:/bin".into(),
            CString::new(socket)?,
        ],
        input: nothing()?,
        output: nothing()?,
        channel: nothing()?,
        cgroup: None,
        priority: None,
    };
    spawn.start()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;
    use std::time::{Duration, Instant};

    /// A handler that hangs is called once, and ended.
    #[test]
    fn h24_a_call_that_hangs_is_not_joined_by_others_and_is_ended() {
        let directory = std::env::temp_dir().join(format!("crm-hung-bans-{}", std::process::id()));
        std::fs::create_dir_all(&directory).expect("directory");
        let handler = directory.join("crm-unfence-peer");
        std::fs::write(&handler, "#!/bin/sh\nexec sleep 600\n").expect("script");
        std::fs::set_permissions(&handler, std::fs::Permissions::from_mode(0o755)).expect("mode");
        let start = Time(1);
        let mut bans = OwnBans::new(start, PathBuf::from("/run/crm/crm.sock"));
        bans.handler = handler;
        let mut now = start;
        let mut called = 0;
        let mut look = |bans: &mut OwnBans| {
            now += EVERY;
            bans.look(now, || {
                called += 1;
                vec!["db".into()]
            });
        };
        for _ in 0..4 {
            look(&mut bans);
        }
        assert_eq!(bans.open.len(), 1);
        look(&mut bans);
        let since = Instant::now();
        while matches!(bans.open[0].1.try_wait(), Ok(None)) {
            assert!(since.elapsed() < Duration::from_secs(20), "it was not ended");
            std::thread::sleep(Duration::from_millis(10));
        }
        look(&mut bans);
        assert_eq!(called, 2);
        for (_, child) in &bans.open {
            // Again until it is gone: before it leads its session, only it is ended.
            while matches!(child.try_wait(), Ok(None)) {
                child.kill_session();
                std::thread::sleep(Duration::from_millis(10));
            }
        }
        std::fs::remove_dir_all(&directory).expect("removed");
    }

    /// The handler is a stand-in that notes how it was called.
    #[test]
    fn h24_a_banned_node_asks_again_whether_its_copy_is_whole() {
        let directory = std::env::temp_dir().join(format!("crm-own-bans-{}", std::process::id()));
        std::fs::create_dir_all(&directory).expect("directory");
        let handler = directory.join("crm-unfence-peer");
        let note = directory.join("note");
        let script = format!(
            "#!/bin/sh\necho \"$@ $CRM_SOCKET\" >{0}.new && mv {0}.new {0}\n",
            note.display()
        );
        std::fs::write(&handler, script).expect("script");
        std::fs::set_permissions(&handler, std::fs::Permissions::from_mode(0o755)).expect("mode");
        let start = Time(1);
        let mut bans = OwnBans::new(start, PathBuf::from("/run/crm/crm.sock"));
        bans.handler = handler;
        bans.look(start, || panic!("too early"));
        bans.look(start + EVERY, Vec::new);
        bans.look(start + EVERY, || panic!("twice at once"));
        assert_eq!(bans.deadline(), start + EVERY * 2);
        assert!(!note.exists(), "called for nothing");
        bans.look(start + EVERY * 2, || vec!["db".into()]);
        let since = Instant::now();
        while !note.exists() && since.elapsed() < Duration::from_secs(20) {
            std::thread::sleep(Duration::from_millis(10));
        }
        let said = std::fs::read_to_string(&note).expect("it was called");
        assert_eq!(said, "--once db /run/crm/crm.sock\n");
        std::fs::remove_dir_all(&directory).expect("removed");
    }
}
