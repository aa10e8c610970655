//! Where the time goes: the moments of each round, by name, and the median of each as one table.

use crm_tests::namespaces::Laboratory;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

const DAY: Duration = Duration::from_secs(86_400);

/// A line of a daemon's log.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    pub(crate) node: String,
    pub(crate) at: Duration,
    pub(crate) text: String,
}

/// What the daemons logged since `begun`, offsets counted from there.
pub(crate) fn lines(lab: &Laboratory, begun: Instant) -> Vec<Line> {
    let wall = SystemTime::now() - begun.elapsed();
    let wall = wall.duration_since(UNIX_EPOCH).unwrap_or_default();
    let begun_in_day = Duration::from_micros((wall.as_micros() % DAY.as_micros()) as u64);
    let mut all = Vec::new();
    for node in lab.nodes.values() {
        for line in node.log().lines() {
            let Some((stamp, text)) = line.trim_start().split_once(' ') else { continue };
            let Some(at) = time_of_day(stamp) else { continue };
            // Across midnight, and before the beginning: half a day ahead is half a day ago.
            let offset = (at + DAY - begun_in_day).as_micros() % DAY.as_micros();
            if offset < DAY.as_micros() / 2 {
                let at = Duration::from_micros(offset as u64);
                all.push(Line { node: node.name.clone(), at, text: text.trim().to_owned() });
            }
        }
    }
    all.sort_by_key(|line| line.at);
    all
}

/// `2026-01-31T10:11:12.123456Z`.
fn time_of_day(stamp: &str) -> Option<Duration> {
    let time = stamp.strip_suffix('Z')?.split_once('T')?.1;
    let mut parts = time.split(':');
    let hours: u64 = parts.next()?.parse().ok()?;
    let minutes: u64 = parts.next()?.parse().ok()?;
    let seconds: f64 = parts.next()?.parse().ok()?;
    Some(Duration::from_secs(hours * 3600 + minutes * 60) + Duration::from_secs_f64(seconds))
}

/// The moments of many rounds.
#[derive(Debug, Default)]
pub(crate) struct Timeline {
    moments: BTreeMap<String, Vec<Duration>>,
    rounds: usize,
}

impl Timeline {
    /// One round: each name once, its first occurrence counts.
    pub(crate) fn round(&mut self, moments: impl IntoIterator<Item = (String, Duration)>) {
        let mut seen = BTreeMap::new();
        for (name, at) in moments {
            seen.entry(name).or_insert(at);
        }
        for (name, at) in seen {
            self.moments.entry(name).or_default().push(at);
        }
        self.rounds += 1;
    }

    /// In order of their medians; what happened in less than half of the rounds is left out.
    pub(crate) fn table(mut self, caption: &str) -> String {
        let mut rows: Vec<(Duration, String)> = Vec::new();
        for (name, times) in &mut self.moments {
            times.sort_unstable();
            if times.len() * 2 >= self.rounds {
                rows.push((times.get(times.len() / 2).copied().unwrap_or_default(), name.clone()));
            }
        }
        rows.sort();
        let mut text = format!("{caption} (medians of {} rounds, ms)\n", self.rounds);
        let mut before = Duration::ZERO;
        for (at, name) in rows {
            let ms = |time: Duration| time.as_secs_f64() * 1e3;
            let step = at.saturating_sub(before);
            let _ = writeln!(text, "{:>9.1} {:>+8.1}  {name}", ms(at), ms(step));
            before = at;
        }
        text
    }
}

/// A name for a line that is a moment of interest; writes are counted per node.
pub(crate) fn moment(line: &Line, writes: &mut BTreeMap<String, u32>) -> Option<String> {
    const EVENTS: [&str; 12] = [
        "peer-lost",
        "tie-waits",
        "elected",
        "fencing",
        "fenced",
        "decided",
        "group-starting",
        "group-running",
        "group-stopping",
        "group-stopped",
        "resource-failed",
        "resource-restarting",
    ];
    if let Some(text) = line.text.strip_prefix("DEBUG ") {
        let words: Vec<&str> = text.split_whitespace().collect();
        return match words.as_slice() {
            ["write", _, "begins"] => {
                *writes.entry(line.node.clone()).or_default() += 1;
                let number = writes.get(&line.node)?;
                Some(format!("write {number} begins"))
            }
            ["write", _, "is", "on", "the", "disk"] => {
                let number = writes.get(&line.node)?;
                Some(format!("write {number} is on the disk"))
            }
            [_, "of", _, ..] => Some(text.to_owned()),
            _ => None,
        };
    }
    let kind = line.text.split("kind=\"").nth(1)?.split('"').next()?;
    EVENTS.contains(&kind).then(|| kind.to_owned())
}
