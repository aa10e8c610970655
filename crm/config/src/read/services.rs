//! `services`: agents that hold a role on each of several nodes.

use super::Reader;
use super::resource::INTERVAL;
use super::section::Section;
use crate::agents::own_agent;
use crate::tree::{Entry, shorten};
use crm_core::id::{NodeId, ServiceId};
use crm_core::model::{AgentClass, Service, ServiceKind};
use std::collections::BTreeMap;

/// Keys of a service that are not the agent's own parameters.
pub(crate) const KEYS: &[&str] =
    &["agent", "nodes", "kind", "timeouts", "interval", "max_lag", "max_lag_age", "params"];

impl Reader<'_> {
    pub(super) fn services(&mut self, top: &Section<'_>) -> Vec<Service> {
        let Some(entry) = top.entry("services") else { return Vec::new() };
        let Some(section) = Section::open(&entry.value, "`services`".to_owned(), self) else {
            return Vec::new();
        };
        section.entries.iter().filter_map(|entry| self.service(entry)).collect()
    }

    fn service(&mut self, entry: &Entry) -> Option<Service> {
        let path = format!("services/{}", entry.key);
        self.places.note(path.as_str(), &entry.key_at);
        self.valid_name(&entry.key, &entry.key_at, "a service");
        let section = Section::open(&entry.value, format!("service `{}`", entry.key), self)?;
        let agent_entry = section.required("agent", "agent: pgsql", self)?;
        let agent_text = self.text(&agent_entry.value, "`agent`", "the name of an agent")?;
        let agent = self.agent(agent_text, &agent_entry.value.at)?;
        self.places.note(format!("{path}/agent"), &agent_entry.value.at);
        let own = match agent.class {
            AgentClass::Own => own_agent(&agent.name),
            _ => None,
        };
        if own.is_some_and(|own| !own.roles) {
            self.findings
                .error(agent_entry.value.at.clone(), format!("`{agent}` knows no roles"))
                .label("a service needs an agent with `promote` and `demote`")
                .help("put it into a group instead");
        }
        let mut service = Service {
            id: ServiceId::new(&entry.key),
            agent,
            params: BTreeMap::new(),
            nodes: Vec::new(),
            kind: ServiceKind::Managed,
            timeouts: own.map(|own| own.timeouts()).unwrap_or_default(),
            interval: INTERVAL,
            max_lag_bytes: None,
            max_lag_age: None,
        };
        for entry in section.entries {
            match entry.key.as_str() {
                "agent" => {}
                "nodes" => {
                    let names = self.names(entry, &format!("{path}/nodes"));
                    service.nodes = names.iter().map(|name| NodeId::new(name)).collect();
                }
                "kind" => {
                    let kinds =
                        [("managed", ServiceKind::Managed), ("observed", ServiceKind::Observed)];
                    service.kind = self.choice(entry, &kinds).unwrap_or(service.kind);
                }
                "timeouts" => self.timeouts(entry, &mut service.timeouts),
                "interval" => {
                    service.interval = self.positive_duration(entry).unwrap_or(service.interval);
                }
                "max_lag" => service.max_lag_bytes = self.size(entry),
                "max_lag_age" => service.max_lag_age = self.duration(entry),
                "params" => {
                    if let Some(section) = Section::open(&entry.value, "`params`".to_owned(), self)
                    {
                        for entry in section.entries {
                            self.param(entry, &path, &mut service.params);
                        }
                    }
                }
                "name" | "on_fail" | "args" | "stateless" => {
                    self.findings
                        .error(
                            entry.key_at.clone(),
                            format!("`{}` means nothing for a service", entry.key),
                        )
                        .label("a word of resources in groups")
                        .help(format!(
                            "keys of a service: {}, and its agent's parameters",
                            KEYS.join(", ")
                        ));
                }
                _ => self.param(entry, &path, &mut service.params),
            }
        }
        for parameter in own.map_or(&[][..], |own| own.required) {
            if !service.params.contains_key(*parameter) {
                self.findings
                    .error(
                        agent_entry.value.at.clone(),
                        format!("`{agent_text}` needs `{parameter}`"),
                    )
                    .label(format!("`{parameter}` is missing from this service"));
            }
        }
        Some(service)
    }

    /// A number of bytes: `4096`, `16KiB`, `16MiB`, `1GiB`, or `KB`, `MB`, `GB` by thousands.
    fn size(&mut self, entry: &Entry) -> Option<u64> {
        const EXPECTED: &str = "a size such as `16MiB` or `1GiB`";
        let what = format!("`{}`", entry.key);
        let text = self.text(&entry.value, &what, EXPECTED)?;
        let size = parse_size(text);
        if size.is_none() {
            self.findings
                .error(entry.value.at.clone(), format!("`{}` is not a size", shorten(text)))
                .label(format!("expected {EXPECTED}"))
                .help("a lag in time is `max_lag_age`");
        }
        size
    }
}

fn parse_size(text: &str) -> Option<u64> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let scale: u64 = match unit {
        "" | "B" => 1,
        "KB" => 1_000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(scale)
}
