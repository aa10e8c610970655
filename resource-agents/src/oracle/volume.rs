//! HB43: what an instance that runs here would miss on another node, for it does not lie on its volume.

use std::path::{Path, PathBuf};

use super::Instance;
use crate::deadline::Deadline;

impl Instance {
    /// Its files that are not below `mount`, in one text for people; `None` if all are, or if it does not say.
    pub(super) fn elsewhere(&self, mount: &Path, deadline: Deadline) -> Option<String> {
        let said = self.ask_files(deadline).ok()?;
        let mut files: Vec<PathBuf> = said
            .lines()
            .filter_map(|line| line.trim().strip_prefix("file="))
            .map(PathBuf::from)
            .filter(|file| !lies_on(file, mount))
            .collect();
        // By its usual name; a link into the volume is as good.
        let passwords = self.home.join("dbs").join(format!("orapw{}", self.sid));
        if passwords.exists() && !lies_on(&passwords, mount) {
            files.push(passwords);
        }
        files.sort();
        files.dedup();
        if files.is_empty() {
            return None;
        }
        let mut named: Vec<String> =
            files.iter().take(MOST_NAMED).map(|file| file.display().to_string()).collect();
        if files.len() > MOST_NAMED {
            named.push(format!("{} more", files.len() - MOST_NAMED));
        }
        Some(format!(
            "{} would not open on another node as it is here: not on {} are {}",
            self.sid,
            mount.display(),
            named.join(", ")
        ))
    }
}

/// What cannot be looked at counts by its name.
fn lies_on(file: &Path, mount: &Path) -> bool {
    let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    real(file).starts_with(real(mount))
}

const MOST_NAMED: usize = 4;
