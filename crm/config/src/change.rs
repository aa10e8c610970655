//! What `crm apply` would change, in lines for the operator who decides.

use crm_core::id::NodeId;
use crm_core::model::{Cluster, Fencing, Group, Resource, Service};
use std::collections::BTreeMap;
use std::fmt;

/// What a change does to what runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Effect {
    /// Nothing that runs notices.
    Quiet,
    /// The cluster behaves differently from now on: times, votes, protection, placement.
    Behaviour,
    /// Something starts that did not run.
    Starts,
    /// Something that runs is stopped, for a while or for good.
    Interrupts,
}

/// One line of the preview.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    pub effect: Effect,
    pub text: String,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// What differs between two configurations; empty if they mean the same.
#[must_use]
pub fn describe_change(old: &Cluster, new: &Cluster) -> Vec<Change> {
    let mut preview = Preview::default();
    preview.cluster(old, new);
    preview.nodes(old, new);
    preview.timing(old, new);
    preview.fencing(&old.fencing, &new.fencing);
    preview.groups(old, new);
    preview.services(old, new);
    preview.0
}

#[derive(Default)]
struct Preview(Vec<Change>);

impl Preview {
    fn add(&mut self, effect: Effect, text: String) {
        self.0.push(Change { effect, text });
    }

    fn value<T: PartialEq>(&mut self, what: &str, old: &T, new: &T, show: impl Fn(&T) -> String) {
        if old != new {
            self.add(Effect::Behaviour, format!("{what}: {} -> {}", show(old), show(new)));
        }
    }

    fn cluster(&mut self, old: &Cluster, new: &Cluster) {
        if old.name != new.name {
            self.add(
                Effect::Interrupts,
                format!("the cluster is renamed from {} to {}: its nodes no longer hear one another until all of them know", old.name, new.name),
            );
        }
        let witness = |cluster: &Cluster| {
            cluster.witness.as_ref().map_or("none".to_owned(), |w| w.address.clone())
        };
        self.value("witness", &witness(old), &witness(new), Clone::clone);
        self.value("tiebreak", &old.tiebreak_ping, &new.tiebreak_ping, |ping| {
            ping.clone().unwrap_or_else(|| "none".to_owned())
        });
        if old.operators != new.operators {
            self.add(
                Effect::Quiet,
                format!("operators: {} -> {}", words(&old.operators), words(&new.operators)),
            );
        }
    }

    fn nodes(&mut self, old: &Cluster, new: &Cluster) {
        for node in &new.nodes {
            let name = &node.id;
            let Some(before) = old.node(name) else {
                self.add(
                    Effect::Behaviour,
                    format!("node {name}: added, at {}", node.links.join(", ")),
                );
                continue;
            };
            if before.links != node.links {
                self.add(
                    Effect::Behaviour,
                    format!(
                        "node {name}: links {} -> {}",
                        before.links.join(", "),
                        node.links.join(", ")
                    ),
                );
            }
            if before.voter != node.voter {
                let now = if node.voter { "votes from now on" } else { "no longer votes" };
                self.add(Effect::Behaviour, format!("node {name}: {now}"));
            }
            self.value(
                &format!("node {name}: watchdog"),
                &before.watchdog,
                &node.watchdog,
                |device| device.clone().unwrap_or_else(|| "none".to_owned()),
            );
        }
        for node in old.nodes.iter().filter(|node| new.node(&node.id).is_none()) {
            self.add(
                Effect::Interrupts,
                format!("node {}: removed; what runs there is stopped and moves", node.id),
            );
        }
    }

    fn timing(&mut self, old: &Cluster, new: &Cluster) {
        let (a, b) = (&old.timing, &new.timing);
        for (key, before, after) in [
            ("keepalive", a.keepalive, b.keepalive),
            ("warntime", a.warntime, b.warntime),
            ("deadtime", a.deadtime, b.deadtime),
            ("initdead", a.initdead, b.initdead),
            ("lease", a.lease, b.lease),
            ("stop_margin", a.stop_margin, b.stop_margin),
            ("watchdog", a.watchdog, b.watchdog),
            ("election", a.election, b.election),
            ("rejoin_after", a.rejoin_after, b.rejoin_after),
        ] {
            self.value(key, &before, &after, ToString::to_string);
        }
        if a.port != b.port {
            self.add(
                Effect::Behaviour,
                format!("port: {} -> {}; open it in every firewall first", a.port, b.port),
            );
        }
    }

