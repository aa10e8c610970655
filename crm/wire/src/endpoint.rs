//! One node's end of the wire: seals what it sends, opens what it hears.

use std::{fmt, sync::Arc};

use crate::{
    authkeys::AuthKeys,
    cluster_id::ClusterId,
    header::{NameError, check_name},
    open::{Admission, Opened, Opener},
    reassembly::ReassemblyCounters,
    reject::{Reject, RejectCounters},
    seal::{SealError, Sealer},
};

/// Seals as one node in one incarnation, opens what others sealed.
///
/// Make exactly one for each start of the daemon, with a fresh random
/// incarnation: the incarnation goes into the packet key and the counter is the
/// nonce, so a second endpoint of the same name and incarnation would use each
/// nonce twice. It is not `Clone` for that reason.
pub struct Endpoint {
    sealer: Sealer,
    opener: Opener,
    rejects: RejectCounters,
}

/// Why there is no endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    /// The node's name cannot stand in a packet.
    #[error(transparent)]
    Name(#[from] NameError),
    /// The key derivation refused. Cannot happen with a 32-byte key.
    #[error("the key derivation refused")]
    Derivation,
}

impl Endpoint {
    /// The endpoint of a member. `my_incarnation` is 128 bits from the
    /// system's random generator, new at each start.
    ///
    /// # Errors
    /// [`EndpointError::Name`] if the name is not 1 to 64 visible ASCII characters.
    pub fn new(
        keys: AuthKeys,
        cluster: ClusterId,
        my_name: &str,
        my_incarnation: u128,
    ) -> Result<Endpoint, EndpointError> {
        Endpoint::with(keys, cluster, Admission::Only(cluster), my_name, my_incarnation)
    }

    /// The endpoint of a node that has the keys and does not know the cluster's
    /// name yet: it writes [`ClusterId::ANY`] and opens packets of any cluster
    /// that the key authenticates. [`Opened::cluster`] tells which one;
    /// [`Endpoint::enter`] ends this.
    ///
    /// # Errors
    /// As for [`Endpoint::new`].
    pub fn joining(
        keys: AuthKeys,
        my_name: &str,
        my_incarnation: u128,
    ) -> Result<Endpoint, EndpointError> {
        Endpoint::with(keys, ClusterId::ANY, Admission::All, my_name, my_incarnation)
    }

    /// Becomes a member's endpoint, once the cluster is known.
    ///
    /// # Errors
    /// [`EndpointError::Derivation`]; nothing is changed then.
    pub fn enter(&mut self, cluster: ClusterId) -> Result<(), EndpointError> {
        let key = self.opener.keys.sending();
        self.sealer.rekey(cluster, key).map_err(|_| EndpointError::Derivation)?;
        self.opener.admission = Admission::Only(cluster);
        Ok(())
    }

    /// Whether packets of nodes that join (cluster [`ClusterId::ANY`], own key)
    /// are opened. Off at first. The caller must take nothing but a request to
    /// join from such a packet. No effect on an endpoint that itself joins.
    pub fn accept_joining(&mut self, accept: bool) {
        let ours = self.sealer.cluster();
        self.opener.admission = match self.opener.admission {
            Admission::All => Admission::All,
            _ if accept => Admission::OnlyOrJoining(ours),
            _ => Admission::Only(ours),
        };
    }

    /// Appends the datagrams of `payload` to `out`, each at most
    /// [`crate::MAX_DATAGRAM`] bytes.
    ///
    /// # Errors
    /// [`SealError`]; nothing is appended then.
    pub fn seal(&mut self, payload: &[u8], out: &mut Vec<Vec<u8>>) -> Result<(), SealError> {
        self.sealer.seal(payload, out)
    }

    /// Opens one datagram heard at `now_us` (microseconds of any steady clock).
    /// `None`: authentic, but pieces of the message are still missing.
    ///
    /// # Errors
    /// [`Reject`], which is counted. Nothing else happens, and before the
    /// datagram is authenticated nothing is allocated.
    pub fn open(&mut self, now_us: u64, datagram: &[u8]) -> Result<Option<Opened>, Reject> {
        let me = (&**self.sealer.name(), self.sealer.incarnation());
        let result = self.opener.open(now_us, datagram, me);
        if let Err(reject) = result {
            self.rejects.record(reject);
        }
        result
    }

