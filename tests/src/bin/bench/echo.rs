//! A client that asks by datagrams, all the time, and never waits for an answer before it asks
//! again: what it measures is not limited by its own timeouts.

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::{CloneFlags, setns};
use std::fs::File;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Between two questions: the finest that the figures can be.
const PERIOD: Duration = Duration::from_millis(1);

/// When somebody answered, and who.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) at: Instant,
    /// The node.
    pub(crate) from: String,
    /// The server's process number there.
    pub(crate) pid: String,
}

/// Asks until it is dropped.
pub(crate) struct Echo {
    answers: Arc<Mutex<Vec<Answer>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Echo {
    /// Asks `address` from the network of process `pid`.
    pub(crate) fn start(pid: i32, address: SocketAddr) -> Echo {
        let answers = Arc::new(Mutex::new(Vec::new()));
        let stop = Arc::new(AtomicBool::new(false));
        let (kept, stopped) = (answers.clone(), stop.clone());
        let thread = std::thread::spawn(move || {
            crate::urgent::this_thread();
            let network = File::open(format!("/proc/{pid}/ns/net")).expect("the client's network");
            setns(network, CloneFlags::CLONE_NEWNET).expect("to enter the client's network");
            let socket = UdpSocket::bind("0.0.0.0:0").expect("a socket");
            socket.set_nonblocking(true).expect("a socket that does not wait");
            let mut next = Instant::now();
            while !stopped.load(Ordering::Relaxed) {
                if Instant::now() >= next {
                    // Nobody there is what is measured.
                    let _ = socket.send_to(b"who", address);
                    next = Instant::now() + PERIOD;
                }
                // Not a timeout of the socket: those are counted in ticks, of up to ten milliseconds.
                let mut sockets = [PollFd::new(socket.as_fd(), PollFlags::POLLIN)];
                let _ = poll(&mut sockets, PollTimeout::from(1_u8));
                let mut buffer = [0; 256];
                if let Ok((length, _)) = socket.recv_from(&mut buffer) {
                    let from = String::from_utf8_lossy(buffer.get(..length).unwrap_or_default());
                    let (from, pid) = from.split_once(' ').unwrap_or_default();
                    let at = Instant::now();
                    let answer = Answer { at, from: from.to_owned(), pid: pid.to_owned() };
                    kept.lock().unwrap_or_else(PoisonError::into_inner).push(answer);
                }
            }
        });
        Echo { answers, stop, thread: Some(thread) }
    }

    /// Forgets the answers so far.
    pub(crate) fn clear(&self) {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Last answer that passes before the first one that passes, after `since`.
    pub(crate) fn wait(&self, what: &str, passes: impl Fn(&Answer) -> bool) -> Answer {
        let until = Instant::now() + Duration::from_secs(20);
        loop {
            let answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(answer) = answers.iter().find(|answer| passes(answer)) {
                return answer.clone();
            }
            drop(answers);
            assert!(Instant::now() < until, "{what}: no answer");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// The last answer that came before `end` and passes.
    pub(crate) fn last_before(
        &self,
        end: Instant,
        passes: impl Fn(&Answer) -> bool,
    ) -> Option<Answer> {
        let answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        answers.iter().rfind(|answer| answer.at < end && passes(answer)).cloned()
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
