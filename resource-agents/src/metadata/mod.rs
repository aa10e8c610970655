//! What an agent says about itself: one type for our own agents and for OCF agents.

pub(crate) mod check;
mod xml;

use serde::{Deserialize, Serialize};

pub use check::Problem;

/// Parameter names that an agent may not use: the contract's own variables (`CRM_GROUP` and its
/// siblings) and the words that `cluster.yaml` keeps for itself in every resource.
pub const RESERVED: &[&str] = &[
    "group",
    "interval",
    "name",
    "node",
    "on_fail",
    "resource",
    "state_dir",
    "timeout_ms",
    "timeouts",
];

/// An agent's description of itself (`meta-data`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MetaData {
    /// The agent's name, without its class.
    pub name: String,
    /// The agent's version, as it writes it.
    #[serde(default)]
    pub version: String,
    /// One line.
    #[serde(default)]
    pub short_description: String,
    /// Some paragraphs.
    #[serde(default)]
    pub long_description: String,
    /// The parameter that a scalar in `cluster.yaml` stands for (`- vip: 192.0.2.1/24`).
    #[serde(default)]
    pub primary: Option<String>,
    /// Every parameter, in the order in which people should read them.
    #[serde(default)]
    pub parameters: Vec<Parameter>,
    /// The resource holds no data: running it twice loses nothing but its own service.
    #[serde(default)]
    pub stateless: bool,
    /// Where `status` and the watches run.
    #[serde(default)]
    pub observe: Observe,
    /// The agent knows roles (`promote`, `demote`).
    #[serde(default)]
    pub roles: bool,
    /// The actions that the agent knows, with the times it suggests.
    #[serde(default)]
    pub actions: Vec<ActionSpec>,
}

/// One parameter of an agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parameter {
    /// The name, lower case, as in `cluster.yaml`.
    pub name: String,
    /// The resource cannot work without it.
    #[serde(default)]
    pub required: bool,
    /// What its text must look like.
    #[serde(rename = "type", default)]
    pub kind: Kind,
    /// The value that counts when none is given.
    #[serde(default)]
    pub default: Option<String>,
    /// What it does, in a sentence or two.
    #[serde(default)]
    pub description: String,
    /// No two resources of this agent may have the same value.
    #[serde(default)]
    pub unique: bool,
    /// The only values that are allowed, if the list is not empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<String>,
    /// An older name of the same parameter, which is still understood (fence agents).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaces: Option<String>,
    /// Understood still, and better written by another name.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub deprecated: bool,
}

/// The type of a parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// An IPv4 or IPv6 address, with or without `/PREFIX`.
    Address,
    /// `true|false|yes|no|on|off|1|0`.
    Boolean,
    /// `200ms`, `5s`, `2m`, `1h`; a bare number counts seconds.
    Duration,
    /// A whole number.
    Integer,
    /// An absolute path.
    Path,
    /// Any text.
    #[default]
    String,
}

/// On which nodes `status` and the watches of a resource run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Observe {
    /// Where the resource runs, or is about to.
    #[default]
    Candidates,
    /// On every node that may ever run it (DRBD, services with roles).
    Everywhere,
}

/// One action that an agent knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActionSpec {
    /// `start`, `stop`, `status` (OCF's `monitor` is read as `status`), ...
    pub name: String,
    /// The time after which the action counts as hung, in milliseconds.
    #[serde(default)]
    pub timeout_ms: Option<u64>,
    /// How often it should run, in milliseconds; only for `status`.
    #[serde(default)]
    pub interval_ms: Option<u64>,
}

