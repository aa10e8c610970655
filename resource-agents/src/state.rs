//! Small files that one call of an agent leaves for the next, in `CRM_STATE_DIR`.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::contract::Context;
use crate::procfs;

/// The path of this resource's file with the given ending; the directory exists afterwards.
pub(crate) fn path(context: &Context, ending: &str) -> io::Result<PathBuf> {
    procfs::patiently(|| DirBuilder::new().recursive(true).mode(0o700).create(&context.state_dir))?;
    Ok(context.state_dir.join(format!("{}.{ending}", context.instance)))
}

/// Replaces the file as a whole: a reader sees the old text or the new one.
pub(crate) fn store(path: &Path, text: &str) -> io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.new", std::process::id()));
    let fresh = path.with_file_name(name);
    let mut options = File::options();
    options.write(true).create(true).truncate(true).mode(0o600);
    let written = procfs::patiently(|| options.open(&fresh))
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .and_then(|()| fs::rename(&fresh, path));
    if written.is_err() {
        let _ = fs::remove_file(&fresh);
    }
    written
}

/// The text of the file; `None` if there is none.
pub(crate) fn load(path: &Path) -> io::Result<Option<String>> {
    match procfs::patiently(|| fs::read_to_string(path)) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Removes the file; a file that is not there is removed already.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::procfs::tests::without_a_descriptor;

    /// What cannot be read for want of a descriptor is not a start that nobody made.
    #[test]
    fn i1_without_a_free_descriptor_files_are_waited_for() {
        let path = std::env::temp_dir().join(format!("crm-state-{}", std::process::id()));
        let own = path.clone();
        let read = without_a_descriptor(move || load(&own));
        assert_eq!(read.expect("no file"), None);
        let own = path.clone();
        without_a_descriptor(move || store(&own, "text")).expect("stored");
        assert_eq!(load(&path).expect("reads").as_deref(), Some("text"));
        remove(&path).expect("removed");
    }
}