    /// Goes on with the keys of a changed file. No packet is lost as long as
    /// both sides hold both keys; what is half put together stays.
    ///
    /// # Errors
    /// [`EndpointError::Derivation`]; nothing is changed then.
    pub fn replace_keys(&mut self, keys: AuthKeys) -> Result<(), EndpointError> {
        let cluster = self.sealer.cluster();
        self.sealer.rekey(cluster, keys.sending()).map_err(|_| EndpointError::Derivation)?;
        self.opener.senders.retain(&self.opener.keys, &keys);
        self.opener.keys = keys;
        Ok(())
    }

    /// Gives up incomplete messages that are too old; for a quiet link, where
    /// no packet comes to do it.
    pub fn expire(&mut self, now_us: u64) {
        self.opener.reassembly.expire(now_us);
    }

    /// Datagrams dropped so far, by reason.
    pub fn rejects(&self) -> &RejectCounters {
        &self.rejects
    }

    /// What happened to messages of several datagrams.
    pub fn reassembly(&self) -> ReassemblyCounters {
        self.opener.reassembly.counters()
    }

    /// Bytes of memory held by incomplete messages.
    pub fn bytes_in_flight(&self) -> usize {
        self.opener.reassembly.bytes_held()
    }

    /// Packet keys derived for opening so far: at most one for a datagram.
    pub fn derivations(&self) -> u64 {
        self.opener.derivations
    }

    /// Packet keys kept for opening.
    pub fn kept_keys(&self) -> usize {
        self.opener.senders.len()
    }

    /// The keys in use.
    pub fn keys(&self) -> &AuthKeys {
        &self.opener.keys
    }

    /// The cluster that this endpoint writes.
    pub fn cluster(&self) -> ClusterId {
        self.sealer.cluster()
    }

    /// The counter of the last datagram sealed; 0 before the first.
    pub fn last_counter(&self) -> u64 {
        self.sealer.counter()
    }

    fn with(
        keys: AuthKeys,
        cluster: ClusterId,
        admission: Admission,
        my_name: &str,
        my_incarnation: u128,
    ) -> Result<Endpoint, EndpointError> {
        check_name(my_name)?;
        let name = Arc::from(my_name);
        let sealer = Sealer::new(name, my_incarnation, cluster, keys.sending())
            .map_err(|_| EndpointError::Derivation)?;
        let rejects = RejectCounters::default();
        Ok(Endpoint { sealer, opener: Opener::new(keys, admission), rejects })
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint")
            .field("name", self.sealer.name())
            .field("incarnation", &self.sealer.incarnation())
            .field("cluster", &self.sealer.cluster())
            .field("counter", &self.sealer.counter())
            .field("rejects", &self.rejects)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{authkeys::generate, fragment::chunk_size};

    #[test]
    fn counters_run_out_with_an_error_and_are_never_used_twice() {
        let keys = AuthKeys::parse("k", &generate(std::array::from_fn(|i| i as u8))).unwrap();
        let mut endpoint = Endpoint::new(keys, ClusterId::of("shop"), "alpha", 1).unwrap();
        let mut out = Vec::new();
        endpoint.sealer.skip_to(u64::MAX - 2);
        let three = vec![0; 3 * chunk_size(5)];
        assert_eq!(endpoint.seal(&three, &mut out), Err(SealError::CounterExhausted));
        assert!(out.is_empty());
        assert_eq!(endpoint.seal(b"x", &mut out), Ok(()));
        assert_eq!(endpoint.seal(b"x", &mut out), Ok(()));
        assert_eq!(endpoint.last_counter(), u64::MAX);
        assert_eq!(endpoint.seal(b"x", &mut out), Err(SealError::CounterExhausted));
        assert_eq!(out.len(), 2);
    }
}
