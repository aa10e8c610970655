//! A report as people read it.

use super::report::{Budget, Coverage, Operator, Report, Row, Worst};
use std::fmt::Write;

/// The whole report as text.
#[must_use]
pub fn draw(report: &Report) -> String {
    let mut text = format!("rehearsal of cluster {}\n", report.cluster);
    text.push_str("\nassumed:\n");
    for line in &report.assumed {
        let _ = writeln!(text, "  {line}");
    }
    text.push_str("\nfailover budget (detection + proof of death; the start comes on top):\n");
    for budget in &report.budgets {
        draw_budget(&mut text, budget);
    }
    for group in &report.never_up {
        let _ = writeln!(
            text,
            "\n{group} does not come up even without a fault; `crm simulate` shows why"
        );
    }
    let (judged, shown): (Vec<&Row>, Vec<&Row>) =
        report.rows.iter().partition(|row| row.breaks.is_none());
    text.push_str("\nsingle faults:\n");
    text.push_str(&table(&judged));
    if !report.harmless.is_empty() {
        let _ = writeln!(text, "\nnothing stops or moves when ({} faults):", report.harmless.len());
        wrap(&mut text, &report.harmless);
    }
    if !shown.is_empty() {
        text.push_str("\nwhat would happen if an assumption did not hold (not judged):\n");
        text.push_str(&table(&shown));
    }
    draw_pairs(&mut text, report);
    draw_worst(&mut text, report);
    let _ = writeln!(
        text,
        "\ncovered: {} single faults in {} runs, {} pairs in {} runs; {} of cluster time",
        of(report.singles),
        thousands(report.singles.runs),
        of(report.pairs),
        thousands(report.pairs.runs),
        match report.simulated_s / 60 {
            minutes @ 0..120 => format!("{minutes} minutes"),
            minutes => format!("{} hours", thousands(minutes / 60)),
        },
    );
    text.push_str(if report.kept {
        "kept: no promise broke, and no group with data was held by two nodes\n"
    } else {
        "NOT KEPT: see the runs marked FAILED\n"
    });
    text
}

fn draw_budget(text: &mut String, budget: &Budget) {
    let _ = writeln!(text, "  {}", budget.words);
    let (low, high) = budget.start_s;
    let _ = write!(text, "      its start takes {low:.1} to {high:.1}s");
    if let (Some((low, high)), Some((least, most))) = (budget.until_start_s, budget.down_s) {
        let _ = write!(
            text,
            "; when its node died it started elsewhere after {low:.1} to {high:.1}s and served after \
             {least:.1} to {most:.1}s"
        );
        if budget.at_worst_s.is_some_and(|worst| high > worst) {
            text.push_str(", LATER THAN THE BUDGET");
        }
    }
    text.push('\n');
}

fn table(rows: &[&Row]) -> String {
    let heading =
        ["FAULT", "GROUP", "WHAT HAPPENS", "DOWN: MIN  MEDIAN  MAX", "TWO HOLDERS", "OPERATOR"];
    let mut cells: Vec<[String; 6]> = vec![heading.map(str::to_owned)];
    let mut last = "";
    for row in rows {
        let fault = if row.id == last { String::new() } else { row.fault.clone() };
        last = &row.id;
        let fault = match row.breaks {
            Some(name) if !fault.is_empty() => format!("{fault} ({name})"),
            _ => fault,
        };
        cells.push([
            fault,
            row.group.clone(),
            ends(row),
            row.down_s.map(down).join("  "),
            if row.both_s > 0.0 { format!("for {:.1}s", row.both_s) } else { "no".to_owned() },
            operator(row.operator).to_owned(),
        ]);
    }
    columns(&cells)
}

fn ends(row: &Row) -> String {
    if let [(only, _)] = &row.ends[..] {
        return only.clone();
    }
    let parts: Vec<String> =
        row.ends.iter().map(|(end, count)| format!("{end} {count}x")).collect();
    parts.join(", ")
}

