//! `fencing`: how a silent node is proved dead, or the admin's word that nothing can prove it.

use super::Reader;
use super::section::Section;
use crate::tree::{Entry, Tree, Value};
use crm_core::id::NodeId;
use crm_core::model::{FenceDevice, Fencing};
use crm_core::time::Span;
use std::collections::BTreeMap;

/// How long a device may take if the configuration does not say.
pub(crate) const DEVICE_TIMEOUT: Span = Span::secs(20);

/// Keys of a device that are not the agent's own parameters.
pub(crate) const KEYS: &[&str] = &["agent", "timeout"];

const CHOICES: &str = "a device for each node (`fencing: {alpha: {agent: fence_ipmilan, …}}`), or \
     `fencing: none` together with a watchdog on each node and three votes (a third node's or a `witness`), or `fencing: none` alone: \
     then groups with data wait for the operator when a node falls silent";

impl Reader<'_> {
    /// `None` when the key is missing or wrong; that has been reported.
    pub(super) fn fencing(&mut self, top: &Section<'_>) -> Option<Fencing> {
        let Some(entry) = top.entry("fencing") else {
            self.findings
                .error(
                    top.at.start..top.at.start,
                    "the configuration does not say how a silent node is proved dead",
                )
                .label("`fencing` is missing")
                .help(format!("choose: {CHOICES}"));
            return None;
        };
        match &entry.value.value {
            Value::Scalar(word) if word == "none" => {
                if let Some(delay) = top.entry("fencing_delay") {
                    self.findings
                        .error(delay.key_at.clone(), "`fencing_delay` without a fencing device")
                        .label("nothing to delay")
                        .help("remove it, or name a device for each node");
                }
                Some(Fencing::None)
            }
            Value::Map(entries) => Some(self.devices(entries, top)),
            _ => {
                self.findings
                    .error(entry.value.at.clone(), "`fencing` is not right")
                    .label(format!("expected `none` or a map, found {}", entry.value.found()))
                    .help(format!("choose: {CHOICES}"));
                None
            }
        }
    }

    fn devices(&mut self, entries: &[Entry], top: &Section<'_>) -> Fencing {
        let mut devices: BTreeMap<NodeId, Vec<FenceDevice>> = BTreeMap::new();
        for entry in entries {
            let path = format!("fencing/{}", entry.key);
            self.places.note(path.as_str(), &entry.key_at);
            let trees = match &entry.value.value {
                Value::List(items) => items.as_slice(),
                _ => std::slice::from_ref(&entry.value),
            };
            let numbered = trees.iter().enumerate();
            let methods =
                numbered.filter_map(|(level, tree)| self.device(tree, &entry.key, level)).collect();
            devices.insert(NodeId::new(&entry.key), methods);
        }
        let delay = match top.entry("fencing_delay") {
            Some(entry) => {
                self.places.note("fencing_delay", &entry.value.at);
                self.duration(entry).unwrap_or_default()
            }
            None => default_delay(&devices),
        };
        Fencing::Devices { devices, delay }
    }

    fn device(&mut self, tree: &Tree, node: &str, level: usize) -> Option<FenceDevice> {
        let what = format!("the fencing device of `{node}`");
        let section = Section::open(tree, what.clone(), self)?;
        let example =
            "{agent: command, command: \"/usr/local/sbin/power-off alpha\", timeout: 20s}";
        let agent_entry = section.required("agent", example, self)?;
        let path = format!("fencing/{node}/{level}");
        self.places.note(path.as_str(), &agent_entry.value.at);
        let agent =
            self.text(&agent_entry.value, "`agent`", "`command` or the name of a fence agent")?;
        let is_fence_agent = agent.starts_with("fence_")
            && agent.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
        if agent != "command" && !is_fence_agent {
            self.findings
                .error(agent_entry.value.at.clone(), "this is not a fencing agent")
                .label(format!(
                    "expected `command` or `fence_…`, found {}",
                    agent_entry.value.found()
                ))
                .help("fence agents are programs such as fence_ipmilan; `command` runs your own");
        }
        let timeout = match section.entry("timeout") {
            Some(entry) => self.positive_duration(entry).unwrap_or(DEVICE_TIMEOUT),
            None => DEVICE_TIMEOUT,
        };
        let mut params = BTreeMap::new();
        for entry in section.entries.iter().filter(|entry| !KEYS.contains(&entry.key.as_str())) {
            let Some(text) = self.text(&entry.value, &format!("`{}`", entry.key), "a value") else {
                continue;
            };
            if matches!(entry.key.as_str(), "password" | "passwd") {
                self.findings
                    .error(entry.key_at.clone(), "a password in the configuration")
                    .label("every reader of this file and of `crm config` would see it")
                    .help("put it into a file of mode 0600 on every node and name that with `password_file`");
                continue;
            }
            self.places.note(format!("{path}/{}", entry.key), &entry.key_at);
            params.insert(entry.key.clone(), text.to_owned());
        }
        if agent == "command" && !params.contains_key("command") {
            self.findings
                .error(tree.at.start..tree.at.start, format!("{what} has no `command`"))
                .label("`command` is missing here")
                .help(format!("write for example `{example}`"));
        }
        Some(FenceDevice { agent: agent.to_owned(), params, timeout })
    }

    /// A time that must be longer than nothing.
    pub(super) fn positive_duration(&mut self, entry: &Entry) -> Option<Span> {
        let span = self.duration(entry)?;
        if span == Span::ZERO {
            self.wrong(&entry.value, &format!("`{}`", entry.key), "a time longer than zero");
            return None;
        }
        Some(span)
    }
}

/// The longest time that all methods of one node take together: the worst case of a request.
pub(crate) fn worst_case(devices: &BTreeMap<NodeId, Vec<FenceDevice>>) -> Span {
    devices
        .values()
        .map(|methods| methods.iter().fold(Span::ZERO, |sum, method| sum + method.timeout))
        .max()
        .unwrap_or_default()
}

/// A quarter more than the worst case: the side that waits sees that the other was faster.
fn default_delay(devices: &BTreeMap<NodeId, Vec<FenceDevice>>) -> Span {
    let worst = worst_case(devices).as_micros();
    Span::micros(worst.saturating_add(worst / 4))
}