impl MetaData {
    /// What most of our own agents say alike: data, looked at where it may run, and the times of a server.
    pub(crate) fn usual() -> MetaData {
        MetaData {
            name: String::new(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            short_description: String::new(),
            long_description: String::new(),
            primary: None,
            parameters: Vec::new(),
            stateless: false,
            observe: Observe::Candidates,
            roles: false,
            actions: vec![
                ActionSpec::new("start", 60_000),
                ActionSpec::new("stop", 60_000),
                ActionSpec::new("status", 20_000).every(10_000),
                ActionSpec::new("validate", 20_000),
                ActionSpec::new("meta-data", 5_000),
            ],
        }
    }

    /// The parameter called `name`.
    pub fn parameter(&self, name: &str) -> Option<&Parameter> {
        self.parameters.iter().find(|parameter| parameter.name == name)
    }

    /// The action called `name`.
    pub fn action(&self, name: &str) -> Option<&ActionSpec> {
        self.actions.iter().find(|action| action.name == name)
    }

    /// The JSON that `meta-data` prints.
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).unwrap_or_else(|_| "{}".to_owned())
    }

    /// Reads what `meta-data` printed: our JSON, or OCF's XML.
    ///
    /// # Errors
    /// The text is neither; the message says what was found.
    pub fn parse(text: &str) -> Result<MetaData, String> {
        let start = text.trim_start();
        if start.starts_with('<') {
            return crate::ocf::parse_meta_data(text);
        }
        if !start.starts_with('{') {
            return Err(format!(
                "expected JSON or OCF XML, found {}",
                match start.chars().next() {
                    None => "nothing".to_owned(),
                    Some(_) => format!("{:?}", start.chars().take(40).collect::<String>()),
                }
            ));
        }
        serde_json::from_str(start).map_err(|error| format!("the JSON does not fit: {error}"))
    }
}

impl Parameter {
    /// An optional text parameter; the methods below refine it.
    pub(crate) fn new(name: &str, kind: Kind, description: &str) -> Parameter {
        Parameter {
            name: name.to_owned(),
            required: false,
            kind,
            default: None,
            description: description.to_owned(),
            unique: false,
            values: Vec::new(),
            replaces: None,
            deprecated: false,
        }
    }

    pub(crate) fn required(mut self) -> Parameter {
        self.required = true;
        self
    }

    pub(crate) fn unique(mut self) -> Parameter {
        self.unique = true;
        self
    }

    pub(crate) fn default(mut self, value: &str) -> Parameter {
        self.default = Some(value.to_owned());
        self
    }

    pub(crate) fn values(mut self, values: &[&str]) -> Parameter {
        self.values = values.iter().map(|value| (*value).to_owned()).collect();
        self
    }
}

impl ActionSpec {
    pub(crate) fn new(name: &str, timeout_ms: u64) -> ActionSpec {
        ActionSpec { name: name.to_owned(), timeout_ms: Some(timeout_ms), interval_ms: None }
    }

    pub(crate) fn every(mut self, interval_ms: u64) -> ActionSpec {
        self.interval_ms = Some(interval_ms);
        self
    }
}

impl Kind {
    /// The word in the JSON.
    pub fn word(self) -> &'static str {
        match self {
            Kind::Address => "address",
            Kind::Boolean => "boolean",
            Kind::Duration => "duration",
            Kind::Integer => "integer",
            Kind::Path => "path",
            Kind::String => "string",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_of_every_builtin_reads_back() {
        for name in crate::BUILTIN {
            let meta = crate::meta_data(name).expect("builtin has meta-data");
            assert_eq!(MetaData::parse(&meta.to_json()).as_ref(), Ok(&meta));
        }
    }

    #[test]
    fn no_builtin_uses_a_reserved_parameter_name() {
        for name in crate::BUILTIN {
            let meta = crate::meta_data(name).expect("builtin has meta-data");
            for parameter in &meta.parameters {
                assert!(!RESERVED.contains(&parameter.name.as_str()), "{name} {}", parameter.name);
            }
            if let Some(primary) = &meta.primary {
                assert!(meta.parameter(primary).is_some(), "{name}: {primary}");
            }
        }
    }

    #[test]
    fn text_that_is_neither_json_nor_xml_is_an_error() {
        assert!(MetaData::parse("").unwrap_err().contains("nothing"));
        assert!(MetaData::parse("usage: foo").unwrap_err().contains("usage: foo"));
        assert!(MetaData::parse("{\"name\": 3}").unwrap_err().contains("does not fit"));
    }
}
