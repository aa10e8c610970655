//! Cutting a payload into pieces that fit a datagram each.
//!
//! Pieces are addressed by content: a message is known by the digest of its
//! payload, so a second sending of the same message completes what is missing
//! of the first. All pieces but the last have one size that follows from the
//! sender's name alone, so a receiver knows where each piece belongs.
//!
//! The fields travel sealed. A digest in clear would let a listener confirm a
//! guess of what was sent.

use ring::digest;

use crate::header::{FIXED_LENGTH, INNER_LENGTH, MAX_DATAGRAM, TAG_LENGTH};

/// The first 16 bytes of the SHA-256 of a payload.
pub(crate) type MessageDigest = [u8; 16];

/// The sealed fields before each piece of payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Piece {
    pub(crate) index: u16,
    pub(crate) total: u16,
    pub(crate) digest: MessageDigest,
}

impl Piece {
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.index.to_be_bytes());
        out.extend_from_slice(&self.total.to_be_bytes());
        out.extend_from_slice(&self.digest);
    }

    /// Splits an opened text; `None` if the fields contradict each other or
    /// the length of the piece is not the one that its place asks for.
    pub(crate) fn read(opened: &[u8], chunk: usize) -> Option<(Piece, &[u8])> {
        let (index, rest) = opened.split_first_chunk()?;
        let (total, rest) = rest.split_first_chunk()?;
        let (digest, bytes) = rest.split_first_chunk()?;
        let (index, total) = (u16::from_be_bytes(*index), u16::from_be_bytes(*total));
        let last = total.checked_sub(1)?;
        let right_length = match index {
            _ if index > last => false,
            0 if last == 0 => bytes.len() <= chunk,
            _ if index < last => bytes.len() == chunk,
            _ => (1..=chunk).contains(&bytes.len()),
        };
        let fits = usize::from(index) * chunk + bytes.len() <= MAX_MESSAGE
            && usize::from(last) * chunk < MAX_MESSAGE;
        (right_length && fits).then_some((Piece { index, total, digest: *digest }, bytes))
    }
}

/// The digest by which a message is known.
pub(crate) fn message_digest(payload: &[u8]) -> MessageDigest {
    let hash = digest::digest(&digest::SHA256, payload);
    let mut short = [0; 16];
    for (to, from) in short.iter_mut().zip(hash.as_ref()) {
        *to = *from;
    }
    short
}

/// Bytes of payload in one datagram of a sender whose name has this many
/// bytes: 1124 for the shortest name, 1061 for the longest.
pub const fn chunk_size(name_length: usize) -> usize {
    MAX_DATAGRAM - FIXED_LENGTH - name_length - INNER_LENGTH - TAG_LENGTH
}

/// Bytes of the longest payload: a whole record.
pub const MAX_MESSAGE: usize = 1 << 20;

/// Datagrams of the longest payload from the longest name.
pub const MAX_FRAGMENTS: usize = MAX_MESSAGE.div_ceil(chunk_size(crate::header::MAX_NAME));

// Index and total are two bytes each.
const _: () = assert!(MAX_FRAGMENTS <= u16::MAX as usize);

#[cfg(test)]
mod tests {
    use super::*;

    fn read(index: u16, total: u16, length: usize) -> bool {
        let mut opened = Vec::new();
        Piece { index, total, digest: [9; 16] }.write(&mut opened);
        opened.resize(opened.len() + length, 0);
        Piece::read(&opened, 1000).is_some()
    }

    #[test]
    fn only_the_length_that_belongs_to_the_place_is_taken() {
        assert!(read(0, 1, 0) && read(0, 1, 1) && read(0, 1, 1000));
        assert!(!read(0, 1, 1001));
        assert!(read(0, 2, 1000) && read(1, 2, 1) && read(1, 2, 1000));
        assert!(!read(0, 2, 999) && !read(0, 2, 1001) && !read(1, 2, 0) && !read(1, 2, 1001));
        assert!(!read(0, 0, 5) && !read(1, 1, 5) && !read(u16::MAX, 0, 5));
    }

    #[test]
    fn no_piece_may_announce_more_than_a_message() {
        let last = (MAX_MESSAGE / 1000) as u16;
        assert!(read(last, last + 1, MAX_MESSAGE % 1000));
        assert!(!read(last, last + 1, MAX_MESSAGE % 1000 + 1));
        assert!(!read(0, last + 2, 1000) && !read(0, u16::MAX, 1000));
    }

    #[test]
    fn a_text_shorter_than_the_fields_is_refused() {
        for length in 0..INNER_LENGTH {
            assert!(Piece::read(&vec![0; length], 1000).is_none());
        }
    }
}
