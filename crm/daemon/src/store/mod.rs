//! What must survive a power cut: one file, replaced whole (AS1).
//!
//! Missing is not corrupt: a missing file is a new voter that knows nothing (H22), a damaged one
//! is refused, for a voter that forgot its vote could vote twice.

mod disk;
mod durable;
mod format;
#[cfg(fuzzing)]
pub(crate) use format::fuzzing;
#[cfg(test)]
mod power_cut;
mod writer;

pub(crate) use disk::{Disk, SystemDisk};
pub use durable::replace_file;
pub(crate) use durable::{Spare, make_directories, replace, take_turns};
pub(crate) use writer::Writer;

use crm_core::record::Stored;
use std::io;
use std::path::{Path, PathBuf};

/// Largest file that is read: the largest record, with room to grow.
const FILE_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// The store's directory, on the kernel's disk or on one that tests can break.
#[derive(Clone, Debug)]
pub(crate) struct Store<D: Disk = SystemDisk> {
    disk: D,
    directory: PathBuf,
}

impl Store {
    pub(crate) fn new(directory: &Path) -> Store {
        Store::on(SystemDisk, directory)
    }
}

impl<D: Disk> Store<D> {
    pub(crate) fn on(disk: D, directory: &Path) -> Store<D> {
        Store { disk, directory: directory.to_owned() }
    }

    pub(crate) fn disk(&self) -> &D {
        &self.disk
    }

    pub(crate) fn file(&self) -> PathBuf {
        self.directory.join("state")
    }

    /// What the disk holds; `None`: nothing was ever written.
    ///
    /// # Errors
    /// The file is there and cannot be believed: with its path, what is wrong, and the way out.
    pub(crate) fn load(&self) -> Result<Option<Stored>, String> {
        let path = self.file();
        let bytes = match self.disk.read(&path, FILE_BYTES_MAX + 1) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(format!("{} cannot be read: {error}", path.display())),
            Ok(bytes) => bytes,
        };
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

