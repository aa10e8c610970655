//! The mount itself, and the helpers around it.

use std::fs::File;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use nix::libc;
use sys_mount::{Mount, MountFlags};

use super::Wanted;
use super::mountinfo::Table;
use super::source::Source;
use crate::child;
use crate::contract::{Failure, Outcome};
use crate::deadline::Deadline;
use crate::procfs;
use crate::syscall;

/// Types that the kernel cannot mount without a program that talks to a server first.
pub(super) fn needs_tool(kind: &str) -> bool {
    matches!(kind, "ceph" | "cifs" | "glusterfs" | "nfs" | "nfs4" | "ntfs-3g" | "smb3" | "fuse")
        || kind.starts_with("fuse.")
}

/// HB31: the kernel knows the type, if need be after loading its module.
pub(super) fn load_type(kind: &str, deadline: Deadline) -> Outcome {
    if kind == "none" || needs_tool(kind) || is_known(kind) {
        return Ok(());
    }
    if let Some(tool) = child::find_tool("modprobe") {
        let mut command = Command::new(tool);
        command.arg("-q").arg(format!("fs-{kind}"));
        // Whether it helped is seen below.
        let _ = child::run(&mut command, deadline.at_most(MODPROBE_LIMIT));
    }
    if is_known(kind) {
        return Ok(());
    }
    Err(Failure::installed(format!(
        "this kernel does not know the filesystem type {kind:?} (see /proc/filesystems)"
    )))
}

fn is_known(kind: &str) -> bool {
    procfs::read("/proc/filesystems")
        .is_ok_and(|text| text.lines().any(|line| line.split_whitespace().last() == Some(kind)))
}

pub(super) fn mount(wanted: &Wanted, device: &Path, deadline: Deadline) -> Outcome {
    if needs_tool(&wanted.kind) {
        return by_tool(wanted, device, deadline);
    }
    let result = child::call(deadline, || directly(wanted, device));
    match result {
        Ok(Some(Ok(()))) => Ok(()),
        Ok(Some(Err(error))) => {
            Err(Failure::system(format!("{}{}", wanted.label(device), hint(&error)), &error))
        }
        Ok(None) => Err(Failure::generic(format!(
            "{}: the kernel did not answer in time; look for errors of the device in its log",
            wanted.label(device)
        ))),
        Err(error) => Err(Failure::system(wanted.label(device), &error)),
    }
}

impl Wanted {
    fn label(&self, device: &Path) -> String {
        format!("cannot mount {} at {}", device.display(), self.at.display())
    }
}

fn directly(wanted: &Wanted, device: &Path) -> io::Result<()> {
    let options = &wanted.options;
    let builder = Mount::builder().fstype(wanted.kind.as_str());
    if !matches!(wanted.source, Source::Bind(_)) {
        return builder
            .flags(options.flags)
            .data(&options.data)
            .mount(device, &wanted.at)
            .map(|_| ());
    }
    builder.flags(options.flags - options.beside_bind()).mount(device, &wanted.at)?;
    let beside = options.beside_bind();
    if beside.is_empty() {
        return Ok(());
    }
    // In a user namespace flags that the original has may not be dropped.
    let flags = beside | inherited_flags(&wanted.at) | MountFlags::BIND | MountFlags::REMOUNT;
    let limited =
        Mount::builder().fstype("none").flags(flags).mount(device, &wanted.at).map(|_| ());
    if limited.is_err() {
        // Half a mount is none: it would be writable although `ro` was asked for.
        let _ = sys_mount::unmount(&wanted.at, sys_mount::UnmountFlags::empty());
    }
    limited
}

fn inherited_flags(at: &Path) -> MountFlags {
    let Ok(table) = Table::read() else { return MountFlags::empty() };
    let top = table.mounts.iter().rev().find(|mount| mount.at == at);
    top.map_or(MountFlags::empty(), |mount| super::options::Options::parse(&mount.flags).flags)
}

fn by_tool(wanted: &Wanted, device: &Path, deadline: Deadline) -> Outcome {
    let name = format!("mount.{}", wanted.kind);
    let tool: PathBuf = child::find_tool(&name)
        .ok_or_else(|| Failure::installed(format!("the program {name} is not installed")))?;
    let mut command = Command::new(tool);
    command.arg(device).arg(&wanted.at);
    let options = wanted.options.for_helper();
    if !options.is_empty() {
        command.arg("-o").arg(options);
    }
    let finished = child::run(&mut command, deadline)
        .map_err(|error| Failure::system(format!("cannot run {name}"), &error))?;
    if finished.succeeded() {
        return Ok(());
    }
    Err(Failure::generic(format!("{}: {name}: {}", wanted.label(device), finished.summary())))
}

/// What the bare error of the operating system does not tell.
fn hint(error: &io::Error) -> &'static str {
    match error.raw_os_error() {
        Some(libc::EINVAL) => " (wrong type, wrong option, or a damaged superblock)",
        Some(libc::EMEDIUMTYPE) => " (a DRBD device that is not Primary here)",
        Some(libc::EROFS | libc::EACCES) => " (a read-only device needs `options: ro`)",
        Some(libc::EBUSY) => " (the device is in use by something else)",
        _ => "",
    }
}

/// HB33, HB35: writes out and drops what the kernel keeps of the device.
pub(super) fn flush(device: &Path) -> Outcome {
    // Not held open by mistake: a device that has gone must not hang the agent.
    let mut options = File::options();
    options.read(true).custom_flags(libc::O_NONBLOCK);
    match procfs::patiently(|| options.open(device))
        .and_then(|file| syscall::flush_block_device(&file))
    {
        // Inside a user namespace nobody may; the unmount has written everything.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
        Err(error) => Err(Failure::system(format!("cannot flush {}", device.display()), &error)),
        Ok(()) => Ok(()),
    }
}

/// Is the device still in use as a filesystem, anywhere on this machine?
pub(super) fn is_held(device: &Path) -> bool {
    let mut alone = File::options();
    alone.read(true).custom_flags(libc::O_EXCL | libc::O_NONBLOCK);
    procfs::patiently(|| alone.open(device))
        .is_err_and(|error| error.raw_os_error() == Some(libc::EBUSY))
}

/// Large modules take seconds on a busy machine.
const MODPROBE_LIMIT: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::procfs::tests::without_a_descriptor;

    /// A device would count as released that another mount namespace has mounted.
    #[test]
    fn i1_without_a_free_descriptor_a_device_is_waited_for() {
        assert!(!without_a_descriptor(|| is_held(Path::new("/dev/null"))));
    }
}
