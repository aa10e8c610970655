//! `witness.yaml`: which clusters a witness serves. It names no nodes: they speak to the witness, and
//! their record tells it the rest.

use crate::diagnostic::{Diagnostic, Findings};
use crate::places::Places;
use crate::read::{Reader, Section};
use crate::source;
use crate::tree::{Tree, Value, shorten};
use crm_core::model::Timing;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;

/// Every top-level key.
pub(crate) const KEYS: &[&str] = &["listen", "port", "clusters"];
/// Keys of one cluster.
pub(crate) const CLUSTER_KEYS: &[&str] = &["authkeys"];
/// Most clusters of one witness: each has a voter, a thread for its disk, and its own keys.
pub const CLUSTERS_MAX: usize = 256;
/// Most addresses to listen on.
const LISTEN_MAX: usize = 8;

/// What a witness is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WitnessConfig {
    /// Addresses to listen on; empty: every one that the machine has.
    pub listen: Vec<IpAddr>,
    /// UDP port, the same for all clusters; each cluster's `heartbeat: {port: N}` must be this one.
    pub port: u16,
    /// In the order of the file.
    pub clusters: Vec<WitnessedCluster>,
}

/// One cluster that a witness votes in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WitnessedCluster {
    /// As `cluster:` in its cluster.yaml says.
    pub name: String,
    /// Its key file; `None`: NAME.authkeys in the directory of the configuration.
    pub authkeys: Option<PathBuf>,
}

/// What there is to say about a witness's configuration.
#[derive(Clone, Debug)]
pub struct CheckedWitness {
    /// The model, if no error forbids it.
    pub config: Option<WitnessConfig>,
    /// Errors and warnings, in the order of the text.
    pub diagnostics: Vec<Diagnostic>,
}

/// Reads a witness's configuration; `file_name` is for the messages.
#[must_use]
pub fn check_witness(file_name: &str, text: &str) -> CheckedWitness {
    let mut findings = Findings::new(file_name, text);
    let config = source::read(text, &mut findings).and_then(|tree| {
        let mut reader = Reader { findings: &mut findings, places: Places::default() };
        reader.witness_file(&tree)
    });
    let config = config.filter(|_| !findings.has_errors());
    CheckedWitness { config, diagnostics: findings.finish() }
}

