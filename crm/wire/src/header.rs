//! The part of a datagram that stands in clear. All of it is authenticated.
//!
//! | bytes | what |
//! |---|---|
//! | 4 | magic |
//! | 1 | major version |
//! | 1 | number of the key |
//! | 8 | cluster |
//! | 16 | incarnation of the sender, big-endian |
//! | 8 | counter, big-endian: the nonce |
//! | 1 | length of the name, 1 to 64 |
//! | n | name of the sender |

use crate::{cluster_id::ClusterId, keyfile::KeyId, reject::Reject};

/// A parsed header; borrows the name from the datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header<'a> {
    pub(crate) key_id: KeyId,
    pub(crate) cluster: ClusterId,
    pub(crate) incarnation: u128,
    pub(crate) counter: u64,
    pub(crate) sender: &'a str,
}

impl<'a> Header<'a> {
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&MAGIC);
        out.push(MAJOR_VERSION);
        out.push(self.key_id.0);
        out.extend_from_slice(&self.cluster.0);
        out.extend_from_slice(&self.incarnation.to_be_bytes());
        out.extend_from_slice(&self.counter.to_be_bytes());
        // An endpoint only takes names that pass `check_name`.
        out.push(u8::try_from(self.sender.len()).unwrap_or(u8::MAX));
        out.extend_from_slice(self.sender.as_bytes());
    }

    /// Splits a datagram into its header, the header's bytes and the sealed
    /// rest. Allocates nothing: anyone can send us anything.
    pub(crate) fn read(datagram: &'a [u8]) -> Result<(Header<'a>, &'a [u8], &'a [u8]), Reject> {
        if datagram.len() > MAX_DATAGRAM {
            return Err(Reject::TooBig);
        }
        let mut rest = datagram;
        if take(&mut rest)? != MAGIC {
            return Err(Reject::Magic);
        }
        let [version] = take(&mut rest)?;
        if version != MAJOR_VERSION {
            return Err(Reject::Version);
        }
        let [key_id] = take(&mut rest)?;
        let cluster = ClusterId(take(&mut rest)?);
        let incarnation = u128::from_be_bytes(take(&mut rest)?);
        let counter = u64::from_be_bytes(take(&mut rest)?);
        let [length] = take(&mut rest)?;
        let (name, sealed) = rest.split_at_checked(usize::from(length)).ok_or(Reject::Short)?;
        if sealed.len() < INNER_LENGTH + TAG_LENGTH {
            return Err(Reject::Short);
        }
        let sender = std::str::from_utf8(name).map_err(|_| Reject::Name)?;
        check_name(sender).map_err(|_| Reject::Name)?;
        let header = Header { key_id: KeyId(key_id), cluster, incarnation, counter, sender };
        let (clear, _) = datagram.split_at(datagram.len() - sealed.len());
        Ok((header, clear, sealed))
    }
}

/// The cluster that a datagram names, for one that serves several and must choose whose keys open it.
/// Nothing is authentic yet.
///
/// # Errors
/// It is not one of ours.
pub fn named_cluster(datagram: &[u8]) -> Result<ClusterId, Reject> {
    Header::read(datagram).map(|(header, _, _)| header.cluster)
}

/// The counter as the nonce of ChaCha20-Poly1305.
pub(crate) fn nonce(counter: u64) -> [u8; 12] {
    let mut nonce = [0; 12];
    for (to, from) in nonce.iter_mut().skip(4).zip(counter.to_be_bytes()) {
        *to = from;
    }
    nonce
}

/// A node's name that packets cannot carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Too short or too long.
    #[error("expected a node name of 1 to {MAX_NAME} bytes, found {0}")]
    Length(usize),
    /// Spaces, control characters or anything outside ASCII.
    #[error("expected a node name of visible ASCII characters, found another at byte {0}")]
    Character(usize),
}

/// Whether a name may be the sender of packets: 1 to 64 visible ASCII characters.
///
/// # Errors
/// [`NameError`] says what is wrong with it.
pub fn check_name(name: &str) -> Result<(), NameError> {
    if name.is_empty() || name.len() > MAX_NAME {
        return Err(NameError::Length(name.len()));
    }
    match name.bytes().position(|byte| !byte.is_ascii_graphic()) {
        Some(at) => Err(NameError::Character(at + 1)),
        None => Ok(()),
    }
}

