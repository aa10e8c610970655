//! Asks an address for an echo, without blocking: for `tiebreak`.
//!
//! An unprivileged ICMP socket is tried first, then a raw one.

use nix::libc;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use std::io::{self, Read};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::time::{Instant, timeout};

/// How long an answer may take; a gateway answers in a millisecond.
const PATIENCE: Duration = Duration::from_millis(800);
/// Requests sent within that time: one may be lost.
const TRIES: u16 = 2;

/// Whether the address answers. Anything that goes wrong is no answer; the error says what.
///
/// # Errors
/// No request could be sent.
pub(crate) async fn answers(address: &str) -> Result<bool, String> {
    let address: IpAddr =
        address.parse().map_err(|_| format!("{address:?} is not an IP address"))?;
    let socket = open(address).map_err(|error| format!("no ICMP socket: {error}"))?;
    let socket = crate::sys::register(socket, Interest::READABLE)
        .map_err(|error| format!("no ICMP socket: {error}"))?;
    let target = SockAddr::from(SocketAddr::new(address, 0));
    let mark = crate::random::bits()?.to_le_bytes();
    let begun = Instant::now();
    for number in 1..=TRIES {
        let packet = request(address, number, &mark);
        socket
            .get_ref()
            .send_to(&packet, &target)
            .map_err(|error| format!("{address} cannot be asked: {error}"))?;
        let until = PATIENCE * u32::from(number) / u32::from(TRIES);
        let wait = until.saturating_sub(begun.elapsed());
        if timeout(wait, answer(&socket, address, &mark)).await.is_ok() {
            return Ok(true);
        }
    }
    Ok(false)
}

fn open(address: IpAddr) -> io::Result<Socket> {
    let (domain, protocol) = match address {
        IpAddr::V4(_) => (Domain::IPV4, Protocol::ICMPV4),
        IpAddr::V6(_) => (Domain::IPV6, Protocol::ICMPV6),
    };
    let socket = Socket::new(domain, Type::DGRAM, Some(protocol))
        .or_else(|_| Socket::new(domain, Type::RAW, Some(protocol)))?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// An echo request that carries `mark`, by which its answer is known.
fn request(address: IpAddr, number: u16, mark: &[u8; 16]) -> Vec<u8> {
    let kind = if address.is_ipv4() { 8 } else { 128 };
    let mut packet = vec![kind, 0, 0, 0, mark[0], mark[1]];
    packet.extend_from_slice(&number.to_be_bytes());
    packet.extend_from_slice(mark);
    // For IPv6 the kernel computes it, over a pseudo header that we do not see.
    if address.is_ipv4() {
        let sum = checksum(&packet).to_be_bytes();
        packet[2..4].copy_from_slice(&sum);
    }
    packet
}

fn checksum(bytes: &[u8]) -> u16 {
    let mut sum = 0u32;
    for pair in bytes.chunks(2) {
        sum += u32::from(pair[0]) << 8 | u32::from(pair.get(1).copied().unwrap_or(0));
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

async fn answer(socket: &AsyncFd<Socket>, from: IpAddr, mark: &[u8; 16]) {
    let mut buffer = [0u8; 1500];
    loop {
        let Ok(mut ready) = socket.readable().await else {
            return std::future::pending().await;
        };
        let Ok(read) = ready.try_io(|socket| socket.get_ref().read(&mut buffer)) else {
            continue;
        };
        match read {
            Ok(length) if is_answer(&buffer[..length], from, mark) => return,
            Ok(_) => {}
            Err(error) if error.raw_os_error() == Some(libc::EINTR) => {}
            // Unreachable and its like: no answer.
            Err(_) => return std::future::pending().await,
        }
    }
}

/// A raw IPv4 socket delivers the IP header too.
fn is_answer(bytes: &[u8], from: IpAddr, mark: &[u8; 16]) -> bool {
    let kind = if from.is_ipv4() { 0 } else { 129 };
    let skip = match bytes.first() {
        Some(first) if from.is_ipv4() && first >> 4 == 4 => usize::from(first & 0xf) * 4,
        _ => 0,
    };
    let Some(echo) = bytes.get(skip..) else { return false };
    echo.first() == Some(&kind) && echo.get(8..24) == Some(mark.as_slice())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_known_by_its_mark_only() {
        let v4: IpAddr = [192, 0, 2, 1].into();
        let mark = [9; 16];
        let mut reply = request(v4, 1, &mark);
        assert_eq!(checksum(&reply), 0, "a packet with its checksum sums to zero");
        assert!(!is_answer(&reply, v4, &mark), "a request is no answer");
        reply[0] = 0;
        assert!(is_answer(&reply, v4, &mark));
        assert!(!is_answer(&reply, v4, &[8; 16]));
        let mut raw = vec![0x45; 20];
        raw.extend_from_slice(&reply);
        assert!(is_answer(&raw, v4, &mark));
        assert!(!is_answer(&raw[..30], v4, &mark));
        assert!(!is_answer(&[], v4, &mark));
    }

    #[tokio::test(flavor = "current_thread")]
    async fn loopback_answers() {
        match answers("127.0.0.1").await {
            Ok(answered) => assert!(answered),
            // Neither kind of socket is permitted to this user.
            Err(error) => assert!(error.contains("no ICMP socket"), "{error}"),
        }
    }
}
