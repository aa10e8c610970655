//! Two servers that would open the same TCP port when their groups meet on one node (HB17).

use super::Rulebook;
use crate::budget::candidates;
use crm_core::id::NodeId;
use crm_core::model::{AgentClass, Resource};
use std::net::IpAddr;

/// A port that a resource opens, as far as the configuration tells.
struct Opened<'a> {
    /// As a number, however it is written; what is none is told elsewhere.
    port: u16,
    /// Empty: on every address of the node.
    addresses: Vec<String>,
    user: String,
    nodes: Vec<&'a NodeId>,
    path: String,
    /// It is not written: the server takes it when nothing is said.
    by_default: bool,
}

impl Rulebook<'_> {
    pub(super) fn ports(&mut self) {
        let mut all: Vec<Opened<'_>> = Vec::new();
        let cluster = self.cluster;
        for group in &cluster.groups {
            for (index, resource) in group.resources.iter().enumerate() {
                let path = format!("groups/{}/resources/{index}", group.id);
                let Some((port, written)) = port_of(resource) else { continue };
                let opened = Opened {
                    port,
                    addresses: addresses(resource),
                    user: format!("group `{}`", group.id),
                    nodes: candidates(cluster, group),
                    path: if written { format!("{path}/port") } else { path },
                    by_default: !written,
                };
                if let Some(first) = all.iter().find(|first| first.meets(&opened)) {
                    let who = if first.user == opened.user {
                        format!("{} opens port {} twice", first.user, opened.port)
                    } else {
                        format!("{} and {} both open port {}", first.user, opened.user, opened.port)
                    };
                    let says = |one: &Opened<'_>| if one.by_default { " by default" } else { "" };
                    self.findings
                        .error(self.places.find(&opened.path), who)
                        .label(format!("opened again here{}", says(&opened)))
                        .also(
                            self.places.find(&first.path),
                            format!("first opened here{}", says(first)),
                        )
                        .help(if opened.port == NFS_PORT {
                            "a node has one NFS server, which is the kernel's: put what it exports into one \
                             group, or keep the groups on different nodes"
                        } else {
                            "on one node the second start would fail: give each its own `port`, or its own \
                             address"
                        });
                }
                all.push(opened);
            }
        }
    }
}

impl Opened<'_> {
    fn meets(&self, other: &Opened<'_>) -> bool {
        let every = self.addresses.is_empty() || other.addresses.is_empty();
        let same_address = every || self.addresses.iter().any(|one| other.addresses.contains(one));
        self.port == other.port
            && same_address
            && (self.user == other.user || self.nodes.iter().any(|node| other.nodes.contains(node)))
    }
}

/// The port and whether it is written. With an option file of its own, that decides.
fn port_of(resource: &Resource) -> Option<(u16, bool)> {
    if resource.agent.class != AgentClass::Own {
        return None;
    }
    let says = |name: &str| resource.params.get(name).map(String::as_str);
    let default = match resource.agent.name.as_str() {
        "mysql" => {
            let options = says("options").unwrap_or_default();
            let none = ["--skip-networking", "--skip_networking"];
            if options.split_whitespace().any(|word| none.contains(&word)) {
                return None;
            }
            (says("port").is_some() || says("config").is_none()).then_some(MYSQL_PORT)?
        }
        "nfs" => NFS_PORT,
        "samba" => SAMBA_PORT,
        _ => return None,
    };
    match says("port") {
        Some(port) => port.parse().ok().map(|port| (port, true)),
        None => Some((default, false)),
    }
}

/// Where it is opened, each address in one spelling; newer servers take several with commas. The kernel's NFS server
/// is everywhere.
fn addresses(resource: &Resource) -> Vec<String> {
    let parameter = if resource.agent.name == "samba" { "address" } else { "bind_address" };
    let text = resource.params.get(parameter).map(String::as_str).unwrap_or_default();
    let words: Vec<&str> = text.split(',').map(str::trim).filter(|word| !word.is_empty()).collect();
    if words.iter().any(|word| matches!(*word, "*" | "0.0.0.0" | "::")) {
        return Vec::new();
    }
    let plain = |word: &&str| {
        // The prefix is the network's.
        let word = word.split('/').next().unwrap_or(word);
        match word.parse::<IpAddr>() {
            Ok(address) => address.to_string(),
            Err(_) => word.to_owned(),
        }
    };
    words.iter().map(plain).collect()
}

const MYSQL_PORT: u16 = 3306;
/// A node has one NFS server, the kernel's.
const NFS_PORT: u16 = 2049;
const SAMBA_PORT: u16 = 445;
