//! The thread that waits for the disk, so that the event loop does not.

use super::{Disk, Spare, Store};
use crate::happening::Tell;
use crm_core::Input;
use crm_core::id::WriteId;
use crm_core::record::Stored;
use std::io;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// Enough for encoding and a few system calls; memory may be locked.
const STACK_BYTES: usize = 256 * 1024;

/// How long the last write may take when the daemon ends. After that its disk hangs, and the daemon ends without it.
const LAST_WRITE: Duration = Duration::from_secs(5);

/// Hands writes to the thread. Of those that wait only the newest is written: each holds all.
#[derive(Debug)]
pub(crate) struct Writer {
    slot: Arc<(Mutex<Slot>, Condvar)>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Slot {
    next: Option<(WriteId, Box<Stored>)>,
    ended: bool,
    /// The thread writes no more.
    gone: bool,
}

impl Writer {
    /// `lock` says whose the store is, and is the thread's: a write that hangs may end long after the daemon that
    /// asked for it, and must not fall on what another one has written since (AS1).
    ///
    /// # Errors
    /// No thread can be made.
    pub(crate) fn start<D, L>(store: Store<D>, tell: Tell, lock: L) -> io::Result<Writer>
    where
        D: Disk + Send + 'static,
        L: Send + 'static,
    {
        let slot: Arc<(Mutex<Slot>, Condvar)> = Arc::default();
        let theirs = slot.clone();
        let thread = std::thread::Builder::new()
            .name("crmd-store".to_owned())
            .stack_size(STACK_BYTES)
            .spawn(move || {
                work(&store, &theirs, &tell);
                drop(lock);
                let (slot, bell) = &*theirs;
                slot.lock().unwrap_or_else(PoisonError::into_inner).gone = true;
                bell.notify_all();
            })?;
        Ok(Writer { slot, thread: Some(thread) })
    }

    /// Answered by `Written` of this or a later one, or once by `WriteFailed`.
    pub(crate) fn write(&self, write: WriteId, stored: Box<Stored>) {
        let (slot, bell) = &*self.slot;
        slot.lock().unwrap_or_else(PoisonError::into_inner).next = Some((write, stored));
        bell.notify_all();
    }

    /// The disk has failed: its last write is not waited for when the daemon ends.
    pub(crate) fn abandon(&mut self) {
        self.thread = None;
    }
}

impl Drop for Writer {
    /// What was given is written before the daemon ends, if the disk lets it.
    fn drop(&mut self) {
        let (slot, bell) = &*self.slot;
        let mut guard = slot.lock().unwrap_or_else(PoisonError::into_inner);
        guard.ended = true;
        bell.notify_all();
        if self.thread.is_none() {
            return;
        }
        let waited = bell.wait_timeout_while(guard, LAST_WRITE, |slot| !slot.gone);
        let (guard, _) = waited.unwrap_or_else(PoisonError::into_inner);
        let gone = guard.gone;
        drop(guard);
        if let Some(thread) = self.thread.take().filter(|_| gone) {
            let _ = thread.join();
        }
    }
}

fn work<D: Disk>(store: &Store<D>, slot: &(Mutex<Slot>, Condvar), tell: &Tell) {
    let (slot, bell) = slot;
    let mut spare = Spare::default();
    loop {
        let mut guard = slot.lock().unwrap_or_else(PoisonError::into_inner);
        let (write, stored) = loop {
            if let Some(next) = guard.next.take() {
                break next;
            }
            if guard.ended {
                return;
            }
            guard = bell.wait(guard).unwrap_or_else(PoisonError::into_inner);
        };
        drop(guard);
        if let Err(error) = store.save(&stored, &mut spare) {
            let reason = format!("{} cannot be written: {error}", store.file().display());
            tell.input(Input::WriteFailed { reason });
            // Never retry an fsync and believe it (AS1).
            return;
        }
        tell.input(Input::Written { write });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::happening::Happening;
    use crm_core::id::StoreId;

    #[test]
    fn as1_the_newest_write_is_on_the_disk_when_it_is_answered() {
        let dir = crate::testing::Dir::new();
        let store = Store::new(dir.path());
        let (tell, mut inbox) = Tell::channel();
        let writer = Writer::start(store.clone(), tell, ()).expect("thread");
        for number in 1..=100 {
            let stored = Stored { writes: number, ..Stored::new(StoreId(1)) };
            writer.write(WriteId(number), Box::new(stored));
        }
        loop {
            let Some(Happening::Input(Input::Written { write })) = inbox.blocking_recv() else {
                panic!("expected an answer");
            };
            let on_disk = store.load().expect("good").expect("there");
            assert!(on_disk.writes >= write.0);
            if write == WriteId(100) {
                break;
            }
        }
    }

    #[test]
    fn as1_after_a_failed_write_nothing_is_answered_any_more() {
        let dir = crate::testing::Dir::new();
        let store = Store::new(&dir.path().join("missing"));
        let (tell, mut inbox) = Tell::channel();
        let writer = Writer::start(store, tell, ()).expect("thread");
        writer.write(WriteId(1), Box::new(Stored::new(StoreId(1))));
        let Some(Happening::Input(Input::WriteFailed { reason })) = inbox.blocking_recv() else {
            panic!("expected the failure");
        };
        assert!(reason.contains("missing"), "{reason}");
        std::fs::create_dir(dir.path().join("missing")).expect("mkdir");
        writer.write(WriteId(2), Box::new(Stored::new(StoreId(1))));
        drop(writer);
        assert!(inbox.blocking_recv().is_none(), "no later success");
    }

    #[test]
    fn as1_a_daemon_ends_without_a_write_that_hangs_and_its_store_stays_locked_till_that_is_over() {
        let dir = crate::testing::Dir::new();
        let store = Store::new(dir.path());
        let (tell, mut inbox) = Tell::channel();
        let hold = || crate::lock::hold(&dir.path().join("lock"), "the write", "");
        let writer = Writer::start(store.clone(), tell, hold().expect("free")).expect("thread");
        for number in 1..=2 {
            writer.write(WriteId(number), Box::new(Stored::new(StoreId(1))));
            assert!(inbox.blocking_recv().is_some());
        }
        // A pipe that nobody reads takes for ever to be opened, as a disk that hangs would.
        let spare = super::super::durable::spare_of(&store.file());
        std::fs::remove_file(&spare).expect("a spare file");
        nix::unistd::mkfifo(&spare, nix::sys::stat::Mode::S_IRWXU).expect("a pipe");
        writer.write(WriteId(3), Box::new(Stored::new(StoreId(1))));
        let begun = std::time::Instant::now();
        drop(writer);
        assert!(begun.elapsed() >= LAST_WRITE, "what was given is waited for");
        assert!(hold().is_err(), "the write may still end");
        let reader = std::thread::spawn(move || std::fs::read(spare));
        while hold().is_err() {
            assert!(begun.elapsed() < LAST_WRITE * 8, "the lock is never given back");
            std::thread::sleep(Duration::from_millis(5));
        }
        let _ = reader.join();
    }
}
