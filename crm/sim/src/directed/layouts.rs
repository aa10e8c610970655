//! Layouts that only directed plans need.

use crate::layouts::{Layout, Shape};

const DB: Shape = Shape { name: "db", prefer: &[], resources: &[], stateless: false, ties: &[] };

/// L is longer than W: only there may a chain of two leases outlast T_out, which has W to spare.
const LONG_LEASES: &str = "\
cluster: rehearsal
nodes:
  alpha: {links: [10.0.0.1, 10.0.1.1], watchdog: /dev/watchdog}
  beta: {links: [10.0.0.2, 10.0.1.2], watchdog: /dev/watchdog}
  gamma: {links: [10.0.0.3, 10.0.1.3], watchdog: /dev/watchdog}
  delta: {links: [10.0.0.4, 10.0.1.4], watchdog: /dev/watchdog}
  epsilon: {links: [10.0.0.5, 10.0.1.5], watchdog: /dev/watchdog}
heartbeat: {deadtime: 1s, initdead: 5s, lease: 20s, stop_margin: 2s, watchdog: 4s}
fencing: none
groups:
  db:
    prefer: [alpha, beta]
    resources:
      - ocf:rehearsal:disk: {name: disk, interval: 5s, timeouts: {start: 8s, stop: 8s, status: 4s}}
      - ocf:rehearsal:mysql: {name: mysql, interval: 5s, timeouts: {start: 8s, stop: 8s, status: 4s}}
";

/// A lease that outlasts a boot.
const DEVICES: &str = "\
cluster: rehearsal
nodes:
  alpha: {links: [10.0.0.1, 10.0.1.1]}
  beta: {links: [10.0.0.2, 10.0.1.2]}
  gamma: {links: [10.0.0.3, 10.0.1.3]}
  delta: {links: [10.0.0.4, 10.0.1.4]}
  epsilon: {links: [10.0.0.5, 10.0.1.5]}
heartbeat: {deadtime: 1s, initdead: 5s, lease: 10s}
fencing:
  alpha: {agent: command, command: /usr/local/sbin/off-alpha, timeout: 10s}
  beta: {agent: command, command: /usr/local/sbin/off-beta, timeout: 10s}
  gamma: {agent: command, command: /usr/local/sbin/off-gamma, timeout: 10s}
  delta: {agent: command, command: /usr/local/sbin/off-delta, timeout: 10s}
  epsilon: {agent: command, command: /usr/local/sbin/off-epsilon, timeout: 10s}
fencing_delay: 12s
groups:
  db:
    prefer: [alpha, beta]
    resources:
      - ocf:rehearsal:disk: {name: disk, interval: 5s, timeouts: {start: 8s, stop: 8s, status: 4s}}
      - ocf:rehearsal:mysql: {name: mysql, interval: 5s, timeouts: {start: 8s, stop: 8s, status: 4s}}
";

const FOUR: &str = "\
cluster: rehearsal
nodes:
  alpha: {links: [10.0.0.1, 10.0.1.1], watchdog: /dev/watchdog}
  beta: {links: [10.0.0.2, 10.0.1.2], watchdog: /dev/watchdog}
  gamma: {links: [10.0.0.3, 10.0.1.3], watchdog: /dev/watchdog}
  delta: {links: [10.0.0.4, 10.0.1.4], watchdog: /dev/watchdog}
heartbeat: {deadtime: 1s, initdead: 5s, watchdog: 4s}
fencing: none
groups:
  db:
    prefer: [alpha, beta]
    resources:
      - ocf:rehearsal:disk: {name: disk, interval: 5s, timeouts: {start: 8s, stop: 8s, status: 4s}}
";

const fn layout(
    name: &'static str,
    about: &'static str,
    nodes: &'static [&'static str],
    file: &'static str,
) -> Layout {
    Layout {
        name,
        about,
        nodes,
        witness: false,
        watchdog: true,
        device: false,
        groups: &[DB],
        file: Some(file),
        roles: false,
        survives_one: true,
    }
}

const DIRECTED: &[Layout] = &[
    layout(
        "five-long-leases",
        "five machines with armed watchdogs, leases longer than the watchdogs' margin",
        &["alpha", "beta", "gamma", "delta", "epsilon"],
        LONG_LEASES,
    ),
    layout(
        "four-watchdog",
        "four machines with armed watchdogs, no devices",
        &["alpha", "beta", "gamma", "delta"],
        FOUR,
    ),
    Layout {
        watchdog: false,
        device: true,
        ..layout(
            "five-devices",
            "five machines, fencing devices, leases longer than a boot",
            &["alpha", "beta", "gamma", "delta", "epsilon"],
            DEVICES,
        )
    },
];

/// The layout of this name.
pub(super) fn find(name: &str) -> Option<Layout> {
    DIRECTED.iter().find(|layout| layout.name == name).copied()
}

#[cfg(test)]
mod tests {
    use crate::directed::COURSES;

    #[test]
    fn every_course_has_a_layout_that_parses() {
        for (name, course, _) in COURSES {
            let layout = course.layout().unwrap_or_else(|error| panic!("{name}: {error}"));
            let cluster = crate::layouts::parse(&layout.text());
            let cluster = cluster.unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(cluster.nodes.len(), layout.nodes.len());
        }
    }
}
