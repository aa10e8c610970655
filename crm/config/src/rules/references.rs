//! Names that one part of the configuration uses for another.

use super::Rulebook;
use crate::nearest::nearest;
use crate::tree::shorten;
use crm_core::model::{Fencing, Service};

impl Rulebook<'_> {
    pub(super) fn references(&mut self) {
        let cluster = self.cluster;
        let nodes: Vec<&str> = cluster.nodes.iter().map(|node| node.id.as_str()).collect();
        let groups: Vec<&str> = cluster.groups.iter().map(|group| group.id.as_str()).collect();
        for group in &cluster.groups {
            let path = format!("groups/{}", group.id);
            for (index, node) in group.prefer.iter().enumerate() {
                self.known(node.as_str(), &nodes, "node", &format!("{path}/prefer/{index}"));
            }
            let lists = [
                ("runs_with", &group.runs_with),
                ("avoids", &group.avoids),
                ("starts_after", &group.starts_after),
            ];
            for (key, list) in lists {
                for (index, other) in list.iter().enumerate() {
                    let at = format!("{path}/{key}/{index}");
                    if other == &group.id {
                        self.findings
                            .error(self.places.find(&at), format!("group `{other}` names itself"))
                            .label(format!("`{key}` is about other groups"))
                            .help("remove it");
                    } else {
                        self.known(other.as_str(), &groups, "group", &at);
                    }
                }
            }
            if group.only_preferred && group.prefer.is_empty() {
                self.findings
                    .error(
                        self.places.find(&format!("{path}/only_preferred")),
                        format!("group `{}` may run nowhere", group.id),
                    )
                    .label("`only_preferred` without `prefer`")
                    .help("name the nodes in `prefer`");
            }
            if let Some(follow) = &group.follow {
                self.followed_service(follow.service.as_str(), &format!("{path}/follow"));
                if follow.otherwise.as_ref() == Some(&follow.role) {
                    self.findings
                        .warning(
                            self.places.find(&format!("{path}/otherwise")),
                            "`otherwise` changes nothing",
                        )
                        .label("the same role as in `follow`")
                        .help("remove it");
                }
            }
        }
        for service in &cluster.services {
            self.service_nodes(service, &nodes);
        }
        if let Fencing::Devices { devices, .. } = &cluster.fencing {
            for node in devices.keys() {
                self.known(node.as_str(), &nodes, "node", &format!("fencing/{node}"));
            }
        }
        for (index, operator) in cluster.operators.iter().enumerate() {
            if operator.is_empty()
                || operator.len() > 64
                || operator.contains([':', '/', ' ', '\t', '\n'])
            {
                self.findings
                    .error(
                        self.places.find(&format!("operators/{index}")),
                        format!("`{}` is not the name of a user", shorten(operator)),
                    )
                    .label("expected a login name");
            }
        }
    }

    fn service_nodes(&mut self, service: &Service, nodes: &[&str]) {
        for (index, node) in service.nodes.iter().enumerate() {
            self.known(
                node.as_str(),
                nodes,
                "node",
                &format!("services/{}/nodes/{index}", service.id),
            );
        }
        let twin =
            self.cluster.groups.iter().find(|group| group.id.as_str() == service.id.as_str());
        if let Some(group) = twin {
            self.findings
                .error(
                    self.places.find(&format!("services/{}", service.id)),
                    format!("a service and a group are both called `{}`", service.id),
                )
                .label("commands could not tell them apart")
                .also(self.places.find(&format!("groups/{}", group.id)), "the group")
                .help("rename one of them");
        }
    }

    fn followed_service(&mut self, service: &str, path: &str) {
        let services: Vec<&str> =
            self.cluster.services.iter().map(|service| service.id.as_str()).collect();
        self.known(service, &services, "service", path);
    }

    fn known(&mut self, name: &str, known: &[&str], what: &str, path: &str) {
        // What was written and could not be read has been reported already.
        if known.contains(&name) || self.places.has(&format!("{what}s/{name}")) {
            return;
        }
        let found = self
            .findings
            .error(self.places.find(path), format!("there is no {what} `{}`", shorten(name)))
            .label(format!("expected the name of a {what} of this file"));
        match nearest(name, known.iter().copied()) {
            Some(meant) => found.help(format!("did you mean `{meant}`?")),
            None if known.is_empty() => found.help(format!("this file has no {what}s")),
            None => found.help(format!("known {what}s: {}", shorten(&known.join(", ")))),
        };
    }
}