fn down(time: Option<f64>) -> String {
    let word = match time {
        None => "repair".to_owned(),
        Some(time) if time < 120.0 => format!("{time:.1}s"),
        Some(time) => format!("{}m{:02}s", time as u64 / 60, time as u64 % 60),
    };
    format!("{word:>7}")
}

fn operator(operator: Operator) -> &'static str {
    match operator {
        Operator::No => "no",
        Operator::Repair => "only the repair helps",
        Operator::RepairOrWord => "yes, or the repair",
        Operator::Clear => "yes: crm clear",
    }
}

fn draw_pairs(text: &mut String, report: &Report) {
    if report.pairs.runs == 0 {
        return;
    }
    text.push_str("\npairs of faults, those that break no assumption:\n");
    let heading = [
        "GROUP",
        "RUNS",
        "SERVES BY ITSELF",
        "WAITS FOR THE REPAIR",
        "WAITS FOR CLEAR",
        "TWO HOLDERS",
        "LONGEST OUTAGE",
    ];
    let mut cells: Vec<[String; 7]> = vec![heading.map(str::to_owned)];
    for tally in &report.tallies {
        let twice = match tally.held_twice {
            0 => "no".to_owned(),
            count => format!("{count}x, up to {:.1}s", tally.longest_both_s),
        };
        cells.push([
            tally.group.clone(),
            thousands(tally.runs),
            thousands(tally.served),
            thousands(tally.waited),
            thousands(tally.operator + tally.lost),
            twice,
            down(Some(tally.longest_down_s)).trim().to_owned(),
        ]);
    }
    text.push_str(&columns(&cells));
}

fn draw_worst(text: &mut String, report: &Report) {
    if report.worst.is_empty() {
        return;
    }
    text.push_str("\nworth a look (crm replay TOKEN FILE):\n");
    for Worst { why, failed, faults, breaks, token, .. } in &report.worst {
        let mark = match (failed, breaks) {
            (true, _) => "FAILED: ".to_owned(),
            (false, Some(name)) => format!("({name} broken) "),
            (false, None) => String::new(),
        };
        let _ = writeln!(text, "  {mark}{why}\n      when {faults}\n      {token}");
    }
}

fn of(coverage: Coverage) -> String {
    let Coverage { covered, all, .. } = coverage;
    format!("{} of {}", thousands(covered as u64), thousands(all as u64))
}

/// `3,240`.
fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Items in lines of a fair width.
fn wrap(text: &mut String, items: &[String]) {
    let mut line = String::new();
    for (at, item) in items.iter().enumerate() {
        let end = if at + 1 < items.len() { "; " } else { "" };
        if !line.is_empty() && line.chars().count() + item.chars().count() > LINE_MAX {
            let _ = writeln!(text, "  {}", line.trim_end());
            line.clear();
        }
        line.push_str(item);
        line.push_str(end);
    }
    let _ = writeln!(text, "  {line}");
}

fn columns<const N: usize>(rows: &[[String; N]]) -> String {
    let width = |column: usize| {
        rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default()
    };
    let widths: Vec<usize> = (0..N).map(width).collect();
    let mut text = String::new();
    for row in rows {
        let padded: Vec<String> = row
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell}{}", " ".repeat(width - cell.chars().count())))
            .collect();
        let _ = writeln!(text, "  {}", padded.join("  ").trim_end());
    }
    text
}

const LINE_MAX: usize = 110;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped() {
        assert_eq!([0, 812, 3_240, 1_000_000].map(thousands), ["0", "812", "3,240", "1,000,000"]);
    }

    #[test]
    fn columns_line_up_without_blanks_at_the_end() {
        let rows = [["a".to_owned(), "b".to_owned()], ["long".to_owned(), String::new()]];
        assert_eq!(columns(&rows), "  a     b\n  long\n");
    }
}
