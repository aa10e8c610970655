//! The mounts of this mount namespace, as a tree (`/proc/self/mountinfo`).

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use crate::contract::Failure;
use crate::procfs;
use crate::syscall;

/// One mount.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mount {
    pub(super) id: u64,
    pub(super) parent: u64,
    pub(super) device: (u32, u32),
    /// The directory of the filesystem that is mounted; not `/` for bind mounts of a part.
    pub(super) root: PathBuf,
    pub(super) at: PathBuf,
    pub(super) flags: String,
    pub(super) kind: String,
    pub(super) source: String,
    pub(super) superblock_read_only: bool,
}

/// All mounts, in the kernel's order: a mount comes after the one that it covers.
#[derive(Debug, Default)]
pub(super) struct Table {
    pub(super) mounts: Vec<Mount>,
}

impl Table {
    pub(super) fn read() -> Result<Table, Failure> {
        procfs::read_bytes("/proc/self/mountinfo")
            .map(|text| Table::parse(&text))
            .map_err(|error| Failure::system("cannot read /proc/self/mountinfo", &error))
    }

    pub(super) fn parse(text: &[u8]) -> Table {
        Table { mounts: text.split(|byte| *byte == b'\n').filter_map(Mount::parse).collect() }
    }

    /// The mount and all that is mounted on it or below it, the deepest last.
    pub(super) fn tree(&self, top: &Mount) -> Vec<&Mount> {
        let mut tree: Vec<&Mount> = self.mounts.iter().filter(|m| m.id == top.id).collect();
        let mut next = 0;
        while let Some(parent) = tree.get(next).map(|mount| mount.id) {
            for child in self.mounts.iter().filter(|mount| mount.parent == parent) {
                if tree.iter().all(|known| known.id != child.id) {
                    tree.push(child);
                }
            }
            next += 1;
        }
        tree
    }

    /// The filesystem on which a path lies and the path within it, as in `root` of a bind mount.
    pub(super) fn origin(&self, path: &Path) -> Option<((u32, u32), PathBuf)> {
        let path = procfs::patiently(|| fs::canonicalize(path)).ok()?;
        let location = procfs::patiently(|| syscall::locate(&path)).ok()?;
        let holder = match location.mount {
            Some(id) => self.mounts.iter().find(|mount| mount.id == id)?,
            // Before Linux 5.8: the deepest mount point above the path.
            None => self
                .mounts
                .iter()
                .filter(|mount| mount.device == location.device && path.starts_with(&mount.at))
                .max_by_key(|mount| mount.at.components().count())?,
        };
        let below = path.strip_prefix(&holder.at).ok()?;
        // Joining nothing would add a slash at the end, which is the same path to `PathBuf`.
        Some((holder.device, holder.root.join(below)))
    }

    /// What is mounted right over this mount, hiding it.
    pub(super) fn covering(&self, mount: &Mount) -> Option<&Mount> {
        self.mounts.iter().find(|other| other.parent == mount.id && other.at == mount.at)
    }
}

impl Mount {
    /// One line; see proc(5). Between field 6 and ` - ` stand any number of optional fields.
    fn parse(line: &[u8]) -> Option<Mount> {
        let mut fields = line.split(|byte| *byte == b' ');
        let mut number = || std::str::from_utf8(fields.next()?).ok()?.parse::<u64>().ok();
        let id = number()?;
        let parent = number()?;
        let device = std::str::from_utf8(fields.next()?).ok()?;
        let (major, minor) = device.split_once(':')?;
        let root = unescape(fields.next()?);
        let at = unescape(fields.next()?);
        let flags = text(fields.next()?);
        fields.find(|field| *field == b"-")?;
        let kind = text(fields.next()?);
        let source = unescape(fields.next()?).into_os_string().to_string_lossy().into_owned();
        let superblock = text(fields.next().unwrap_or_default());
        Some(Mount {
            id,
            parent,
            device: (major.parse().ok()?, minor.parse().ok()?),
            root,
            at,
            flags,
            kind,
            source,
            // ext4 that has given up: the second one, from Linux 6.15 on.
            superblock_read_only: superblock
                .split(',')
                .any(|option| matches!(option, "ro" | "emergency_ro")),
        })
    }
}

fn text(field: &[u8]) -> String {
    String::from_utf8_lossy(field).into_owned()
}

/// The kernel writes space, tab, newline and backslash as `\040` and so on.
fn unescape(field: &[u8]) -> PathBuf {
    let mut out = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((first, after)) = rest.split_first() {
        let code = (*first == b'\\')
            .then(|| after.get(..3))
            .flatten()
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 8).ok());
        match code {
            Some(byte) => {
                out.push(byte);
                rest = after.get(3..).unwrap_or_default();
            }
            None => {
                out.push(*first);
                rest = after;
            }
        }
    }
    PathBuf::from(OsString::from_vec(out))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
20 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
30 20 147:0 / /data1 rw,noatime shared:2 master:1 - ext4 /dev/drbd0 rw,errors=remount-ro
31 30 0:40 / /data1/tmp rw - tmpfs tmpfs ro,size=1k
32 30 147:0 /www /data1/a\\040b rw - ext4 /dev/drbd0 rw
33 30 0:41 / /data1 rw - tmpfs cover rw
34 31 0:42 / /data1/tmp/deep rw - tmpfs tmpfs rw
nonsense
35 20 x:y / / rw - a b c
";

    #[test]
    fn reads_lines_with_and_without_optional_fields() {
        let table = Table::parse(TEXT.as_bytes());
        assert_eq!(table.mounts.len(), 6);
        let data = &table.mounts[1];
        assert_eq!((data.id, data.parent, data.device), (30, 20, (147, 0)));
        assert_eq!((data.kind.as_str(), data.source.as_str()), ("ext4", "/dev/drbd0"));
        assert!(!data.superblock_read_only && table.mounts[2].superblock_read_only);
        assert_eq!(table.mounts[3].at, PathBuf::from("/data1/a b"));
        assert_eq!(table.mounts[3].root, PathBuf::from("/www"));
    }

    #[test]
    fn the_tree_holds_what_is_below_and_nothing_beside() {
        let table = Table::parse(TEXT.as_bytes());
        let ids: Vec<u64> = table.tree(&table.mounts[1]).iter().map(|mount| mount.id).collect();
        assert_eq!(ids, [30, 31, 32, 33, 34]);
        let ids: Vec<u64> = table.tree(&table.mounts[2]).iter().map(|mount| mount.id).collect();
        assert_eq!(ids, [31, 34]);
    }

    /// A mount that cannot be seen would count as unmounted.
    #[test]
    fn i1_without_a_free_descriptor_mounts_are_waited_for() {
        let table = procfs::tests::without_a_descriptor(Table::read);
        assert!(table.is_ok_and(|table| !table.mounts.is_empty()));
    }

    #[test]
    fn a_mount_over_a_mount_is_seen() {
        let table = Table::parse(TEXT.as_bytes());
        assert_eq!(table.covering(&table.mounts[1]).map(|mount| mount.id), Some(33));
        assert_eq!(table.covering(&table.mounts[2]), None);
    }
}
