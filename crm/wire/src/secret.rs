//! A group key: 32 bytes that never show in output and are wiped when dropped.

use std::fmt;

use ring::{aead, error::Unspecified, hkdf};
use zeroize::{Zeroize, Zeroizing};

use crate::ClusterId;

/// A group key from the key file.
///
/// Boxed, so that moving it copies a pointer and leaves no stray copy of the
/// bytes; wiped on drop; `Debug` shows nothing of it. (The keys that `ring`
/// derives from it live inside `ring`, which does not wipe them.)
#[derive(Clone)]
pub struct Secret(Box<Zeroizing<[u8; Secret::LENGTH]>>);

impl Secret {
    /// Bytes of a group key.
    pub const LENGTH: usize = 32;

    /// Takes the bytes over and wipes the original.
    pub fn new(bytes: &mut [u8; Secret::LENGTH]) -> Secret {
        let mut boxed = Box::new(Zeroizing::new([0; Secret::LENGTH]));
        boxed.copy_from_slice(bytes);
        bytes.zeroize();
        Secret(boxed)
    }

    /// Eight hexadecimal digits that are equal on two machines exactly when
    /// their keys are, and tell nothing about the key itself.
    pub fn fingerprint(&self) -> String {
        let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, self.bytes());
        let tag = ring::hmac::sign(&key, b"crm key fingerprint");
        tag.as_ref().iter().take(4).map(|byte| format!("{byte:02x}")).collect()
    }

    pub(crate) fn bytes(&self) -> &[u8; Secret::LENGTH] {
        &self.0
    }

    /// The packet key of one sender in one incarnation (HKDF-SHA256).
    ///
    /// As the incarnation is random and fresh at each start of a daemon, every
    /// start has its own key, and its counter may begin anew as the nonce.
    pub(crate) fn packet_key(
        &self,
        cluster: ClusterId,
        sender: &str,
        incarnation: u128,
    ) -> Result<aead::LessSafeKey, Unspecified> {
        let incarnation = incarnation.to_be_bytes();
        // The name comes last: everything before it has a fixed length, so no
        // two different senders can produce the same text.
        let info: [&[u8]; 3] = [&cluster.0, &incarnation, sender.as_bytes()];
        let key = hkdf::Salt::new(hkdf::HKDF_SHA256, b"crm wire 1 packet key")
            .extract(self.bytes().as_slice())
            .expand(&info, &aead::CHACHA20_POLY1305)?
            .into();
        Ok(aead::LessSafeKey::new(key))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(hidden)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_wipes_what_it_was_given_and_debug_shows_nothing() {
        let mut bytes = [7; 32];
        let secret = Secret::new(&mut bytes);
        assert_eq!(bytes, [0; 32]);
        assert_eq!(secret.bytes(), &[7; 32]);
        assert_eq!(format!("{secret:?}"), "Secret(hidden)");
    }

    #[test]
    fn fingerprint_tells_keys_apart() {
        let one = Secret::new(&mut [1; 32]);
        let same = Secret::new(&mut [1; 32]);
        let other = Secret::new(&mut [2; 32]);
        assert_eq!(one.fingerprint(), same.fingerprint());
        assert_ne!(one.fingerprint(), other.fingerprint());
        assert_eq!(one.fingerprint().len(), 8);
    }
}
