//! `cluster.yaml`: the record is the truth, the file is the draft (design 4).
//!
//! The file follows the configuration in force as long as nobody edited it. An edited one is
//! never overwritten and never acted upon; the core hears its digest and reports the difference.

use crate::founding::{CONFIG_BYTES_MAX, remember_applied};
use crate::store::replace_file;
use crm_core::digest::digest;
use crm_core::id::Digest;
use std::fs;
use std::io::{self, Read};
use std::path::PathBuf;
use std::time::SystemTime;

/// The file and what is known of it.
#[derive(Debug)]
pub(crate) struct Draft {
    file: PathBuf,
    state: PathBuf,
    /// In force now.
    wanted: Option<String>,
    seen: Option<(Option<SystemTime>, u64)>,
    told: Option<Option<Digest>>,
}

impl Draft {
    pub(crate) fn new(file: PathBuf, state: PathBuf) -> Draft {
        Draft { file, state, wanted: None, seen: None, told: None }
    }

    /// This text is in force. The file is rewritten if it is what was in force before, or missing.
    ///
    /// # Errors
    /// One line; the daemon goes on, and the file shows as a draft that differs.
    pub(crate) fn in_force(&mut self, text: &str) -> Result<(), String> {
        self.wanted = Some(text.to_owned());
        self.follow().map_err(|error| {
            format!("{} cannot follow the configuration in force: {error}", self.file.display())
        })
    }

    fn follow(&mut self) -> io::Result<()> {
        let Some(wanted) = self.wanted.as_deref() else { return Ok(()) };
        let found = match fs::File::open(&self.file) {
            Ok(file) => {
                let mut bytes = Vec::new();
                file.take(CONFIG_BYTES_MAX + 1).read_to_end(&mut bytes)?;
                Some(bytes)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        match found {
            Some(found) if found == wanted.as_bytes() => {}
            Some(found) if Some(digest(&found)) != self.applied() => return Ok(()),
            Some(found) => {
                replace_file(&self.file.with_extension("yaml.old"), &found, 0o644)?;
                replace_file(&self.file, wanted.as_bytes(), 0o644)?;
            }
            None => replace_file(&self.file, wanted.as_bytes(), 0o644)?,
        }
        if self.applied() != Some(digest(wanted.as_bytes())) {
            remember_applied(&self.state, wanted)?;
        }
        Ok(())
    }

    /// Digest of the text that the file last had from us.
    fn applied(&self) -> Option<Digest> {
        let text = fs::read_to_string(self.state.join("applied")).ok()?;
        u128::from_str_radix(text.trim(), 16).ok().map(Digest)
    }

    /// The file's digest if it is not what was told last; the inner `None`: it cannot be read.
    pub(crate) fn look(&mut self) -> Option<Option<Digest>> {
        let meta = fs::metadata(&self.file).ok();
        let seen = meta.map(|meta| (meta.modified().ok(), meta.len()));
        if self.told.is_some() && seen == self.seen {
            return None;
        }
        self.seen = seen;
        let now =
            crate::founding::read_limited(&self.file).ok().map(|text| digest(text.as_bytes()));
        if self.told == Some(now) {
            return None;
        }
        self.told = Some(now);
        Some(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draft(dir: &crate::testing::Dir) -> Draft {
        Draft::new(dir.path().join("cluster.yaml"), dir.path().to_owned())
    }
    fn read(dir: &crate::testing::Dir, name: &str) -> Option<String> {
        fs::read_to_string(dir.path().join(name)).ok()
    }

    #[test]
    fn a_file_that_nobody_edited_follows_and_the_old_one_stays_beside_it() {
        let dir = crate::testing::Dir::new();
        let mut draft = draft(&dir);
        draft.in_force("one").expect("written");
        assert_eq!(read(&dir, "cluster.yaml").as_deref(), Some("one"));
        draft.in_force("two").expect("written");
        assert_eq!(read(&dir, "cluster.yaml").as_deref(), Some("two"));
        assert_eq!(read(&dir, "cluster.yaml.old").as_deref(), Some("one"));
    }

    #[test]
    fn an_edited_file_is_never_overwritten_until_it_equals_what_is_in_force() {
        let dir = crate::testing::Dir::new();
        let mut draft = draft(&dir);
        draft.in_force("one").expect("written");
        fs::write(dir.path().join("cluster.yaml"), "mine").expect("edit");
        draft.in_force("two").expect("left alone");
        assert_eq!(read(&dir, "cluster.yaml").as_deref(), Some("mine"));
        // It is applied: text and file are one again, and follow from now on.
        draft.in_force("mine").expect("equal");
        draft.in_force("three").expect("written");
        assert_eq!(read(&dir, "cluster.yaml").as_deref(), Some("three"));
        assert_eq!(read(&dir, "cluster.yaml.old").as_deref(), Some("mine"));
    }

    #[test]
    fn a_crash_between_the_commit_and_the_rewriting_is_no_edit() {
        let dir = crate::testing::Dir::new();
        draft(&dir).in_force("one").expect("written");
        // The daemon that starts again finds another text in force than in the file.
        draft(&dir).in_force("two").expect("written");
        assert_eq!(read(&dir, "cluster.yaml").as_deref(), Some("two"));
    }

    #[test]
    fn a_change_of_the_file_is_told_once() {
        let dir = crate::testing::Dir::new();
        let mut draft = draft(&dir);
        assert_eq!(draft.look(), Some(None), "missing is told");
        assert_eq!(draft.look(), None);
        fs::write(dir.path().join("cluster.yaml"), "a").expect("write");
        assert_eq!(draft.look(), Some(Some(digest(b"a"))));
        assert_eq!(draft.look(), None);
        fs::write(dir.path().join("cluster.yaml"), "ab").expect("write");
        assert_eq!(draft.look(), Some(Some(digest(b"ab"))));
    }
}
