//! The two programs beside the kernel: `nfsdcld`, which remembers the clients, and `rpc.mountd`, which says who may have
//! what.

use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use super::{Server, kernel, tool};
use crate::contract::{Call, Failure, Outcome};
use crate::deadline::Deadline;
use crate::procfs;
use crate::running::members::Members;
use crate::running::record::Record;
use crate::running::{Program, Readiness, start};

pub(super) const REMEMBERS: &str = "nfsdcld";
pub(super) const ANSWERS: &str = "mountd";

/// What runs of the two.
#[derive(Debug)]
pub(super) struct Parts {
    /// The record of each, if this agent has started it; it may have ended since.
    pub(super) remembers: Option<Record>,
    pub(super) answers: Option<Record>,
}

impl Parts {
    pub(super) fn load(call: &Call) -> Result<Parts, Failure> {
        Ok(Parts {
            remembers: Record::load(&call.part(REMEMBERS).context)?,
            answers: Record::load(&call.part(ANSWERS).context)?,
        })
    }

    /// Was the server here started by this agent, in this boot?
    pub(super) fn is_ours(&self) -> bool {
        self.remembers.is_some() || self.answers.is_some()
    }

    /// The pids of those that live.
    pub(super) fn alive(&self) -> Vec<i32> {
        [&self.remembers, &self.answers].into_iter().filter_map(living).collect()
    }

    /// Whatever of both still lives, their children too.
    pub(super) fn left(&self) -> Result<Vec<i32>, Failure> {
        let mut left = Vec::new();
        for record in [&self.remembers, &self.answers].into_iter().flatten() {
            left.extend(Members::of(record).look()?);
        }
        Ok(left)
    }
}

/// The pid, if it lives.
pub(super) fn living(record: &Option<Record>) -> Option<i32> {
    record.as_ref().filter(|record| record.main_is_alive()).map(|record| record.pid)
}

/// Starts `nfsdcld` with its database on the volume.
pub(super) fn start_remembering(call: &Call, server: &Server, pipes: &Path) -> Outcome {
    if !server.state.is_dir() {
        fs::DirBuilder::new().mode(0o700).create(&server.state).map_err(|error| {
            Failure::system(format!("cannot make the directory {}", server.state.display()), &error)
        })?;
    }
    let program = Program::new(vec![
        tool("nfsdcld")?.display().to_string(),
        "--foreground".to_owned(),
        "--pipefsdir".to_owned(),
        pipes.display().to_string(),
        "--storagedir".to_owned(),
        server.state.display().to_string(),
    ]);
    start::start(&call.part(REMEMBERS), &program, &Database { server })
}

/// Starts `rpc.mountd`; for version 4 alone it listens nowhere.
pub(super) fn start_answering(call: &Call) -> Outcome {
    let program = Program::new(vec![
        tool("rpc.mountd")?.display().to_string(),
        "--foreground".to_owned(),
        "--no-nfs-version".to_owned(),
        "3".to_owned(),
        "--no-udp".to_owned(),
    ]);
    start::start(&call.part(ANSWERS), &program, &Channel)
}

/// Others of these programs on this machine, which would answer the kernel in our place.
pub(super) fn strangers(parts: &Parts) -> Result<Vec<i32>, Failure> {
    let ours = parts.alive();
    let own = procfs::link("/proc/self/ns/net").ok();
    let found = procfs::pids()?
        .into_iter()
        .filter(|pid| !ours.contains(pid))
        .filter_map(procfs::Stat::of)
        .filter(|stat| !stat.is_dead())
        .filter(|stat| {
            procfs::read(format!("/proc/{}/comm", stat.pid))
                .is_ok_and(|name| matches!(name.trim_end(), "nfsdcld" | "rpc.mountd"))
        })
        // Those of a container have a kernel's server of their own.
        .filter(|stat| procfs::link(stat.directory().join("ns/net")).ok() == own)
        .map(|stat| stat.pid)
        .collect();
    Ok(found)
}

/// It has opened its database. It meets the kernel when that starts.
struct Database<'a> {
    server: &'a Server,
}

impl Readiness for Database<'_> {
    fn look(&self, _: i32, _: Deadline) -> Result<(), String> {
        let file = self.server.state.join("main.sqlite");
        match file.is_file() {
            true => Ok(()),
            false => Err(format!("nfsdcld has not made {}", file.display())),
        }
    }
}

/// It has opened the kernel's channel.
struct Channel;

impl Readiness for Channel {
    fn look(&self, main: i32, _: Deadline) -> Result<(), String> {
        match kernel::is_answered_by(main) {
            true => Ok(()),
            false => Err("rpc.mountd has not opened the kernel's channel".to_owned()),
        }
    }
}
