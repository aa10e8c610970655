//! The kernel's own word on the addresses of a network, and on their changes.

use nix::sched::{CloneFlags, setns};
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recv, send,
    socket,
};
use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::net::Ipv4Addr;
use std::os::fd::{AsRawFd, OwnedFd};

/// From `rtnetlink.h` and `netlink.h`.
const IPV4_ADDRESSES: u32 = 0x10;
const NEW_ADDRESS: u16 = 20;
const GET_ADDRESSES: u16 = 22;
const DONE: u16 = 3;
const ERROR: u16 = 2;
const REQUEST_DUMP: u16 = 0x301;
const LOCAL: u16 = 2;
const ALIGNED: usize = 4;
const HEADER: usize = 16;
const ADDRESS_HEADER: usize = 8;

/// Runs `work` in the network of process `pid`, on a thread that ends after it.
///
/// # Errors
/// The network cannot be entered, or `work` failed.
pub(crate) fn within<T: Send + 'static>(
    pid: i32,
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    let thread = std::thread::spawn(move || {
        setns(File::open(format!("/proc/{pid}/ns/net"))?, CloneFlags::CLONE_NEWNET)?;
        work()
    });
    thread.join().map_err(|_| io::Error::other("the thread in the network panicked"))?
}

/// A socket to the kernel of the network that this thread is in; with `groups` it is told of changes.
pub(crate) fn open(groups: u32) -> io::Result<OwnedFd> {
    let flags = SockFlag::SOCK_CLOEXEC;
    let route = SockProtocol::NetlinkRoute;
    let socket = socket(AddressFamily::Netlink, SockType::Raw, flags, route)?;
    bind(socket.as_raw_fd(), &NetlinkAddr::new(0, groups))?;
    Ok(socket)
}

/// One that is told of changes of IPv4 addresses.
pub(crate) fn open_events() -> io::Result<OwnedFd> {
    open(IPV4_ADDRESSES)
}

/// All IPv4 addresses of the socket's network, now.
pub(crate) fn addresses(socket: &OwnedFd) -> io::Result<BTreeSet<Ipv4Addr>> {
    let mut request = Vec::with_capacity(HEADER + ADDRESS_HEADER);
    request.extend(24_u32.to_ne_bytes());
    request.extend(GET_ADDRESSES.to_ne_bytes());
    request.extend(REQUEST_DUMP.to_ne_bytes());
    request.extend([0; 8]);
    request.extend([u8::try_from(nix::libc::AF_INET).unwrap_or_default(), 0, 0, 0, 0, 0, 0, 0]);
    send(socket.as_raw_fd(), &request, MsgFlags::empty())?;
    let mut found = BTreeSet::new();
    let mut buffer = vec![0; 32 * 1024];
    loop {
        let length = recv(socket.as_raw_fd(), &mut buffer, MsgFlags::empty())?;
        let mut rest = buffer.get(..length).unwrap_or_default();
        while rest.len() >= HEADER {
            let length = usize::try_from(u32_at(rest, 0)).unwrap_or(0);
            match u16_at(rest, 4) {
                DONE => return Ok(found),
                ERROR => return Err(io::Error::other("the kernel refused to list addresses")),
                NEW_ADDRESS => {
                    found.extend(local(
                        rest.get(HEADER + ADDRESS_HEADER..length).unwrap_or_default(),
                    ));
                }
                _ => {}
            }
            if length < HEADER {
                return Err(io::Error::other("a message without length"));
            }
            rest = rest.get(length.next_multiple_of(ALIGNED)..).unwrap_or_default();
        }
    }
}

/// The local address among the attributes of a message.
fn local(mut rest: &[u8]) -> Option<Ipv4Addr> {
    while rest.len() >= 8 {
        let length = usize::from(u16_at(rest, 0));
        if u16_at(rest, 2) == LOCAL {
            let octets: [u8; 4] = rest.get(4..8)?.try_into().ok()?;
            return Some(Ipv4Addr::from(octets));
        }
        rest = rest.get(length.max(4).next_multiple_of(ALIGNED)..)?;
    }
    None
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    bytes.get(at..at + 2).and_then(|two| two.try_into().ok()).map_or(0, u16::from_ne_bytes)
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).and_then(|four| four.try_into().ok()).map_or(0, u32::from_ne_bytes)
}
