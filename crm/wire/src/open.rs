//! Opening: a datagram in, an authentic message out, or the reason why not.

use std::sync::Arc;

use ring::aead::{Aad, LessSafeKey, Nonce};

use crate::{
    authkeys::AuthKeys,
    cluster_id::ClusterId,
    fragment::{Piece, chunk_size, message_digest},
    header::{Header, MAX_DATAGRAM, nonce},
    keyfile::KeyId,
    reassembly::{Arrival, Reassembly},
    reject::Reject,
    sender_keys::{Entry, SenderKeys},
};

/// An authentic message.
///
/// Authentic means: made by a holder of the group key who gave this name. All
/// nodes hold the same keys, so the name is a node's word, not a proof against
/// another node. Nothing is said about freshness: the message may be a replay
/// until the core has judged incarnation, counter and echo.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened {
    /// Name of the sender.
    pub sender: Arc<str>,
    /// The sender's incarnation: random, fresh at each start of its daemon.
    pub incarnation: u128,
    /// Counter of the datagram; for a message of several datagrams the highest
    /// of theirs. Unique within the incarnation, so a replay shows the same one.
    pub counter: u64,
    /// What was sent.
    pub payload: Vec<u8>,
    /// The key that sealed it (the last datagram of several).
    pub key_id: KeyId,
    /// The cluster that the sender wrote. Other than our own only for a node
    /// that joins: see [`crate::Endpoint::joining`] and
    /// [`crate::Endpoint::accept_joining`].
    pub cluster: ClusterId,
}

/// Which packets of other clusters are let through to authentication.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Admission {
    /// Only this cluster's.
    Only(ClusterId),
    /// This cluster's, and those of nodes that join and know none.
    OnlyOrJoining(ClusterId),
    /// All: we join and do not know the cluster's name.
    All,
}

impl Admission {
    fn admits(self, cluster: ClusterId) -> bool {
        match self {
            Admission::Only(ours) => cluster == ours,
            Admission::OnlyOrJoining(ours) => cluster == ours || cluster == ClusterId::ANY,
            Admission::All => true,
        }
    }
}

pub(crate) struct Opener {
    pub(crate) keys: AuthKeys,
    pub(crate) admission: Admission,
    pub(crate) senders: SenderKeys,
    pub(crate) reassembly: Reassembly,
    /// Packet keys derived so far: what a flood of forged headers costs.
    pub(crate) derivations: u64,
    /// Opened in here, so that nothing is allocated before authentication.
    scratch: Box<[u8; MAX_DATAGRAM]>,
}

impl Opener {
    pub(crate) fn new(keys: AuthKeys, admission: Admission) -> Opener {
        Opener {
            keys,
            admission,
            senders: SenderKeys::default(),
            reassembly: Reassembly::default(),
            derivations: 0,
            scratch: Box::new([0; MAX_DATAGRAM]),
        }
    }

    pub(crate) fn open(
        &mut self,
        now_us: u64,
        datagram: &[u8],
        me: (&str, u128),
    ) -> Result<Option<Opened>, Reject> {
        let (header, clear, sealed) = Header::read(datagram)?;
        if !self.admission.admits(header.cluster) {
            return Err(Reject::Cluster);
        }
        let (sender, length) = self.authenticate(&header, clear, sealed)?;
        if header.sender == me.0 {
            let own = header.incarnation == me.1;
            return Err(if own { Reject::Own } else { Reject::Namesake });
        }
        let opened = self.scratch.get(..length).ok_or(Reject::Short)?;
        let chunk = chunk_size(header.sender.len());
        let (piece, bytes) = Piece::read(opened, chunk).ok_or(Reject::Fragment)?;
        let Header { key_id, cluster, incarnation, counter, .. } = header;
        let message = if piece.total == 1 {
            if message_digest(bytes) != piece.digest {
                return Err(Reject::Fragment);
            }
            Some((bytes.to_vec(), counter))
        } else {
            let from = Arrival { sender: &sender, incarnation, counter, now_us, chunk };
            self.reassembly.accept(&from, &piece, bytes).map_err(|_| Reject::Fragment)?
        };
        Ok(message.map(|(payload, counter)| Opened {
            sender,
            incarnation,
            counter,
            payload,
            key_id,
            cluster,
        }))
    }

    /// Opens the sealed part into the scratch; gives the sender's name and the
    /// length of the opened text.
    fn authenticate(
        &mut self,
        header: &Header<'_>,
        clear: &[u8],
        sealed: &[u8],
    ) -> Result<(Arc<str>, usize), Reject> {
        let group_key = self.keys.find(header.key_id).ok_or(Reject::UnknownKey)?;
        let scratch = self.scratch.get_mut(..sealed.len()).ok_or(Reject::TooBig)?;
        scratch.copy_from_slice(sealed);
        if let Some(entry) = self.senders.find(header) {
            let length = open_in_place(&entry.key, header, clear, scratch)?;
            let sender = Arc::clone(&entry.sender);
            self.senders.touch(header);
            return Ok((sender, length));
        }
        self.derivations = self.derivations.saturating_add(1);
        let key = group_key
            .secret()
            .packet_key(header.cluster, header.sender, header.incarnation)
            .map_err(|_| Reject::Authentication)?;
        let length = open_in_place(&key, header, clear, scratch)?;
        let entry = Entry::new(header, key);
        let sender = Arc::clone(&entry.sender);
        self.senders.insert(entry);
        Ok((sender, length))
    }
}

fn open_in_place(
    key: &LessSafeKey,
    header: &Header<'_>,
    clear: &[u8],
    sealed: &mut [u8],
) -> Result<usize, Reject> {
    let nonce = Nonce::assume_unique_for_key(nonce(header.counter));
    let opened = key.open_in_place(nonce, Aad::from(clear), sealed);
    opened.map(|text| text.len()).map_err(|_| Reject::Authentication)
}
