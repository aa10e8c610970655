//! The figures of a run, kept as JSON and as one line a minute.

use crate::life::Figures;
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

#[derive(Default, serde::Serialize)]
pub(crate) struct Summary {
    pub(crate) seed: u64,
    pub(crate) seconds: f64,
    /// Storms that were followed by a healing and a quiet time.
    pub(crate) cycles: u64,
    pub(crate) faults: BTreeMap<String, u64>,
    pub(crate) operators: BTreeMap<String, u64>,
    pub(crate) boots: u64,
    pub(crate) daemon_starts: u64,
    pub(crate) fenced: usize,
    pub(crate) fence_requests: usize,
    /// From the end of the faults until everything ran; the longest.
    pub(crate) healing_seconds_most: f64,
    pub(crate) quiet_seconds: f64,
    pub(crate) quiet_log_lines: u64,
    /// Not in the above: a daemon or its peer was not given a processor for longer than `warntime`.
    pub(crate) quiet_log_lines_of_a_stalled_machine: u64,
    /// Quiet times in which a daemon found that it had not run for long: they prove nothing.
    pub(crate) quiet_times_lost_to_a_stalled_machine: u64,
    pub(crate) probe: ProbeFigures,
    pub(crate) lives: Vec<Figures>,
    pub(crate) failures: Vec<String>,
    pub(crate) violations: Vec<Value>,
    /// Whether the time is over and every figure was judged.
    pub(crate) complete: bool,
}

#[derive(Default, serde::Serialize)]
pub(crate) struct ProbeFigures {
    pub(crate) looks: u64,
    pub(crate) changes_seen: u64,
    /// Looks that were repeated because the first showed what could be forbidden.
    pub(crate) repeated: u64,
    pub(crate) longest_gap_ms: u64,
    pub(crate) http_answers: u64,
    pub(crate) arp_answers: u64,
    /// In quiet times, the least of any service and any of these times.
    pub(crate) http_per_second_least: Option<f64>,
    pub(crate) arp_per_second_least: Option<f64>,
    /// Of all times.
    pub(crate) looks_per_second_least: Option<f64>,
}

/// Keeps the lesser.
pub(crate) fn least(kept: &mut Option<f64>, now: f64) {
    *kept = Some(kept.map_or(now, |before| before.min(now)));
}

impl Summary {
    /// # Errors
    /// The file cannot be written.
    pub(crate) fn keep(&self, out: &Path) -> std::io::Result<()> {
        let new = out.join("summary.new");
        std::fs::write(&new, serde_json::to_vec_pretty(self)?)?;
        std::fs::rename(new, out.join("summary.json"))
    }
}

/// A line for people, to the terminal and to the log.
pub(crate) fn say(out: &Path, line: &str) {
    let line = format!("{:.3} {line}", epoch());
    let _ = writeln!(std::io::stderr().lock(), "{line}");
    let log = std::fs::OpenOptions::new().create(true).append(true).open(out.join("log"));
    if let Ok(mut log) = log {
        let _ = writeln!(log, "{line}");
    }
}

fn epoch() -> f64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.unwrap_or_default().as_secs_f64()
}
