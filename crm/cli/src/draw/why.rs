//! Everything about one group.

use super::table::table;
use crate::output::{Output, Tone};
use crate::wait::place_of;
use crm_core::status::{GroupStatus, ResourcePhase, ResourceStatus, Status};

pub(crate) fn draw(group: &GroupStatus, status: &Status, output: &Output) -> String {
    let mut text = format!("{}\n", output.tone(Tone::Strong, &place_of(group)));
    text.push_str(&format!("  {}\n", group.reason));
    if !status.complete {
        text.push_str("  (this node knows only itself: no coordinator answers)\n");
    }
    if let Some(node) = &group.pinned_to {
        text.push_str(&format!("  an operator sends it to {node}\n"));
    }
    if !group.verdicts.is_empty() {
        let rows: Vec<Vec<String>> = group
            .verdicts
            .iter()
            .map(|verdict| {
                let can = if verdict.possible { "yes" } else { "no" };
                vec![verdict.node.to_string(), can.to_owned(), verdict.reason.clone()]
            })
            .collect();
        text.push('\n');
        text.push_str(&table(&["NODE", "COULD RUN IT", "BECAUSE"], &rows, |_, _, cell| {
            cell.to_owned()
        }));
    }
    section(&mut text, "failures", group.failures.iter().map(|(n, f)| format!("on {n} {f}")));
    section(&mut text, "banned", group.bans.iter().map(|(n, r)| format!("on {n}: {r}")));
    section(
        &mut text,
        "not proved stopped elsewhere",
        group.elsewhere.iter().map(|(n, p)| format!("on {n}: {}", crate::wait::phase(*p))),
    );
    if !group.resources.is_empty() {
        let rows: Vec<Vec<String>> = group
            .resources
            .iter()
            .map(|resource| {
                vec![
                    resource.id.to_string(),
                    resource.agent.clone(),
                    word(resource.phase).to_owned(),
                    resource.reason.as_ref().or(degraded(resource)).cloned().unwrap_or_default(),
                ]
            })
            .collect();
        text.push('\n');
        text.push_str(&table(&["RESOURCE", "AGENT", "STATE HERE", ""], &rows, |_, _, cell| {
            cell.to_owned()
        }));
    }
    section(&mut text, "decisions, newest last", group.decisions.iter().map(|text| decision(text)));
    text
}

/// What an agent says of a resource that is not as it should be: served through its peer's disk, say (HB27).
pub(super) fn degraded(resource: &ResourceStatus) -> Option<&String> {
    resource.attributes.get("degraded")
}

fn section(text: &mut String, title: &str, lines: impl Iterator<Item = String>) {
    let mut lines = lines.peekable();
    if lines.peek().is_some() {
        text.push_str(&format!("\n{title}:\n"));
    }
    for line in lines {
        text.push_str(&format!("  {line}\n"));
    }
}

fn word(phase: ResourcePhase) -> &'static str {
    match phase {
        ResourcePhase::Unknown => "unknown",
        ResourcePhase::Stopped => "stopped",
        ResourcePhase::Starting => "starting",
        ResourcePhase::Running => "running",
        ResourcePhase::Stopping => "stopping",
        ResourcePhase::Failed => "failed",
        ResourcePhase::StopFailed => "stop failed",
    }
}

/// A decision, and below it the evidence that it carries in brackets, one node a line.
fn decision(text: &str) -> String {
    match text.strip_suffix(']').and_then(|text| text.rsplit_once(" [")) {
        Some((decided, evidence)) => {
            let lines = evidence.split("; ").map(|line| format!("\n      {line}"));
            format!("{decided}{}", lines.collect::<String>())
        }
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::decision;

    #[test]
    fn the_evidence_of_each_node_stands_on_its_own_line() {
        let text = "record 2.2: granted to beta [alpha: silent for 2s; beta: this node]";
        let lines =
            "record 2.2: granted to beta\n      alpha: silent for 2s\n      beta: this node";
        assert_eq!(decision(text), lines);
        assert_eq!(decision("record 1.1: granted"), "record 1.1: granted");
    }
}
