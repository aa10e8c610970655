//! Datagrams that anybody may send: to a member, and to a node that is to join.

use crate::planted;
use crate::talk::{CLUSTER, endpoint, keys};
use crm_wire::{ClusterId, Endpoint, Reject};

/// Bytes of unfinished messages, of all senders: the wire's own limit and what goes with it.
const HELD_MAX: usize = 16 * 1024 * 1024;

pub fn feed(data: &[u8]) {
    let mut member = endpoint("alpha", 1);
    let mut peer = endpoint("beta", 2);
    let Ok(mut joining) = Endpoint::joining(keys(), "gamma", 3) else { return };
    // Genuine ones first, so that damage to them is tried as well as nonsense.
    let mut genuine = Vec::new();
    let payload = [7; 3000];
    let _ = peer.seal(&payload, &mut genuine);
    let mut rest = data;
    let mut now = 0;
    while let [kind, length, tail @ ..] = rest {
        let length = (usize::from(*length) * 6).min(tail.len());
        let (bytes, next) = tail.split_at(length);
        rest = next;
        now += u64::from(*kind) * 10_000;
        let mut datagram = bytes.to_vec();
        if kind & 1 == 1
            && let Some(base) = genuine.get(usize::from(kind >> 1) % genuine.len().max(1))
        {
            datagram = base.clone();
            for (place, byte) in bytes.iter().enumerate() {
                if let Some(target) = datagram.get_mut(place) {
                    *target ^= byte;
                }
            }
        }
        for endpoint in [&mut member, &mut joining] {
            match endpoint.open(now, &datagram) {
                Ok(Some(opened)) => {
                    assert_eq!((&opened.sender[..], &opened.payload[..]), ("beta", &payload[..]));
                }
                Ok(None) => {}
                Err(reject) => planted::reached(reject == Reject::UnknownKey),
            }
            assert!(endpoint.bytes_in_flight() <= HELD_MAX);
        }
    }
    member.expire(now);
    let _ = joining.enter(ClusterId::of(CLUSTER));
}
