//! A stranger on the network: says any bytes to a node's heartbeat port, and listens to others.

use nix::sched::{CloneFlags, setns};
use std::fs::File;
use std::net::UdpSocket;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Datagrams sent before it is looked whether the receiver keeps up.
const BATCH: usize = 50;

/// Speaks from the network of one process to one address.
#[derive(Debug)]
pub struct Radio {
    pub(super) speaker: i32,
    /// `/proc/PID/net/udp` of the receiver: what its kernel holds and has dropped.
    pub(super) receiver: PathBuf,
    pub(super) target: String,
}

impl Radio {
    /// Sends each datagram once, no faster than the receiver reads them.
    ///
    /// # Panics
    /// If one cannot be sent, the receiver stops reading, or its kernel drops one: then no count
    /// would be exact.
    pub fn send(&self, datagrams: &[Vec<u8>]) {
        let sent = std::thread::scope(|scope| scope.spawn(|| self.send_all(datagrams)).join());
        if let Err(cause) = sent {
            std::panic::resume_unwind(cause);
        }
    }

    fn send_all(&self, datagrams: &[Vec<u8>]) {
        // The thread ends after this, so it needs no way back.
        let network = File::open(format!("/proc/{}/ns/net", self.speaker)).expect("the network");
        setns(network, CloneFlags::CLONE_NEWNET).expect("to enter the network");
        let socket = UdpSocket::bind("0.0.0.0:0").expect("a socket");
        let (_, dropped) = self.queue();
        for batch in datagrams.chunks(BATCH) {
            for datagram in batch {
                socket.send_to(datagram, &self.target).expect("to send");
            }
            let until = Instant::now() + Duration::from_secs(10);
            while self.queue().0 > 0 {
                assert!(Instant::now() < until, "{} does not read", self.target);
                std::thread::sleep(Duration::from_micros(200));
            }
        }
        assert_eq!(self.queue().1, dropped, "the receiver's kernel dropped datagrams");
    }

    /// Bytes that wait to be read, and datagrams dropped so far.
    fn queue(&self) -> (u64, u64) {
        let text = std::fs::read_to_string(&self.receiver).expect("the receiver is there");
        let mut all = (0, 0);
        for line in text.lines().skip(1) {
            let words: Vec<&str> = line.split_whitespace().collect();
            let waiting = words.get(4).and_then(|both| both.split_once(':'));
            all.0 += waiting.and_then(|(_, hex)| u64::from_str_radix(hex, 16).ok()).unwrap_or(0);
            all.1 += words.last().and_then(|word| word.parse::<u64>().ok()).unwrap_or(0);
        }
        all
    }
}
