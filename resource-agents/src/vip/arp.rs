//! ARP for IPv4: the probe of RFC 5227, gratuitous announcements, and what counts as an answer.

use std::net::Ipv4Addr;

use super::packet::{Answer, Mac, header};

pub(crate) const PROTOCOL: u16 = 0x0806;

/// "Who has `ip`?", from nobody in particular: it changes no neighbour's table.
pub(crate) fn probe(own: Mac, ip: Ipv4Addr) -> Vec<u8> {
    packet(REQUEST, own, Ipv4Addr::UNSPECIFIED, [0; 6], ip)
}

/// "`ip` is at `own`", in both forms: some equipment heeds only one of them.
pub(crate) fn announcements(own: Mac, ip: Ipv4Addr) -> [Vec<u8>; 2] {
    [packet(REQUEST, own, ip, [0; 6], ip), packet(REPLY, own, ip, BROADCAST, ip)]
}

/// A frame by which another machine claims `ip`. Probes of others are no claims: somebody who
/// only asks does not have it.
pub(crate) fn claim(frame: &[u8], ip: Ipv4Addr, own: &[Mac]) -> Option<Answer> {
    let body = frame.get(14..42)?;
    if frame.get(12..14)? != PROTOCOL.to_be_bytes() || body.get(..6)? != FORM {
        return None;
    }
    let sender: Mac = body.get(8..14)?.try_into().ok()?;
    let claimed = body.get(14..18)? == ip.octets();
    (claimed && !own.contains(&sender)).then_some(Answer(sender))
}

fn packet(kind: u8, own: Mac, sender: Ipv4Addr, other: Mac, target: Ipv4Addr) -> Vec<u8> {
    let mut frame = header(BROADCAST, own, PROTOCOL);
    frame.extend(FORM);
    frame.extend([0, kind]);
    frame.extend(own);
    frame.extend(sender.octets());
    frame.extend(other);
    frame.extend(target.octets());
    frame
}

const BROADCAST: Mac = [0xff; 6];
const REQUEST: u8 = 1;
const REPLY: u8 = 2;
/// Ethernet, IPv4, and the lengths of their addresses.
const FORM: [u8; 6] = [0, 1, 8, 0, 6, 4];

#[cfg(test)]
mod tests {
    use super::*;

    const US: Mac = [2, 0, 0, 0, 0, 1];
    const THEM: Mac = [2, 0, 0, 0, 0, 2];
    const IP: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 7);

    #[test]
    fn a_probe_has_the_form_of_rfc_5227() {
        let frame = probe(US, IP);
        assert_eq!(frame.len(), 42);
        assert_eq!(&frame[..14], [255, 255, 255, 255, 255, 255, 2, 0, 0, 0, 0, 1, 8, 6]);
        assert_eq!(&frame[14..22], [0, 1, 8, 0, 6, 4, 0, 1]);
        assert_eq!(&frame[28..32], [0, 0, 0, 0], "sender address");
        assert_eq!(&frame[38..42], [192, 0, 2, 7], "target address");
    }

    #[test]
    fn only_claims_of_others_count() {
        let reply = packet(REPLY, THEM, IP, US, Ipv4Addr::UNSPECIFIED);
        assert_eq!(claim(&reply, IP, &[US]), Some(Answer(THEM)));
        for announcement in announcements(THEM, IP) {
            assert_eq!(claim(&announcement, IP, &[US]), Some(Answer(THEM)));
            assert_eq!(claim(&announcement, IP, &[US, THEM]), None, "own interface");
        }
        assert_eq!(claim(&probe(THEM, IP), IP, &[US]), None, "somebody only asks");
        assert_eq!(claim(&reply, Ipv4Addr::new(192, 0, 2, 8), &[US]), None);
        assert_eq!(claim(&reply[..41], IP, &[US]), None, "cut short");
        assert_eq!(claim(&[], IP, &[US]), None);
    }
}
