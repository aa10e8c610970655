//! A resource: one thing that an agent starts, stops and looks at.

use crate::id::ResourceId;
use crate::same::hash_by;
use crate::time::Span;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// One step of a group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resource {
    pub id: ResourceId,
    pub agent: AgentRef,
    pub params: BTreeMap<String, String>,
    /// Positional arguments, for `heartbeat:` and `lsb:` only.
    pub args: Vec<String>,
    pub timeouts: Timeouts,
    /// Between two polls of `status`, beside the events.
    pub interval: Span,
    pub on_fail: OnFail,
    /// Two copies do no harm to data: declared by the agent, or said by the admin.
    pub stateless: bool,
    /// `status` also runs on nodes that do not run the group, to know who may (design 3.3).
    pub observe_everywhere: bool,
}

/// How long each action may take before it is killed and counts as failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timeouts {
    pub start: Span,
    pub stop: Span,
    pub status: Span,
}

impl Default for Timeouts {
    fn default() -> Timeouts {
        Timeouts { start: Span::secs(60), stop: Span::secs(60), status: Span::secs(20) }
    }
}

/// What a failure that `status` confirms leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum OnFail {
    /// Restart in place up to the group's limit, then move.
    Restart,
    /// Move at once.
    Move,
    /// Report only.
    Ignore,
    /// Leave everything as it is and wait for the operator.
    Block,
}

/// Which program speaks for a resource.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct AgentRef {
    pub class: AgentClass,
    pub name: String,
}

/// The families of agents.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum AgentClass {
    /// Our own, by bare name.
    Own,
    /// `ocf:PROVIDER:NAME`.
    Ocf { provider: String },
    /// `systemd:UNIT`.
    Systemd,
    /// `lsb:SCRIPT`.
    Lsb,
    /// `heartbeat:SCRIPT`: resource.d, positional arguments, status judged by its words.
    Heartbeat,
}

impl fmt::Display for AgentRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.class {
            AgentClass::Own => f.write_str(&self.name),
            AgentClass::Ocf { provider } => write!(f, "ocf:{provider}:{}", self.name),
            AgentClass::Systemd => write!(f, "systemd:{}", self.name),
            AgentClass::Lsb => write!(f, "lsb:{}", self.name),
            AgentClass::Heartbeat => write!(f, "heartbeat:{}", self.name),
        }
    }
}

impl Resource {
    /// Whether two definitions mean the same running thing: no restart is needed between them.
    #[must_use]
    pub fn is_same_thing(&self, other: &Resource) -> bool {
        self.id == other.id && self.acts_alike(other)
    }

    /// Whether two definitions, whatever their names, act on the same thing: the same address, mount or program.
    #[must_use]
    pub fn acts_alike(&self, other: &Resource) -> bool {
        self.agent == other.agent && self.params == other.params && self.args == other.args
    }
}

hash_by!(Resource: id);
