//! What a power cut may leave: of the names that are not synced any, of the bytes that are not
//! synced all, some, or none. Harsher than a journalling file system, which keeps an order.

use super::fault_disk::{Content, Inode, Node, Snapshot};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

/// What a disk writes at once; a power cut tears between two of them.
const SECTOR: usize = 512;

type Names = BTreeMap<PathBuf, Node>;
type Bytes = Arc<Vec<u8>>;

/// Names and bytes of all files.
pub(super) type Files = Vec<(PathBuf, Bytes)>;

impl Snapshot {
    /// Every disk that the machine may find when power is cut now.
    pub(super) fn aftermaths(&self) -> Vec<Snapshot> {
        let mut all = Vec::new();
        let mut found = BTreeSet::new();
        for subset in 0_u32..1 << self.changes.len() {
            let mut names = self.synced.clone();
            for (number, change) in self.changes.iter().enumerate() {
                if subset & (1 << number) != 0 {
                    change.done(&mut names);
                }
            }
            // What is in a directory that is not there is not there either.
            let directories = names.clone();
            let there = |path: &PathBuf| {
                path.ancestors()
                    .skip(1)
                    .all(|above| above.as_os_str().is_empty() || directories.contains_key(above))
            };
            names.retain(|path, _| there(path));
            for disk in self.with_contents(&names) {
                if found.insert(disk.files()) {
                    all.push(disk);
                }
            }
        }
        all
    }

    /// One disk for each way in which the bytes of these files may have got down.
    fn with_contents(&self, names: &Names) -> Vec<Snapshot> {
        let inodes: BTreeSet<Inode> = names.values().filter_map(|node| node.inode()).collect();
        let mut disks: Vec<BTreeMap<Inode, Content>> = vec![BTreeMap::new()];
        for inode in inodes {
            let variants = self.contents.get(&inode).map(variants).unwrap_or_default();
            disks = disks
                .iter()
                .flat_map(|disk| {
                    variants.iter().map(|bytes| {
                        let mut disk = disk.clone();
                        disk.insert(inode, Content::whole(bytes.clone()));
                        disk
                    })
                })
                .collect();
        }
        disks.into_iter().map(|contents| self.after(names, contents)).collect()
    }

    pub(super) fn files(&self) -> Files {
        let bytes = |node: &Node| {
            let content = node.inode().and_then(|inode| self.contents.get(&inode));
            content.map(|content| content.seen.clone()).unwrap_or_default()
        };
        self.seen.iter().map(|(path, node)| (path.clone(), bytes(node))).collect()
    }
}

/// What may have become of a file's bytes.
fn variants(content: &Content) -> Vec<Bytes> {
    let (all, old) = (&content.seen, &content.synced);
    if all == old {
        return vec![all.clone()];
    }
    let mut variants = vec![all.clone(), old.clone(), Arc::new(vec![0; all.len()])];
    if let Some(longer) = old.get(all.len()..) {
        variants.push(Arc::new([all, longer].concat()));
    }
    let last = all.len().saturating_sub(1);
    for length in (0..all.len()).step_by(SECTOR).chain([1, last]) {
        variants.push(Arc::new(all[..length.min(all.len())].to_vec()));
    }
    for start in (0..all.len()).step_by(SECTOR) {
        // The length is there, and one sector is not: nothing, or what stood there before.
        let end = (start + SECTOR).min(all.len());
        let mut torn = all.to_vec();
        torn[start..end].fill(0);
        variants.push(Arc::new(torn));
        if old.len() >= end {
            let mut mixed = all.to_vec();
            mixed[start..end].copy_from_slice(&old[start..end]);
            variants.push(Arc::new(mixed));
        }
    }
    variants.sort();
    variants.dedup();
    variants
}
