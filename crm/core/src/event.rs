//! Things worth one line in the log: each says what changed and why.

use crate::id::{GroupId, NodeId, ResourceId};
use serde::{Deserialize, Serialize};
use std::fmt;

/// One change, with its cause. Steady state makes none (O18, I10).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    pub severity: Severity,
    /// A stable word for machines, such as `peer-dead`, `elected`, `group-started`.
    pub kind: String,
    pub node: Option<NodeId>,
    pub group: Option<GroupId>,
    pub resource: Option<ResourceId>,
    /// One sentence for people.
    pub text: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    Info,
    Warning,
    Error,
}

impl Event {
    #[must_use]
    pub fn new(severity: Severity, kind: &str, text: impl Into<String>) -> Event {
        Event {
            severity,
            kind: kind.to_owned(),
            node: None,
            group: None,
            resource: None,
            text: text.into(),
        }
    }
    #[must_use]
    pub fn info(kind: &str, text: impl Into<String>) -> Event {
        Event::new(Severity::Info, kind, text)
    }
    #[must_use]
    pub fn warning(kind: &str, text: impl Into<String>) -> Event {
        Event::new(Severity::Warning, kind, text)
    }
    #[must_use]
    pub fn error(kind: &str, text: impl Into<String>) -> Event {
        Event::new(Severity::Error, kind, text)
    }
    #[must_use]
    pub fn node(mut self, node: &NodeId) -> Event {
        self.node = Some(node.clone());
        self
    }
    #[must_use]
    pub fn group(mut self, group: &GroupId) -> Event {
        self.group = Some(group.clone());
        self
    }
    #[must_use]
    pub fn resource(mut self, resource: &ResourceId) -> Event {
        self.resource = Some(resource.clone());
        self
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind, self.text)
    }
}
