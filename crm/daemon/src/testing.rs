//! A temporary directory for tests, removed at the end, also of a failed one.

use std::path::{Path, PathBuf};

pub(crate) struct Dir(PathBuf);

impl Dir {
    pub(crate) fn new() -> Dir {
        let name = format!("crmd-test-{:032x}", crate::random::bits().expect("random"));
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path).expect("temporary directory");
        Dir(path)
    }
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
