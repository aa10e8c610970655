//! What reading a configuration must know about our own agents.
//!
//! A table, not a question to the machine: the meaning of a configuration must be the same on all
//! nodes, whatever is installed there. A test of the workspace compares it with the agents.

use crm_core::model::{AgentClass, AgentRef, Timeouts};
use crm_core::time::Span;
use std::collections::BTreeMap;

/// One of our own agents, as `cluster.yaml` sees it.
#[derive(Clone, Copy, Debug)]
pub struct OwnAgent {
    /// Its bare name.
    pub name: &'static str,
    /// The parameter that a scalar stands for.
    pub primary: Option<&'static str>,
    /// Parameters without which it cannot work.
    pub required: &'static [&'static str],
    /// Two copies do no harm to data.
    pub stateless: bool,
    /// The admin may say that this one is stateless: what it runs decides.
    pub stateless_is_admins_choice: bool,
    /// `status` runs on every node that may run it.
    pub observe_everywhere: bool,
    /// It can hold a role on each node of a service.
    pub roles: bool,
}

const PLAIN: OwnAgent = OwnAgent {
    name: "",
    primary: None,
    required: &[],
    stateless: false,
    stateless_is_admins_choice: false,
    observe_everywhere: false,
    roles: false,
};

/// Every agent of our own, by name.
pub const OWN_AGENTS: &[OwnAgent] = &[
    OwnAgent { name: "apache", primary: Some("config"), stateless_is_admins_choice: true, ..PLAIN },
    OwnAgent {
        name: "drbd",
        primary: Some("drbd_resource"),
        required: &["drbd_resource"],
        observe_everywhere: true,
        ..PLAIN
    },
    OwnAgent { name: "filesystem", required: &["device", "at"], ..PLAIN },
    OwnAgent { name: "mysql", primary: Some("datadir"), required: &["datadir"], ..PLAIN },
    OwnAgent {
        name: "nfs",
        primary: Some("directories"),
        required: &["directories", "clients", "mount"],
        ..PLAIN
    },
    OwnAgent { name: "oracle", primary: Some("sid"), required: &["sid"], ..PLAIN },
    OwnAgent {
        name: "pgsql",
        primary: Some("datadir"),
        required: &["datadir"],
        observe_everywhere: true,
        roles: true,
        ..PLAIN
    },
    OwnAgent {
        name: "process",
        primary: Some("command"),
        required: &["command"],
        stateless_is_admins_choice: true,
        ..PLAIN
    },
    OwnAgent { name: "samba", primary: Some("config"), required: &["config", "address"], ..PLAIN },
    OwnAgent {
        name: "tomcat",
        primary: Some("base"),
        required: &["base"],
        stateless_is_admins_choice: true,
        ..PLAIN
    },
    OwnAgent {
        name: "vip",
        primary: Some("address"),
        required: &["address"],
        stateless: true,
        ..PLAIN
    },
];

/// Our own agent called `name`.
#[must_use]
pub fn own_agent(name: &str) -> Option<&'static OwnAgent> {
    OWN_AGENTS.iter().find(|agent| agent.name == name)
}

impl OwnAgent {
    /// How long each action may take if the configuration does not say.
    #[must_use]
    pub fn timeouts(&self) -> Timeouts {
        match self.name {
            "vip" => {
                Timeouts { start: Span::secs(20), stop: Span::secs(20), status: Span::secs(10) }
            }
            _ => Timeouts::default(),
        }
    }
}

/// What is known of an agent on the machine where `crm check` runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentFacts {
    /// Names of all parameters that it understands; `None` if it does not say.
    pub parameters: Option<Vec<String>>,
    /// Parameters that it cannot work without.
    pub required: Vec<String>,
}

/// What is known of a fence agent on the machine where `crm check` runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum FenceAgent {
    /// This machine cannot tell.
    #[default]
    Untold,
    /// It is not installed here.
    Absent,
    /// What its meta-data say.
    Told {
        parameters: Vec<FenceParameter>,
        /// What it can be told to do: `on`, `off`, `status`, …
        actions: Vec<String>,
    },
}

/// A parameter of a fence agent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FenceParameter {
    pub name: String,
    /// Older names of it, which count as well.
    pub replaces: Option<String>,
    /// It is missing if it is not given.
    pub required: bool,
    /// The only values that it takes, if it says so.
    pub values: Vec<String>,
}

/// Answers `crm check` what is installed. It sharpens the check and never changes the meaning of a
/// configuration.
pub trait AgentCatalog {
    /// What the agent says about itself; `None` if this machine does not have it.
    fn facts(&self, agent: &AgentRef) -> Option<AgentFacts>;
    /// Whether this machine can tell at all: a workstation without agents cannot.
    fn knows_class(&self, class: &AgentClass) -> bool;
    /// Parameters whose values do not fit, each with what would.
    fn misfits(&self, _: &AgentRef, _: &BTreeMap<String, String>) -> Vec<(String, String)> {
        Vec::new()
    }
    /// What a `fence_…` program says of itself.
    fn fence_agent(&self, _: &str) -> FenceAgent {
        FenceAgent::Untold
    }
}

/// The catalog of a machine that can tell nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoCatalog;

impl AgentCatalog for NoCatalog {
    fn facts(&self, _: &AgentRef) -> Option<AgentFacts> {
        None
    }
    fn knows_class(&self, _: &AgentClass) -> bool {
        false
    }
}