    /// Durable when it returns. For the writer's thread and for founding.
    ///
    /// # Errors
    /// It is not known what is on the disk: nothing may be answered any more (AS1).
    pub(crate) fn save(&self, stored: &Stored, spare: &mut Spare) -> io::Result<()> {
        take_turns(&self.disk, &self.file(), &format::encode(stored)?, 0o600, spare)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crm_core::id::{Epoch, NodeId, StoreId};
    use crm_core::record::Record;
    use std::fs;

    fn stored() -> Stored {
        let record = Record::founding("cluster: x\n", &NodeId::new("alpha"), StoreId(7));
        Stored { epoch: Epoch(3), record: Some(record), ..Stored::new(StoreId(7)) }
    }

    #[test]
    fn what_was_saved_is_loaded_again() {
        let dir = crate::testing::Dir::new();
        let store = Store::new(dir.path());
        let files = || fs::read_dir(dir.path()).expect("list").count();
        let mut spare = Spare::default();
        store.save(&stored(), &mut spare).expect("saved");
        assert_eq!(files(), 1, "no draft is left behind");
        for writes in 1..5 {
            let stored = Stored { writes, ..stored() };
            store.save(&stored, &mut spare).expect("saved");
            assert_eq!(store.load(), Ok(Some(stored)));
            assert_eq!(files(), 2, "and the spare one");
        }
    }

    /// Blocks that are there are used again: the two files take turns.
    #[test]
    fn as1_a_store_needs_no_room_that_it_does_not_have() {
        use std::os::unix::fs::MetadataExt;
        let dir = crate::testing::Dir::new();
        let store = Store::new(dir.path());
        let file = || fs::metadata(store.file()).expect("there");
        let mut spare = Spare::default();
        let mut seen = Vec::new();
        for writes in 0..6 {
            store.save(&Stored { writes, ..stored() }, &mut spare).expect("saved");
            assert_eq!(file().len() % 4096, 0, "a record that grows a little has its room");
            seen.push(file().ino());
        }
        assert_eq!((seen[2], seen[3], seen[4], seen[5]), (seen[0], seen[1], seen[0], seen[1]));
        // Another run begins with a file of its own.
        store.save(&stored(), &mut Spare::default()).expect("saved");
        assert_eq!(store.load(), Ok(Some(stored())));
    }

    /// So an `apply` that makes the record much longer does not end the daemon for a full disk.
    #[test]
    fn as1_a_record_that_grows_has_its_blocks_before_it_needs_them() {
        use std::os::unix::fs::MetadataExt;
        let dir = crate::testing::Dir::new();
        let store = Store::new(dir.path());
        let mut spare = Spare::default();
        let text = "# a longer configuration\n".repeat(8000);
        let long = Record::founding(&text, &NodeId::new("alpha"), StoreId(7));
        let long = Stored { record: Some(long), ..stored() };
        // Longer, and shorter again: it is given back only for a moment, and not while nothing changes its length.
        for (writes, stored) in
            [stored(), stored(), stored(), long.clone(), long, stored(), stored()]
                .iter()
                .enumerate()
        {
            let stored = Stored { writes: writes as u64, ..stored.clone() };
            store.save(&stored, &mut spare).expect("saved");
            let file = fs::metadata(store.file()).expect("there");
            assert!(file.blocks() * 512 >= 1024 * 1024, "{} blocks", file.blocks());
            assert!(file.len() < 256 * 1024);
            assert_eq!(store.load(), Ok(Some(stored)));
        }
        let spare = fs::metadata(durable::spare_of(&store.file())).expect("there");
        assert!(spare.blocks() * 512 >= 1024 * 1024, "{} blocks", spare.blocks());
    }

    #[test]
    fn a_spare_file_that_is_gone_or_no_file_is_made_anew() {
        let dir = crate::testing::Dir::new();
        let store = Store::new(dir.path());
        let (mut spare, path) = (Spare::default(), durable::spare_of(&store.file()));
        let mut save = |writes| {
            let stored = Stored { writes, ..stored() };
            store.save(&stored, &mut spare).expect("saved");
            assert_eq!(store.load(), Ok(Some(stored)));
        };
        (0..2).for_each(&mut save);
        fs::remove_file(&path).expect("removed");
        (2..4).for_each(&mut save);
        fs::remove_file(&path).expect("removed");
        let other = dir.path().join("other");
        fs::write(&other, "kept").expect("write");
        std::os::unix::fs::symlink(&other, &path).expect("link");
        (4..6).for_each(&mut save);
        assert_eq!(fs::read(&other).expect("read"), b"kept");
    }

    #[test]
    fn h22_missing_is_not_corrupt() {
        let dir = crate::testing::Dir::new();
        assert_eq!(Store::new(dir.path()).load(), Ok(None));
    }

    #[test]
    fn h22_what_cannot_be_read_is_neither_missing_nor_damaged() {
        let dir = crate::testing::Dir::new();
        let store = Store::new(dir.path());
        fs::create_dir(store.file()).expect("in the way");
        let error = store.load().expect_err("unreadable");
        assert!(error.contains("state cannot be read: "), "{error}");
        assert!(!error.contains("crm join"), "nothing was forgotten: {error}");
    }

    #[test]
    fn a_replaced_file_keeps_its_mode_and_a_leftover_draft_is_replaced_too() {
        use std::os::unix::fs::PermissionsExt;
        let dir = crate::testing::Dir::new();
        let file = dir.path().join("cluster.yaml");
        let mode = || fs::metadata(&file).expect("there").permissions().mode() & 0o777;
        replace_file(&file, b"one", 0o600).expect("written");
        assert_eq!(mode(), 0o600);
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).expect("chmod");
        fs::write(durable::draft_of(&file), "left by a power cut").expect("write");
        replace_file(&file, b"two", 0o600).expect("written");
        assert_eq!((fs::read(&file).expect("read").as_slice(), mode()), (b"two".as_slice(), 0o640));
        assert_eq!(fs::read_dir(dir.path()).expect("list").count(), 1);
    }

    #[test]
    fn h22_every_damaged_byte_and_every_cut_is_refused_with_path_and_way_out() {
        let dir = crate::testing::Dir::new();
        let store = Store::new(dir.path());
        store.save(&stored(), &mut Spare::default()).expect("saved");
        let good = fs::read(store.file()).expect("read");
        for place in 0..good.len() {
            let mut bad = good.clone();
            bad[place] ^= 0x20;
            fs::write(store.file(), &bad).expect("write");
            let error = store.load().expect_err("damaged");
            assert!(error.contains("state") && error.contains("crm join"), "{error}");
        }
        let payload = good.iter().rposition(|byte| *byte != 0).expect("a checksum") + 1;
        for length in 0..payload {
            fs::write(store.file(), &good[..length]).expect("write");
            assert!(store.load().is_err(), "cut to {length}");
        }
        // As it was written before there were whole blocks.
        fs::write(store.file(), &good[..payload]).expect("write");
        assert_eq!(store.load(), Ok(Some(stored())));
        fs::write(store.file(), [good.as_slice(), b"x"].concat()).expect("write");
        assert!(store.load().is_err(), "longer");
    }
}
