//! The key file: read before anything is sent, and again whenever it changes.

use crm_wire::{AuthKeys, check_mode};
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Largest key file, in bytes.
const FILE_BYTES_MAX: u64 = 64 * 1024;

/// Reads and checks it.
///
/// # Errors
/// It is missing, others may read it (HB2), or it is not understood (HB3): with file and mode or
/// line, and never with a secret.
pub(crate) fn load(path: &Path) -> Result<AuthKeys, String> {
    let name = path.display().to_string();
    let mut file = File::open(path).map_err(|error| {
        format!(
            "{name} cannot be read: {error}\nhint: `crm init` makes it on the first node; copy it \
             to the others with mode 600"
        )
    })?;
    // Of the open file: what is checked is what is read.
    let mode = file.metadata().map_err(|error| format!("{name}: {error}"))?.permissions().mode();
    check_mode(&name, mode).map_err(|error| error.to_string())?;
    let mut text = String::new();
    (&mut file)
        .take(FILE_BYTES_MAX)
        .read_to_string(&mut text)
        .map_err(|error| format!("{name} cannot be read: {error}"))?;
    AuthKeys::parse(&name, &text).map_err(|error| error.to_string())
}

/// Checks the key file and has it survive a loss of power: who copied it here cannot know whether it would.
///
/// # Errors
/// What is wrong with it, and after `hint: ` what to do.
pub fn keep_keys(path: &Path) -> Result<(), String> {
    load(path)?;
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    File::open(path)
        .and_then(|file| file.sync_all())
        .and_then(|()| File::open(directory.unwrap_or(Path::new(".")))?.sync_all())
        .map_err(|error| format!("{} cannot be synced: {error}", path.display()))
}

/// Notices that the file changed.
#[derive(Clone, Debug)]
pub(crate) struct KeyFile {
    path: PathBuf,
    seen: Option<(u64, i64, i64, i64, u64, u32)>,
}

impl KeyFile {
    /// Before the keys are read, or a change in between is never seen.
    pub(crate) fn new(path: PathBuf) -> KeyFile {
        let seen = look(&path);
        KeyFile { path, seen }
    }

    /// The new keys, or why the old ones stay, if the file changed since the last call.
    pub(crate) fn changed(&mut self) -> Option<Result<AuthKeys, String>> {
        let now = look(&self.path);
        if now == self.seen {
            return None;
        }
        self.seen = now;
        Some(load(&self.path))
    }
}

fn look(path: &Path) -> Option<(u64, i64, i64, i64, u64, u32)> {
    let meta = fs::metadata(path).ok()?;
    Some((meta.ino(), meta.mtime(), meta.mtime_nsec(), meta.ctime_nsec(), meta.len(), meta.mode()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(path: &Path, mode: u32) {
        fs::write(path, crm_wire::generate(std::array::from_fn(|place| place as u8)).as_bytes())
            .expect("write");
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("chmod");
    }

    #[test]
    fn hb2_a_key_file_that_others_may_read_is_refused_with_file_and_mode() {
        let dir = crate::testing::Dir::new();
        let path = dir.path().join("authkeys");
        write(&path, 0o600);
        assert!(load(&path).is_ok());
        for mode in [0o640, 0o604, 0o644] {
            write(&path, mode);
            let error = load(&path).expect_err("refused");
            assert!(error.contains("authkeys") && error.contains(&format!("{mode:o}")), "{error}");
        }
    }

    #[test]
    fn hb3_a_key_file_without_a_key_is_not_kept() {
        let dir = crate::testing::Dir::new();
        let path = dir.path().join("authkeys");
        write(&path, 0o600);
        assert_eq!(keep_keys(&path), Ok(()));
        fs::write(&path, "").expect("write");
        let error = keep_keys(&path).expect_err("empty");
        assert!(error.contains("authkeys") && error.contains("\nhint: "), "{error}");
    }

    #[test]
    fn a_change_is_seen_once_and_a_bad_file_says_why() {
        let dir = crate::testing::Dir::new();
        let path = dir.path().join("authkeys");
        write(&path, 0o600);
        let mut file = KeyFile::new(path.clone());
        assert!(file.changed().is_none());
        fs::write(&path, "auth 3\n").expect("write");
        assert!(matches!(file.changed(), Some(Err(_))));
        assert!(file.changed().is_none());
        fs::remove_file(&path).expect("remove");
        assert!(matches!(file.changed(), Some(Err(_))), "a missing file keeps the old keys");
    }
}
