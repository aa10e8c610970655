//! The configuration that is rehearsed, and the lengths of time that follow from it.

use super::pace;
use crate::clock::{Micros, SECOND};
use crate::layouts::{self, Layout, Shape};
use crm_config::{Protection, budget};
use crm_core::model::{Cluster, Group};
use crm_core::operation::Action;

/// A configuration to rehearse.
#[derive(Clone, Debug)]
pub struct Subject {
    pub layout: Layout,
    pub cluster: Cluster,
    /// A short digest of the text: a token of another text is told apart.
    pub digest: u32,
    /// After so long without a start, a stop or a change of power nothing more is to be expected.
    pub quiet: Micros,
    /// The longest failover that the budget allows, if there is one.
    pub failover: Micros,
    /// No part of a run lasts longer than this.
    pub longest: Micros,
}

impl Subject {
    /// Reads a configuration.
    ///
    /// # Errors
    /// What forbids it, in one line.
    pub fn new(text: &str) -> Result<Subject, String> {
        let cluster = layouts::parse(text)?;
        let layout = layout(text, &cluster);
        let failovers = budget(&cluster).into_iter().filter_map(|group| group.at_worst);
        let failover = failovers.max().unwrap_or(cluster.timing.deadtime).as_micros();
        let slowest_call = cluster
            .groups
            .iter()
            .flat_map(|group| &group.resources)
            .map(|resource| resource.timeouts.start.max(resource.timeouts.stop).as_micros())
            .max()
            .unwrap_or_default();
        let starts: Micros =
            cluster.groups.iter().map(|group| start_time(group).1).fold(0, Micros::saturating_add);
        let patience = failover.max(cluster.timing.initdead.as_micros());
        Ok(Subject {
            layout,
            digest: digest(text),
            quiet: patience.saturating_add(QUIET_MORE),
            failover,
            longest: patience
                .saturating_mul(4)
                .saturating_add(starts)
                .saturating_add(slowest_call.saturating_mul(8))
                .saturating_add(LONGEST_MORE),
            cluster,
        })
    }

    /// Whether some other node could run this group.
    #[must_use]
    pub fn can_move(&self, group: &Group) -> bool {
        let budget = budget(&self.cluster).into_iter().find(|budget| budget.group == group.id);
        budget.is_some_and(|budget| budget.protection != Protection::NoOtherNode)
    }
}

/// Shortest and longest sum of the assumed starts of a group, one after the other.
#[must_use]
pub(super) fn start_time(group: &Group) -> (Micros, Micros) {
    group.resources.iter().fold((0, 0), |(low, high), resource| {
        let (least, most) = pace::of(resource, Action::Start);
        (low + least, high + most)
    })
}

/// For people: `4.2s`, `2m 05s`.
#[must_use]
pub(super) fn span(time: Micros) -> String {
    let tenths = (time + SECOND / 20) / (SECOND / 10);
    let (seconds, tenth) = (tenths / 10, tenths % 10);
    if seconds < 120 {
        format!("{seconds}.{tenth}s")
    } else {
        format!("{}m {:02}s", seconds / 60, seconds % 60)
    }
}

/// A layout lives as long as the program, as the named ones do; a program rehearses few texts.
fn layout(text: &str, cluster: &Cluster) -> Layout {
    fn kept(text: &str) -> &'static str {
        Box::leak(text.to_owned().into_boxed_str())
    }
    let nodes: Vec<&'static str> =
        cluster.nodes.iter().map(|node| kept(node.id.as_str())).collect();
    let shape = |group: &Group| Shape {
        name: kept(group.id.as_str()),
        prefer: &[],
        resources: &[],
        stateless: group.is_stateless(),
        ties: &[],
    };
    let groups: Vec<Shape> = cluster.groups.iter().map(shape).collect();
    Layout {
        name: "rehearsal",
        about: "a configuration of its owner",
        nodes: Vec::leak(nodes),
        witness: cluster.witness.is_some(),
        watchdog: cluster.nodes.iter().any(|node| node.watchdog.is_some()),
        device: cluster.nodes.iter().any(|node| cluster.has_device(&node.id)),
        groups: Vec::leak(groups),
        file: Some(kept(text)),
        roles: false,
        survives_one: false,
    }
}

fn digest(text: &str) -> u32 {
    let fnv = |state: u32, byte: u8| (state ^ u32::from(byte)).wrapping_mul(0x0100_0193);
    text.bytes().fold(0x811c_9dc5, fnv) & 0x00ff_ffff
}

/// Beyond the longest failover and `initdead`: a machine that was shot boots, leases run out.
const QUIET_MORE: Micros = 15 * SECOND;
const LONGEST_MORE: Micros = 120 * SECOND;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_follow_the_configuration() {
        let text = include_str!("../../../../cluster.yaml.example");
        let subject = Subject::new(text).unwrap();
        assert!(subject.failover > 25 * SECOND, "{}", subject.failover);
        assert!(subject.quiet > subject.failover && subject.longest > 120 * SECOND);
        assert_eq!(subject.layout.nodes, ["alpha", "beta"]);
        assert_ne!(subject.digest, Subject::new(&format!("{text}\n#")).unwrap().digest);
        assert!(Subject::new("cluster: [").is_err());
    }

    #[test]
    fn spans_are_rounded_for_people() {
        let spans = [0, 4_237_911, 99_960_000, 125_000_000].map(span);
        assert_eq!(spans, ["0.0s", "4.2s", "100.0s", "2m 05s"]);
    }
}
