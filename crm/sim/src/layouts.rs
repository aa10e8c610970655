//! Named clusters to rehearse. Each is a configuration text, as an admin would write it.

use crm_core::id::NodeId;
use crm_core::model::{Cluster, WITNESS};
use std::fmt::Write;

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
    /// The configuration is this file, not one drawn up from the fields here.
    pub file: Option<&'static str>,
    /// It has a service with roles that somebody else manages.
    pub roles: bool,
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
    /// Further lines of the configuration, about where and when it runs.
    pub ties: &'static [&'static str],
}

const DB: Shape = Shape {
    name: "db",
    prefer: &["alpha", "beta"],
    resources: &["disk", "mysql", "address"],
    stateless: false,
    ties: &[],
};
const FILES: Shape = Shape {
    name: "files",
    prefer: &["beta", "alpha"],
    resources: &["mount", "nfs"],
    stateless: false,
    ties: &[],
};
const WEB: Shape = Shape {
    name: "web",
    prefer: &["beta", "alpha"],
    resources: &["vip", "proxy"],
    stateless: true,
    ties: &[],
};
/// Beside the database, and only once it runs.
const REPORTS: Shape = Shape {
    name: "reports",
    prefer: &["beta", "alpha"],
    resources: &["proxy"],
    stateless: false,
    ties: &["runs_with: [db]", "starts_after: [db]"],
};
/// Not beside the database if it can be helped; goes home by itself.
const ARCHIVE: Shape = Shape {
    name: "archive",
    prefer: &["alpha", "gamma"],
    resources: &["mount", "nfs"],
    stateless: false,
    ties: &["avoids: [db]", "failback: auto"],
};
const MAIL: Shape = Shape {
    name: "mail",
    prefer: &["gamma", "alpha"],
    resources: &["vip"],
    stateless: false,
    ties: &["starts_after: [archive, reports]", "priority: 5"],
};

const RW: Shape = Shape {
    name: "rw",
    prefer: &[],
    resources: &["vip"],
    stateless: true,
    ties: &["follow: pg primary"],
};
const RO: Shape = Shape {
    name: "ro",
    prefer: &[],
    resources: &["address"],
    stateless: true,
    ties: &["follow: pg standby", "otherwise: primary"],
};

/// At home where nobody votes.
const ROAMING: Shape = Shape {
    name: "roaming",
    prefer: &["n30", "n31", "n02"],
    resources: &["disk", "mysql"],
    stateless: false,
    ties: &[],
};
const ROAMING_TOO: Shape = Shape {
    name: "roaming-too",
    prefer: &["n01", "n29"],
    resources: &["mount", "nfs"],
    stateless: false,
    ties: &[],
};

/// A group that the layout's file describes.
const fn named(name: &'static str) -> Shape {
    Shape { name, prefer: &[], resources: &[], stateless: false, ties: &[] }
}

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
        file: None,
        roles: false,
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
        file: None,
        roles: false,
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
        file: None,
        roles: false,
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
        file: None,
        roles: false,
        survives_one: true,
    },
    Layout {
        name: "pair-roles",
        about: "two machines, fencing devices, two addresses that follow the roles of a service",
        nodes: &["alpha", "beta"],
        witness: false,
        watchdog: false,
        device: true,
        groups: &[RW, RO],
        file: None,
        roles: true,
        survives_one: true,
    },
    Layout {
        name: "example",
        about: "cluster.yaml.example: both back each other up, devices and watchdogs",
        nodes: &["alpha", "beta"],
        witness: false,
        watchdog: true,
        device: true,
        groups: &[named("db1"), named("db2"), named("web")],
        file: Some(include_str!("../../../cluster.yaml.example")),
        roles: false,
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
        file: None,
        roles: false,
        survives_one: true,
    },
    Layout {
        name: "trio-tied",
        about: "three machines, fencing devices; groups that wait for, follow and avoid one another",
        nodes: &["alpha", "beta", "gamma"],
        witness: false,
        watchdog: false,
        device: true,
        groups: &[DB, REPORTS, ARCHIVE, MAIL],
        file: None,
        roles: false,
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
        file: None,
        roles: false,
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
        file: None,
        roles: false,
        survives_one: true,
    },
    Layout {
        name: "pair-witness",
        about: "two machines and a witness, fencing devices",
        nodes: &["alpha", "beta"],
        witness: true,
        watchdog: false,
        device: true,
        groups: &[DB],
        file: None,
        roles: false,
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
        file: None,
        roles: false,
        survives_one: true,
    },
    Layout {
        name: "pair-witness-watchdog",
        about: "two machines with armed watchdogs and a witness, no devices",
        nodes: &["alpha", "beta"],
        witness: true,
        watchdog: true,
        device: false,
        groups: &[DB],
        file: None,
        roles: false,
        survives_one: true,
    },
    Layout {
        name: "five-watchdog",
        about: "five machines with armed watchdogs, no devices",
        nodes: &["alpha", "beta", "gamma", "delta", "epsilon"],
        witness: false,
        watchdog: true,
        device: false,
        groups: &[DB, FILES, WEB],
        file: None,
        roles: false,
        survives_one: true,
    },
];

/// Layouts that take long: they run when they are named.
pub const LARGE: &[Layout] = &[
    Layout {
        name: "seven",
        about: "seven machines, fencing devices",
        nodes: &["alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta"],
        witness: false,
        watchdog: false,
        device: true,
        groups: &[DB, FILES, WEB],
        file: None,
        roles: false,
        survives_one: true,
    },
    Layout {
        name: "crowd",
        about: "thirty-two machines, fencing devices; the first seven vote",
        nodes: &[
            "n01", "n02", "n03", "n04", "n05", "n06", "n07", "n08", "n09", "n10", "n11", "n12",
            "n13", "n14", "n15", "n16", "n17", "n18", "n19", "n20", "n21", "n22", "n23", "n24",
            "n25", "n26", "n27", "n28", "n29", "n30", "n31", "n32",
        ],
        witness: false,
        watchdog: false,
        device: true,
        groups: &[ROAMING, ROAMING_TOO],
        file: None,
        roles: false,
        survives_one: true,
    },
];

