//! A client outside the cluster: it asks an address all the time and writes down what it got.

use nix::sched::{CloneFlags, setns};
use std::fs::File;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// One answer or its absence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// When it was asked.
    pub at: Instant,
    /// When it was answered, or was no longer waited for.
    pub done: Instant,
    /// What the server said of itself; `None`: nobody answered.
    pub from: Option<String>,
}

/// Asks until it is stopped.
#[derive(Debug)]
pub struct Probe {
    answers: Arc<Mutex<Vec<Answer>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// Asks kept at most: some minutes of asking.
const ANSWERS_MAX: usize = 1_000_000;

impl Probe {
    /// Connects to `address` from the network namespace of process `pid`, every `period`.
    #[must_use]
    pub fn start(pid: i32, address: SocketAddr, period: Duration) -> Probe {
        let answers = Arc::new(Mutex::new(Vec::new()));
        let stop = Arc::new(AtomicBool::new(false));
        let (kept, stopped) = (answers.clone(), stop.clone());
        let thread = std::thread::spawn(move || {
            let entered = File::open(format!("/proc/{pid}/ns/net"))
                .and_then(|file| Ok(setns(file, CloneFlags::CLONE_NEWNET)?));
            assert!(entered.is_ok(), "the probe cannot enter the client's network: {entered:?}");
            while !stopped.load(Ordering::Relaxed) {
                let at = Instant::now();
                let from = ask(address);
                let answer = Answer { at, done: Instant::now(), from };
                let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
                if kept.len() < ANSWERS_MAX {
                    kept.push(answer);
                }
                drop(kept);
                std::thread::sleep(period);
            }
        });
        Probe { answers, stop, thread: Some(thread) }
    }

    #[must_use]
    pub fn answers(&self) -> Vec<Answer> {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until the address was answered by this node, after `since`.
    ///
    /// # Panics
    /// If that does not happen in time.
    pub fn wait_for(&self, from: &str, since: Instant, limit: Duration) -> Instant {
        let until = Instant::now() + limit;
        loop {
            let found = self
                .answers()
                .into_iter()
                .find(|answer| answer.at >= since && answer.from.as_deref() == Some(from));
            if let Some(answer) = found {
                return answer.at;
            }
            assert!(
                Instant::now() < until,
                "{from} does not answer; last: {:?}",
                self.answers().last()
            );
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Time between the last answer of one node and the first one of another after `since`, if the
    /// other one has answered.
    #[must_use]
    pub fn handover(&self, from: &str, to: &str, since: Instant) -> Option<Duration> {
        let answers = self.answers();
        let by = |answer: &&Answer, name: &str| answer.from.as_deref() == Some(name);
        let after = answers.iter().find(|answer| answer.at >= since && by(answer, to))?;
        let before = answers.iter().rfind(|answer| answer.done < after.done && by(answer, from))?;
        Some(after.done - before.done)
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn ask(address: SocketAddr) -> Option<String> {
    let limit = Duration::from_millis(150);
    let mut stream = TcpStream::connect_timeout(&address, limit).ok()?;
    stream.set_read_timeout(Some(limit)).ok()?;
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n").ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).ok()?;
    let body = text.split("\r\n\r\n").nth(1)?.trim().to_owned();
    (!body.is_empty()).then_some(body)
}
