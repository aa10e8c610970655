//! A disk that remembers what is synced and what is not, fails on demand, and can be made to skip
//! a step that the product must not skip.

use crate::store::Disk;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub(super) type Inode = u64;

/// What a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Node {
    Directory,
    File(Inode),
}

impl Node {
    pub(super) fn inode(self) -> Option<Inode> {
        match self {
            Node::Directory => None,
            Node::File(inode) => Some(inode),
        }
    }
}

/// One name of a directory that was set or taken away, and is not synced yet.
#[derive(Clone, Debug)]
pub(super) struct Change {
    pub(super) path: PathBuf,
    pub(super) node: Option<Node>,
}

/// Bytes of a file: as processes see them, and as they are synced.
#[derive(Clone, Debug, Default)]
pub(super) struct Content {
    pub(super) seen: Arc<Vec<u8>>,
    pub(super) synced: Arc<Vec<u8>>,
    /// A sync failed: the kernel has forgotten what it did not write, and later syncs succeed.
    forgotten: bool,
}

impl Content {
    pub(super) fn whole(bytes: Arc<Vec<u8>>) -> Content {
        Content { seen: bytes.clone(), synced: bytes, forgotten: false }
    }
}

/// Everything on the disk and in the kernel's memory of it, at one instant.
#[derive(Clone, Debug, Default)]
pub(super) struct Snapshot {
    pub(super) seen: BTreeMap<PathBuf, Node>,
    pub(super) synced: BTreeMap<PathBuf, Node>,
    pub(super) changes: Vec<Change>,
    pub(super) contents: BTreeMap<Inode, Content>,
    next: Inode,
}

/// What the operation of a number answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// ENOSPC; a write gets half of its bytes down.
    Full,
    /// EIO, and nothing of it was done.
    Fails,
    /// EIO, and it was done all the same.
    FailsDone,
}

/// A step left out. Each is a mistake that somebody could make in earnest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Skips {
    FileSync,
    DirectorySync,
    /// Written where it will stand.
    Rename,
    /// A failed sync is asked for again, and believed.
    SyncErrors,
    /// New directories are believed to be there.
    ParentSync,
}

#[derive(Debug, Default)]
struct Inside {
    disk: Snapshot,
    operations: u64,
    fault: Option<(u64, Fault)>,
    skips: Option<Skips>,
    /// The disk after each operation, while it is watched.
    watched: Option<Vec<Snapshot>>,
}

/// Shared by its clones, as a disk is.
#[derive(Clone, Debug, Default)]
pub(super) struct FaultDisk(Arc<Mutex<Inside>>);

impl FaultDisk {
    /// As the machine finds it after a boot.
    pub(super) fn holding(disk: Snapshot, skips: Option<Skips>) -> FaultDisk {
        FaultDisk(Arc::new(Mutex::new(Inside { disk, skips, ..Inside::default() })))
    }

    fn inside(&self) -> MutexGuard<'_, Inside> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn now(&self) -> Snapshot {
        self.inside().disk.clone()
    }

    /// From now on the disk is kept as it is after each operation.
    pub(super) fn watch(&self) {
        self.inside().watched = Some(Vec::new());
    }

    pub(super) fn watched(&self) -> Vec<Snapshot> {
        self.inside().watched.take().unwrap_or_default()
    }

    /// Operations until now, failed ones too; looking is none.
    pub(super) fn operations(&self) -> u64 {
        self.inside().operations
    }

    /// The operation of this number, counted from the disk's first, fails.
    pub(super) fn fail(&self, number: u64, fault: Fault) {
        self.inside().fault = Some((number, fault));
    }

    fn operate<T>(
        &self,
        partly: impl FnOnce(&mut Snapshot),
        wholly: impl FnOnce(&mut Snapshot) -> io::Result<T>,
    ) -> io::Result<T> {
        let mut inside = self.inside();
        inside.operations += 1;
        let fault = inside.fault.filter(|(number, _)| *number == inside.operations);
        let result = match fault.map(|(_, fault)| fault) {
            None => wholly(&mut inside.disk),
            Some(Fault::FailsDone) => {
                wholly(&mut inside.disk)?;
                Err(io::Error::from_raw_os_error(nix::libc::EIO))
            }
            Some(fault) => {
                partly(&mut inside.disk);
                let full = fault == Fault::Full;
                let number = if full { nix::libc::ENOSPC } else { nix::libc::EIO };
                Err(io::Error::from_raw_os_error(number))
            }
        };
        let now = inside.disk.clone();
        if let Some(watched) = &mut inside.watched {
            watched.push(now);
        }
        result
    }

    fn skips(&self, what: Skips) -> bool {
        self.inside().skips == Some(what)
    }
}

impl Snapshot {
    /// A disk with these files, all of them synced.
    pub(super) fn with(files: &[(&Path, Vec<u8>)]) -> Snapshot {
        let mut disk = Snapshot::default();
        for (path, bytes) in files {
            for directory in path.ancestors().skip(1) {
                disk.seen.insert(directory.to_owned(), Node::Directory);
            }
            let inode = disk.new_inode();
            disk.contents.insert(inode, Content::whole(Arc::new(bytes.clone())));
            disk.seen.insert((*path).to_owned(), Node::File(inode));
        }
        disk.synced = disk.seen.clone();
        disk
    }

    /// The same disk after a boot: these names and bytes, all of them synced.
    pub(super) fn after(
        &self,
        names: &BTreeMap<PathBuf, Node>,
        contents: BTreeMap<Inode, Content>,
    ) -> Snapshot {
        let (seen, synced) = (names.clone(), names.clone());
        Snapshot { seen, synced, changes: Vec::new(), contents, next: self.next }
    }

    fn new_inode(&mut self) -> Inode {
        self.next += 1;
        self.next
    }

