//! Two servers that would open the same TCP port when their groups meet on one node (HB17).

use super::Rulebook;
use crate::budget::candidates;
use crm_core::id::NodeId;
use crm_core::model::{AgentClass, Resource};

/// A port that a resource opens, as far as the configuration tells.
struct Opened<'a> {
    port: String,
    /// `None`: on every address of the node.
    address: Option<String>,
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
                let address = resource.params.get("bind_address").filter(|text| !is_any(text));
                let opened = Opened {
                    port,
                    address: address.cloned(),
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
                        .help(
                            "on one node the second start would fail: give each its own `port`, or its \
                             own `bind_address`",
                        );
                }
                all.push(opened);
            }
        }
    }
}

impl Opened<'_> {
    fn meets(&self, other: &Opened<'_>) -> bool {
        let same_address = match (&self.address, &other.address) {
            (Some(one), Some(two)) => one == two,
            _ => true,
        };
        self.port == other.port
            && same_address
            && (self.user == other.user || self.nodes.iter().any(|node| other.nodes.contains(node)))
    }
}

/// The port and whether it is written. With an option file of its own, that decides.
fn port_of(resource: &Resource) -> Option<(String, bool)> {
    if resource.agent.class != AgentClass::Own || resource.agent.name != "mysql" {
        return None;
    }
    match resource.params.get("port") {
        Some(port) => Some((port.clone(), true)),
        None if resource.params.contains_key("config") => None,
        None => Some((MYSQL_PORT.to_owned(), false)),
    }
}

fn is_any(address: &str) -> bool {
    matches!(address, "*" | "0.0.0.0" | "::")
}

const MYSQL_PORT: &str = "3306";
