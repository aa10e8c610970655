//! Who holds a DRBD device open: mounts, processes, devices that lie on it.

use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use crate::contract::Failure;
use crate::procfs;

/// One phrase for each kind of user of `/dev/drbdN`, for every minor number given.
pub(super) fn of(minors: &[u32]) -> Vec<String> {
    minors.iter().flat_map(|minor| of_one(*minor)).collect()
}

fn of_one(minor: u32) -> Vec<String> {
    let path = PathBuf::from(format!("/dev/drbd{minor}"));
    let device = fs::metadata(&path).ok().filter(|meta| meta.file_type().is_block_device());
    let device =
        device.map_or_else(|| nix::sys::stat::makedev(MAJOR, u64::from(minor)), |meta| meta.rdev());
    let mut found = Vec::new();
    let mounts = procfs::read("/proc/self/mountinfo").unwrap_or_default();
    for at in mounted_at(&mounts, device) {
        found.push(format!("{} is mounted at {at}", path.display()));
    }
    match openers(device) {
        Ok(pids) if pids.is_empty() => {}
        Ok(pids) => {
            let who = procfs::describe_all(&pids);
            found.push(format!("{} is open in {who}", path.display()));
        }
        Err(failure) => found.push(format!("who has {} open: {failure}", path.display())),
    }
    let holders = Path::new("/sys/block").join(format!("drbd{minor}")).join("holders");
    for holder in fs::read_dir(holders).into_iter().flatten().flatten() {
        let holder = holder.file_name();
        found.push(format!("{} is used by {}", path.display(), holder.to_string_lossy()));
    }
    found
}

/// Where a table of mounts has this device.
fn mounted_at(table: &str, device: u64) -> Vec<String> {
    let (major, minor) = (nix::sys::stat::major(device), nix::sys::stat::minor(device));
    let number = format!("{major}:{minor}");
    let fits = |line: &&str| line.split(' ').nth(2) == Some(number.as_str());
    table.lines().filter(fits).filter_map(|line| Some(line.split(' ').nth(4)?.to_owned())).collect()
}

/// The processes that have this block device open, without this one.
fn openers(device: u64) -> Result<Vec<i32>, Failure> {
    let own = i32::try_from(std::process::id()).unwrap_or(0);
    let is_it = |path: &Path| {
        fs::metadata(path)
            .is_ok_and(|meta| meta.file_type().is_block_device() && meta.rdev() == device)
    };
    let opens = |pid: i32| {
        let fds = PathBuf::from(format!("/proc/{pid}/fd"));
        procfs::names(&fds).is_ok_and(|names| names.iter().any(|name| is_it(&fds.join(name))))
    };
    let mut pids = procfs::pids()?;
    pids.retain(|pid| *pid != own && opens(*pid));
    Ok(pids)
}

/// DRBD's, since the kernel has numbers.
const MAJOR: u64 = 147;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mounts_are_found_by_the_number_of_the_device() {
        let table = "30 20 147:0 / /data1 rw,noatime shared:2 - ext4 /dev/drbd0 rw\n\
                     31 20 147:1 / /data2 rw - ext4 /dev/drbd/by-res/r1 rw\n\
                     32 30 147:0 /www /srv/www rw - ext4 /dev/drbd0 rw\n";
        let device = nix::sys::stat::makedev(147, 0);
        assert_eq!(mounted_at(table, device), ["/data1", "/srv/www"]);
        assert!(mounted_at("", device).is_empty());
    }
}
