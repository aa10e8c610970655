//! What one node holds: addresses by netlink, mounts and processes by `/proc`.

use crate::netlink;
use crate::verdict::Service;
use nix::sys::socket::{MsgFlags, recv};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;

/// A node that is up.
pub(crate) struct Node {
    pub(crate) name: String,
    pid: i32,
    /// When its first process was started: its number may be another's one day.
    started: String,
    processes: PathBuf,
    events: OwnedFd,
    queries: OwnedFd,
}

/// What a node holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub(crate) struct Holding {
    pub(crate) parts: BTreeSet<(String, Part)>,
    /// The node is being ended: its first process has given up its mounts, and others may still run.
    pub(crate) ending: bool,
}

/// A part of a service that a node may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Part {
    Address,
    Mount,
    Process,
}

impl Node {
    /// # Errors
    /// The node is down, or its network cannot be looked into.
    pub(crate) fn enter(name: &str, pid: i32) -> io::Result<Node> {
        let started = alive_since(pid)
            .ok_or_else(|| io::Error::other(format!("{name} has no process {pid}")))?;
        let processes = std::fs::read_link(format!("/proc/{pid}/ns/pid"))?;
        let open = || Ok((netlink::open_events()?, netlink::open(0)?));
        let (events, queries) = netlink::within(pid, open)?;
        Ok(Node { name: name.to_owned(), pid, started, processes, events, queries })
    }

    /// Whether any process of it can run: a dead machine holds nothing.
    pub(crate) fn is_alive(&self) -> bool {
        alive_since(self.pid).is_some_and(|started| started == self.started)
    }

    pub(crate) fn events(&self) -> BorrowedFd<'_> {
        self.events.as_fd()
    }

    /// A change is a reason to look; what it is, the look tells.
    pub(crate) fn forget_events(&self) {
        let mut buffer = [0; 4096];
        while recv(self.events.as_raw_fd(), &mut buffer, MsgFlags::MSG_DONTWAIT)
            .is_ok_and(|n| n > 0)
        {}
    }

    /// Addresses first, then mounts: between the two looks an address can only have been let go in order.
    fn holds(&self, services: &[Service], servers: &BTreeSet<(PathBuf, String)>) -> Holding {
        let addresses = netlink::addresses(&self.queries).unwrap_or_default();
        let mounts = std::fs::read_to_string(format!("/proc/{}/mountinfo", self.pid)).ok();
        let mut parts = BTreeSet::new();
        for service in services {
            let mut hold = |is: bool, part| is.then(|| parts.insert((service.name.clone(), part)));
            hold(addresses.contains(&service.address), Part::Address);
            let mounted =
                |at: &String| mounts.as_ref().is_some_and(|all| all.contains(&format!(" {at} ")));
            hold(service.mount.as_ref().is_some_and(mounted), Part::Mount);
            let served = |at: &String| servers.contains(&(self.processes.clone(), at.clone()));
            hold(service.server.as_ref().is_some_and(served), Part::Process);
        }
        // Asked last: what was seen of it was seen while it lived.
        if self.is_alive() {
            Holding { parts, ending: mounts.is_none() }
        } else {
            Holding::default()
        }
    }
}

/// What every node holds, one after the other.
pub(crate) fn all(nodes: &[Node], services: &[Service]) -> BTreeMap<String, Holding> {
    let servers = servers();
    nodes.iter().map(|node| (node.name.clone(), node.holds(services, &servers))).collect()
}

/// Running servers: the namespace they are in, and the address that they serve.
fn servers() -> BTreeSet<(PathBuf, String)> {
    let all = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let numbered = all.filter(|entry| {
        entry.file_name().as_encoded_bytes().first().is_some_and(u8::is_ascii_digit)
    });
    numbered
        .filter_map(|entry| {
            let at = entry.path();
            let name = std::fs::read(at.join("comm")).ok()?;
            if name != b"lab-web\n" {
                return None;
            }
            let words = std::fs::read(at.join("cmdline")).ok()?;
            let served = words.split(|byte| *byte == 0).nth(1)?;
            let inside = std::fs::read_link(at.join("ns/pid")).ok()?;
            Some((inside, String::from_utf8_lossy(served).into_owned()))
        })
        .collect()
}

pub(crate) fn is_alive(pid: i32) -> bool {
    alive_since(pid).is_some()
}

/// When the process was started, unless it has ended: the kernel ends the first of a PID namespace after all others.
fn alive_since(pid: i32) -> Option<String> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = stat.rsplit(')').next()?.split_whitespace();
    let state = fields.next()?;
    let started = fields.nth(18)?;
    (!matches!(state, "Z" | "X" | "x")).then(|| started.to_owned())
}
