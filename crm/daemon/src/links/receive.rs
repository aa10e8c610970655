//! Datagrams in: in bounded batches, so that a flood cannot keep the loop from its timers.

use super::Links;
use crm_core::Input;
use crm_core::id::{Incarnation, LinkId, NodeId};
use crm_core::packet::{Message, Packet};
use crm_core::time::Time;
use crm_wire::{ClusterId, Opened};
use std::net::SocketAddr;
use std::task::Poll;
use tokio::io::Interest;

/// Datagrams taken from one socket at one go.
const BATCH: usize = 64;
/// One byte more than any packet of ours, so that a longer one shows.
pub(super) const BUFFER_BYTES: usize = crm_wire::MAX_DATAGRAM + 1;

impl Links {
    /// Waits until a socket has something, or for ever.
    pub(crate) async fn readable(&self) {
        std::future::poll_fn(|context| {
            let mut sockets = self.links.iter().filter_map(|link| link.socket());
            match sockets.any(|socket| socket.poll_read_ready(context).is_ready()) {
                true => Poll::Ready(()),
                false => Poll::Pending,
            }
        })
        .await;
    }

    /// Takes at most [`BATCH`] datagrams a link; the authentic ones become inputs.
    pub(crate) fn receive(&mut self, now: Time) -> Vec<Input> {
        let mut inputs = Vec::new();
        let mut buffer = std::mem::take(&mut self.buffer);
        for number in 0..self.links.len() {
            let mut left = BATCH;
            while left > 0 {
                let Some(link) = self.links.get_mut(number) else { break };
                let Some(socket) = link.socket() else { break };
                let (length, from) = match socket
                    .try_io(Interest::READABLE, |socket| socket.recv_from(&mut buffer))
                {
                    Ok(received) => received,
                    Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => break,
                    Err(_) => {
                        // An ICMP error of an earlier send: the peer's port is closed.
                        left -= 1;
                        link.errors += 1;
                        continue;
                    }
                };
                left -= 1;
                link.datagrams_in += 1;
                let id = LinkId(u8::try_from(number).unwrap_or(u8::MAX));
                let datagram = buffer.get(..length).unwrap_or_default();
                inputs.extend(self.open(now, id, from, datagram));
            }
        }
        self.buffer = buffer;
        inputs
    }

    fn open(&mut self, now: Time, link: LinkId, from: SocketAddr, bytes: &[u8]) -> Option<Input> {
        // What is refused is counted by the endpoint.
        let opened = self.endpoint.open(now.0, bytes).ok()??;
        let Ok(packet) = postcard::from_bytes::<Packet>(&opened.payload) else {
            self.not_understood += 1;
            return None;
        };
        if !self.admits(&opened, &packet) {
            self.not_understood += 1;
            return None;
        }
        let node = NodeId::new(&opened.sender);
        self.addresses.learn(&node, link, from);
        Some(Input::Packet {
            link,
            from: node,
            incarnation: Incarnation(opened.incarnation),
            counter: opened.counter,
            packet,
        })
    }

    /// From a node that does not know the cluster's name nothing is taken but its request to join.
    /// And a node that joins learns the name from the first member that answers it.
    fn admits(&mut self, opened: &Opened, packet: &Packet) -> bool {
        if opened.cluster == ClusterId::ANY {
            return self.entered && matches!(packet.message, Message::Join { .. });
        }
        if !self.entered {
            return packet.to == self.me && self.enter(opened.cluster).is_ok();
        }
        true
    }
}
