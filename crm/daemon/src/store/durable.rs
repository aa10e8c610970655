//! Files and directories that a power cut leaves whole: the old ones or the new ones (AS1).
//!
//! A file that is replaced again and again takes turns with a spare one, so that a full disk is none of its
//! business: both have their blocks already, and their names only change places.

use super::disk::{Disk, SystemDisk};
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

/// What a file that takes turns may grow to without another block of the disk: the largest record (the configuration
/// of an operator's `apply` is the greater part of it).
const ROOM: u64 = 1024 * 1024;

/// Replaces a file: after a power cut it holds the old bytes or the new ones, never anything else,
/// and once this has returned the new ones. Mode and owner of an old file stay.
///
/// # Errors
/// It is not known which of both the disk holds.
pub fn replace_file(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    replace(&SystemDisk, path, bytes, mode)
}

/// Does a replaced file have a spare one, whose blocks may be written over?
///
/// Only in one run, and only after a replacement that succeeded as a whole: the name of the spare may else be the
/// only durable one of the file that counts.
#[derive(Debug, Default)]
#[cfg_attr(test, derive(Clone, Copy))]
pub(crate) struct Spare {
    there: bool,
}

impl Spare {
    /// A daemon that takes a file of an earlier run for its own spare one.
    #[cfg(test)]
    pub(crate) fn believed() -> Spare {
        Spare { there: true }
    }
}

/// [`replace_file`] by taking turns. The first time, a spare file of an earlier run is removed.
///
/// # Errors
/// It is not known which of both the disk holds.
pub(crate) fn take_turns<D: Disk>(
    disk: &D,
    path: &Path,
    bytes: &[u8],
    mode: u32,
    spare: &mut Spare,
) -> io::Result<()> {
    let spare_path = spare_of(path);
    let old = match std::mem::take(&mut spare.there) {
        true => disk.open(&spare_path, path).ok(),
        false => None,
    };
    let mut draft = match old {
        Some(old) => old,
        None => {
            remove_if_there(disk, &spare_path)?;
            disk.create(&spare_path, mode, path)?
        }
    };
    disk.write(&mut draft, bytes)?;
    disk.reserve(&draft, ROOM);
    disk.sync(&draft)?;
    let exchanged = match disk.exchange(&spare_path, path) {
        Ok(()) => true,
        // The first one of all, or a file system that cannot.
        Err(error) if has_not_exchanged(&error) => {
            disk.rename(&spare_path, path)?;
            false
        }
        Err(error) => return Err(error),
    };
    disk.sync_directory(&directory_of(path))?;
    spare.there = exchanged;
    Ok(())
}

fn has_not_exchanged(error: &io::Error) -> bool {
    use nix::libc::{EINVAL, ENOENT, ENOSYS, EOPNOTSUPP};
    matches!(error.raw_os_error(), Some(ENOENT | EINVAL | ENOSYS | EOPNOTSUPP))
}

fn remove_if_there<D: Disk>(disk: &D, path: &Path) -> io::Result<()> {
    match disk.remove(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// New file, sync, rename, sync of the directory.
pub(crate) fn replace<D: Disk>(disk: &D, path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let directory = directory_of(path);
    let draft_path = draft_of(path);
    // One name, so that power cuts do not leave drafts behind that nobody ever removes.
    remove_if_there(disk, &draft_path)?;
    let written = disk.create(&draft_path, mode, path).and_then(|mut draft| {
        disk.write(&mut draft, bytes)?;
        disk.sync(&draft)?;
        disk.rename(&draft_path, path)
    });
    if let Err(error) = written {
        // A full disk is not made fuller; the first error is the one to tell.
        let _ = disk.remove(&draft_path);
        return Err(error);
    }
    disk.sync_directory(&directory)
}

/// Makes a directory for the owner's eyes only, with those above it; each name is durable.
pub(crate) fn make_directories<D: Disk>(disk: &D, path: &Path) -> io::Result<()> {
    if path.as_os_str().is_empty() || disk.is_directory(path) {
        return Ok(());
    }
    let parent = directory_of(path);
    make_directories(disk, &parent)?;
    match disk.make_directory(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => disk.sync_directory(&parent),
    }
}

fn directory_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// Where the new bytes are until they are whole.
pub(crate) fn draft_of(path: &Path) -> PathBuf {
    beside(path, ".new")
}

/// The file before the last one, or the next one while it is written: never to be read.
pub(crate) fn spare_of(path: &Path) -> PathBuf {
    beside(path, ".spare")
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(ending);
    path.with_file_name(name)
}
