//! A client of the demo's service: asks all the time and remembers who answered.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Between two questions.
const PERIOD: Duration = Duration::from_millis(4);
/// How long a connection may take; the kernel beside it answers at once or not at all.
const CONNECT: Duration = Duration::from_millis(25);
/// How long an answer may take.
const PATIENCE: Duration = Duration::from_millis(200);
/// Answers kept; more than a long demo has.
const KEPT: usize = 200_000;

/// When it was asked, and the node that answered, if any did.
pub(super) type Answers = Arc<Mutex<Vec<(Instant, Option<String>)>>>;

pub(super) struct Client {
    answers: Answers,
    stop: Arc<AtomicBool>,
}

impl Client {
    pub(super) fn start(address: SocketAddr) -> Client {
        let client = Client { answers: Answers::default(), stop: Arc::default() };
        let (answers, stop) = (client.answers.clone(), client.stop.clone());
        std::thread::spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                let answer = (Instant::now(), ask(address));
                let mut kept = answers.lock().unwrap_or_else(PoisonError::into_inner);
                if kept.len() < KEPT {
                    kept.push(answer);
                }
                drop(kept);
                std::thread::sleep(PERIOD);
            }
        });
        client
    }

    /// When `node` first answered after `since`.
    pub(super) fn answered(&self, node: &str, since: Instant) -> Option<Instant> {
        let answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        answers
            .iter()
            .find(|(at, from)| *at >= since && from.as_deref() == Some(node))
            .map(|(at, _)| *at)
    }

    /// The longest time without an answer after `since`.
    pub(super) fn longest_gap(&self, since: Instant) -> Duration {
        let answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        let mut last = None;
        let mut longest = Duration::ZERO;
        for (at, _) in answers.iter().filter(|(_, from)| from.is_some()) {
            if let Some(before) = last
                && *at > since
            {
                longest = longest.max(*at - before);
            }
            last = Some(*at);
        }
        longest
    }

    /// How many questions were answered, and how many were not.
    pub(super) fn counts(&self) -> (usize, usize) {
        let answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        let good = answers.iter().filter(|(_, from)| from.is_some()).count();
        (good, answers.len() - good)
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

fn ask(address: SocketAddr) -> Option<String> {
    let mut stream = TcpStream::connect_timeout(&address, CONNECT).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n").ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).ok()?;
    text.lines().last()?.strip_prefix("served by ").map(str::to_owned)
}
