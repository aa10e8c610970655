//! Sealing: payload in, datagrams out.

use std::sync::Arc;

use ring::{
    aead::{Aad, LessSafeKey, Nonce},
    error::Unspecified,
};

use crate::{
    authkeys::AuthKey,
    cluster_id::ClusterId,
    fragment::{MAX_MESSAGE, Piece, chunk_size, message_digest},
    header::{FIXED_LENGTH, Header, INNER_LENGTH, TAG_LENGTH, nonce},
    keyfile::KeyId,
};

/// Why a payload was not sealed. Nothing was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// Longer than a message may be.
    #[error("expected a payload of at most {MAX_MESSAGE} bytes, found {0}")]
    TooBig(usize),
    /// Every counter of this incarnation was used. A nonce must never come
    /// twice, so only a new incarnation may send again.
    #[error("every packet counter of this incarnation was used\nhint: restart the daemon")]
    CounterExhausted,
    /// The cipher refused. Cannot happen with a datagram's few bytes.
    #[error("the cipher refused to seal")]
    Cipher,
}

/// Seals as one sender in one incarnation. Not `Clone`: two of them would use
/// each counter twice.
pub(crate) struct Sealer {
    name: Arc<str>,
    incarnation: u128,
    cluster: ClusterId,
    key_id: KeyId,
    key: LessSafeKey,
    /// The last counter used; the first one used is 1.
    counter: u64,
}

impl Sealer {
    pub(crate) fn new(
        name: Arc<str>,
        incarnation: u128,
        cluster: ClusterId,
        key: &AuthKey,
    ) -> Result<Sealer, Unspecified> {
        let derived = key.secret().packet_key(cluster, &name, incarnation)?;
        Ok(Sealer { name, incarnation, cluster, key_id: key.id(), key: derived, counter: 0 })
    }

    /// Goes on under another key or cluster. The counter goes on too.
    pub(crate) fn rekey(&mut self, cluster: ClusterId, key: &AuthKey) -> Result<(), Unspecified> {
        self.key = key.secret().packet_key(cluster, &self.name, self.incarnation)?;
        self.key_id = key.id();
        self.cluster = cluster;
        Ok(())
    }

    /// Appends the datagrams of this payload to `out`.
    pub(crate) fn seal(&mut self, payload: &[u8], out: &mut Vec<Vec<u8>>) -> Result<(), SealError> {
        if payload.len() > MAX_MESSAGE {
            return Err(SealError::TooBig(payload.len()));
        }
        let chunk = chunk_size(self.name.len());
        let total = payload.len().div_ceil(chunk).max(1);
        let total = u16::try_from(total).map_err(|_| SealError::TooBig(payload.len()))?;
        if u64::MAX - self.counter < u64::from(total) {
            return Err(SealError::CounterExhausted);
        }
        let digest = message_digest(payload);
        let before = out.len();
        let mut rest = payload;
        for index in 0..total {
            let (bytes, tail) = rest.split_at(chunk.min(rest.len()));
            rest = tail;
            match self.seal_piece(Piece { index, total, digest }, bytes) {
                Ok(datagram) => out.push(datagram),
                Err(Unspecified) => {
                    out.truncate(before);
                    return Err(SealError::Cipher);
                }
            }
        }
        Ok(())
    }

    fn seal_piece(&mut self, piece: Piece, bytes: &[u8]) -> Result<Vec<u8>, Unspecified> {
        // Counted before the use: whatever happens next, it is not used again.
        self.counter += 1;
        let header = Header {
            key_id: self.key_id,
            cluster: self.cluster,
            incarnation: self.incarnation,
            counter: self.counter,
            sender: &self.name,
        };
        let clear = FIXED_LENGTH + self.name.len();
        let mut datagram = Vec::with_capacity(clear + INNER_LENGTH + bytes.len() + TAG_LENGTH);
        header.write(&mut datagram);
        piece.write(&mut datagram);
        datagram.extend_from_slice(bytes);
        let (aad, text) = datagram.split_at_mut(clear);
        let nonce = Nonce::assume_unique_for_key(nonce(self.counter));
        let tag = self.key.seal_in_place_separate_tag(nonce, Aad::from(&*aad), text)?;
        datagram.extend_from_slice(tag.as_ref());
        Ok(datagram)
    }

    pub(crate) fn name(&self) -> &Arc<str> {
        &self.name
    }

    pub(crate) fn incarnation(&self) -> u128 {
        self.incarnation
    }

    pub(crate) fn cluster(&self) -> ClusterId {
        self.cluster
    }

    pub(crate) fn counter(&self) -> u64 {
        self.counter
    }

    #[cfg(test)]
    pub(crate) fn skip_to(&mut self, counter: u64) {
        self.counter = counter;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{AuthKeys, Endpoint, Reject, generate};

    fn keys() -> AuthKeys {
        let random = std::array::from_fn(|i| i as u8);
        AuthKeys::parse("k", &generate(random)).unwrap()
    }

    #[test]
    fn i9_an_authentic_sender_cannot_contradict_itself() {
        let shop = ClusterId::of("shop");
        let mut beta = Endpoint::new(keys(), shop, "beta", 2).unwrap();
        let mut alpha = Sealer::new(Arc::from("alpha"), 1, shop, keys().sending()).unwrap();
        let digest = message_digest(b"payload");
        for piece in [
            Piece { index: 0, total: 1, digest: [0; 16] },
            Piece { index: 1, total: 1, digest },
            Piece { index: 0, total: 0, digest },
            Piece { index: 0, total: 2, digest },
        ] {
            let datagram = alpha.seal_piece(piece, b"payload").unwrap();
            assert_eq!(beta.open(0, &datagram), Err(Reject::Fragment), "{piece:?}");
        }
        let good = alpha.seal_piece(Piece { index: 0, total: 1, digest }, b"payload").unwrap();
        assert!(matches!(beta.open(0, &good), Ok(Some(_))));
        assert_eq!((beta.rejects().of(Reject::Fragment), beta.rejects().total()), (4, 4));
    }

    #[test]
    fn i9_the_key_number_is_authenticated_even_where_it_changes_no_key() {
        let text = generate(std::array::from_fn(|i| i as u8));
        let renumbered = text.replace("auth 1", "auth 2").replace("1 aead", "2 aead");
        let renumbered = AuthKeys::parse("k", &renumbered).unwrap();
        let shop = ClusterId::of("shop");
        let mut beta = Endpoint::new(renumbered, shop, "beta", 2).unwrap();
        let mut alpha = Endpoint::new(keys(), shop, "alpha", 1).unwrap();
        let mut out = Vec::new();
        alpha.seal(b"x", &mut out).unwrap();
        assert_eq!(beta.open(0, &out[0]), Err(Reject::UnknownKey));
        out[0][5] = 2;
        assert_eq!(beta.open(0, &out[0]), Err(Reject::Authentication));
    }
}
