//! What tests of several files need.

use nix::sched::{CloneFlags, unshare};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// A temporary directory, removed at the end, also of a failed test.
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

/// Runs this on a thread that has a table of descriptors of its own, and no place free in it.
pub(crate) fn without_descriptors<T: Send + 'static>(
    run: impl FnOnce() -> T + Send + 'static,
) -> T {
    with_descriptors(0, run)
}

/// The same with so many places free.
pub(crate) fn with_descriptors<T: Send + 'static>(
    places: usize,
    run: impl FnOnce() -> T + Send + 'static,
) -> T {
    const PLACES_MAX: u64 = 4096;
    let thread = std::thread::spawn(move || {
        unshare(CloneFlags::CLONE_FILES).expect("a table of its own");
        let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).expect("limit");
        setrlimit(Resource::RLIMIT_NOFILE, soft.min(PLACES_MAX), hard).expect("limit");
        let mut held = Vec::new();
        let full = loop {
            match File::open("/dev/null") {
                Ok(file) => held.push(file),
                Err(error) => break error,
            }
        };
        assert_eq!(full.raw_os_error(), Some(nix::libc::EMFILE));
        held.truncate(held.len() - places);
        run()
    });
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// Gives the other tasks of this thread a turn, and then more until this holds.
pub(crate) async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    loop {
        tokio::time::sleep(Duration::from_millis(1)).await;
        if holds() {
            return;
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "{what}");
    }
}
