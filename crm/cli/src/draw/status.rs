//! The picture of a cluster: who is there, what runs where, and what needs a person.

use super::table::table;
use crate::output::{Output, Tone};
use crate::wait::phase;
use crm_core::packet::GroupPhase;
use crm_core::status::{GroupStatus, NodeState, NodeStatus, Status};

pub(crate) fn draw(status: &Status, output: &Output) -> String {
    let mut text = String::new();
    let local = status.node.as_ref().map(ToString::to_string).unwrap_or_default();
    let quorum = match (&status.coordinator, status.quorum) {
        (Some(node), true) => output.tone(Tone::Good, &format!("quorum, coordinated by {node}")),
        _ => output.tone(Tone::Bad, "no quorum"),
    };
    text.push_str(&format!(
        "cluster {}: {quorum} (epoch {}, record {}; seen from {local}{})\n",
        output.tone(Tone::Strong, &status.cluster),
        status.epoch,
        status.obeyed,
        if status.complete { "" } else { ", which knows only itself" },
    ));
    if let Some(maintenance) = &status.maintenance {
        text.push_str(&output.tone(Tone::Warn, &format!("maintenance is {maintenance}\n")));
    }
    if status.cluster_stopped {
        text.push_str(&output.tone(Tone::Warn, "the cluster is stopped: `crm start --all`\n"));
    }
    for warning in &status.warnings {
        text.push_str(&format!("{} {warning}\n", output.tone(Tone::Warn, "warning:")));
    }
    text.push_str(&format!("\nprotection: {}\n\n", status.protection));
    text.push_str(&nodes(status, output));
    text.push('\n');
    text.push_str(&groups(status, output));
    text.push_str(&degraded(status, output));
    text
}

/// What is there, but not as it should be: a lost disk, a copy that lags. Only of this node's own resources is that known.
fn degraded(status: &Status, output: &Output) -> String {
    let mut text = String::new();
    for group in &status.groups {
        for resource in &group.resources {
            let Some(reason) = super::why::degraded(resource) else { continue };
            let mark = output.tone(Tone::Warn, "degraded:");
            text.push_str(&format!("\n{mark} {}, {}: {reason}\n", group.id, resource.id));
        }
    }
    text
}

fn nodes(status: &Status, output: &Output) -> String {
    let all: Vec<&NodeStatus> = status.nodes.iter().chain(&status.witness).collect();
    let rows: Vec<Vec<String>> = all
        .iter()
        .map(|node| {
            let hosts: Vec<&str> = status
                .groups
                .iter()
                .filter(|group| group.owner.as_ref() == Some(&node.id))
                .map(|group| group.id.as_str())
                .collect();
            let witness = status.witness.as_ref().is_some_and(|witness| witness.id == node.id);
            let hosts = if witness { "votes only".to_owned() } else { hosts.join(", ") };
            vec![node.id.to_string(), state(node), hosts]
        })
        .collect();
    table(&["NODE", "STATE", "GROUPS"], &rows, |row, column, cell| {
        let tone = all.get(row).map_or(Tone::Faint, |node| match node.state {
            NodeState::Online => Tone::Good,
            NodeState::Lost | NodeState::Dead => Tone::Bad,
            _ => Tone::Warn,
        });
        if column == 1 { output.tone(tone, cell) } else { cell.to_owned() }
    })
}

/// A node's state with everything that qualifies it.
pub(crate) fn state(node: &NodeStatus) -> String {
    let mut text = match node.state {
        NodeState::Online => "online".to_owned(),
        NodeState::Joining => "joining".to_owned(),
        NodeState::Lost => match node.silent_for {
            Some(silent) => format!("lost for {}", seconds(silent)),
            None => "lost".to_owned(),
        },
        NodeState::Dead => "proved dead".to_owned(),
        NodeState::Unseen => "not seen yet".to_owned(),
        NodeState::Left => "left".to_owned(),
    };
    let marks =
        [(node.standby, "standby"), (node.leaving, "leaving"), (!node.voter, "does not vote")];
    for (_, mark) in marks.iter().filter(|(set, _)| *set) {
        text.push_str(", ");
        text.push_str(mark);
    }
    text
}

fn seconds(span: crm_core::time::Span) -> String {
    format!("{:.1} s", span.as_secs_f64())
}

fn groups(status: &Status, output: &Output) -> String {
    let rows: Vec<Vec<String>> = status
        .groups
        .iter()
        .map(|group| {
            let owner = group.owner.as_ref().map_or("-".to_owned(), ToString::to_string);
            vec![group.id.to_string(), doing(group).to_owned(), owner, group.reason.clone()]
        })
        .collect();
    if rows.is_empty() {
        return "  no groups are configured\n".to_owned();
    }
    table(&["GROUP", "STATE", "NODE", "WHY"], &rows, |row, column, cell| {
        let tone = status.groups.get(row).map_or(Tone::Faint, |group| match group.phase {
            GroupPhase::Running if !group.ending => Tone::Good,
            GroupPhase::StopFailed | GroupPhase::Failed => Tone::Bad,
            GroupPhase::Stopped if group.stopped_by_operator => Tone::Faint,
            _ => Tone::Warn,
        });
        if column == 1 { output.tone(tone, cell) } else { cell.to_owned() }
    })
}

fn doing(group: &GroupStatus) -> &'static str {
    if group.ending && group.phase == GroupPhase::Running { "ending" } else { phase(group.phase) }
}
