//! Who uses a mount: exactly this one (and those below it), never its parent.
//!
//! Every open file knows the mount through which it was opened, so mount ids tell a bind mount
//! from the filesystem behind it, which device numbers and paths cannot.

use std::path::{Path, PathBuf};

use super::mountinfo::Mount;
use crate::contract::Failure;
use crate::procfs;
use crate::syscall;

/// The processes that use one of these mounts, without this one.
pub(super) fn find(mounts: &[&Mount]) -> Result<Vec<i32>, Failure> {
    let own = std::process::id();
    let mut pids = procfs::pids()?;
    pids.retain(|pid| u32::try_from(*pid) != Ok(own) && uses(*pid, mounts));
    Ok(pids)
}

fn uses(pid: i32, mounts: &[&Mount]) -> bool {
    let process = PathBuf::from(format!("/proc/{pid}"));
    let within = |path: &Path| lies_within(path, mounts);
    ["cwd", "root", "exe"].iter().any(|name| within(&process.join(name)))
        || entries(&process.join("fd")).any(|path| within(&path))
        || entries(&process.join("task"))
            // Threads may have working directories of their own.
            .any(|thread| within(&thread.join("cwd")))
        || maps(&process, mounts)
}

fn entries(directory: &Path) -> impl Iterator<Item = PathBuf> + '_ {
    let names = procfs::names(directory).unwrap_or_default();
    names.into_iter().map(|name| directory.join(name))
}

fn lies_within(path: &Path, mounts: &[&Mount]) -> bool {
    let Ok(location) = procfs::patiently(|| syscall::locate(path)) else { return false };
    match location.mount {
        Some(id) => mounts.iter().any(|mount| mount.id == id),
        // Before Linux 5.8: the device must fit, and the path as this namespace sees it.
        None => mounts.iter().any(|mount| {
            mount.device == location.device
                && procfs::link(path).is_ok_and(|target| target.starts_with(&mount.at))
        }),
    }
}

/// Mapped files name their device and their path; together they tell the mount.
fn maps(process: &Path, mounts: &[&Mount]) -> bool {
    let Ok(text) = procfs::read(process.join("maps")) else { return false };
    text.lines().any(|line| {
        mapped_file(line).is_some_and(|(device, path)| {
            mounts
                .iter()
                .any(|mount| mount.device == device && Path::new(path).starts_with(&mount.at))
        })
    })
}

/// `00400000-00452000 r-xp 00000000 08:02 173521      /usr/bin/dbus-daemon`
fn mapped_file(line: &str) -> Option<((u32, u32), &str)> {
    let path = line.get(line.find('/')?..)?;
    let device = line.split_ascii_whitespace().nth(3)?;
    let (major, minor) = device.split_once(':')?;
    let major = u32::from_str_radix(major, 16).ok()?;
    let minor = u32::from_str_radix(minor, 16).ok()?;
    Some(((major, minor), path))
}

/// What the kernel itself holds on the mounts: files behind loop devices and swap files.
pub(super) fn kernel_users(mounts: &[&Mount]) -> Vec<String> {
    let within = |path: &str| lies_within(Path::new(path.trim()), mounts);
    let mut found = Vec::new();
    for device in entries(Path::new("/sys/block")) {
        if let Ok(file) = procfs::read(device.join("loop/backing_file"))
            && within(&file)
        {
            let name = device.file_name().unwrap_or_default().to_string_lossy().into_owned();
            found.push(format!("loop device {name} on {}", file.trim()));
        }
    }
    let swaps = procfs::read("/proc/swaps").unwrap_or_default();
    for file in swaps.lines().skip(1).filter_map(|line| line.split_ascii_whitespace().next()) {
        if within(file) {
            found.push(format!("swap file {file}"));
        }
    }
    found
}

/// Processes whose mount namespace, not ours, has this device mounted.
pub(super) fn foreign_holders(device: (u32, u32)) -> Result<Vec<i32>, Failure> {
    let own = procfs::link("/proc/self/ns/mnt").ok();
    let needle = format!(" {}:{} ", device.0, device.1);
    let mut pids = procfs::pids()?;
    pids.retain(|pid| {
        let namespace = procfs::link(format!("/proc/{pid}/ns/mnt")).ok();
        namespace.is_some()
            && namespace != own
            && procfs::read(format!("/proc/{pid}/mountinfo"))
                .is_ok_and(|text| text.lines().any(|line| line.contains(&needle)))
    });
    Ok(pids)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mapped_files_are_read() {
        let line = "7f00-7f01 r--p 00000000 fe:0a 173521      /data1/lib/a b.so (deleted)";
        assert_eq!(mapped_file(line), Some(((254, 10), "/data1/lib/a b.so (deleted)")));
        for line in ["", "7f00-7f01 rw-p 0 00:00 0", "7f00 rw-p 0 00:00 0 [heap]", "/ x"] {
            assert_eq!(mapped_file(line), None, "{line}");
        }
    }
}
