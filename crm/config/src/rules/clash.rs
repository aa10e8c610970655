//! Two groups that would lay hands on the same thing (HB17), and addresses that cannot be virtual.

use super::Rulebook;
use crate::tree::shorten;
use crm_core::model::{AgentClass, Resource, exclusive, network_address};
use std::collections::BTreeMap;

impl Rulebook<'_> {
    pub(super) fn clashes(&mut self) {
        // What is used, by whom first, and where.
        let mut users: BTreeMap<String, (String, String)> = BTreeMap::new();
        let cluster = self.cluster;
        for group in &cluster.groups {
            for (index, resource) in group.resources.iter().enumerate() {
                let path = format!("groups/{}/resources/{index}", group.id);
                let user = format!("group `{}`", group.id);
                if resource.agent.class == AgentClass::Own {
                    self.virtual_address(resource, &path);
                    self.absolute_paths(resource, &path);
                }
                for thing in resource.things() {
                    let path = match thing.parameter {
                        Some(parameter) => format!("{path}/{parameter}"),
                        None => path.clone(),
                    };
                    self.claim(&mut users, thing.words, &user, path);
                }
            }
        }
        for service in &cluster.services {
            if service.agent.class != AgentClass::Own {
                continue;
            }
            let path = format!("services/{}", service.id);
            for parameter in exclusive(&service.agent.name) {
                if let Some(value) = service.params.get(*parameter) {
                    let thing = format!("{} {parameter} {value}", service.agent);
                    let user = format!("service `{}`", service.id);
                    self.claim(&mut users, thing, &user, format!("{path}/{parameter}"));
                }
            }
        }
    }

    fn claim(
        &mut self,
        users: &mut BTreeMap<String, (String, String)>,
        thing: String,
        user: &str,
        path: String,
    ) {
        let Some((first_user, first_path)) = users.get(&thing) else {
            users.insert(thing, (user.to_owned(), path));
            return;
        };
        let message = if first_user == user {
            format!("{user} uses {} twice", shorten(&thing))
        } else {
            format!("{first_user} and {user} both use {}", shorten(&thing))
        };
        let script = thing.starts_with("lsb:") || thing.starts_with("heartbeat:");
        let help = if script {
            "on one node the second start would hit the first instance: give each group its own instance \
             (`args: [TEST01]`) or its own script"
        } else {
            "only one group can own it: put both resources into one group, or give each its own"
        };
        self.findings
            .error(self.places.find(&path), message)
            .label("used again here")
            .also(self.places.find(first_path), "first used here")
            .help(help);
    }

    /// A virtual address is an address, and not one that a machine has for itself.
    fn virtual_address(&mut self, resource: &Resource, path: &str) {
        if resource.agent.name != "vip" {
            return;
        }
        let Some(text) = resource.params.get("address") else { return };
        let at = self.places.find(&format!("{path}/address"));
        let Some(address) = network_address(text) else {
            self.findings
                .error(at, format!("`{}` is not an address", shorten(text)))
                .label("expected an address with its prefix length, such as `192.0.2.7/24`");
            return;
        };
        let address = address.to_string();
        for node in &self.cluster.nodes {
            if let Some(index) = node.links.iter().position(|link| *link == address) {
                self.findings
                    .error(at.clone(), format!("{address} is a link of node `{}`", node.id))
                    .label("a virtual address must be one that no machine has for itself")
                    .also(self.places.find(&format!("nodes/{}/links/{index}", node.id)), "the link")
                    .help("choose a free address of the same network");
            }
        }
        let witness = self.cluster.witness.as_ref().map(|witness| witness.address.as_str());
        let ping = self.cluster.tiebreak_ping.as_deref();
        for (owner, what) in [(witness, "the witness"), (ping, "the tiebreak")] {
            if owner == Some(address.as_str()) {
                self.findings
                    .error(at.clone(), format!("{address} is the address of {what}"))
                    .label("a virtual address must be one that no machine has for itself")
                    .help("choose a free address of the same network");
            }
        }
    }

    fn absolute_paths(&mut self, resource: &Resource, path: &str) {
        let paths: &[&str] = match resource.agent.name.as_str() {
            "filesystem" => &["at"],
            "mysql" | "pgsql" => &["datadir"],
            _ => return,
        };
        for parameter in paths {
            let Some(value) = resource.params.get(*parameter) else { continue };
            if !value.starts_with('/') {
                self.findings
                    .error(
                        self.places.find(&format!("{path}/{parameter}")),
                        format!("`{parameter}` is not an absolute path"),
                    )
                    .label(format!("expected a path from `/`, found `{}`", shorten(value)));
            }
        }
    }
}
