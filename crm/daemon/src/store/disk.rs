//! The few operations on files that what must survive a power cut is made of. The daemon has the
//! kernel's; the tests have a disk that loses whatever a power cut may take, and fails on demand.

use nix::fcntl::{AT_FDCWD, FallocateFlags, RenameFlags, fallocate, renameat2};
use std::fs::{DirBuilder, File, Metadata, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::Path;

/// Files and directories, one system call each, so that a power cut can fall between any two.
pub(crate) trait Disk: Clone {
    /// A file that is open for writing.
    type Draft;

    /// A new, empty file; refused where there is one. It takes mode and owner of `replaced`, if
    /// that is there, else `mode`.
    fn create(&self, path: &Path, mode: u32, replaced: &Path) -> io::Result<Self::Draft>;
    /// A file that is to be written over; it is to stand in the place of `replaced`.
    fn open(&self, path: &Path, replaced: &Path) -> io::Result<Self::Draft>;
    /// Takes blocks of the disk for what it may grow to, if that is to be had; it does not get longer by it.
    fn reserve(&self, _: &Self::Draft, _: u64) {}
    /// From here on it holds these bytes and no others. Blocks that it has already are used again.
    fn write(&self, draft: &mut Self::Draft, bytes: &[u8]) -> io::Result<()>;
    /// After an error it is not known what is on the disk, and asking again proves nothing (AS1).
    fn sync(&self, draft: &Self::Draft) -> io::Result<()>;
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Two names change places, both or none.
    fn exchange(&self, one: &Path, other: &Path) -> io::Result<()>;
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Makes the names in a directory durable.
    fn sync_directory(&self, path: &Path) -> io::Result<()>;
    /// One directory, for the owner's eyes only; its parent is there.
    fn make_directory(&self, path: &Path) -> io::Result<()>;
    fn is_directory(&self, path: &Path) -> bool;
    /// At most `limit` bytes.
    fn read(&self, path: &Path, limit: u64) -> io::Result<Vec<u8>>;
}

/// The kernel's files.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct SystemDisk;

impl Disk for SystemDisk {
    type Draft = File;

    fn create(&self, path: &Path, mode: u32, replaced: &Path) -> io::Result<File> {
        let file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
        match std::fs::symlink_metadata(replaced) {
            Ok(old) if old.is_file() => take_after(&file, &old)?,
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        Ok(file)
    }

    fn open(&self, path: &Path, _: &Path) -> io::Result<File> {
        OpenOptions::new().write(true).custom_flags(nix::libc::O_NOFOLLOW).open(path)
    }

    fn reserve(&self, draft: &File, room: u64) {
        let room = nix::libc::off_t::try_from(room).unwrap_or(nix::libc::off_t::MAX);
        // Not every file system can, and a full one has none: then it is as it was.
        let _ = fallocate(draft, FallocateFlags::FALLOC_FL_KEEP_SIZE, 0, room);
    }

    fn write(&self, draft: &mut File, bytes: &[u8]) -> io::Result<()> {
        draft.write_all(bytes)?;
        // The same length again would give back the blocks that are reserved behind it.
        match draft.metadata()?.len() == bytes.len() as u64 {
            true => Ok(()),
            false => draft.set_len(bytes.len() as u64),
        }
    }

    fn sync(&self, draft: &File) -> io::Result<()> {
        draft.sync_all()
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::rename(from, to)
    }

    fn exchange(&self, one: &Path, other: &Path) -> io::Result<()> {
        Ok(renameat2(AT_FDCWD, one, AT_FDCWD, other, RenameFlags::RENAME_EXCHANGE)?)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_file(path)
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }

    fn make_directory(&self, path: &Path) -> io::Result<()> {
        DirBuilder::new().mode(0o700).create(path)
    }

    fn is_directory(&self, path: &Path) -> bool {
        path.is_dir()
    }

    fn read(&self, path: &Path, limit: u64) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        File::open(path)?.take(limit).read_to_end(&mut bytes)?;
        Ok(bytes)
    }
}

fn take_after(file: &File, old: &Metadata) -> io::Result<()> {
    let new = file.metadata()?;
    if (new.uid(), new.gid()) != (old.uid(), old.gid()) {
        match fchown(file, Some(old.uid()), Some(old.gid())) {
            // Who is not root may replace another user's file, and then owns it.
            Err(error) if error.kind() != io::ErrorKind::PermissionDenied => return Err(error),
            _ => {}
        }
    }
    file.set_permissions(Permissions::from_mode(old.mode() & 0o777))
}
