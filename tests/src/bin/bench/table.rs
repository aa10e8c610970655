//! Figures, gathered and printed once at the end: one table, and the timelines behind it.

use std::time::Duration;

/// One line of the table.
#[derive(Debug)]
struct Row {
    what: String,
    median: f64,
    least: f64,
    most: f64,
    count: usize,
    unit: &'static str,
    goal: Option<f64>,
}

/// Everything that was measured.
#[derive(Debug, Default)]
pub(crate) struct Table {
    rows: Vec<Row>,
    texts: Vec<String>,
}

impl Table {
    /// Times in milliseconds; `goal` is the most that the median should be.
    pub(crate) fn times(&mut self, what: &str, times: &[Duration], goal: Option<Duration>) {
        let values: Vec<f64> = times.iter().map(|time| time.as_secs_f64() * 1e3).collect();
        self.values(what, &values, "ms", goal.map(|goal| goal.as_secs_f64() * 1e3));
    }

    /// Any other figures.
    pub(crate) fn values(
        &mut self,
        what: &str,
        values: &[f64],
        unit: &'static str,
        goal: Option<f64>,
    ) {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let at = |index: usize| sorted.get(index).copied().unwrap_or(f64::NAN);
        self.rows.push(Row {
            what: what.to_owned(),
            median: at(sorted.len() / 2),
            least: at(0),
            most: at(sorted.len().saturating_sub(1)),
            count: sorted.len(),
            unit,
            goal,
        });
        // Shown at once too: a run takes minutes.
        if let Some(row) = self.rows.last() {
            eprintln!("  {}", line(row));
        }
    }

    /// A text that is printed below the table.
    pub(crate) fn text(&mut self, text: String) {
        self.texts.push(text);
    }

    pub(crate) fn print(&self) {
        println!(
            "{:<58} {:>9} {:>9} {:>9} {:>4} {:<10} {:>8}",
            "", "median", "least", "most", "n", "unit", "goal"
        );
        for row in &self.rows {
            println!("{}", line(row));
        }
        for text in &self.texts {
            println!("\n{text}");
        }
    }
}

fn line(row: &Row) -> String {
    let goal = row.goal.map_or(String::new(), |goal| {
        format!("{goal:>8.2} {}", if row.median <= goal { "met" } else { "MISSED" })
    });
    format!(
        "{:<58} {:>9.2} {:>9.2} {:>9.2} {:>4} {:<10} {goal}",
        row.what, row.median, row.least, row.most, row.count, row.unit
    )
}
