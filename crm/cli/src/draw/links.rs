//! The links: what they lose, how long they take, and which deadtime they support.

use super::table::table;
use crate::output::{Output, Tone};
use crm_api::LinksReport;
use crm_core::status::Status;

pub(crate) fn draw(status: &Status, output: &Output) -> String {
    let mut rows = Vec::new();
    let mut up = Vec::new();
    for node in status.nodes.iter().chain(&status.witness) {
        for link in &node.links {
            let span = |span: Option<crm_core::time::Span>| {
                span.map_or("-".to_owned(), |span| format!("{:.1} ms", span.as_secs_f64() * 1e3))
            };
            up.push(link.up);
            rows.push(vec![
                node.id.to_string(),
                link.link.to_string(),
                link.address.clone(),
                if link.up { "up" } else { "silent" }.to_owned(),
                format!("{:.1} %", f64::from(link.loss_per_mille) / 10.0),
                span(link.round_trip),
                span(link.round_trip_worst),
                span(Some(link.longest_gap)),
                span(Some(link.supported_deadtime)),
            ]);
        }
    }
    let heading = [
        "PEER",
        "LINK",
        "ADDRESS",
        "STATE",
        "LOSS",
        "ROUND TRIP",
        "WORST",
        "LONGEST GAP",
        "SUPPORTS DEADTIME",
    ];
    let mut text = "\nlinks, as this node sees them:\n".to_owned();
    text.push_str(&table(&heading, &rows, |row, column, cell| {
        let tone = if up.get(row) == Some(&true) { Tone::Good } else { Tone::Bad };
        if column == 3 { output.tone(tone, cell) } else { cell.to_owned() }
    }));
    text
}

pub(crate) fn draw_counters(report: &LinksReport, output: &Output) -> String {
    let mut text = "\nsockets of this node:\n".to_owned();
    let rows: Vec<Vec<String>> = report
        .links
        .iter()
        .map(|link| {
            vec![
                link.link.to_string(),
                link.address.clone(),
                link.datagrams_in.to_string(),
                link.datagrams_out.to_string(),
                link.errors.to_string(),
                link.problem.clone().unwrap_or_default(),
            ]
        })
        .collect();
    text.push_str(&table(
        &["LINK", "ADDRESS", "IN", "OUT", "ERRORS", ""],
        &rows,
        |_, column, cell| {
            if column == 5 { output.tone(Tone::Bad, cell) } else { cell.to_owned() }
        },
    ));
    let refused: Vec<String> = report
        .rejected
        .iter()
        .filter(|(_, count)| **count > 0)
        .map(|(reason, count)| format!("{reason} {count}"))
        .collect();
    if !refused.is_empty() {
        text.push_str(&format!("refused datagrams: {}\n", refused.join(", ")));
    }
    for (what, count) in [
        ("authentic datagrams that this version cannot read", report.not_understood),
        ("packets for nodes whose address is not known", report.no_address),
    ] {
        if count > 0 {
            text.push_str(&format!("{what}: {count}\n"));
        }
    }
    text
}
