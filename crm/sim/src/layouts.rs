//! Named clusters to rehearse. Each is a configuration text, as an admin would write it.

use crm_core::id::{GroupId, NodeId, ResourceId};
use crm_core::model::{
    AgentClass, AgentRef, Cluster, Failback, FenceDevice, Fencing, Group, NodeSpec, OnFail,
    Resource, RestartPolicy, Timeouts, Timing, WITNESS, WitnessSpec,
};
use crm_core::time::Span;
use std::collections::BTreeMap;

/// A cluster by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    pub name: &'static str,
    /// What is special about it, for `--list-layouts`.
    pub about: &'static str,
    pub nodes: &'static [&'static str],
    pub witness: bool,
    pub watchdog: bool,
    pub device: bool,
    pub groups: &'static [Shape],
    /// One machine may be lost for good, and every group still runs within bounds.
    pub survives_one: bool,
}

/// A group of a layout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    pub name: &'static str,
    pub prefer: &'static [&'static str],
    pub resources: &'static [&'static str],
    pub stateless: bool,
}

const DB: Shape = Shape {
    name: "db",
    prefer: &["alpha", "beta"],
    resources: &["disk", "mysql", "address"],
    stateless: false,
};
const FILES: Shape = Shape {
    name: "files",
    prefer: &["beta", "alpha"],
    resources: &["mount", "nfs"],
    stateless: false,
};
const WEB: Shape = Shape {
    name: "web",
    prefer: &["beta", "alpha"],
    resources: &["vip", "proxy"],
    stateless: true,
};

/// Every layout that `crm-sim` runs when none is named.
pub const LAYOUTS: &[Layout] = &[
    Layout {
        name: "single",
        about: "one machine",
        nodes: &["alpha"],
        witness: false,
        watchdog: false,
        device: false,
        groups: &[DB],
        survives_one: false,
    },
    Layout {
        name: "pair",
        about: "two machines, fencing devices",
        nodes: &["alpha", "beta"],
        witness: false,
        watchdog: false,
        device: true,
        groups: &[DB],
        survives_one: true,
    },
    Layout {
        name: "both-ha",
        about: "two machines that back one another up, fencing devices",
        nodes: &["alpha", "beta"],
        witness: false,
        watchdog: false,
        device: true,
        groups: &[DB, FILES],
        survives_one: true,
    },
    Layout {
        name: "pair-stateless",
        about: "two machines, no fencing, an address that moves on silence",
        nodes: &["alpha", "beta"],
        witness: false,
        watchdog: false,
        device: false,
        groups: &[WEB],
        survives_one: true,
    },
    Layout {
        name: "trio",
        about: "three machines, fencing devices",
        nodes: &["alpha", "beta", "gamma"],
        witness: false,
        watchdog: false,
        device: true,
        groups: &[DB, FILES],
        survives_one: true,
    },
    Layout {
        name: "trio-nodevice",
        about: "three machines, no fencing: data waits for its owner",
        nodes: &["alpha", "beta", "gamma"],
        witness: false,
        watchdog: false,
        device: false,
        groups: &[DB, FILES],
        survives_one: false,
    },
    Layout {
        name: "five",
        about: "five machines, fencing devices",
        nodes: &["alpha", "beta", "gamma", "delta", "epsilon"],
        witness: false,
        watchdog: false,
        device: true,
        groups: &[DB, FILES, WEB],
        survives_one: true,
    },
];

/// Layouts that wait for watchdog or witness; run by name.
pub const FURTHER: &[Layout] = &[
    Layout {
        name: "pair-witness",
        about: "two machines and a witness, fencing devices",
        nodes: &["alpha", "beta"],
        witness: true,
        watchdog: false,
        device: true,
        groups: &[DB],
        survives_one: true,
    },
    Layout {
        name: "trio-watchdog",
        about: "three machines with armed watchdogs, no devices",
        nodes: &["alpha", "beta", "gamma"],
        witness: false,
        watchdog: true,
        device: false,
        groups: &[DB, FILES],
        survives_one: true,
    },
];

/// The layout of this name.
#[must_use]
pub fn find(name: &str) -> Option<Layout> {
    LAYOUTS.iter().chain(FURTHER).find(|layout| layout.name == name).copied()
}

