//! `nodes`: the machines and their links.

use super::Reader;
use super::section::Section;
use crate::tree::{Entry, Value};
use crm_core::id::NodeId;
use crm_core::model::NodeSpec;

/// More nodes than this vote only if told: a bigger quorum is slower, not safer.
pub(crate) const VOTERS_BY_DEFAULT_MAX: usize = 7;

/// Keys of a node.
pub(crate) const KEYS: &[&str] = &["links", "voter", "watchdog"];

impl Reader<'_> {
    pub(super) fn nodes(&mut self, top: &Section<'_>) -> Vec<NodeSpec> {
        let example = "nodes: {alpha: {links: [192.0.2.1]}, beta: {links: [192.0.2.2]}}";
        let Some(entry) = top.required("nodes", example, self) else { return Vec::new() };
        let Some(section) = Section::open(&entry.value, "`nodes`".to_owned(), self) else {
            return Vec::new();
        };
        section
            .entries
            .iter()
            .enumerate()
            .filter_map(|(index, entry)| self.node(entry, index < VOTERS_BY_DEFAULT_MAX))
            .collect()
    }

    fn node(&mut self, entry: &Entry, votes_by_default: bool) -> Option<NodeSpec> {
        let path = format!("nodes/{}", entry.key);
        self.places.note(path.as_str(), &entry.key_at);
        self.valid_name(&entry.key, &entry.key_at, "a node");
        let section =
            Section::open(&entry.value, format!("node `{}`", entry.key), self)?.allow(KEYS, self);
        Some(NodeSpec {
            id: NodeId::new(&entry.key),
            links: self.links(&section, &path),
            voter: section
                .entry("voter")
                .and_then(|entry| self.boolean(entry))
                .unwrap_or(votes_by_default),
            watchdog: section
                .entry("watchdog")
                .and_then(|entry| self.watchdog_device(entry, &path)),
        })
    }

    fn links(&mut self, section: &Section<'_>, path: &str) -> Vec<String> {
        let Some(entry) = section.required("links", "links: [192.0.2.1, 198.51.100.1]", self)
        else {
            return Vec::new();
        };
        let items = match &entry.value.value {
            Value::List(items) => items.as_slice(),
            Value::Scalar(_) => std::slice::from_ref(&entry.value),
            _ => {
                self.wrong(&entry.value, "`links`", "a list of addresses, one for each network");
                return Vec::new();
            }
        };
        self.places.note(format!("{path}/links"), &entry.key_at);
        let mut links = Vec::new();
        for item in items {
            self.places.note(format!("{path}/links/{}", links.len()), &item.at);
            // A wrong one keeps its place, so that the others are still counted right.
            links.push(self.address(item, "this link").unwrap_or_default());
        }
        links
    }

    fn watchdog_device(&mut self, entry: &Entry, path: &str) -> Option<String> {
        let expected = "the path of a watchdog device, such as `/dev/watchdog`";
        let device = self.text(&entry.value, "`watchdog`", expected)?;
        if !device.starts_with("/dev/") {
            self.wrong(&entry.value, "`watchdog`", expected);
            return None;
        }
        self.places.note(format!("{path}/watchdog"), &entry.value.at);
        Some(device.to_owned())
    }
}
