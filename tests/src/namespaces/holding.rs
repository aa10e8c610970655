//! Whether a node's kernel has an address, looked at all the time.

use nix::sched::{CloneFlags, setns};
use std::fs::File;
use std::net::{IpAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Between two looks.
const PERIOD: Duration = Duration::from_micros(500);

/// Looks until it is dropped.
#[derive(Debug)]
pub struct Holding {
    /// When it was seen to change, and what it is since.
    changes: Arc<Mutex<Vec<(Instant, bool)>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Holding {
    /// Watches `address` in the network namespace of process `pid`.
    #[must_use]
    pub fn start(pid: i32, address: IpAddr) -> Holding {
        let changes = Arc::new(Mutex::new(Vec::new()));
        let stop = Arc::new(AtomicBool::new(false));
        let (seen, stopped) = (changes.clone(), stop.clone());
        let thread = std::thread::spawn(move || {
            let entered = File::open(format!("/proc/{pid}/ns/net"))
                .and_then(|file| Ok(setns(file, CloneFlags::CLONE_NEWNET)?));
            assert!(entered.is_ok(), "the network of process {pid}: {entered:?}");
            let mut last = None;
            while !stopped.load(Ordering::Relaxed) {
                // The kernel binds what is its own only.
                let now = UdpSocket::bind((address, 0)).is_ok();
                if last != Some(now) {
                    last = Some(now);
                    seen.lock().unwrap_or_else(PoisonError::into_inner).push((Instant::now(), now));
                }
                std::thread::sleep(PERIOD);
            }
        });
        Holding { changes, stop, thread: Some(thread) }
    }

    /// When the address was there for the last time after `since`, if it is gone now.
    #[must_use]
    pub fn gone_for_good(&self, since: Instant) -> Option<Instant> {
        let changes = self.changes.lock().unwrap_or_else(PoisonError::into_inner);
        changes.last().filter(|(at, there)| *at >= since && !there).map(|(at, _)| *at)
    }

    /// How often it came since then.
    #[must_use]
    pub fn came_back(&self, since: Instant) -> usize {
        let changes = self.changes.lock().unwrap_or_else(PoisonError::into_inner);
        changes.iter().filter(|(at, there)| *at >= since && *there).count()
    }
}

impl Drop for Holding {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