impl Layout {
    /// Machines in order of their seats; the witness last.
    #[must_use]
    pub fn machines(&self) -> Vec<NodeId> {
        let witness = self.witness.then_some(WITNESS);
        self.nodes.iter().copied().chain(witness).map(NodeId::new).collect()
    }

    /// The configuration text.
    #[must_use]
    pub fn text(&self) -> String {
        self.text_of_revision(0)
    }

    /// The same configuration, edited harmlessly: what an operator applies.
    #[must_use]
    pub fn text_of_revision(&self, revision: u64) -> String {
        let mut cluster = self.cluster();
        for group in &mut cluster.groups {
            group.restart.count = 3 + (revision % 4) as u32;
        }
        serde_json::to_string(&cluster).unwrap_or_default()
    }

    fn cluster(&self) -> Cluster {
        let devices: BTreeMap<_, _> = self
            .nodes
            .iter()
            .map(|node| {
                let device = FenceDevice {
                    agent: "fence_ipmilan".to_owned(),
                    params: BTreeMap::new(),
                    timeout: Span::secs(10),
                };
                (NodeId::new(node), vec![device])
            })
            .collect();
        Cluster {
            name: "rehearsal".to_owned(),
            nodes: self
                .nodes
                .iter()
                .map(|node| NodeSpec {
                    id: NodeId::new(node),
                    links: vec!["a".to_owned(), "b".to_owned()],
                    voter: true,
                    watchdog: self.watchdog.then(|| "/dev/watchdog".to_owned()),
                })
                .collect(),
            witness: self.witness.then(|| WitnessSpec { address: "w".to_owned() }),
            timing: Timing {
                initdead: Span::secs(5),
                watchdog: Span::secs(4),
                ..Timing::default()
            },
            fencing: if self.device {
                Fencing::Devices { devices, delay: Span::secs(12) }
            } else {
                Fencing::None
            },
            tiebreak_ping: None,
            groups: self.groups.iter().map(Shape::group).collect(),
            services: Vec::new(),
            operators: Vec::new(),
        }
    }
}

impl Shape {
    fn group(&self) -> Group {
        Group {
            id: GroupId::new(self.name),
            prefer: self.prefer.iter().copied().map(NodeId::new).collect(),
            only_preferred: false,
            failback: Failback::Manual,
            resources: self.resources.iter().map(|name| resource(name, self.stateless)).collect(),
            runs_with: Vec::new(),
            avoids: Vec::new(),
            starts_after: Vec::new(),
            follow: None,
            priority: 0,
            restart: RestartPolicy { count: 3, window: Span::secs(600) },
            failure_expiry: Span::secs(3600),
            unsafe_failover: false,
        }
    }
}

fn resource(name: &str, stateless: bool) -> Resource {
    Resource {
        id: ResourceId::new(name),
        agent: AgentRef { class: AgentClass::Own, name: "process".to_owned() },
        params: BTreeMap::new(),
        args: Vec::new(),
        timeouts: Timeouts { start: Span::secs(8), stop: Span::secs(8), status: Span::secs(4) },
        interval: Span::secs(5),
        on_fail: OnFail::Restart,
        stateless,
        observe_everywhere: false,
    }
}

/// The parser that nodes are given.
///
/// # Errors
/// One line that says what is wrong.
pub fn parse(text: &str) -> Result<Cluster, String> {
    serde_json::from_str(text).map_err(|error| error.to_string())
}

/// A resource for unit tests.
#[cfg(test)]
pub(crate) fn sample_resource() -> Resource {
    resource("disk", false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_layout_parses_and_every_revision_differs() {
        for layout in LAYOUTS.iter().chain(FURTHER) {
            let cluster = parse(&layout.text()).unwrap_or_else(|e| panic!("{}: {e}", layout.name));
            assert_eq!(cluster.nodes.len(), layout.nodes.len());
            assert_eq!(cluster.groups.len(), layout.groups.len());
            assert_ne!(layout.text(), layout.text_of_revision(1));
            assert!(parse(&layout.text_of_revision(3)).is_ok());
        }
    }
}