fn take<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], Reject> {
    let (head, tail) = rest.split_first_chunk().ok_or(Reject::Short)?;
    *rest = tail;
    Ok(*head)
}

/// The version in clear. Peers of another major version do not understand each
/// other's packets at all; the minor range is negotiated inside the payload.
pub const MAJOR_VERSION: u8 = 1;

/// Bytes of the longest datagram: fits an Ethernet frame through most tunnels.
pub const MAX_DATAGRAM: usize = 1200;

/// Bytes of the longest node name.
pub const MAX_NAME: usize = 64;

/// Header bytes besides the name.
pub(crate) const FIXED_LENGTH: usize = 4 + 1 + 1 + 8 + 16 + 8 + 1;

/// Sealed bytes before the payload: index, total, digest.
pub(crate) const INNER_LENGTH: usize = 2 + 2 + 16;

/// Bytes of the authentication tag.
pub(crate) const TAG_LENGTH: usize = 16;

const MAGIC: [u8; 4] = *b"crmW";

#[cfg(test)]
mod tests {
    use super::*;

    fn header(sender: &str) -> Header<'_> {
        let cluster = ClusterId::of("shop");
        Header { key_id: KeyId(7), cluster, incarnation: 1 << 127 | 5, counter: 1 << 63, sender }
    }

    fn written(sender: &str) -> Vec<u8> {
        let mut bytes = Vec::new();
        header(sender).write(&mut bytes);
        bytes.extend_from_slice(&[0xaa; INNER_LENGTH + TAG_LENGTH]);
        bytes
    }

    #[test]
    fn what_is_written_is_read() {
        for sender in ["a", "alpha.example", &"x".repeat(MAX_NAME)] {
            let bytes = written(sender);
            let (read, clear, sealed) = Header::read(&bytes).unwrap();
            assert_eq!(read, header(sender));
            assert_eq!(clear.len(), FIXED_LENGTH + sender.len());
            assert_eq!(sealed, [0xaa; INNER_LENGTH + TAG_LENGTH]);
        }
    }

    #[test]
    fn every_shorter_datagram_is_short() {
        let bytes = written("alpha");
        for length in 0..bytes.len() {
            assert_eq!(Header::read(&bytes[..length]), Err(Reject::Short), "{length}");
        }
    }

    #[test]
    fn says_what_is_wrong() {
        let read = |change: &dyn Fn(&mut Vec<u8>)| {
            let mut bytes = written("alpha");
            change(&mut bytes);
            Header::read(&bytes).map(|_| ()).unwrap_err()
        };
        assert_eq!(read(&|bytes| bytes[0] ^= 1), Reject::Magic);
        assert_eq!(read(&|bytes| bytes[4] = 2), Reject::Version);
        assert_eq!(read(&|bytes| bytes[38] = 0), Reject::Name);
        assert_eq!(read(&|bytes| bytes[38] = 200), Reject::Short);
        assert_eq!(read(&|bytes| bytes[39] = b' '), Reject::Name);
        assert_eq!(read(&|bytes| bytes[39] = 0xff), Reject::Name);
        assert_eq!(read(&|bytes| bytes.resize(MAX_DATAGRAM + 1, 0)), Reject::TooBig);
        let long = written(&"x".repeat(MAX_NAME + 1));
        assert_eq!(Header::read(&long).map(|_| ()), Err(Reject::Name));
    }

    #[test]
    fn names_are_visible_ascii() {
        assert_eq!(check_name("alpha-1.site_b"), Ok(()));
        assert_eq!(check_name(""), Err(NameError::Length(0)));
        assert_eq!(check_name(&"x".repeat(65)), Err(NameError::Length(65)));
        assert_eq!(check_name("a b"), Err(NameError::Character(2)));
        assert_eq!(check_name("\u{e9}"), Err(NameError::Character(1)));
    }
}
