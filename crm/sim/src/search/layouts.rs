//! Layouts small enough to be searched: one link, one short resource a group, slow heartbeats and
//! short times, so that little happens between two things that matter.

use crate::layouts::{Layout, Shape};

macro_rules! text {
    ($($part:tt)*) => {
        concat!(
            "cluster: rehearsal\nheartbeat: {keepalive: 500ms, warntime: 1s, deadtime: 1500ms, \
             initdead: 3s, lease: 3s, stop_margin: 500ms, watchdog: 4s, election: 500ms, \
             rejoin_after: 500ms}\n",
            $($part)*
        )
    };
}

macro_rules! devices {
    () => {
        "fencing:\n  alpha: {agent: command, command: /usr/local/sbin/off-alpha, timeout: 2s}\n  \
         beta: {agent: command, command: /usr/local/sbin/off-beta, timeout: 2s}\nfencing_delay: 3s\n"
    };
}

macro_rules! pair {
    () => {
        "nodes:\n  alpha: {links: [10.0.0.1]}\n  beta: {links: [10.0.0.2]}\n"
    };
}

macro_rules! armed {
    () => {
        "nodes:\n  alpha: {links: [10.0.0.1], watchdog: /dev/watchdog}\n  \
         beta: {links: [10.0.0.2], watchdog: /dev/watchdog}\n"
    };
}

macro_rules! witness {
    () => {
        "witness: 10.0.0.99\n"
    };
}

/// A stop may hang for longer than T_out; nothing is looked at in between.
macro_rules! group {
    ($name:literal, $lines:literal, $more:literal) => {
        concat!(
            "  ",
            $name,
            ":\n    prefer: [alpha, beta]\n",
            $lines,
            "    resources:\n      \
             - ocf:rehearsal:",
            $name,
            ": {name: disk, interval: 1h, \
             timeouts: {start: 5s, stop: 16s, status: 4s}",
            $more,
            "}\n"
        )
    };
}

const fn group(name: &'static str) -> Shape {
    Shape { name, prefer: &[], resources: &[], stateless: false, ties: &[] }
}

const PAIR: &[&str] = &["alpha", "beta"];
const DB: &[Shape] = &[group("db")];

const fn layout(name: &'static str, about: &'static str, file: &'static str) -> Layout {
    Layout {
        name,
        about,
        nodes: PAIR,
        witness: false,
        watchdog: false,
        device: false,
        groups: DB,
        file: Some(file),
        roles: false,
        survives_one: false,
    }
}

/// Every layout that is searched.
pub const SEARCHED: &[Layout] = &[
    Layout {
        device: true,
        ..layout(
            "pair",
            "two nodes, fencing devices",
            text!(pair!(), devices!(), "groups:\n", group!("db", "", "")),
        )
    },
    Layout {
        witness: true,
        watchdog: true,
        ..layout(
            "pair-witness-watchdog",
            "two nodes with armed watchdogs and a witness",
            text!(armed!(), witness!(), "fencing: none\ngroups:\n", group!("db", "", "")),
        )
    },
    Layout {
        nodes: &["alpha", "beta", "gamma"],
        watchdog: true,
        ..layout(
            "trio-watchdog",
            "three nodes with armed watchdogs",
            text!(
                armed!(),
                "  gamma: {links: [10.0.0.3], watchdog: /dev/watchdog}\n",
                "fencing: none\ngroups:\n",
                group!("db", "", "")
            ),
        )
    },
    Layout {
        witness: true,
        device: true,
        ..layout(
            "pair-witness",
            "two nodes, a witness, fencing devices",
            text!(pair!(), witness!(), devices!(), "groups:\n", group!("db", "", "")),
        )
    },
    Layout {
        groups: &[group("db"), group("web")],
        ..layout(
            "pair-none",
            "two nodes, `fencing: none`: data waits for its owner, an address moves on silence",
            text!(
                pair!(),
                "fencing: none\ngroups:\n",
                group!("db", "", ""),
                group!("web", "", ", stateless: true")
            ),
        )
    },
    Layout {
        device: true,
        groups: &[group("db"), group("files"), group("reports")],
        ..layout(
            "pair-tied",
            "two nodes, fencing devices, three groups: the last starts after the first",
            text!(
                pair!(),
                devices!(),
                "groups:\n",
                group!("db", "", ""),
                group!("files", "    failback: auto\n", ""),
                group!("reports", "    runs_with: [db]\n    starts_after: [db]\n", "")
            ),
        )
    },
];

/// The layout of this name.
#[must_use]
pub fn find(name: &str) -> Option<Layout> {
    SEARCHED.iter().find(|layout| layout.name == name).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_searched_layout_parses() {
        for layout in SEARCHED {
            let cluster = crate::layouts::parse(&layout.text());
            let cluster = cluster.unwrap_or_else(|error| panic!("{}: {error}", layout.name));
            assert_eq!(cluster.nodes.len(), layout.nodes.len());
            assert_eq!(cluster.groups.len(), layout.groups.len());
        }
    }
}
