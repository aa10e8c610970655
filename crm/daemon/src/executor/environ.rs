//! The environment of another process, read by a thread of its own.
//!
//! To read it the kernel takes a lock of the process's memory. One that hangs for a dead disk or server may keep that
//! lock, and then its reader hangs as well: never the loop, which has heartbeats to send.

use super::procfs::{self, Stat};
use std::collections::BTreeMap;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};

/// How long a busy machine may take.
const PATIENCE: Duration = Duration::from_secs(if cfg!(test) { 1 } else { 2 });
/// Between two looks whether another reader has done.
const AGAIN_AFTER: Duration = Duration::from_millis(2);
/// Threads that hang with what they read, at most.
const READERS_MAX: usize = 32;
/// A file of a few KiB; memory may be locked.
const STACK_BYTES: usize = 64 * 1024;

/// Who is being read, by number and start, and since when: one reader for each that hangs, however often it is looked
/// at.
static READERS: Mutex<BTreeMap<(i32, u64), Instant>> = Mutex::new(BTreeMap::new());

/// What a process was started with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Environ {
    Read(Vec<u8>),
    /// The process is, or at least its memory.
    Gone,
    /// It belongs to somebody else.
    Foreign,
    /// The kernel did not show it, or not in time.
    Hidden,
}

impl Environ {
    /// Whether `NAME=VALUE` is in it; `None`: it cannot be known.
    pub(super) fn has(&self, name: &str, value: &str) -> Option<bool> {
        let wanted = format!("{name}={value}");
        match self {
            Environ::Read(bytes) => {
                Some(bytes.split(|byte| *byte == 0).any(|entry| entry == wanted.as_bytes()))
            }
            Environ::Gone | Environ::Foreign => Some(false),
            Environ::Hidden => None,
        }
    }
}

/// Waits for it [`PATIENCE`] at the longest.
pub(super) async fn of(stat: &Stat) -> Environ {
    let pid = stat.pid;
    read((pid, stat.started), move || look(pid)).await
}

/// A process shows it as long as its first thread has not ended; then another one does.
fn look(pid: i32) -> io::Result<Vec<u8>> {
    let first = std::fs::read(format!("/proc/{pid}/environ"));
    if first.as_ref().is_ok_and(|bytes| !bytes.is_empty()) {
        return first;
    }
    for thread in procfs::other_threads(pid)? {
        match std::fs::read(format!("/proc/{pid}/task/{thread}/environ")) {
            Ok(bytes) if bytes.is_empty() => {}
            Err(error) if procfs::is_gone(&error) => {}
            seen => return seen,
        }
    }
    first
}

async fn read(
    who: (i32, u64),
    look: impl FnOnce() -> io::Result<Vec<u8>> + Send + 'static,
) -> Environ {
    while let Some(since) = in_the_way(who) {
        if since.elapsed() >= PATIENCE {
            return Environ::Hidden;
        }
        sleep(AGAIN_AFTER).await;
    }
    let (sender, receiver) = oneshot::channel();
    readers().insert(who, Instant::now());
    let thread = std::thread::Builder::new().name("crmd-proc".to_owned()).stack_size(STACK_BYTES);
    let reader = thread.spawn(move || {
        let bytes = look();
        readers().remove(&who);
        // Who asked may have had enough.
        let _ = sender.send(bytes);
    });
    if reader.is_err() {
        readers().remove(&who);
        return Environ::Hidden;
    }
    match timeout(PATIENCE, receiver).await {
        Ok(Ok(Ok(bytes))) => Environ::Read(bytes),
        Ok(Ok(Err(error))) if procfs::is_gone(&error) => Environ::Gone,
        Ok(Ok(Err(error))) if is_foreign(&error) => Environ::Foreign,
        _ => Environ::Hidden,
    }
}

fn is_foreign(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::PermissionDenied
}

/// Since when somebody else reads the same one, or all readers are taken.
fn in_the_way(who: (i32, u64)) -> Option<Instant> {
    let readers = readers();
    let full = readers.len() >= READERS_MAX;
    readers.get(&who).copied().or_else(|| readers.values().max().copied().filter(|_| full))
}

