//! What must survive a power cut: one file, replaced whole (AS1).
//!
//! Missing is not corrupt: a missing file is a new voter that knows nothing (H22), a damaged one
//! is refused, for a voter that forgot its vote could vote twice.

mod format;
mod writer;

pub(crate) use writer::Writer;

use crm_core::record::Stored;
use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Largest file that is read: the largest record, with room to grow.
const FILE_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// The store's directory.
#[derive(Clone, Debug)]
pub(crate) struct Store(PathBuf);

impl Store {
    pub(crate) fn new(directory: &Path) -> Store {
        Store(directory.to_owned())
    }

    pub(crate) fn file(&self) -> PathBuf {
        self.0.join("state")
    }

    /// What the disk holds; `None`: nothing was ever written.
    ///
    /// # Errors
    /// The file is there and cannot be believed: with its path, what is wrong, and the way out.
    pub(crate) fn load(&self) -> Result<Option<Stored>, String> {
        let path = self.file();
        let mut bytes = Vec::new();
        let read = fs::File::open(&path)
            .and_then(|file| file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes));
        match read {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(format!("{} cannot be read: {error}", path.display())),
            Ok(_) => {}
        }
        let refused = |problem: String| {
            format!(
                "{path} {problem}\nhint: this node has forgotten how it voted, so it must not vote \
                 as the one it was. Move {path} away, `crm join` with the address of another node, \
                 start crmd; it comes back as a new voter",
                path = path.display()
            )
        };
        if bytes.len() as u64 > FILE_BYTES_MAX {
            return Err(refused(format!("is larger than {FILE_BYTES_MAX} bytes")));
        }
        format::decode(&bytes).map(Some).map_err(refused)
    }

    /// New file, fsync, rename, fsync of the directory. For the writer's thread and for founding.
    ///
    /// # Errors
    /// It is not known what is on the disk: nothing may be answered any more (AS1).
    pub(crate) fn save(&self, stored: &Stored) -> io::Result<()> {
        replace_file(&self.file(), &format::encode(stored)?, 0o600)
    }
}

/// Replaces a file durably: it holds the old bytes or the new ones, never anything else.
pub(crate) fn replace_file(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    use atomic_write_file::OpenOptions;
    let mut file = OpenOptions::new().mode(mode).open(path)?;
    file.write_all(bytes)?;
    file.commit()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crm_core::id::{Epoch, NodeId, StoreId};
    use crm_core::record::Record;

    fn stored() -> Stored {
        let record = Record::founding("cluster: x\n", &NodeId::new("alpha"), StoreId(7));
        Stored { epoch: Epoch(3), record: Some(record), ..Stored::new(StoreId(7)) }
    }

    #[test]
    fn what_was_saved_is_loaded_again() {
        let dir = crate::testing::Dir::new();
        let store = Store::new(dir.path());
        store.save(&stored()).expect("saved");
        assert_eq!(store.load(), Ok(Some(stored())));
        let files = fs::read_dir(dir.path()).expect("list").count();
        assert_eq!(files, 1, "no draft is left behind");
    }

    #[test]
    fn h22_missing_is_not_corrupt() {
        let dir = crate::testing::Dir::new();
        assert_eq!(Store::new(dir.path()).load(), Ok(None));
    }

    #[test]
    fn h22_every_damaged_byte_and_every_cut_is_refused_with_path_and_way_out() {
        let dir = crate::testing::Dir::new();
        let store = Store::new(dir.path());
        store.save(&stored()).expect("saved");
        let good = fs::read(store.file()).expect("read");
        for place in 0..good.len() {
            let mut bad = good.clone();
            bad[place] ^= 0x20;
            fs::write(store.file(), &bad).expect("write");
            let error = store.load().expect_err("damaged");
            assert!(error.contains("state") && error.contains("crm join"), "{error}");
        }
        for length in 0..good.len() {
            fs::write(store.file(), &good[..length]).expect("write");
            assert!(store.load().is_err(), "cut to {length}");
        }
        fs::write(store.file(), [good.as_slice(), b"x"].concat()).expect("write");
        assert!(store.load().is_err(), "longer");
    }
}
