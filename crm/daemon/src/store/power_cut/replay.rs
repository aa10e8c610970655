//! One machine's diary on a real store, with the power cut after every operation of its disk.

use super::aftermath::Files;
use super::fault_disk::{Fault, FaultDisk, Skips, Snapshot};
use super::said::{Broken, Said};
use crate::store::{Spare, Store, format};
use crm_core::record::Stored;
use crm_sim::diary::Entry;
use std::collections::{BTreeSet, HashMap};
use std::path::Path;
use std::sync::Arc;

/// Where the store of the tests is.
pub(super) const DIRECTORY: &str = "/var/lib/crm";

/// What was tried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Figures {
    pub(super) writes: u64,
    /// Operations of the disk after each of which the power was cut.
    pub(super) cuts: u64,
    /// Disks that a machine found after a cut.
    pub(super) aftermaths: u64,
    /// Daemons that were killed between two operations and began anew, with the power on.
    pub(super) kills: u64,
    pub(super) failures: u64,
    pub(super) said: u64,
}

/// A disk on which nothing but this store is.
pub(super) fn boot(stored: &Stored, skips: Option<Skips>) -> FaultDisk {
    let (file, lock) = (Path::new(DIRECTORY).join("state"), Path::new(DIRECTORY).join("lock"));
    let mut files = vec![(lock.as_path(), Vec::new())];
    if stored.writes > 0 || stored.record.is_some() {
        files.push((file.as_path(), format::encode(stored).expect("encoded")));
    }
    FaultDisk::holding(Snapshot::with(&files), skips)
}

pub(super) fn store(disk: &FaultDisk) -> Store<FaultDisk> {
    Store::on(disk.clone(), Path::new(DIRECTORY))
}

impl Figures {
    pub(super) fn add(&mut self, more: &Figures) {
        self.writes += more.writes;
        self.cuts += more.cuts;
        self.aftermaths += more.aftermaths;
        self.kills += more.kills;
        self.failures += more.failures;
        self.said += more.said;
    }
}

/// How a daemon on this disk behaves.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Mistakes {
    pub(super) skips: Option<Skips>,
    /// What a daemon reads at its start it tells others at once.
    pub(super) trusts_what_it_reads: bool,
    /// What is to be written is said before it is.
    pub(super) says_before: bool,
    /// After a failed write it goes on as if it had been written.
    pub(super) ignores_failures: bool,
    /// After a start the spare file of the run before is written over.
    pub(super) takes_what_lies_there: bool,
}

pub(super) struct Replay {
    mistakes: Mistakes,
    disk: FaultDisk,
    /// Of the run that has not ended.
    spare: Spare,
    said: Said,
    /// Disks, found after a cut, on which the next write was tried.
    gone_on: BTreeSet<Files>,
    read: HashMap<Arc<Vec<u8>>, Result<Option<Stored>, String>>,
    pub(super) figures: Figures,
}

impl Replay {
    pub(super) fn new(mistakes: Mistakes) -> Replay {
        Replay {
            disk: FaultDisk::default(),
            spare: Spare::default(),
            said: Said::default(),
            gone_on: BTreeSet::new(),
            read: HashMap::new(),
            figures: Figures::default(),
            mistakes,
        }
    }

    /// # Errors
    /// The first promise that some power cut, kill or failure breaks.
    pub(super) fn run(&mut self, diary: &[Entry]) -> Result<(), Broken> {
        let mut waiting: Vec<(crm_core::id::WriteId, &Stored)> = Vec::new();
        for entry in diary {
            match entry {
                Entry::Starts(stored) => {
                    waiting.clear();
                    self.disk = boot(stored, self.mistakes.skips);
                    self.spare = Spare::default();
                }
                Entry::Writes(write, stored) => waiting.push((*write, stored)),
                Entry::Synced(write) => {
                    while waiting.first().is_some_and(|(first, _)| first <= write) {
                        let (_, stored) = waiting.remove(0);
                        self.writes(stored)?;
                    }
                }
                Entry::Says(claim) => {
                    self.figures.said += 1;
                    self.said.hears(claim)?;
                }
            }
        }
        Ok(())
    }

