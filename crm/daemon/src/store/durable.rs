//! Files and directories that a power cut leaves whole: the old ones or the new ones (AS1).

use super::disk::{Disk, SystemDisk};
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

/// Replaces a file: after a power cut it holds the old bytes or the new ones, never anything else,
/// and once this has returned the new ones. Mode and owner of an old file stay.
///
/// # Errors
/// It is not known which of both the disk holds.
pub fn replace_file(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    replace(&SystemDisk, path, bytes, mode)
}

/// New file, sync, rename, sync of the directory.
pub(crate) fn replace<D: Disk>(disk: &D, path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let directory = directory_of(path);
    let draft_path = draft_of(path);
    // One name, so that power cuts do not leave drafts behind that nobody ever removes.
    match disk.remove(&draft_path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
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
    let mut name = OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(".new");
    path.with_file_name(name)
}