fn readers() -> MutexGuard<'static, BTreeMap<(i32, u64), Instant>> {
    READERS.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    async fn read(who: (i32, u64), file: impl Into<PathBuf>) -> Environ {
        let file = file.into();
        super::read(who, move || std::fs::read(file)).await
    }

    fn run<T>(future: impl Future<Output = T>) -> T {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
        runtime.block_on(future)
    }

    #[test]
    fn this_process_is_read() {
        let me = procfs::stat(std::process::id().cast_signed()).expect("seen").expect("this one");
        let environ = run(of(&me));
        assert_eq!(environ.has("CRM_OPERATION", "no such token"), Some(false));
        let Environ::Read(bytes) = environ else { panic!("{environ:?}") };
        assert!(bytes.contains(&b'='));
        let nobody = Stat { pid: i32::MAX, ..me };
        assert_eq!(run(of(&nobody)), Environ::Gone);
    }

    /// The pool that reads has no descriptor for it: whose the process is stays unknown.
    #[test]
    fn i1_without_a_free_descriptor_an_environment_is_hidden() {
        let me = procfs::stat(std::process::id().cast_signed()).expect("seen").expect("this one");
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
        let environ = crate::testing::without_descriptors(move || runtime.block_on(of(&me)));
        assert_eq!(environ, Environ::Hidden);
    }

    /// A pipe that nobody writes to stands for the process that hangs.
    #[test]
    fn a_process_that_hangs_holds_up_nothing_but_one_reader() {
        let dir = crate::testing::Dir::new();
        let hung = dir.path().join("hung");
        nix::unistd::mkfifo(&hung, nix::sys::stat::Mode::S_IRWXU).expect("pipe");
        let fine = dir.path().join("fine");
        std::fs::write(&fine, b"A=1\0B=2\0").expect("written");
        run(async {
            let begun = Instant::now();
            let mut beats = 0;
            let first = read((1, 1), &hung);
            tokio::pin!(first);
            let first = loop {
                tokio::select! {
                    environ = &mut first => break environ,
                    () = sleep(Duration::from_millis(10)) => beats += 1,
                }
            };
            assert_eq!(first, Environ::Hidden);
            assert!(beats > 5, "the loop went on: {beats}");
            assert!(begun.elapsed() < PATIENCE * 20, "{:?}", begun.elapsed());
            let begun = Instant::now();
            for _ in 0..50 {
                assert_eq!(read((1, 1), &hung).await, Environ::Hidden);
            }
            assert!(begun.elapsed() < PATIENCE, "known: {:?}", begun.elapsed());
            // Other tests read at the same time.
            assert!(readers().contains_key(&(1, 1)), "one reader hangs with it");
            let other = read((2, 1), &fine).await;
            assert_eq!((other.has("B", "2"), other.has("B", "1")), (Some(true), Some(false)));
        });
        // It wakes up, and can be read again.
        std::fs::write(&hung, b"A=1\0").expect("written");
        let begun = Instant::now();
        while readers().contains_key(&(1, 1)) {
            assert!(begun.elapsed() < Duration::from_secs(20), "the reader is gone");
            std::thread::sleep(Duration::from_millis(2));
        }
        assert_eq!(run(read((1, 1), &fine)).has("A", "1"), Some(true));
    }

    #[test]
    fn two_that_look_at_once_both_see() {
        let dir = crate::testing::Dir::new();
        let pipe = dir.path().join("slow");
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).expect("pipe");
        let (one, other) = run(async {
            let (one, other) = (read((3, 1), pipe.clone()), read((3, 1), pipe.clone()));
            tokio::pin!(one, other);
            // Nobody writes yet, so the first one reads, and the second one has to wait for it.
            for look in [&mut one, &mut other] {
                tokio::select! {
                    biased;
                    environ = look => panic!("nothing is there to be read: {environ:?}"),
                    () = std::future::ready(()) => {}
                }
            }
            let first = readers().get(&(3, 1)).copied();
            assert!(first.is_some(), "it is being read");
            std::thread::spawn(move || {
                std::fs::write(&pipe, b"A=1\0").expect("written");
                while readers().get(&(3, 1)).copied() == first {
                    std::thread::sleep(Duration::from_millis(1));
                }
                std::fs::write(&pipe, b"A=1\0").expect("written");
            });
            tokio::join!(one, other)
        });
        assert_eq!((one.has("A", "1"), other.has("A", "1")), (Some(true), Some(true)));
    }
}
