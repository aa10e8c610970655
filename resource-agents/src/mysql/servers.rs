//! Which servers work in this data directory, whoever started them.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::{Instance, SERVERS};
use crate::contract::Failure;
use crate::procfs::{self, Stat};
use crate::seen::{Process, Seen};

/// All that live.
///
/// # Errors
/// They cannot be seen.
pub(super) fn all(instance: &Instance) -> Result<Vec<Process>, Failure> {
    Seen::default().look(|| find(instance))
}

/// A server makes its data directory its working directory as soon as it has read its options.
pub(super) fn find(instance: &Instance) -> Result<Vec<Process>, Failure> {
    let datadir = instance.datadir.as_path();
    // One that the administrator named may be called otherwise.
    let own = instance.program.as_deref().and_then(|program| program.rsplit('/').next());
    let wanted = procfs::patiently(|| fs::metadata(datadir)).ok();
    let wanted = wanted.map(|meta| (meta.dev(), meta.ino()));
    let works_there = |process: &Path| {
        let cwd = process.join("cwd");
        let there = procfs::patiently(|| fs::metadata(&cwd)).ok();
        let there = there.map(|meta| (meta.dev(), meta.ino()));
        // Where the path is gone from here, for it was unmounted, the name still tells.
        match wanted {
            Some(_) => there == wanted,
            None => procfs::link(&cwd).is_ok_and(|path| path == datadir),
        }
    };
    let found = procfs::pids()?
        .into_iter()
        .filter_map(Stat::of)
        .filter(|stat| !stat.is_dead())
        .filter(|stat| {
            let process = stat.directory();
            is_server(stat.pid, &process, own) && works_there(&process)
        })
        .map(Process::from)
        .collect();
    Ok(found)
}

fn is_server(pid: i32, process: &Path, own: Option<&str>) -> bool {
    let Ok(program) = procfs::link(process.join("exe")) else {
        // One that was killed and waits for its files to be closed has no program any more, but its name. Threads have names
        // of their own, and the first one keeps that of the process.
        let name = procfs::read(format!("/proc/{pid}/comm")).unwrap_or_default();
        let name = name.trim_end();
        let is_it = |wanted: &str| wanted.get(..LONGEST_NAME).unwrap_or(wanted) == name;
        return SERVERS.into_iter().chain(own).any(is_it);
    };
    let name = program.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    // An upgrade removes the file of a server that runs.
    let name = name.strip_suffix(" (deleted)").unwrap_or(name);
    SERVERS.contains(&name) || own == Some(name)
}

/// The kernel cuts names there.
const LONGEST_NAME: usize = 15;
