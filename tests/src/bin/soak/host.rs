//! Processes of the nodes, as the host sees them.

use crm_api::{Client, Reply, Request};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A process; its number alone may be another's one day.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Process {
    pub(crate) pid: i32,
    started: String,
}

impl Process {
    fn of(pid: i32) -> Option<Process> {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let mut fields = stat.rsplit(')').next()?.split_whitespace();
        let state = fields.next()?;
        let started = fields.nth(18)?.to_owned();
        (!matches!(state, "Z" | "X" | "x")).then_some(Process { pid, started })
    }

    pub(crate) fn is_alive(&self) -> bool {
        Process::of(self.pid).as_ref() == Some(self)
    }

    /// Signals it, if it is still the same.
    pub(crate) fn signal(&self, signal: Signal) {
        if self.is_alive() {
            let _ = kill(Pid::from_raw(self.pid), signal);
        }
    }

    /// Lets it go on, and `nsenter` above it, which stops when its child does.
    pub(crate) fn resume(&self) {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid));
        self.signal(Signal::SIGCONT);
        let parent = status.ok().and_then(|text| field(&text, "PPid:"));
        let parent = parent.and_then(|pid| Process::of(i32::try_from(pid).ok()?));
        if let Some(parent) = parent.filter(|parent| name(parent.pid) == "nsenter") {
            parent.signal(Signal::SIGCONT);
        }
    }

    /// Kilobytes of memory, of that its own (anonymous), descriptors, threads.
    pub(crate) fn size(&self) -> Option<Size> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid)).ok()?;
        let descriptors = std::fs::read_dir(format!("/proc/{}/fd", self.pid)).ok()?.count();
        self.is_alive().then_some(())?;
        Some(Size {
            used: None,
            rss: field(&status, "VmRSS:")?,
            own: field(&status, "RssAnon:")?,
            threads: field(&status, "Threads:")?,
            descriptors: u64::try_from(descriptors).ok()?,
        })
    }
}

/// What a daemon takes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    /// Kilobytes of its heap that are in use, as it says itself: part of what is its own.
    pub(crate) used: Option<u64>,
    pub(crate) rss: u64,
    pub(crate) own: u64,
    pub(crate) threads: u64,
    pub(crate) descriptors: u64,
}

impl Size {
    /// The lesser of each.
    pub(crate) fn least(&self, other: &Size) -> Size {
        Size {
            used: [self.used, other.used].into_iter().flatten().min(),
            rss: self.rss.min(other.rss),
            own: self.own.min(other.own),
            threads: self.threads.min(other.threads),
            descriptors: self.descriptors.min(other.descriptors),
        }
    }
}

/// Kilobytes of its heap that are in use, as the daemon behind this socket says itself.
pub(crate) fn heap(socket: &Path) -> Option<u64> {
    let mut client = Client::connect(socket).ok()?;
    client.set_timeout(Duration::from_secs(2)).ok()?;
    match client.request(Request::Version).ok()? {
        Reply::Version(version) => Some(version.heap_bytes? / 1024),
        _ => None,
    }
}

fn field(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

fn name(pid: i32) -> String {
    let text = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    text.trim().to_owned()
}

/// Processes of this name in the PID namespace whose first process is `keeper`, the eldest first.
pub(crate) fn named(keeper: i32, wanted: &str) -> Vec<Process> {
    let space = |at: &Path| std::fs::read_link(at.join("ns/pid")).ok();
    let inside = space(&PathBuf::from(format!("/proc/{keeper}")));
    let all = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let mut found: Vec<Process> = all
        .filter_map(|entry| {
            let pid: i32 = entry.file_name().to_str()?.parse().ok()?;
            let is = name(pid) == wanted && inside.is_some() && space(&entry.path()) == inside;
            is.then(|| Process::of(pid)).flatten()
        })
        .collect();
    found.sort_by_key(|process| process.started.parse::<u64>().unwrap_or(u64::MAX));
    found
}
