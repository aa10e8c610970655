//! The sockets that all clusters of a witness share: each datagram names its cluster in clear, and only
//! that cluster's keys open it.

use crate::happening::Tell;
use crate::links::Link;
use crm_api::LinkCounters;
use crm_core::time::{Span, Time};
use crm_wire::{ClusterId, named_cluster};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::task::Poll;
use tokio::io::Interest;

/// Between two tries to bind an address that is not there yet.
const RETRY: Span = Span::secs(1);
/// Datagrams taken from one socket at one go: a flood must not keep the loop from its timers.
const BATCH: usize = 64;
/// One byte more than any packet of ours, so that a longer one shows.
const BUFFER_BYTES: usize = crm_wire::MAX_DATAGRAM + 1;

/// What came in.
pub(super) struct Received {
    pub(super) cluster: ClusterId,
    pub(super) from: SocketAddr,
    pub(super) bytes: Vec<u8>,
}

#[derive(Debug)]
pub(super) struct Network {
    tell: Tell,
    sockets: Vec<Link>,
    next_retry: Option<Time>,
    /// Datagrams that are not of this product, or name a cluster that this witness does not serve.
    strange: u64,
}

impl Network {
    /// Listens on these addresses, or on every one where none is named.
    pub(super) fn new(now: Time, tell: Tell, listen: &[IpAddr], port: u16) -> Network {
        let every = [IpAddr::V4(Ipv4Addr::UNSPECIFIED), IpAddr::V6(Ipv6Addr::UNSPECIFIED)];
        let addresses = if listen.is_empty() { every.as_slice() } else { listen };
        let sockets =
            addresses.iter().map(|ip| Link::new(Ok(SocketAddr::new(*ip, port)))).collect();
        let mut network = Network { tell, sockets, next_retry: None, strange: 0 };
        network.bind_missing(now);
        network
    }

    /// When [`Network::bind_missing`] is due.
    pub(super) fn deadline(&self) -> Option<Time> {
        self.next_retry
    }

    /// Binds what could not be bound before: its address may have come up.
    pub(super) fn bind_missing(&mut self, now: Time) {
        let mut missing = false;
        for (number, socket) in self.sockets.iter_mut().enumerate() {
            if let Some(event) = socket.bind(number) {
                self.tell.event(event);
            }
            missing |= socket.may_be_bound_later();
        }
        self.next_retry = missing.then(|| now + RETRY);
    }

    /// Waits until a socket has something, or for ever.
    pub(super) async fn readable(&self) {
        std::future::poll_fn(|context| {
            let mut sockets = self.sockets.iter().filter_map(Link::socket);
            match sockets.any(|socket| socket.poll_read_ready(context).is_ready()) {
                true => Poll::Ready(()),
                false => Poll::Pending,
            }
        })
        .await;
    }

    /// At most [`BATCH`] datagrams a socket.
    pub(super) fn receive(&mut self) -> Vec<Received> {
        let mut received = Vec::new();
        let mut buffer = [0; BUFFER_BYTES];
        for link in &mut self.sockets {
            for _ in 0..BATCH {
                let Some(socket) = link.socket() else { break };
                let read =
                    socket.try_io(Interest::READABLE, |socket| socket.recv_from(&mut buffer));
                let (length, from) = match read {
                    Ok(read) => read,
                    Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => break,
                    Err(_) => {
                        // An ICMP error of an earlier send: the node's port is closed.
                        link.errors += 1;
                        continue;
                    }
                };
                link.datagrams_in += 1;
                let bytes = buffer.get(..length).unwrap_or_default();
                match named_cluster(bytes) {
                    Ok(cluster) => {
                        received.push(Received { cluster, from, bytes: bytes.to_vec() });
                    }
                    Err(_) => self.strange += 1,
                }
            }
        }
        received
    }

    /// A datagram for a cluster that is not served here.
    pub(super) fn count_strange(&mut self) {
        self.strange += 1;
    }

    pub(super) fn strange(&self) -> u64 {
        self.strange
    }

    /// Sends from every socket that can reach the address: which path works is not known.
    pub(super) fn send(&mut self, to: SocketAddr, datagrams: &[Vec<u8>]) {
        for link in &mut self.sockets {
            if !link.wanted().as_ref().is_ok_and(|own| own.is_ipv4() == to.is_ipv4()) {
                continue;
            }
            for datagram in datagrams {
                let Some(socket) = link.socket() else { break };
                match socket.get_ref().send_to(datagram, to) {
                    Ok(_) => link.datagrams_out += 1,
                    // Refused, unreachable, buffer full: the core sends again what matters.
                    Err(_) => link.errors += 1,
                }
            }
        }
    }

    pub(super) fn report(&self) -> Vec<LinkCounters> {
        self.sockets.iter().zip(0u8..).map(|(link, number)| link.report(number)).collect()
    }
}
