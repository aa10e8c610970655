//! Nodes, links and the witness.

use super::Rulebook;
use crm_core::model::WITNESS;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// Most nodes of a cluster.
pub(crate) const NODES_MAX: usize = 32;
/// Most links of a node.
pub(crate) const LINKS_MAX: usize = 8;

impl Rulebook<'_> {
    pub(super) fn nodes(&mut self) {
        let nodes = &self.cluster.nodes;
        if nodes.is_empty() && self.places.has("nodes") {
            self.findings
                .error(self.places.find("nodes"), "there are no nodes")
                .label("expected 1 to 32 nodes, found none")
                .help("write `NAME: {links: [ADDRESS]}` for each machine");
        }
        if let Some(extra) = nodes.get(NODES_MAX) {
            self.findings
                .error(
                    self.places.find(&format!("nodes/{}", extra.id)),
                    format!("{} nodes are too many", nodes.len()),
                )
                .label(format!("a cluster has at most {NODES_MAX} nodes"))
                .help("make two clusters of them");
        }
        if !nodes.is_empty() && !nodes.iter().any(|node| node.voter) {
            self.findings
                .error(self.places.find("nodes"), "no node votes")
                .label("nobody could decide anything")
                .help("leave out `voter: false` on some nodes");
        }
        for node in nodes.iter().filter(|node| node.id.as_str() == WITNESS) {
            self.findings
                .error(
                    self.places.find(&format!("nodes/{}", node.id)),
                    "a node cannot be called `witness`",
                )
                .label("this name belongs to the third vote")
                .help("choose another name");
        }
        self.link_counts();
        self.addresses();
        self.way_to_the_witness();
    }

    /// A node speaks to the witness from its links: one of them must speak the same kind of IP.
    fn way_to_the_witness(&mut self) {
        let (Some(witness), Some(node)) = (&self.cluster.witness, self.cluster.nodes.first())
        else {
            return;
        };
        let kind = |address: &str| address.parse::<IpAddr>().map(|address| address.is_ipv4());
        let Ok(wanted) = kind(&witness.address) else { return };
        let mut links = node.links.iter().filter_map(|link| kind(link).ok()).peekable();
        if links.peek().is_some() && !links.any(|own| own == wanted) {
            self.findings
                .error(self.places.find("witness/address"), "no link leads to the witness")
                .label(if wanted {
                    "IPv4, and every link is IPv6"
                } else {
                    "IPv6, and every link is IPv4"
                })
                .help("name an address of the witness of the same kind as one of the links");
        }
    }

    fn link_counts(&mut self) {
        let Some(first) = self.cluster.nodes.first() else { return };
        for node in &self.cluster.nodes {
            let at = self.places.find(&format!("nodes/{}/links", node.id));
            let count = node.links.len();
            if count > LINKS_MAX {
                self.findings
                    .error(at, format!("node `{}` has {count} links", node.id))
                    .label(format!("at most {LINKS_MAX} links are watched"));
            } else if count != first.links.len() {
                let first_at = self.places.find(&format!("nodes/{}/links", first.id));
                self.findings
                    .error(at, format!("node `{}` has another number of links", node.id))
                    .label(format!("expected {} as on `{}`, found {count}", first.links.len(), first.id))
                    .also(first_at, format!("{} here", first.links.len()))
                    .help("every node is on every network: the first addresses belong together, and so on");
            } else if count == 0 && !self.findings.has_errors() {
                self.findings
                    .error(at, format!("node `{}` has no links", node.id))
                    .label("expected at least one address");
            }
        }
        if self.cluster.nodes.len() > 1 && first.links.len() == 1 {
            self.findings
                .warning(
                    self.places.find(&format!("nodes/{}/links", first.id)),
                    "there is only one link between the nodes",
                )
                .label("one broken cable or switch makes every node look dead")
                .help("add the address of a second network to each node");
        }
    }

    fn addresses(&mut self) {
        let mut seen: BTreeMap<&str, String> = BTreeMap::new();
        let links = self.cluster.nodes.iter().flat_map(|node| {
            let links = node.links.iter().enumerate();
            links.map(move |(index, link)| {
                (link.as_str(), format!("nodes/{}/links/{index}", node.id))
            })
        });
        let witness =
            self.cluster.witness.iter().map(|w| (w.address.as_str(), "witness/address".to_owned()));
        let written = links.chain(witness).filter(|(address, _)| !address.is_empty());
        for (address, path) in written {
            match seen.get(address) {
                Some(first) => {
                    let what = if path.starts_with("witness") {
                        "the witness has the address of a node".to_owned()
                    } else {
                        format!("the address {address} is used twice")
                    };
                    let help = if path.starts_with("witness") {
                        "a witness on a node dies with it: put it on a third machine"
                    } else {
                        "each link of each node has its own address"
                    };
                    self.findings
                        .error(self.places.find(&path), what)
                        .label("used again")
                        .also(self.places.find(first), "first used here")
                        .help(help);
                }
                None => {
                    seen.insert(address, path);
                }
            }
        }
    }
}
