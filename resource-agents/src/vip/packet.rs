//! Raw Ethernet frames on one interface: send them, and listen for another holder.

use std::fmt;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use socket2::{Domain, Protocol, Socket, Type};

use crate::contract::Failure;
use crate::syscall;

pub(crate) type Mac = [u8; 6];

/// Another machine that says that it has the address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Answer(pub(crate) Mac);

impl fmt::Display for Answer {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, f] = self.0;
        write!(out, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{f:02x}")
    }
}

/// A packet socket for one protocol on one interface.
pub(crate) struct Wire(Socket);

impl Wire {
    pub(crate) fn open(interface: u32, protocol: u16) -> io::Result<Wire> {
        // Protocol 0 receives nothing until the socket is bound to its interface.
        let socket = Socket::new(Domain::PACKET, Type::RAW, Some(Protocol::from(0)))?;
        socket.set_nonblocking(true)?;
        syscall::bind_packet_socket(&socket, protocol, interface)?;
        Ok(Wire(socket))
    }

    pub(crate) fn send(&self, frame: &[u8]) -> io::Result<()> {
        (&self.0).write_all(frame)
    }

    /// Frames that arrive within `wait`, and those that are waiting already.
    pub(crate) fn listen<T>(
        &self,
        wait: Duration,
        mut judge: impl FnMut(&[u8]) -> Option<T>,
    ) -> Result<Option<T>, Failure> {
        let end = Instant::now() + wait;
        let mut frame = [0_u8; LONGEST_FRAME];
        for _ in 0..MOST_FRAMES {
            match (&self.0).read(&mut frame) {
                Ok(length) => {
                    if let Some(found) = frame.get(..length).and_then(&mut judge) {
                        return Ok(Some(found));
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    let left = end.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        return Ok(None);
                    }
                    // Whole milliseconds, rounded up: a wait of less would spin.
                    let left = u16::try_from(left.as_micros().div_ceil(1000)).unwrap_or(u16::MAX);
                    let mut wires = [PollFd::new(self.0.as_fd(), PollFlags::POLLIN)];
                    let _ = poll(&mut wires, PollTimeout::from(left));
                }
                Err(error) => {
                    return Err(Failure::system("cannot listen for another holder", &error));
                }
            }
        }
        Ok(None)
    }
}

/// The start of an Ethernet frame.
pub(crate) fn header(to: Mac, from: Mac, protocol: u16) -> Vec<u8> {
    let mut frame = Vec::with_capacity(96);
    frame.extend(to);
    frame.extend(from);
    frame.extend(protocol.to_be_bytes());
    frame
}

const LONGEST_FRAME: usize = 2048;
/// A network that is flooded must not hold the agent.
const MOST_FRAMES: usize = 100_000;
