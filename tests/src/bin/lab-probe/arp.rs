//! Asks the network whose an address is. A question reaches all nodes at one instant, so two different answers to one
//! question are two holders, whatever their processes say.

use crate::netlink;
use nix::ifaddrs::getifaddrs;
use nix::sys::socket::{
    AddressFamily, LinkAddr, MsgFlags, SockFlag, SockProtocol, SockType, recv, sendto, socket,
};
use std::collections::BTreeSet;
use std::io;
use std::net::Ipv4Addr;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

const PERIOD: Duration = Duration::from_millis(100);
const INTERFACE: &str = "eth0";
/// The last octet of the address in whose name is asked: nobody has it, so that what is answered to it
/// answers these questions and not those of the client's kernel, which come at other instants.
const ASKER: u8 = 251;
const ARP: [u8; 2] = [0x08, 0x06];
/// Ethernet and IPv4, with their lengths.
const KIND: [u8; 6] = [0, 1, 8, 0, 6, 4];
const ASK: [u8; 2] = [0, 1];
const ANSWER: [u8; 2] = [0, 2];

/// Counts of one address. The thread that asks ends with the process.
#[derive(Default)]
pub(crate) struct Asked {
    asked: Arc<AtomicU64>,
    answered: Arc<AtomicU64>,
    doubles: Arc<Mutex<Vec<Vec<String>>>>,
}

impl Asked {
    /// # Errors
    /// The client's network has no such interface, or none of its own address.
    pub(crate) fn start(client: i32, address: Ipv4Addr) -> io::Result<Asked> {
        let line = netlink::within(client, Line::open)?;
        let counts = Asked::default();
        let (asked, answered) = (counts.asked.clone(), counts.answered.clone());
        let doubles = counts.doubles.clone();
        std::thread::spawn(move || {
            loop {
                line.answers(address);
                if line.ask(address).is_ok() {
                    asked.fetch_add(1, Ordering::Relaxed);
                }
                std::thread::sleep(PERIOD);
                let owners = line.answers(address);
                if !owners.is_empty() {
                    answered.fetch_add(1, Ordering::Relaxed);
                }
                if owners.len() > 1 {
                    let owners = owners.into_iter().collect();
                    doubles.lock().unwrap_or_else(PoisonError::into_inner).push(owners);
                }
            }
        });
        Ok(counts)
    }

    pub(crate) fn take(&self) -> (u64, u64) {
        (self.asked.swap(0, Ordering::Relaxed), self.answered.swap(0, Ordering::Relaxed))
    }

    /// Questions with more than one answer, since it was last asked.
    pub(crate) fn doubles(&self) -> Vec<Vec<String>> {
        std::mem::take(&mut self.doubles.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

struct Line {
    socket: OwnedFd,
    interface: LinkAddr,
    hardware: [u8; 6],
    own: Ipv4Addr,
}

impl Line {
    fn open() -> io::Result<Line> {
        let socket = socket(
            AddressFamily::Packet,
            SockType::Raw,
            SockFlag::SOCK_CLOEXEC,
            SockProtocol::EthAll,
        )?;
        let (mut interface, mut own) = (None, None);
        for found in getifaddrs()?.filter(|found| found.interface_name == INTERFACE) {
            let Some(address) = found.address else { continue };
            interface = interface.or(address.as_link_addr().copied());
            own = own.or(address.as_sockaddr_in().map(nix::sys::socket::SockaddrIn::ip));
        }
        let lacks = || io::Error::other(format!("{INTERFACE} of the client has no address"));
        let interface = interface.ok_or_else(lacks)?;
        let hardware = interface.addr().ok_or_else(lacks)?;
        let [a, b, c, _] = own.ok_or_else(lacks)?.octets();
        Ok(Line { socket, interface, hardware, own: Ipv4Addr::new(a, b, c, ASKER) })
    }

    fn ask(&self, address: Ipv4Addr) -> io::Result<()> {
        let mut frame = vec![0xff; 6];
        frame.extend(self.hardware);
        frame.extend(ARP.into_iter().chain(KIND).chain(ASK));
        frame.extend(self.hardware.into_iter().chain(self.own.octets()));
        frame.extend([0; 6].into_iter().chain(address.octets()));
        sendto(self.socket.as_raw_fd(), &frame, &self.interface, MsgFlags::empty())?;
        Ok(())
    }

    /// Hardware addresses in what has come since: of answers to this client's questions only.
    fn answers(&self, address: Ipv4Addr) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        let mut frame = [0; 2048];
        while let Ok(length) = recv(self.socket.as_raw_fd(), &mut frame, MsgFlags::MSG_DONTWAIT) {
            let is = |from: usize, bytes: &[u8]| frame.get(from..from + bytes.len()) == Some(bytes);
            if length >= 42
                && is(0, &self.hardware)
                && is(12, &ARP)
                && is(20, &ANSWER)
                && is(28, &address.octets())
                && is(38, &self.own.octets())
            {
                let owner = frame.get(22..28).unwrap_or_default();
                let words: Vec<String> = owner.iter().map(|byte| format!("{byte:02x}")).collect();
                found.insert(words.join(":"));
            }
        }
        found
    }
}
