//! The kernel's NFS server: its threads, its times, and what it remembers clients with.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Server, scope, tool};
use crate::child;
use crate::contract::{Failure, Outcome};
use crate::deadline::Deadline;
use crate::filesystem::{mount_kernels_own, mounted_kind};
use crate::procfs;
use crate::syscall;

/// Loads the module and mounts what the server is spoken to through; both stay when it is stopped. Answers where
/// `nfsdcld` meets the kernel.
pub(super) fn prepare(deadline: Deadline) -> Result<PathBuf, Failure> {
    mount_kernels_own("nfsd", Path::new(CONTROL), deadline)?;
    mount_kernels_own("rpc_pipefs", Path::new(PIPES), deadline)
}

/// How many threads serve; none where the kernel has no NFS server loaded.
pub(super) fn threads() -> Result<u32, Failure> {
    if mounted_kind("nfsd")?.is_none() {
        return Ok(0);
    }
    let path = control("threads");
    let text = procfs::read(&path)
        .map_err(|error| Failure::system(format!("cannot read {}", path.display()), &error))?;
    text.trim().parse().map_err(|_| {
        Failure::generic(format!("expected a number in {}, found {text:?}", path.display()))
    })
}

/// Starts the threads, for version 4 only: older clients' locks are kept by programs that remember nothing here.
///
/// The kernel tells clients its host's name as the server's; under another name they would take it for another
/// server, and claim nothing.
pub(super) fn start_threads(server: &Server, deadline: Deadline) -> Outcome {
    let mut command = Command::new(tool("rpc.nfsd")?);
    let grace = server.grace.as_secs().to_string();
    command.args(["--no-nfs-version", "3", "--no-udp", "--port", PORT]);
    command.args(["--grace-time", &grace, "--lease-time", &grace]);
    command.arg(server.threads.to_string());
    syscall::rename_host(&mut command, &scope::of(&server.state)?);
    let finished = child::run(&mut command, deadline)
        .map_err(|error| Failure::system("cannot run rpc.nfsd", &error))?;
    if !finished.succeeded() {
        return Err(Failure::generic(format!("rpc.nfsd: {}", finished.summary())));
    }
    match threads()? {
        0 => Err(Failure::generic("rpc.nfsd succeeded, and no thread of the NFS server runs")),
        _ => Ok(()),
    }
}

/// Ends all threads. With the last one the kernel lets go of every file, lock and client, and forgets none of them: what
/// `nfsdcld` has written stays.
pub(super) fn stop_threads(deadline: Deadline) -> Outcome {
    if threads()? > 0 {
        let written = child::call(deadline, || fs::write(control("threads"), "0\n"));
        let failed =
            |error: &io::Error| Failure::system("cannot end the NFS server's threads", error);
        match written {
            Ok(Some(Ok(()))) => {}
            Ok(Some(Err(error))) | Err(error) => return Err(failed(&error)),
            Ok(None) => {
                return Err(Failure::generic(
                    "the threads of the NFS server do not end; they wait in the kernel, for a disk",
                ));
            }
        }
    }
    match threads()? {
        0 => Ok(()),
        left => Err(Failure::generic(format!("{left} threads of the NFS server still run"))),
    }
}

/// Whether the kernel remembers clients by this very `nfsdcld`. One that comes too late is passed over in silence, for
/// a way that keeps everything on the local disk.
pub(super) fn is_tracked_by(pid: i32, pipes: &Path) -> bool {
    holds_open(pid, &pipes.join("nfsd/cld"))
}

/// Whether the kernel asks this very `rpc.mountd` who may have what.
pub(super) fn is_answered_by(pid: i32) -> bool {
    holds_open(pid, Path::new("/proc/net/rpc/nfsd.export/channel"))
        || holds_open(pid, &PathBuf::from(format!("/proc/{pid}/net/rpc/nfsd.export/channel")))
}

fn holds_open(pid: i32, wanted: &Path) -> bool {
    let descriptors = PathBuf::from(format!("/proc/{pid}/fd"));
    let Ok(numbers) = procfs::names(&descriptors) else { return false };
    // Through /proc/net the name has the pid of whoever looks.
    let ending = wanted.components().rev().take(3).collect::<Vec<_>>();
    numbers.iter().any(|number| {
        procfs::link(descriptors.join(number))
            .is_ok_and(|path| path.components().rev().take(3).collect::<Vec<_>>() == ending)
    })
}

fn control(file: &str) -> PathBuf {
    Path::new(CONTROL).join(file)
}

/// The port of NFS version 4, and no other: clients know it.
pub(super) const PORT: &str = "2049";
const CONTROL: &str = "/proc/fs/nfsd";
/// Debian's place for it.
const PIPES: &str = "/run/rpc_pipefs";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::procfs::tests::without_a_descriptor;

    /// The threads of a server that runs would be ended, for its memory seems lost.
    #[test]
    fn i1_without_a_free_descriptor_an_open_file_is_waited_for() {
        let me = i32::try_from(std::process::id()).expect("pid");
        let path = std::env::temp_dir().join(format!("crm-open-{me}"));
        let path = path.canonicalize().unwrap_or(path);
        let file = fs::File::create(&path).expect("file");
        let wanted = path.clone();
        assert!(without_a_descriptor(move || holds_open(me, &wanted)));
        drop(file);
        assert!(!holds_open(me, &path));
        fs::remove_file(&path).expect("removed");
    }
}
