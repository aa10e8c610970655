//! Where each named part of the configuration stands, for checks that come after reading.

use crate::tree::Place;
use std::collections::BTreeMap;

/// Places by path: `nodes/alpha/links/0`, `groups/db1/resources/2/device`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Places(BTreeMap<String, Place>);

impl Places {
    pub(crate) fn note(&mut self, path: impl Into<String>, at: &Place) {
        self.0.entry(path.into()).or_insert_with(|| at.clone());
    }

    /// The place of `path`, or of the nearest part around it that is known.
    pub(crate) fn find(&self, path: &str) -> Place {
        let mut path = path;
        loop {
            if let Some(at) = self.0.get(path) {
                return at.clone();
            }
            match path.rfind('/') {
                Some(cut) => path = path.get(..cut).unwrap_or_default(),
                None => return 0..0,
            }
        }
    }

    /// Whether exactly `path` was written.
    pub(crate) fn has(&self, path: &str) -> bool {
        self.0.contains_key(path)
    }
}
