//! Where the nodes are: by the configuration, else where they were last heard from.

use crm_core::id::{LinkId, NodeId};
use crm_core::model::{Cluster, WITNESS};
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

/// Senders that no configuration names, remembered at one time.
const LEARNED_MAX: usize = 64;

#[derive(Debug, Default)]
pub(crate) struct Addresses {
    configured: BTreeMap<NodeId, Vec<Option<SocketAddr>>>,
    /// A node that joins is answered where it spoke from.
    learned: BTreeMap<NodeId, (LinkId, SocketAddr)>,
    /// Where the witness spoke from on each link, last: it may have an address in that network too.
    witness_seen: BTreeMap<LinkId, SocketAddr>,
}

impl Addresses {
    pub(crate) fn configure(&mut self, cluster: &Cluster) {
        let witness = cluster.witness.as_ref().map(|_| NodeId::new(WITNESS));
        let nodes = cluster.nodes.iter().map(|node| node.id.clone()).chain(witness);
        self.configured = nodes
            .map(|node| {
                let addresses = of(cluster, &node).into_iter().map(Result::ok).collect();
                (node, addresses)
            })
            .collect();
        self.witness_seen.clear();
        let configured = &self.configured;
        self.learned.retain(|node, _| !configured.contains_key(node));
    }

    /// Only of authentic packets.
    pub(crate) fn learn(&mut self, node: &NodeId, link: LinkId, from: SocketAddr) {
        if self.configured.contains_key(node) {
            if node.as_str() == WITNESS {
                self.witness_seen.insert(link, from);
            }
            return;
        }
        if !self.learned.contains_key(node) && self.learned.len() >= LEARNED_MAX {
            self.learned.pop_first();
        }
        self.learned.insert(node.clone(), (link, from));
    }

    /// Which link of a configured node speaks from this address.
    pub(crate) fn link_of(&self, node: &NodeId, from: SocketAddr) -> Option<LinkId> {
        let addresses = self.configured.get(node)?;
        let at = addresses.iter().position(|to| to.is_some_and(|to| to.ip() == from.ip()))?;
        u8::try_from(at).ok().map(LinkId)
    }

    /// Whether this is the witness of the configuration.
    pub(crate) fn is_witness(&self, node: &NodeId) -> bool {
        node.as_str() == WITNESS && self.configured.contains_key(node)
    }

    /// Over one link to the witness: its address, and where else it spoke from on that link. Any path
    /// that works is enough.
    pub(crate) fn witness_on(&self, link: LinkId) -> impl Iterator<Item = SocketAddr> {
        let witness = self.configured.get(&NodeId::new(WITNESS));
        let named = witness.and_then(|all| all.first().copied().flatten());
        let seen = self.witness_seen.get(&link).copied().filter(|seen| Some(*seen) != named);
        named.into_iter().chain(seen)
    }

    /// Over one link: which of our links, and where to.
    pub(crate) fn on_link(&self, node: &NodeId, link: LinkId) -> Option<(LinkId, SocketAddr)> {
        match self.configured.get(node) {
            Some(addresses) => {
                addresses.get(usize::from(link.0)).copied().flatten().map(|to| (link, to))
            }
            None => self.learned.get(node).copied(),
        }
    }

    /// Over every link.
    pub(crate) fn everywhere(&self, node: &NodeId) -> Vec<(LinkId, SocketAddr)> {
        match self.configured.get(node) {
            Some(addresses) => addresses
                .iter()
                .zip(0u8..)
                .filter_map(|(to, link)| to.map(|to| (LinkId(link), to)))
                .collect(),
            None => self.learned.get(node).copied().into_iter().collect(),
        }
    }
}

/// The addresses of a node as the configuration gives them; what is no address says so.
pub(super) fn of(cluster: &Cluster, node: &NodeId) -> Vec<Result<SocketAddr, String>> {
    let port = cluster.timing.port;
    let texts: Vec<&str> = match cluster.node(node) {
        Some(node) => node.links.iter().map(String::as_str).collect(),
        None if node.as_str() == WITNESS => {
            cluster.witness.iter().map(|witness| witness.address.as_str()).collect()
        }
        None => Vec::new(),
    };
    texts.into_iter().map(|text| parse(text, port)).collect()
}

/// `ADDRESS` or `ADDRESS:PORT`, IPv6 with a port in brackets.
pub(crate) fn parse(text: &str, port: u16) -> Result<SocketAddr, String> {
    if let Ok(ip) = text.trim_matches(['[', ']']).parse::<IpAddr>() {
        return Ok(SocketAddr::new(ip, port));
    }
    text.parse()
        .map_err(|_| format!("expected ADDRESS or ADDRESS:PORT with an IP address, found {text:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_with_and_without_port() {
        for (text, expected) in [
            ("192.0.2.1", "192.0.2.1:694"),
            ("192.0.2.1:7000", "192.0.2.1:7000"),
            ("2001:db8::1", "[2001:db8::1]:694"),
            ("[2001:db8::1]", "[2001:db8::1]:694"),
            ("[2001:db8::1]:7000", "[2001:db8::1]:7000"),
        ] {
            assert_eq!(
                parse(text, 694).map(|address| address.to_string()).as_deref(),
                Ok(expected)
            );
        }
        assert!(parse("alpha.example", 694).is_err());
    }

    #[test]
    fn a_witness_is_spoken_to_where_it_is_named_and_where_it_was_heard() {
        let text = "cluster: x\nnodes:\n  a: {links: [192.0.2.1, 198.51.100.1]}\n\
                    witness: 192.0.2.9\nfencing: none\ngroups: {}\n";
        let cluster = crm_config::parse_for_core(text).expect("it reads");
        let mut addresses = Addresses::default();
        addresses.configure(&cluster);
        let witness = NodeId::new(WITNESS);
        assert!(addresses.is_witness(&witness));
        let address = |text| parse(text, 694).expect("address");
        let on =
            |addresses: &Addresses, link| addresses.witness_on(LinkId(link)).collect::<Vec<_>>();
        let named = address("192.0.2.9");
        for _ in 0..2 {
            addresses.learn(&witness, LinkId(0), named);
            addresses.learn(&witness, LinkId(1), address("198.51.100.8"));
            addresses.learn(&witness, LinkId(1), address("198.51.100.9"));
        }
        assert_eq!(on(&addresses, 0), [named]);
        assert_eq!(on(&addresses, 1), [named, address("198.51.100.9")]);
        addresses.configure(&cluster);
        assert_eq!(on(&addresses, 1), [named], "another configuration, another look");
    }

    #[test]
    fn strangers_are_remembered_up_to_a_limit() {
        let mut addresses = Addresses::default();
        let from = parse("192.0.2.1", 694).expect("address");
        for number in 0..1000 {
            addresses.learn(&NodeId::new(&format!("n{number}")), LinkId(0), from);
        }
        assert_eq!(addresses.learned.len(), LEARNED_MAX);
    }
}
