//! Sealed bytes between nodes: what crosses the network is what a real daemon would send.

use crate::clock::Micros;
use crate::random::Random;
use crm_core::id::{Incarnation, NodeId};
use crm_core::packet::Packet;
use crm_wire::{AuthKeys, ClusterId, Endpoint};
use std::sync::Arc;

/// One daemon's end of the wire.
#[derive(Debug)]
pub struct Envelope {
    /// `None` in a copy.
    endpoint: Option<Endpoint>,
    scratch: Vec<Vec<u8>>,
}

/// Keys are not copied: a copy seals and opens nothing, in a world where packets go unsealed.
impl Clone for Envelope {
    fn clone(&self) -> Envelope {
        Envelope { endpoint: None, scratch: Vec::new() }
    }
}

/// What a datagram proved.
#[derive(Clone, Debug)]
pub struct Opened {
    pub from: NodeId,
    pub incarnation: Incarnation,
    pub counter: u64,
    pub packet: Packet,
}

impl Envelope {
    /// # Errors
    /// A name that cannot stand in a packet.
    pub fn new(
        keys: AuthKeys,
        cluster: &str,
        me: &NodeId,
        incarnation: Incarnation,
    ) -> Result<Envelope, String> {
        let endpoint = Endpoint::new(keys, ClusterId::of(cluster), me.as_str(), incarnation.0);
        let endpoint = endpoint.map_err(|error| error.to_string())?;
        Ok(Envelope { endpoint: Some(endpoint), scratch: Vec::new() })
    }

    /// Goes on with another key file.
    pub fn change_keys(&mut self, keys: AuthKeys) {
        // The only failure is a key derivation that refuses 32 bytes; the old keys stay then.
        if let Some(endpoint) = &mut self.endpoint {
            let _ = endpoint.replace_keys(keys);
        }
    }

    /// The datagrams that carry this packet.
    pub fn seal(&mut self, packet: &Packet) -> Vec<Arc<[u8]>> {
        let Ok(payload) = postcard::to_stdvec(packet) else { return Vec::new() };
        self.scratch.clear();
        let sealed =
            self.endpoint.as_mut().map(|endpoint| endpoint.seal(&payload, &mut self.scratch));
        match sealed {
            Some(Ok(())) => self.scratch.drain(..).map(Arc::from).collect(),
            _ => Vec::new(),
        }
    }

    /// Opens a datagram; `None` where it proves nothing, or is a part of more.
    pub fn open(&mut self, now: Micros, bytes: &[u8]) -> Option<Opened> {
        let opened = self.endpoint.as_mut()?.open(now, bytes).ok()??;
        Some(Opened {
            from: NodeId::new(&opened.sender),
            incarnation: Incarnation(opened.incarnation),
            counter: opened.counter,
            packet: postcard::from_bytes(&opened.payload).ok()?,
        })
    }

    /// Bytes held for messages that are not complete (I10).
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        self.endpoint.as_ref().map_or(0, Endpoint::bytes_in_flight)
    }
}

/// A key file with one random key.
///
/// # Errors
/// Never with 32 random bytes; the reader's own words if it were.
pub fn new_keys(random: &mut Random) -> Result<(String, AuthKeys), String> {
    let mut bytes = [0u8; 32];
    for chunk in bytes.chunks_mut(8) {
        chunk.copy_from_slice(&random.next().to_le_bytes()[..chunk.len()]);
    }
    let text = crm_wire::generate(bytes).to_string();
    let keys = AuthKeys::parse("authkeys", &text).map_err(|error| error.to_string())?;
    Ok((text, keys))
}
