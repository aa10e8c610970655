//! The whole file: its top-level keys.

use super::Reader;
use super::section::Section;
use crate::diagnostic::Findings;
use crate::places::Places;
use crate::tree::{Tree, Value};
use crm_core::model::{Cluster, Fencing, Timing, WitnessSpec};

/// Every top-level key.
pub(crate) const KEYS: &[&str] = &[
    "cluster",
    "nodes",
    "witness",
    "heartbeat",
    "fencing",
    "fencing_delay",
    "tiebreak",
    "operators",
    "groups",
    "services",
];

/// Keys of `witness`, where it is a map.
pub(crate) const WITNESS_KEYS: &[&str] = &["address"];
/// Keys of `tiebreak`.
pub(crate) const TIEBREAK_KEYS: &[&str] = &["ping"];

/// Reads a cluster; `None` if the text is not even a map. The result means something only if
/// `findings` has no errors.
pub(crate) fn read_cluster(tree: &Tree, findings: &mut Findings) -> Option<(Cluster, Places)> {
    let mut reader = Reader { findings, places: Places::default() };
    let top =
        Section::open(tree, "the configuration".to_owned(), &mut reader)?.allow(KEYS, &mut reader);
    for entry in top.entries {
        reader.places.note(entry.key.as_str(), &entry.key_at);
    }
    let cluster = Cluster {
        name: reader.cluster_name(&top),
        nodes: reader.nodes(&top),
        witness: reader.witness(&top),
        timing: top.entry("heartbeat").map_or_else(Timing::default, |entry| reader.timing(entry)),
        fencing: reader.fencing(&top).unwrap_or(Fencing::None),
        tiebreak_ping: reader.tiebreak(&top),
        groups: reader.groups(&top),
        services: reader.services(&top),
        operators: top
            .entry("operators")
            .filter(|entry| !matches!(entry.value.value, Value::Empty))
            .map(|entry| reader.names(entry, "operators"))
            .unwrap_or_default(),
    };
    Some((cluster, reader.places))
}

impl Reader<'_> {
    fn cluster_name(&mut self, top: &Section<'_>) -> String {
        let Some(entry) = top.required("cluster", "cluster: shop", self) else {
            return String::new();
        };
        let name = self.text(&entry.value, "`cluster`", "a name").unwrap_or_default();
        if !name.is_empty() {
            self.valid_name(name, &entry.value.at, "a cluster");
        }
        name.to_owned()
    }

    fn witness(&mut self, top: &Section<'_>) -> Option<WitnessSpec> {
        let entry = top.entry("witness")?;
        if matches!(entry.value.value, Value::Map(_)) {
            let section = Section::open(&entry.value, "the witness".to_owned(), self)?
                .allow(WITNESS_KEYS, self);
            let address = section.required("address", "address: 192.0.2.9", self)?;
            self.places.note("witness/address", &address.value.at);
            let address = self.address(&address.value, "the witness's `address`")?;
            return Some(WitnessSpec { address });
        }
        self.places.note("witness/address", &entry.value.at);
        let address = self.address(&entry.value, "`witness`")?;
        Some(WitnessSpec { address })
    }

    fn tiebreak(&mut self, top: &Section<'_>) -> Option<String> {
        let entry = top.entry("tiebreak")?;
        let section =
            Section::open(&entry.value, "`tiebreak`".to_owned(), self)?.allow(TIEBREAK_KEYS, self);
        let ping = section.required("ping", "tiebreak: {ping: 192.0.2.1}", self)?;
        self.places.note("tiebreak/ping", &ping.value.at);
        self.address(&ping.value, "`ping`")
    }
}