    fn writes(&mut self, stored: &Stored) -> Result<(), Broken> {
        self.figures.writes += 1;
        self.gone_on.clear();
        if self.mistakes.says_before {
            self.said.hears_all_of(stored)?;
        }
        let before = self.disk.now();
        self.fails_everywhere(&before, stored)?;
        let first = self.disk.operations() + 1;
        self.disk.watch();
        let mut spare = self.spare;
        store(&self.disk)
            .save(stored, &mut spare)
            .map_err(|error| Broken::CannotGoOn(error.to_string()))?;
        self.spare = spare;
        let steps = self.disk.watched();
        assert_eq!(steps.len() as u64, self.disk.operations() + 1 - first);
        for step in &steps {
            let said = self.said.clone();
            self.cut(step, &said)?;
            self.killed(step)?;
        }
        Ok(())
    }

    /// The power is cut now; on every disk that may be left the daemon starts again.
    fn cut(&mut self, step: &Snapshot, said: &Said) -> Result<(), Broken> {
        self.figures.cuts += 1;
        for found in step.aftermaths() {
            self.figures.aftermaths += 1;
            said.allows(&self.load(&found))?;
            if !self.gone_on.insert(found.files()) {
                continue;
            }
            // What is left of drafts must not be in the way of the next write.
            let again = FaultDisk::holding(found, self.mistakes.skips);
            let go_on = Stored::new(crm_core::id::StoreId(1));
            store(&again)
                .save(&go_on, &mut self.first_spare())
                .map_err(|e| Broken::CannotGoOn(e.to_string()))?;
            if store(&again).load() != Ok(Some(go_on)) {
                return Err(Broken::CannotGoOn("another store was read than written".to_owned()));
            }
        }
        Ok(())
    }

    /// The daemon alone ends now. The next one reads what the kernel remembers, proves it by a
    /// write, and only then speaks of it; the power may be cut at every step of that.
    fn killed(&mut self, step: &Snapshot) -> Result<(), Broken> {
        self.figures.kills += 1;
        let found = self.load(step);
        self.said.allows(&found)?;
        let Ok(Some(mut stored)) = found else { return Ok(()) };
        let mut said = self.said.clone();
        if self.mistakes.trusts_what_it_reads {
            said.hears_all_of(&stored)?;
        }
        stored.writes += 1;
        let disk = FaultDisk::holding(step.clone(), self.mistakes.skips);
        disk.watch();
        store(&disk)
            .save(&stored, &mut self.first_spare())
            .map_err(|e| Broken::CannotGoOn(e.to_string()))?;
        for step in disk.watched() {
            self.cut(&step, &said)?;
        }
        said.hears_all_of(&stored)?;
        self.cut(&disk.now(), &said)
    }

    /// Every operation of this write fails in every way. The daemon has said nothing of it, and
    /// ends; the next one starts, with the power on or after a cut.
    fn fails_everywhere(&mut self, before: &Snapshot, stored: &Stored) -> Result<(), Broken> {
        for number in 1.. {
            for fault in [Fault::Full, Fault::Fails, Fault::FailsDone] {
                let disk = FaultDisk::holding(before.clone(), self.mistakes.skips);
                disk.fail(number, fault);
                let mut spare = self.spare;
                let saved = store(&disk).save(stored, &mut spare);
                if disk.operations() < number {
                    return Ok(());
                }
                self.figures.failures += 1;
                let mut said = self.said.clone();
                // A failure that leaves nothing in doubt (a leftover draft is not there) is none.
                if saved.is_ok() || self.mistakes.ignores_failures {
                    said.hears_all_of(stored)?;
                }
                let step = disk.now();
                said.allows(&self.load(&step))?;
                self.cut(&step, &said)?;
            }
        }
        Ok(())
    }

    /// What a run begins with.
    fn first_spare(&self) -> Spare {
        match self.mistakes.takes_what_lies_there {
            true => Spare::believed(),
            false => Spare::default(),
        }
    }

    fn load(&mut self, disk: &Snapshot) -> Result<Option<Stored>, String> {
        let path = Path::new(DIRECTORY).join("state");
        let inode = disk.seen.get(&path).and_then(|node| node.inode());
        let Some(bytes) = inode.and_then(|inode| disk.contents.get(&inode)) else {
            return Ok(None);
        };
        let bytes = bytes.seen.clone();
        let read = || store(&FaultDisk::holding(disk.clone(), None)).load();
        if !self.read.contains_key(&bytes) {
            let answer = read();
            if self.read.len() > 1000 {
                self.read.clear();
            }
            self.read.insert(bytes.clone(), answer);
        }
        self.read.get(&bytes).cloned().unwrap_or(Ok(None))
    }
}
