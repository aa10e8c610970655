//! What the kernel itself says of an address or a mount of a node, with the time: who had it when
//! is known exactly, and costs nothing meanwhile.

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::{CloneFlags, setns};
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recv, socket,
};
use std::fs::File;
use std::io::{Read, Seek};
use std::net::Ipv4Addr;
use std::os::fd::{AsFd, AsRawFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// From `rtnetlink.h`: the group for IPv4 addresses, and the messages in it.
const IPV4_ADDRESSES: u32 = 0x10;
const NEW_ADDRESS: u16 = 20;
const DELETED_ADDRESS: u16 = 21;

/// A change: there since, or gone since.
pub(crate) type Change = (Instant, bool);

/// Listens until it is dropped.
pub(crate) struct Watch {
    changes: Arc<Mutex<Vec<Change>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Watch {
    /// An address in the network of process `pid`.
    pub(crate) fn address(pid: i32, address: Ipv4Addr) -> Watch {
        Watch::start(move |stop, changes, listening| {
            let network = File::open(format!("/proc/{pid}/ns/net")).expect("the node's network");
            setns(network, CloneFlags::CLONE_NEWNET).expect("to enter the node's network");
            let socket = socket(
                AddressFamily::Netlink,
                SockType::Raw,
                SockFlag::SOCK_CLOEXEC,
                SockProtocol::NetlinkRoute,
            )
            .expect("a netlink socket");
            bind(socket.as_raw_fd(), &NetlinkAddr::new(0, IPV4_ADDRESSES)).expect("its group");
            let _ = listening.send(());
            while !stop.load(Ordering::Relaxed) {
                if !ready(&socket, PollFlags::POLLIN) {
                    continue;
                }
                let mut buffer = [0; 4096];
                let Ok(length) = recv(socket.as_raw_fd(), &mut buffer, MsgFlags::empty()) else {
                    continue;
                };
                let at = Instant::now();
                let message = buffer.get(..length).unwrap_or_default();
                let kind = message.get(4..6).map(|two| u16::from_ne_bytes([two[0], two[1]]));
                if message.windows(4).any(|four| four == address.octets()) {
                    match kind {
                        Some(NEW_ADDRESS) => push(changes, (at, true)),
                        Some(DELETED_ADDRESS) => push(changes, (at, false)),
                        _ => {}
                    }
                }
            }
        })
    }

    /// A mount point in the mount namespace of process `pid`.
    pub(crate) fn mount(pid: i32, point: &str) -> Watch {
        let needle = format!(" {point} ");
        Watch::start(move |stop, changes, listening| {
            let mut table = File::open(format!("/proc/{pid}/mountinfo")).expect("its mounts");
            let mut before = None;
            let _ = listening.send(());
            while !stop.load(Ordering::Relaxed) {
                let mut text = String::new();
                table.rewind().expect("rewind");
                table.read_to_string(&mut text).expect("read");
                let there = text.contains(&needle);
                if before != Some(there) {
                    push(changes, (Instant::now(), there));
                    before = Some(there);
                }
                ready(&table, PollFlags::POLLPRI);
            }
        })
    }

    /// Returns when it listens: what happens from then on is seen.
    fn start(
        work: impl FnOnce(&AtomicBool, &Mutex<Vec<Change>>, Sender<()>) + Send + 'static,
    ) -> Watch {
        let (changes, stop): (Arc<Mutex<Vec<Change>>>, Arc<AtomicBool>) = Default::default();
        let (kept, stopped) = (changes.clone(), stop.clone());
        let (ready, listening) = channel();
        let thread = std::thread::spawn(move || {
            crate::urgent::this_thread();
            work(&stopped, &kept, ready);
        });
        listening.recv().expect("the watch listens");
        Watch { changes, stop, thread: Some(thread) }
    }

    pub(crate) fn changes(&self) -> Vec<Change> {
        self.changes.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits for a change after `since`.
    pub(crate) fn wait(&self, since: Instant, there: bool) -> Instant {
        let until = Instant::now() + Duration::from_secs(20);
        loop {
            let found = self.changes().into_iter().find(|(at, is)| *at >= since && *is == there);
            if let Some((at, _)) = found {
                return at;
            }
            assert!(Instant::now() < until, "no change to {there} in 20 s");
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn push(changes: &Mutex<Vec<Change>>, change: Change) {
    changes.lock().unwrap_or_else(PoisonError::into_inner).push(change);
}

fn ready(file: &impl AsFd, what: PollFlags) -> bool {
    let mut files = [PollFd::new(file.as_fd(), what)];
    poll(&mut files, PollTimeout::from(100_u16)).is_ok_and(|count| count > 0)
}
