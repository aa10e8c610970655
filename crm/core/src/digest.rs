//! A digest for telling texts and records apart. It finds differences, it does not resist an
//! attacker: whoever could forge one holds the cluster's key already (I9 is the wire's work).

use crate::id::Digest;

/// 128-bit FNV-1a of the bytes.
#[must_use]
pub fn digest(bytes: &[u8]) -> Digest {
    let mut hash: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    for byte in bytes {
        hash ^= u128::from(*byte);
        hash = hash.wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013b);
    }
    Digest(hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_byte_changes_the_digest() {
        assert_eq!(digest(b"cluster: a"), digest(b"cluster: a"));
        assert_ne!(digest(b"cluster: a"), digest(b"cluster: b"));
        assert_ne!(digest(b""), digest(b"\0"));
    }
}