impl Reader<'_> {
    fn witness_file(&mut self, tree: &Tree) -> Option<WitnessConfig> {
        let what = "the witness's configuration".to_owned();
        let top = Section::open(tree, what, self)?.allow(KEYS, self);
        let port = match top.entry("port") {
            Some(entry) => self.number(entry, "a UDP port from 1 to 65535").unwrap_or_default(),
            None => Timing::default().port,
        };
        if let Some(entry) = top.entry("port").filter(|_| port == 0) {
            self.findings
                .error(entry.value.at.clone(), "`port` is not a port")
                .label(format!("expected 1 to 65535, found {}", entry.value.found()));
        }
        Some(WitnessConfig { listen: self.listen(&top), port, clusters: self.clusters(&top) })
    }

    fn listen(&mut self, top: &Section<'_>) -> Vec<IpAddr> {
        let Some(entry) = top.entry("listen") else { return Vec::new() };
        let items = match &entry.value.value {
            Value::List(items) => items.as_slice(),
            _ => std::slice::from_ref(&entry.value),
        };
        if let Some(extra) = items.get(LISTEN_MAX) {
            self.findings
                .error(extra.at.clone(), format!("{} addresses are too many", items.len()))
                .label(format!("at most {LISTEN_MAX}"))
                .help("leave `listen` out to listen on every address of this machine");
        }
        let mut addresses = Vec::new();
        for item in items {
            let Some(address) = self.address(item, "`listen`").and_then(|text| text.parse().ok())
            else {
                continue;
            };
            if addresses.contains(&address) {
                self.findings
                    .error(item.at.clone(), format!("{address} is named twice"))
                    .label("already in this `listen`");
            }
            addresses.push(address);
        }
        addresses
    }

    fn clusters(&mut self, top: &Section<'_>) -> Vec<WitnessedCluster> {
        let Some(entry) = top.required("clusters", "clusters: {shop: {}}", self) else {
            return Vec::new();
        };
        let Some(section) = Section::open(&entry.value, "`clusters`".to_owned(), self) else {
            return Vec::new();
        };
        if section.entries.is_empty() {
            self.findings
                .error(entry.key_at.clone(), "this witness has no clusters")
                .label("expected at least one, found none")
                .help("write `NAME: {}` for each, by the name that its cluster.yaml gives it");
        }
        if let Some(extra) = section.entries.get(CLUSTERS_MAX) {
            self.findings
                .error(
                    extra.key_at.clone(),
                    format!("{} clusters are too many", section.entries.len()),
                )
                .label(format!("one witness serves at most {CLUSTERS_MAX}"))
                .help("set up a second witness");
        }
        let clusters: Vec<WitnessedCluster> =
            section.entries.iter().filter_map(|entry| self.witnessed(entry)).collect();
        self.shared_keys(&clusters);
        clusters
    }

    fn witnessed(&mut self, entry: &crate::tree::Entry) -> Option<WitnessedCluster> {
        self.places.note(format!("clusters/{}", entry.key), &entry.key_at);
        self.valid_name(&entry.key, &entry.key_at, "a cluster");
        let what = format!("cluster `{}`", shorten(&entry.key));
        let section = Section::open(&entry.value, what, self)?.allow(CLUSTER_KEYS, self);
        let authkeys = section.entry("authkeys").and_then(|entry| {
            self.places.note("authkeys", &entry.value.at);
            let path =
                PathBuf::from(self.text(&entry.value, "`authkeys`", "the path of a file")?);
            if !path.is_absolute() {
                self.wrong(&entry.value, "`authkeys`", "a path that begins with `/`");
            }
            Some(path)
        });
        Some(WitnessedCluster { name: entry.key.clone(), authkeys })
    }

    /// Each cluster has its own keys: who holds those of one must not speak in another.
    fn shared_keys(&mut self, clusters: &[WitnessedCluster]) {
        let mut seen: BTreeMap<&PathBuf, &str> = BTreeMap::new();
        for cluster in clusters {
            let Some(path) = &cluster.authkeys else { continue };
            if let Some(first) = seen.insert(path, &cluster.name) {
                let at = self.places.find(&format!("clusters/{}", cluster.name));
                let first_at = self.places.find(&format!("clusters/{first}"));
                self.findings
                    .error(at, format!("clusters `{first}` and `{}` share a key file", cluster.name))
                    .label(format!("{} again", path.display()))
                    .also(first_at, "first used here")
                    .help("copy each cluster's own authkeys here: with one key for both, a node of one can vote in the other");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> Vec<String> {
        let checked = check_witness("witness.yaml", text);
        assert!(checked.config.is_none(), "{text}");
        checked.diagnostics.iter().map(Diagnostic::one_line).collect()
    }

    #[test]
    fn a_witness_of_two_clusters_is_read() {
        let text = "listen: [192.0.2.9, 2001:db8::9]\nport: 7000\n\
                    clusters:\n  shop: {}\n  mail: {authkeys: /etc/crm/mail.keys}\n";
        let config = check_witness("witness.yaml", text).config.unwrap();
        assert_eq!(config.listen.len(), 2);
        assert_eq!(config.port, 7000);
        let mail = WitnessedCluster {
            name: "mail".to_owned(),
            authkeys: Some("/etc/crm/mail.keys".into()),
        };
        let shop = WitnessedCluster { name: "shop".to_owned(), authkeys: None };
        assert_eq!(config.clusters, [shop, mail]);
        let least = check_witness("witness.yaml", "clusters: {shop: }\n").config.unwrap();
        assert_eq!((least.listen.as_slice(), least.port), ([].as_slice(), 694));
    }

    #[test]
    fn each_error_names_file_line_and_column() {
        for (text, place, about) in [
            ("", "1:1", "has no `clusters`"),
            ("port: 694\n", "1:1", "`clusters`"),
            ("clusters: {}\n", "1:1", "no clusters"),
            ("clusters:\n  shop: {keys: x}\n", "2:10", "no key `keys`"),
            ("clusters:\n  s/hop: {}\n", "2:3", "cannot name a cluster"),
            ("port: 0\nclusters: {a: }\n", "1:7", "not a port"),
            ("port: 70000\nclusters: {a: }\n", "1:7", "`port` is not right"),
            ("listen: host\nclusters: {a: }\n", "1:9", "not an IP address"),
            ("listen: [192.0.2.1, 192.0.2.1]\nclusters: {a: }\n", "1:21", "named twice"),
            ("clusters: {a: {authkeys: keys}}\n", "1:26", "`authkeys` is not right"),
            ("clusters:\n  a: {}\n  a: {}\n", "3:3", "twice"),
            (
                "clusters:\n  a: {authkeys: /k}\n  b: {authkeys: /k}\n",
                "3:3",
                "clusters `a` and `b` share a key file",
            ),
        ] {
            let said = refused(text);
            let first = said.first().map(String::as_str).unwrap_or_default();
            assert!(first.starts_with(&format!("witness.yaml:{place}: ")), "{text:?}: {said:?}");
            assert!(first.contains(about), "{text:?}: {said:?}");
        }
        let many: String = (0..=CLUSTERS_MAX).map(|number| format!("  c{number}: \n")).collect();
        assert!(refused(&format!("clusters:\n{many}"))[0].contains("are too many"));
    }
}
