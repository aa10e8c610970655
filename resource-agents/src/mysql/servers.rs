//! Which servers work in this data directory, whoever started them.

use std::fs;
use std::os::unix::fs::MetadataExt;

use super::{Instance, SERVERS};
use crate::procfs::{self, Stat};

/// A server: a pid and its start time, which name a process for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Server {
    pub(super) pid: i32,
    pub(super) started: u64,
}

impl Server {
    pub(super) fn is_alive(self) -> bool {
        Stat::of(self.pid).is_some_and(|stat| stat.started == self.started && !stat.is_dead())
    }
}

/// A server makes its data directory its working directory as soon as it has read its options.
pub(super) fn of(instance: &Instance) -> Vec<Server> {
    let datadir = instance.datadir.as_path();
    // One that the administrator named may be called otherwise.
    let own = instance.program.as_deref().and_then(|program| program.rsplit('/').next());
    let wanted = fs::metadata(datadir).ok().map(|meta| (meta.dev(), meta.ino()));
    procfs::pids()
        .filter(|pid| is_server(*pid, own))
        .filter(|pid| {
            let cwd = format!("/proc/{pid}/cwd");
            let there = procfs::patiently(|| fs::metadata(&cwd)).ok();
            let there = there.map(|meta| (meta.dev(), meta.ino()));
            // Where the path is gone from here, for it was unmounted, the name still tells.
            match wanted {
                Some(_) => there == wanted,
                None => procfs::patiently(|| fs::read_link(&cwd)).is_ok_and(|path| path == datadir),
            }
        })
        .filter_map(Stat::of)
        .filter(|stat| !stat.is_dead())
        .map(|stat| Server { pid: stat.pid, started: stat.started })
        .collect()
}

fn is_server(pid: i32, own: Option<&str>) -> bool {
    let program = format!("/proc/{pid}/exe");
    let Ok(program) = procfs::patiently(|| fs::read_link(&program)) else { return false };
    let name = program.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    // An upgrade removes the file of a server that runs.
    let name = name.strip_suffix(" (deleted)").unwrap_or(name);
    SERVERS.contains(&name) || own == Some(name)
}