    fn fencing(&mut self, old: &Fencing, new: &Fencing) {
        match (old, new) {
            (Fencing::None, Fencing::None) => {}
            (Fencing::None, Fencing::Devices { .. }) => {
                self.add(
                    Effect::Behaviour,
                    "fencing: none -> devices; silence alone moves nothing any more".to_owned(),
                );
            }
            (Fencing::Devices { .. }, Fencing::None) => {
                self.add(Effect::Behaviour, "fencing: devices -> none; a silent node can no longer be proved dead by a device".to_owned());
            }
            (
                Fencing::Devices { devices: old_devices, delay: old_delay },
                Fencing::Devices { devices, delay },
            ) => {
                self.value("fencing_delay", old_delay, delay, ToString::to_string);
                let mut nodes: Vec<&NodeId> = old_devices.keys().chain(devices.keys()).collect();
                nodes.sort();
                nodes.dedup();
                for node in nodes {
                    // Parameters are not shown: they may be nobody's business.
                    match (old_devices.get(node), devices.get(node)) {
                        (Some(a), Some(b)) if a != b => {
                            self.add(Effect::Behaviour, format!("fencing of {node}: changed; try it with `crm fence {node}` before you rely on it"));
                        }
                        (None, Some(_)) => {
                            self.add(Effect::Behaviour, format!("fencing of {node}: added"))
                        }
                        (Some(_), None) => {
                            self.add(Effect::Behaviour, format!("fencing of {node}: removed"))
                        }
                        _ => {}
                    }
                }
            }
        }
    }

    fn groups(&mut self, old: &Cluster, new: &Cluster) {
        for group in &new.groups {
            match old.group(&group.id) {
                None => self.add(
                    Effect::Starts,
                    format!("group {}: added, starts {}", group.id, ids(&group.resources)),
                ),
                Some(before) if before != group => self.group(before, group),
                Some(_) => {}
            }
        }
        for group in old.groups.iter().filter(|group| new.group(&group.id).is_none()) {
            self.add(
                Effect::Interrupts,
                format!("group {}: removed, {} stops", group.id, ids_in_reverse(&group.resources)),
            );
        }
    }

    fn group(&mut self, old: &Group, new: &Group) {
        let name = &new.id;
        self.resources(old, new);
        let lists = [
            ("prefer", words(&old.prefer), words(&new.prefer)),
            ("runs_with", words(&old.runs_with), words(&new.runs_with)),
            ("avoids", words(&old.avoids), words(&new.avoids)),
            ("starts_after", words(&old.starts_after), words(&new.starts_after)),
            ("failback", word(&old.failback), word(&new.failback)),
            ("on_disk_error", word(&old.on_disk_error), word(&new.on_disk_error)),
            ("only_preferred", old.only_preferred.to_string(), new.only_preferred.to_string()),
            ("priority", old.priority.to_string(), new.priority.to_string()),
            ("restarts", old.restart.count.to_string(), new.restart.count.to_string()),
            ("restart_window", old.restart.window.to_string(), new.restart.window.to_string()),
            ("failure_expiry", old.failure_expiry.to_string(), new.failure_expiry.to_string()),
            ("unsafe_failover", old.unsafe_failover.to_string(), new.unsafe_failover.to_string()),
            ("follow", follow(old), follow(new)),
        ];
        for (key, before, after) in lists {
            self.value(&format!("group {name}: {key}"), &before, &after, Clone::clone);
        }
    }

    /// The lowest resource that differs takes everything above it down with it (I2).
    fn resources(&mut self, old: &Group, new: &Group) {
        let same = |(a, b): &(&Resource, &Resource)| runs_alike(a, b);
        let kept = old.resources.iter().zip(&new.resources).take_while(same).count();
        let stopped = old.resources.get(kept..).unwrap_or_default();
        let started = new.resources.get(kept..).unwrap_or_default();
        let name = &new.id;
        if !stopped.is_empty() {
            let text = if started.is_empty() {
                format!("group {name}: {} stops", ids_in_reverse(stopped))
            } else {
                format!(
                    "group {name}: interrupted: {} stops, then {} starts",
                    ids_in_reverse(stopped),
                    ids(started)
                )
            };
            self.add(Effect::Interrupts, text);
        } else if !started.is_empty() {
            self.add(Effect::Starts, format!("group {name}: {} starts besides", ids(started)));
        }
        let watched: Vec<&str> = old
            .resources
            .iter()
            .zip(&new.resources)
            .take(kept)
            .filter(|(a, b)| a != b)
            .map(|(_, b)| b.id.as_str())
            .collect();
        if !watched.is_empty() {
            self.add(
                Effect::Behaviour,
                format!(
                    "group {name}: {} watched or timed differently, without a restart",
                    watched.join(", ")
                ),
            );
        }
    }

