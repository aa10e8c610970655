//! Whether the agents exist and know their parameters, as far as this machine can tell.

use super::Rulebook;
use crate::agents::{AgentCatalog, OWN_AGENTS, own_agent};
use crate::nearest::nearest;
use crate::tree::shorten;
use crm_core::model::{AgentClass, AgentRef};
use std::collections::BTreeMap;

/// What serves instead of one of ours that is not built yet.
fn substitute(name: &str) -> Option<&'static str> {
    match name {
        "pgsql" => Some("`systemd:postgresql`, or `ocf:heartbeat:pgsql` without roles,"),
        _ => None,
    }
}

impl Rulebook<'_> {
    pub(super) fn agents(&mut self, catalog: &dyn AgentCatalog) {
        let cluster = self.cluster;
        for group in &cluster.groups {
            for (index, resource) in group.resources.iter().enumerate() {
                let path = format!("groups/{}/resources/{index}", group.id);
                self.agent(catalog, &resource.agent, &resource.params, &path, &path);
            }
        }
        for service in &cluster.services {
            let path = format!("services/{}", service.id);
            let agent_path = format!("{path}/agent");
            self.agent(catalog, &service.agent, &service.params, &path, &agent_path);
        }
    }

    fn agent(
        &mut self,
        catalog: &dyn AgentCatalog,
        agent: &AgentRef,
        params: &BTreeMap<String, String>,
        path: &str,
        agent_path: &str,
    ) {
        if !catalog.knows_class(&agent.class) {
            return;
        }
        let Some(facts) = catalog.facts(agent) else {
            self.absent(agent, agent_path);
            return;
        };
        for (name, expected) in catalog.misfits(agent, params) {
            let found = params.get(&name).map(|value| shorten(value)).unwrap_or_default();
            self.findings
                .error(
                    self.places.find(&format!("{path}/{name}")),
                    format!("`{name}` of `{agent}` must be {expected}"),
                )
                .label(format!("found `{found}`"));
        }
        if let Some(known) = &facts.parameters {
            for name in params.keys().filter(|name| !known.contains(name)) {
                let message = format!("`{agent}` has no parameter `{}`", shorten(name));
                let at = self.places.find(&format!("{path}/{name}"));
                // A foreign agent may understand more than its meta-data say.
                let found = if agent.class == AgentClass::Own {
                    self.findings.error(at, message)
                } else {
                    self.findings.warning(at, message)
                };
                found.label("unknown parameter");
                match nearest(name, known.iter().map(String::as_str)) {
                    Some(meant) => found.help(format!("did you mean `{meant}`?")),
                    None => found.help(format!("its parameters: {}", known.join(", "))),
                };
            }
        }
        let told = own_agent(&agent.name).filter(|_| agent.class == AgentClass::Own);
        for name in &facts.required {
            // What the static table requires has been reported while reading.
            let reported = told.is_some_and(|own| own.required.contains(&name.as_str()));
            if !params.contains_key(name) && !reported {
                self.findings
                    .error(self.places.find(agent_path), format!("`{agent}` needs `{name}`"))
                    .label(format!("`{name}` is missing"));
            }
        }
    }

    fn absent(&mut self, agent: &AgentRef, path: &str) {
        let at = self.places.find(path);
        let ours = agent.class == AgentClass::Own;
        if ours && own_agent(&agent.name).is_none() {
            // Found out while reading, by its value.
            if self.findings.has_error_at(&at) {
                return;
            }
            let found = self
                .findings
                .error(at, format!("there is no agent `{}`", shorten(&agent.name)))
                .label("neither ours nor installed here");
            match nearest(&agent.name, OWN_AGENTS.iter().map(|own| own.name)) {
                Some(meant) => found.help(format!("did you mean `{meant}`?")),
                None => found.help(
                    "ours are written by their bare name; others as `ocf:PROVIDER:NAME`, `systemd:UNIT`, \
                     `lsb:SCRIPT` or `heartbeat:SCRIPT`",
                ),
            };
        } else if let Some(other) = substitute(&agent.name).filter(|_| ours) {
            self.findings
                .warning(at, format!("the agent `{agent}` is not built yet"))
                .label("known by name only")
                .help(format!("a group with it cannot run; {other} does its work meanwhile"));
        } else {
            self.findings
                .warning(at, format!("`{agent}` is not installed on this machine"))
                .label("not found here")
                .help("a node without it cannot run this group");
        }
    }
}
