//! Neighbour discovery for IPv6 (RFC 4861, 4862): the solicitation that asks for another holder,
//! the unsolicited advertisement, and what counts as an answer.

use std::net::Ipv6Addr;

use super::packet::{Answer, Mac, header};

pub(crate) const PROTOCOL: u16 = 0x86dd;

/// "Who has `ip`?", from the unspecified address, as duplicate detection does.
pub(crate) fn solicitation(own: Mac, ip: Ipv6Addr) -> Vec<u8> {
    let [.., a, b, c] = ip.octets();
    let group = Ipv6Addr::from_bits(SOLICITED_NODE | (ip.to_bits() & 0xff_ffff));
    let to = [0x33, 0x33, 0xff, a, b, c];
    packet(own, to, Ipv6Addr::UNSPECIFIED, group, SOLICITATION, 0, ip, &[])
}

/// "`ip` is at `own`, forget what you knew."
pub(crate) fn advertisement(own: Mac, ip: Ipv6Addr) -> Vec<u8> {
    let [a, b, c, d, e, f] = own;
    let link_address = [TARGET_LINK_ADDRESS, 1, a, b, c, d, e, f];
    let to = [0x33, 0x33, 0, 0, 0, 1];
    packet(own, to, ip, ALL_NODES, ADVERTISEMENT, OVERRIDE, ip, &link_address)
}

/// A frame by which another machine claims `ip`.
pub(crate) fn claim(frame: &[u8], ip: Ipv6Addr, own: &[Mac]) -> Option<Answer> {
    let sender: Mac = frame.get(6..12)?.try_into().ok()?;
    let is_claim = frame.get(12..14)? == PROTOCOL.to_be_bytes()
        && *frame.get(20)? == ICMPV6
        && *frame.get(54)? == ADVERTISEMENT
        && frame.get(62..78)? == ip.octets();
    (is_claim && !own.contains(&sender)).then_some(Answer(sender))
}

fn packet(
    own: Mac,
    to: Mac,
    source: Ipv6Addr,
    group: Ipv6Addr,
    kind: u8,
    flags: u32,
    target: Ipv6Addr,
    options: &[u8],
) -> Vec<u8> {
    let mut message = vec![kind, 0, 0, 0];
    message.extend(flags.to_be_bytes());
    message.extend(target.octets());
    message.extend(options);
    let sum = checksum(source, group, &message).to_be_bytes();
    message[2..4].copy_from_slice(&sum);

    let mut frame = header(to, own, PROTOCOL);
    frame.extend([0x60, 0, 0, 0]);
    frame.extend((message.len() as u16).to_be_bytes());
    // Only a packet that no router has passed on is believed, hence 255 hops left.
    frame.extend([ICMPV6, 255]);
    frame.extend(source.octets());
    frame.extend(group.octets());
    frame.extend(message);
    frame
}

/// The internet checksum over the pseudo header and the message.
fn checksum(source: Ipv6Addr, group: Ipv6Addr, message: &[u8]) -> u16 {
    let mut bytes = Vec::with_capacity(40 + message.len());
    bytes.extend(source.octets());
    bytes.extend(group.octets());
    bytes.extend((message.len() as u32).to_be_bytes());
    bytes.extend([0, 0, 0, ICMPV6]);
    bytes.extend(message);
    let mut sum: u32 = 0;
    for pair in bytes.chunks(2) {
        let low = pair.get(1).copied().unwrap_or(0);
        sum += u32::from(u16::from_be_bytes([pair[0], low]));
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
const SOLICITED_NODE: u128 = 0xff02_0000_0000_0000_0000_0001_ff00_0000;
const ICMPV6: u8 = 58;
const SOLICITATION: u8 = 135;
const ADVERTISEMENT: u8 = 136;
const OVERRIDE: u32 = 0x2000_0000;
const TARGET_LINK_ADDRESS: u8 = 2;

#[cfg(test)]
mod tests {
    use super::*;

    const US: Mac = [2, 0, 0, 0, 0, 1];
    const THEM: Mac = [2, 0, 0, 0, 0, 2];

    fn ip() -> Ipv6Addr {
        "2001:db8::12:3456".parse().expect("address")
    }

    /// A message with a right checksum sums up to zero.
    fn sum(frame: &[u8]) -> u16 {
        let address = |at: usize| {
            let octets: [u8; 16] = frame[at..at + 16].try_into().expect("16 octets");
            Ipv6Addr::from(octets)
        };
        checksum(address(22), address(38), &frame[54..])
    }

    #[test]
    fn both_messages_have_right_form_and_checksum() {
        let ask = solicitation(US, ip());
        assert_eq!(&ask[..6], [0x33, 0x33, 0xff, 0x12, 0x34, 0x56]);
        assert_eq!((ask.len(), ask[21], ask[54]), (78, 255, SOLICITATION));
        assert_eq!(sum(&ask), 0);
        let tell = advertisement(US, ip());
        assert_eq!((tell.len(), tell[54], tell[58]), (86, ADVERTISEMENT, 0x20));
        assert_eq!(&tell[80..86], US);
        assert_eq!(sum(&tell), 0);
    }

    #[test]
    fn only_advertisements_of_others_count() {
        assert_eq!(claim(&advertisement(THEM, ip()), ip(), &[US]), Some(Answer(THEM)));
        assert_eq!(claim(&advertisement(US, ip()), ip(), &[US]), None);
        assert_eq!(claim(&solicitation(THEM, ip()), ip(), &[US]), None);
        assert_eq!(claim(&advertisement(THEM, "::1".parse().expect("ip")), ip(), &[US]), None);
        assert_eq!(claim(&advertisement(THEM, ip())[..77], ip(), &[US]), None, "cut short");
    }
}
