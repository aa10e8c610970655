//! A map with known keys: unknown ones are reported with the nearest known one.

use super::Reader;
use crate::nearest::nearest;
use crate::tree::{Entry, Place, Tree, Value, shorten};

/// The entries of one map of the configuration.
pub(crate) struct Section<'t> {
    /// For messages: "group `db1`".
    pub(crate) what: String,
    pub(crate) at: Place,
    pub(crate) entries: &'t [Entry],
}

impl<'t> Section<'t> {
    /// Opens `tree` as a map of any keys. Nothing at all is an empty map.
    pub(crate) fn open(
        tree: &'t Tree,
        what: String,
        reader: &mut Reader<'_>,
    ) -> Option<Section<'t>> {
        match &tree.value {
            Value::Map(entries) => Some(Section { what, at: tree.at.clone(), entries }),
            Value::Empty => Some(Section { what, at: tree.at.clone(), entries: &[] }),
            _ => {
                reader
                    .findings
                    .error(tree.at.clone(), format!("{what} must be a map"))
                    .label(format!("expected `key: value` pairs, found {}", tree.found()));
                None
            }
        }
    }

    /// Reports every key that is not in `known`.
    pub(crate) fn allow(self, known: &[&str], reader: &mut Reader<'_>) -> Section<'t> {
        for entry in self.entries.iter().filter(|entry| !known.contains(&entry.key.as_str())) {
            let found = reader
                .findings
                .error(
                    entry.key_at.clone(),
                    format!("{} has no key `{}`", self.what, shorten(&entry.key)),
                )
                .label("unknown key");
            match nearest(&entry.key, known.iter().copied()) {
                Some(meant) => found.help(format!("did you mean `{meant}`?")),
                None => found.help(format!("known keys: {}", known.join(", "))),
            };
        }
        self
    }

    pub(crate) fn entry(&self, key: &str) -> Option<&'t Entry> {
        self.entries.iter().find(|entry| entry.key == key)
    }

    /// The entry of a key that must be there.
    pub(crate) fn required(
        &self,
        key: &str,
        example: &str,
        reader: &mut Reader<'_>,
    ) -> Option<&'t Entry> {
        let entry = self.entry(key);
        if entry.is_none() {
            reader
                .findings
                .error(self.at.start..self.at.start, format!("{} has no `{key}`", self.what))
                .label(format!("`{key}` is missing here"))
                .help(format!("write for example `{example}`"));
        }
        entry
    }
}