    fn change(&mut self, path: &Path, node: Option<Node>) {
        match node {
            Some(node) => self.seen.insert(path.to_owned(), node),
            None => self.seen.remove(path),
        };
        self.changes.push(Change { path: path.to_owned(), node });
    }

    fn file(&self, path: &Path) -> io::Result<Inode> {
        match self.seen.get(path) {
            Some(Node::File(inode)) => Ok(*inode),
            _ => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn sync_names(&mut self, directory: &Path) {
        let (ours, others) = std::mem::take(&mut self.changes)
            .into_iter()
            .partition(|change: &Change| change.path.parent() == Some(directory));
        self.changes = others;
        for change in ours {
            change.done(&mut self.synced);
        }
        let names = self.seen.values().chain(self.synced.values()).copied();
        let changed = self.changes.iter().filter_map(|change| change.node);
        let used: BTreeSet<Inode> = names.chain(changed).filter_map(Node::inode).collect();
        self.contents.retain(|inode, _| used.contains(inode));
    }
}

impl Change {
    pub(super) fn done(&self, names: &mut BTreeMap<PathBuf, Node>) {
        match self.node {
            Some(node) => names.insert(self.path.clone(), node),
            None => names.remove(&self.path),
        };
    }
}

impl Disk for FaultDisk {
    type Draft = Inode;

    fn create(&self, path: &Path, _mode: u32, replaced: &Path) -> io::Result<Inode> {
        let path = if self.skips(Skips::Rename) { replaced } else { path };
        let in_place = self.skips(Skips::Rename);
        self.operate(
            |_| {},
            |disk| {
                if let Ok(inode) = disk.file(path) {
                    if !in_place {
                        return Err(io::ErrorKind::AlreadyExists.into());
                    }
                    let content = disk.contents.entry(inode).or_default();
                    content.seen = Arc::default();
                    return Ok(inode);
                }
                if path.parent().is_none_or(|parent| !disk.seen.contains_key(parent)) {
                    return Err(io::ErrorKind::NotFound.into());
                }
                let inode = disk.new_inode();
                disk.contents.insert(inode, Content::default());
                disk.change(path, Some(Node::File(inode)));
                Ok(inode)
            },
        )
    }

    fn open(&self, path: &Path, replaced: &Path) -> io::Result<Inode> {
        let path = if self.skips(Skips::Rename) { replaced } else { path };
        self.operate(|_| {}, |disk| disk.file(path))
    }

    fn write(&self, draft: &mut Inode, bytes: &[u8]) -> io::Result<()> {
        let inode = *draft;
        self.operate(
            |disk| {
                let half = &bytes[..bytes.len() / 2];
                let seen = Arc::make_mut(&mut disk.contents.entry(inode).or_default().seen);
                let stays = seen.split_off(half.len().min(seen.len()));
                *seen = [half, &stays].concat();
            },
            |disk| {
                disk.contents.entry(inode).or_default().seen = Arc::new(bytes.to_vec());
                Ok(())
            },
        )
    }

    fn sync(&self, draft: &Inode) -> io::Result<()> {
        if self.skips(Skips::FileSync) {
            return Ok(());
        }
        let sync = || {
            self.operate(
                |disk| disk.contents.entry(*draft).or_default().forgotten = true,
                |disk| {
                    let content = disk.contents.entry(*draft).or_default();
                    if !content.forgotten {
                        content.synced = content.seen.clone();
                    }
                    Ok(())
                },
            )
        };
        if self.skips(Skips::SyncErrors) { sync().or_else(|_| sync()) } else { sync() }
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        if self.skips(Skips::Rename) {
            return Ok(());
        }
        self.operate(
            |_| {},
            |disk| {
                let inode = disk.file(from)?;
                disk.change(to, Some(Node::File(inode)));
                disk.change(from, None);
                Ok(())
            },
        )
    }

    fn exchange(&self, one: &Path, other: &Path) -> io::Result<()> {
        if self.skips(Skips::Rename) {
            return Ok(());
        }
        if self.now().file(other).is_err() {
            return Err(io::Error::from_raw_os_error(nix::libc::ENOENT));
        }
        self.operate(
            |_| {},
            |disk| {
                let (first, second) = (disk.file(one)?, disk.file(other)?);
                disk.change(other, Some(Node::File(first)));
                disk.change(one, Some(Node::File(second)));
                Ok(())
            },
        )
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        if self.now().file(path).is_err() {
            return Err(io::ErrorKind::NotFound.into());
        }
        self.operate(
            |_| {},
            |disk| {
                disk.change(path, None);
                Ok(())
            },
        )
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        let skipped = match self.inside().skips {
            Some(Skips::DirectorySync) => true,
            Some(Skips::ParentSync) => path.ends_with("lib"),
            _ => false,
        };
        if skipped {
            return Ok(());
        }
        self.operate(
            |_| {},
            |disk| {
                disk.sync_names(path);
                Ok(())
            },
        )
    }

    fn make_directory(&self, path: &Path) -> io::Result<()> {
        self.operate(
            |_| {},
            |disk| {
                disk.change(path, Some(Node::Directory));
                Ok(())
            },
        )
    }

    fn is_directory(&self, path: &Path) -> bool {
        self.inside().disk.seen.get(path) == Some(&Node::Directory)
    }

    fn read(&self, path: &Path, limit: u64) -> io::Result<Vec<u8>> {
        let inside = self.inside();
        let inode = inside.disk.file(path)?;
        let bytes = inside.disk.contents.get(&inode).map(|content| content.seen.as_slice());
        let bytes = bytes.unwrap_or_default();
        Ok(bytes[..bytes.len().min(usize::try_from(limit).unwrap_or(usize::MAX))].to_vec())
    }
}