/// The layout of this name.
#[must_use]
pub fn find(name: &str) -> Option<Layout> {
    LAYOUTS.iter().chain(LARGE).find(|layout| layout.name == name).copied()
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

    /// The same configuration, edited: what an operator applies. The first three differ in
    /// `restarts` only, [`LONGER`] in times, [`FEWER`] lacks the last group, [`CHANGED`] has
    /// another first resource under the same name, [`FEWER_VOTERS`] has fewer voters.
    #[must_use]
    pub fn text_of_revision(&self, revision: u64) -> String {
        if let Some(file) = self.file {
            return format!("{file}\n# Revision {revision}.\n");
        }
        let mut text = format!("cluster: {NAME}\nnodes:\n");
        for (seat, node) in self.nodes.iter().enumerate() {
            let watchdog = if self.watchdog { ", watchdog: /dev/watchdog" } else { "" };
            let last = seat + 1 == self.nodes.len();
            let voter =
                if last && seat > 1 && revision == FEWER_VOTERS { ", voter: false" } else { "" };
            let _ = writeln!(
                text,
                "  {node}: {{links: [10.0.0.{n}, 10.0.1.{n}]{watchdog}{voter}}}",
                n = seat + 1
            );
        }
        if self.witness {
            text.push_str("witness: 10.0.0.99\n");
        }
        let longer = revision == LONGER;
        let watchdog = match (self.watchdog, longer) {
            (false, _) => "",
            (true, false) => ", watchdog: 4s",
            (true, true) => ", watchdog: 6s",
        };
        let deadtime = if longer { "2s" } else { "1s" };
        let _ = writeln!(text, "heartbeat: {{deadtime: {deadtime}, initdead: 5s{watchdog}}}");
        if self.device {
            text.push_str("fencing:\n");
            for node in self.nodes {
                let _ = writeln!(
                    text,
                    "  {node}: {{agent: command, command: /usr/local/sbin/off-{node}, timeout: 10s}}"
                );
            }
            text.push_str("fencing_delay: 12s\n");
        } else {
            text.push_str("fencing: none\n");
        }
        if self.roles {
            text.push_str("services:\n  pg: {agent: ocf:rehearsal:pg, kind: observed}\n");
        }
        text.push_str("groups:\n");
        let kept = match self.groups.len() {
            many @ 2.. if revision == FEWER => many - 1,
            all => all,
        };
        for group in &self.groups[..kept] {
            group.write(&mut text, self.nodes, revision);
        }
        text
    }
}

impl Shape {
    fn write(&self, text: &mut String, nodes: &[&str], revision: u64) {
        let name = self.name;
        // A lone machine names no absent ones: the configuration would be refused.
        let prefer: Vec<&str> =
            self.prefer.iter().copied().filter(|node| nodes.contains(node)).collect();
        let _ = writeln!(text, "  {name}:\n    prefer: [{}]", prefer.join(", "));
        for tie in self.ties {
            let _ = writeln!(text, "    {tie}");
        }
        let _ = writeln!(text, "    restarts: {}\n    resources:", 3 + revision % 4);
        for (place, resource) in self.resources.iter().enumerate() {
            let stateless = if self.stateless { ", stateless: true" } else { "" };
            let other = place == 0 && revision == CHANGED;
            let other = if other { ", params: {size: large}" } else { "" };
            let _ = writeln!(
                text,
                "      - ocf:rehearsal:{resource}: {{name: {resource}, interval: 5s, \
                 timeouts: {{start: 8s, stop: 8s, status: 4s}}{stateless}{other}}}"
            );
        }
    }
}

/// Revision with a longer `deadtime` and a slower watchdog.
pub const LONGER: u64 = 4;
/// Revision without the last group, where there are several.
pub const FEWER: u64 = 5;
/// Revision in which the first resource of each group has another parameter.
pub const CHANGED: u64 = 6;
/// Revision in which the last of three or more nodes does not vote.
pub const FEWER_VOTERS: u64 = 7;

/// Name of every rehearsed cluster.
pub const NAME: &str = "rehearsal";

/// The parser that nodes are given.
///
/// # Errors
/// One line that says what is wrong.
pub fn parse(text: &str) -> Result<Cluster, String> {
    crm_config::parse_for_core(text)
}

/// A resource for unit tests.
#[cfg(test)]
pub(crate) fn sample_resource() -> crm_core::model::Resource {
    let cluster = find("single").and_then(|layout| parse(&layout.text()).ok());
    let group = cluster.and_then(|cluster| cluster.groups.into_iter().next());
    group
        .and_then(|group| group.resources.into_iter().next())
        .unwrap_or_else(|| panic!("no resource"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_layout_parses_and_every_revision_differs() {
        for layout in LAYOUTS.iter().chain(LARGE) {
            let cluster = parse(&layout.text()).unwrap_or_else(|e| panic!("{}: {e}", layout.name));
            assert_eq!(cluster.nodes.len(), layout.nodes.len());
            assert_eq!(cluster.groups.len(), layout.groups.len());
            assert_ne!(layout.text(), layout.text_of_revision(1));
            for revision in 1..=FEWER_VOTERS {
                let parsed = parse(&layout.text_of_revision(revision));
                assert!(parsed.is_ok(), "{} {revision}: {parsed:?}", layout.name);
            }
        }
    }
}
