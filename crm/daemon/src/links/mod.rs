//! Datagrams: one UDP socket for each link of this node, the addresses of the others, and the
//! wire's endpoint that seals and opens.

mod addresses;
mod receive;
mod send;
mod socket;

pub(crate) use addresses::{Addresses, parse as parse_address};
pub(crate) use socket::Link;

use crate::happening::Tell;
use crm_api::{LinkCounters, LinksReport};
use crm_core::Refused;
use crm_core::id::{Incarnation, NodeId};
use crm_core::model::Cluster;
use crm_core::time::{Span, Time};
use crm_wire::{AuthKeys, ClusterId, Endpoint};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// Between two tries to bind an address that is not there yet.
const RETRY: Span = Span::secs(1);

/// The network side of this node.
#[derive(Debug)]
pub(crate) struct Links {
    tell: Tell,
    me: NodeId,
    endpoint: Endpoint,
    /// The cluster's identity is known.
    entered: bool,
    links: Vec<Link>,
    addresses: Addresses,
    contact: Option<SocketAddr>,
    next_retry: Option<Time>,
    buffer: Vec<u8>,
    datagrams: Vec<Vec<u8>>,
    not_understood: u64,
    no_address: u64,
    /// Told once, not for every packet.
    send_problem: Option<String>,
}

/// How a node without a configuration reaches the cluster.
#[derive(Clone, Debug, Default)]
pub(crate) struct Unconfigured {
    pub(crate) link: Vec<IpAddr>,
    pub(crate) port: u16,
}

impl Links {
    /// Nothing is bound before [`Links::bind_unconfigured`] or [`Links::configure`].
    ///
    /// # Errors
    /// The node's name cannot stand in a packet.
    pub(crate) fn new(
        tell: Tell,
        me: &NodeId,
        incarnation: Incarnation,
        keys: AuthKeys,
        contact: Option<SocketAddr>,
    ) -> Result<Links, String> {
        let endpoint = Endpoint::joining(keys, me.as_str(), incarnation.0)
            .map_err(|error| format!("{me}: {error}"))?;
        Ok(Links {
            tell,
            me: me.clone(),
            endpoint,
            entered: false,
            links: Vec::new(),
            addresses: Addresses::default(),
            contact,
            next_retry: None,
            buffer: vec![0; receive::BUFFER_BYTES],
            datagrams: Vec::new(),
            not_understood: 0,
            no_address: 0,
            send_problem: None,
        })
    }

    /// Before a configuration names this node: the addresses it was given, or every one it has.
    pub(crate) fn bind_unconfigured(&mut self, now: Time, how: &Unconfigured) {
        if self.links.is_empty() {
            let any = [IpAddr::V4(Ipv4Addr::UNSPECIFIED)];
            let given = if how.link.is_empty() { any.as_slice() } else { how.link.as_slice() };
            let wanted = given.iter().map(|ip| Ok(SocketAddr::new(*ip, how.port))).collect();
            self.rebind(now, wanted);
        }
    }

    /// The configuration in use says where everybody is.
    pub(crate) fn configure(&mut self, now: Time, cluster: &Cluster) -> Result<(), String> {
        self.enter(ClusterId::of(&cluster.name))?;
        self.addresses.configure(cluster);
        let own = addresses::of(cluster, &self.me);
        if !own.is_empty() {
            self.rebind(now, own);
        }
        Ok(())
    }

    fn enter(&mut self, cluster: ClusterId) -> Result<(), String> {
        if !self.entered || self.endpoint.cluster() != cluster {
            self.endpoint.enter(cluster).map_err(|error| error.to_string())?;
            self.entered = true;
        }
        // A node that is to join knows only the key; see `receive`.
        self.endpoint.accept_joining(true);
        Ok(())
    }

    /// # Errors
    /// The old keys stay.
    pub(crate) fn replace_keys(&mut self, keys: AuthKeys) -> Result<(), String> {
        self.endpoint.replace_keys(keys).map_err(|error| error.to_string())
    }

    /// Sockets for these addresses; those that are bound already stay.
    fn rebind(&mut self, now: Time, wanted: Vec<Result<SocketAddr, String>>) {
        let same = self.links.len() == wanted.len()
            && self.links.iter().zip(&wanted).all(|(link, wanted)| link.wanted() == wanted);
        if same {
            return;
        }
        // All are closed first: the wildcard address and a plain one exclude each other.
        self.links = wanted.into_iter().map(Link::new).collect();
        self.bind_missing(now);
    }

    /// When [`Links::bind_missing`] is due.
    pub(crate) fn deadline(&self) -> Option<Time> {
        self.next_retry
    }

    /// Binds what could not be bound before: its address may have come up.
    pub(crate) fn bind_missing(&mut self, now: Time) {
        let mut missing = false;
        for (number, link) in self.links.iter_mut().enumerate() {
            if let Some(event) = link.bind(number) {
                self.tell.event(event);
            }
            missing |= link.may_be_bound_later();
        }
        self.next_retry = missing.then(|| now + RETRY);
    }

    /// For `crm status --links`; what the core refused stands beside what the wire did.
    pub(crate) fn report(&self, refused: &Refused) -> LinksReport {
        let by_wire = self.endpoint.rejects().iter().map(|(reject, n)| (reject.name(), n));
        let all = by_wire.chain(refused.reasons()).filter(|(_, count)| *count > 0);
        LinksReport {
            links: self.links.iter().zip(0u8..).map(|(link, number)| link.report(number)).collect(),
            rejected: all.map(|(reason, count)| (reason.to_owned(), count)).collect(),
            not_understood: self.not_understood,
            no_address: self.no_address,
        }
    }
}

/// An empty report line; the socket fills it in.
fn counters(link: u8, address: String) -> LinkCounters {
    LinkCounters { link, address, ..LinkCounters::default() }
}

#[cfg(test)]
mod tests;