    fn services(&mut self, old: &Cluster, new: &Cluster) {
        let before: BTreeMap<_, &Service> = old.services.iter().map(|s| (&s.id, s)).collect();
        for service in &new.services {
            match before.get(&service.id) {
                None => self.add(Effect::Starts, format!("service {}: added", service.id)),
                Some(old) if *old != service => {
                    let same_program = old.agent == service.agent && old.params == service.params;
                    let effect = if same_program { Effect::Behaviour } else { Effect::Interrupts };
                    let how = if same_program {
                        "settings change"
                    } else {
                        "its agent or parameters change"
                    };
                    self.add(effect, format!("service {}: {how}", service.id));
                }
                Some(_) => {}
            }
        }
        for service in old.services.iter().filter(|service| new.service(&service.id).is_none()) {
            self.add(Effect::Interrupts, format!("service {}: removed", service.id));
        }
    }
}

/// Whether the running resource stays as it is: the same agent with the same parameters.
fn runs_alike(a: &Resource, b: &Resource) -> bool {
    a.id == b.id && a.agent == b.agent && a.params == b.params && a.args == b.args
}

fn ids(resources: &[Resource]) -> String {
    resources.iter().map(|resource| resource.id.as_str()).collect::<Vec<_>>().join(", ")
}

fn ids_in_reverse(resources: &[Resource]) -> String {
    resources.iter().rev().map(|resource| resource.id.as_str()).collect::<Vec<_>>().join(", ")
}

fn words<T: fmt::Display>(list: &[T]) -> String {
    if list.is_empty() {
        return "nothing".to_owned();
    }
    list.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn word(value: &impl fmt::Debug) -> String {
    format!("{value:?}").to_lowercase()
}

fn follow(group: &Group) -> String {
    match &group.follow {
        None => "nothing".to_owned(),
        Some(follow) => match &follow.otherwise {
            None => format!("{} {}", follow.service, follow.role),
            Some(otherwise) => format!("{} {}, otherwise {otherwise}", follow.service, follow.role),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cluster(rest: &str) -> Cluster {
        let text = format!(
            "cluster: x\nfencing: none\nnodes: {{a: {{links: [10.0.0.1]}}, b: {{links: [10.0.0.2]}}}}\n{rest}"
        );
        crate::parse(&text).unwrap()
    }

    fn lines(old: &str, new: &str) -> Vec<String> {
        describe_change(&cluster(old), &cluster(new))
            .iter()
            .map(|change| format!("{:?} {change}", change.effect))
            .collect()
    }

    const DB: &str = "groups: {db: {resources: [drbd: r0, filesystem: {device: /dev/drbd0, at: /d}, vip: 10.0.0.3/24]}}";

    #[test]
    fn the_same_meaning_is_no_change() {
        assert_eq!(lines(DB, &format!("# a comment\n{DB}")), [""; 0]);
    }

    #[test]
    fn a_changed_resource_takes_those_above_it_along() {
        let new = DB.replace("at: /d", "at: /e");
        assert_eq!(
            lines(DB, &new),
            [
                "Interrupts group db: interrupted: vip, filesystem stops, then filesystem, vip starts"
            ]
        );
    }

    #[test]
    fn a_resource_added_at_the_end_interrupts_nothing() {
        let new = DB.replace("/24]", "/24, apache]");
        assert_eq!(lines(DB, &new), ["Starts group db: apache starts besides"]);
        assert_eq!(lines(&new, DB), ["Interrupts group db: apache stops"]);
    }

    #[test]
    fn another_timeout_restarts_nothing() {
        let new = DB.replace("at: /d", "at: /d, timeouts: {stop: 9s}");
        assert_eq!(
            lines(DB, &new),
            ["Behaviour group db: filesystem watched or timed differently, without a restart"]
        );
    }

    #[test]
    fn nodes_times_and_groups_are_named() {
        let new = "nodes: {}\n".to_owned()
            + "heartbeat: {deadtime: 2s}\nwitness: 10.0.0.9\ngroups: {web: {resources: [vip: 10.0.0.4/24]}}";
        let new = new.replace("nodes: {}\n", "");
        let old = cluster(DB);
        let mut new = cluster(&new);
        new.nodes[1].id = "c".into();
        let said: Vec<String> =
            describe_change(&old, &new).iter().map(ToString::to_string).collect();
        assert_eq!(
            said,
            [
                "witness: none -> 10.0.0.9",
                "node c: added, at 10.0.0.2",
                "node b: removed; what runs there is stopped and moves",
                "deadtime: 1s -> 2s",
                "lease: 3s -> 3.375s",
                "group web: added, starts vip",
                "group db: removed, vip, filesystem, drbd stops",
            ]
        );
    }

    #[test]
    fn wishes_of_a_group_are_shown_with_both_values() {
        let new = DB.replace(
            "{resources",
            "{prefer: [b, a], failback: auto, unsafe_failover: true, resources",
        );
        assert_eq!(
            lines(DB, &new),
            [
                "Behaviour group db: prefer: nothing -> b, a",
                "Behaviour group db: failback: manual -> auto",
                "Behaviour group db: unsafe_failover: false -> true",
            ]
        );
    }
}
