//! The picture of a witness: in which clusters it votes, and whom it hears there.

use super::table::table;
use crate::output::{Output, Tone};
use crm_api::{WitnessCluster, WitnessReport};
use crm_core::status::{NodeState, NodeStatus};

pub(crate) fn draw(report: &WitnessReport, output: &Output) -> String {
    let rows: Vec<Vec<String>> = report
        .clusters
        .iter()
        .map(|cluster| {
            let status = cluster.status.as_deref();
            let coordinator = status.filter(|status| status.quorum);
            let coordinator = coordinator.and_then(|status| status.coordinator.as_ref());
            let nodes: Vec<String> =
                status.iter().flat_map(|status| &status.nodes).map(node).collect();
            vec![
                cluster.cluster.clone(),
                state(cluster).1.to_owned(),
                coordinator.map_or("-".to_owned(), ToString::to_string),
                if nodes.is_empty() { "-".to_owned() } else { nodes.join(", ") },
            ]
        })
        .collect();
    let head = ["CLUSTER", "THIS WITNESS", "COORDINATOR", "NODES"];
    let mut text = table(&head, &rows, |row, column, cell| match report.clusters.get(row) {
        Some(cluster) if column == 1 => output.tone(state(cluster).0, cell),
        _ => cell.to_owned(),
    });
    for cluster in &report.clusters {
        if let Some(problem) = &cluster.problem {
            let line = format!("cluster {}: {problem}\n", cluster.cluster);
            text.push_str(&format!("{} {line}", output.tone(Tone::Bad, "error:")));
        }
    }
    for socket in &report.sockets {
        let (address, came, went) = (&socket.address, socket.datagrams_in, socket.datagrams_out);
        text.push_str(&match &socket.problem {
            Some(problem) => format!("not listening on {address}: {problem}\n"),
            None => format!("listening on {address}: {came} datagrams in, {went} out\n"),
        });
    }
    if report.strange > 0 {
        let count = report.strange;
        text.push_str(&format!("{count} datagrams were of no cluster that is served here\n"));
    }
    for cluster in report.clusters.iter().filter(|cluster| !cluster.rejected.is_empty()) {
        let reasons: Vec<String> =
            cluster.rejected.iter().map(|(reason, count)| format!("{reason} {count}")).collect();
        text.push_str(&format!("cluster {} refused: {}\n", cluster.cluster, reasons.join(", ")));
    }
    text
}

fn state(cluster: &WitnessCluster) -> (Tone, &'static str) {
    let Some(status) = &cluster.status else { return (Tone::Bad, "does not vote") };
    match status.witness.as_ref() {
        Some(witness) if witness.voter => (Tone::Good, "votes"),
        Some(witness) if witness.state == NodeState::Online => (Tone::Warn, "is being taken in"),
        _ if status.nodes.is_empty() => (Tone::Warn, "has heard nobody yet"),
        None => (Tone::Warn, "is not wanted any more"),
        _ => (Tone::Warn, "waits for a coordinator"),
    }
}

fn node(node: &NodeStatus) -> String {
    let id = &node.id;
    match (node.state, node.silent_for) {
        (NodeState::Online, _) => id.to_string(),
        (_, Some(silent)) => format!("{id} (silent for {:.1} s)", silent.as_secs_f64()),
        (NodeState::Joining, _) => format!("{id} (joining)"),
        (NodeState::Unseen, _) => format!("{id} (not heard yet)"),
        _ => format!("{id} (silent)"),
    }
}
