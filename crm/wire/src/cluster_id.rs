//! The eight bytes in every packet that say which cluster it belongs to.

use std::fmt;

use ring::digest;

/// Tells the clusters of one network apart: the first eight bytes of the
/// SHA-256 of the cluster's name.
///
/// It stands in clear in each packet, is authenticated, and goes into the
/// packet key, so one key file used for two clusters still keeps them apart.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClusterId(pub [u8; 8]);

impl ClusterId {
    /// What a node writes that joins and does not know the cluster's name yet.
    pub const ANY: ClusterId = ClusterId([0; 8]);

    /// The identity of the cluster of this name.
    pub fn of(name: &str) -> ClusterId {
        let hash = digest::digest(&digest::SHA256, name.as_bytes());
        let mut id = [0; 8];
        for (to, from) in id.iter_mut().zip(hash.as_ref()) {
            *to = *from;
        }
        ClusterId(id)
    }
}

impl fmt::Debug for ClusterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ClusterId({self})")
    }
}

impl fmt::Display for ClusterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == ClusterId::ANY {
            return f.write_str("any");
        }
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_the_head_of_the_sha256_of_the_name() {
        // sha256("abc") = ba7816bf 8f01cfea …
        assert_eq!(ClusterId::of("abc").to_string(), "ba7816bf8f01cfea");
        assert_ne!(ClusterId::of("abc"), ClusterId::of("abd"));
        assert_eq!(ClusterId::ANY.to_string(), "any");
    }
}
