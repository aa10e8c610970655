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
