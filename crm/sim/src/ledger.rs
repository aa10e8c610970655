//! A campaign in pieces: what was run so far stands in a file, the next piece goes on from there.

use crate::campaign::Totals;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::Path;

/// What the pieces amounted to together. The sums are over all pieces, of whatever build.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ledger {
    /// The seed with which the next piece begins.
    pub next_seed: u64,
    /// Runs: one for each seed and layout.
    pub runs: u64,
    pub simulated_hours: f64,
    pub events: u64,
    pub datagrams: u64,
    pub elections: u64,
    pub commits: u64,
    pub moves: u64,
    pub starts: u64,
    pub fences: u64,
    pub acknowledged: u64,
    pub faults: BTreeMap<String, u64>,
    /// Violations by promise; found ones stay here also after they were mended.
    pub violations: BTreeMap<String, u64>,
    pub wall_seconds: f64,
    /// Seconds until everything ran again after the last fault (I4), and in how many runs.
    #[serde(default)]
    pub healed: BTreeMap<u64, u64>,
    /// Seconds until the groups of one more lost machine ran elsewhere.
    #[serde(default)]
    pub survived: BTreeMap<u64, u64>,
    pub pieces: Vec<Piece>,
}

/// A range of seeds that one build ran.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Piece {
    /// What ran, as the caller names it: a commit.
    pub build: String,
    pub from: u64,
    /// How many seeds.
    pub seeds: u64,
    /// How many layouts each seed ran on.
    pub layouts: u64,
    pub violations: u64,
}

impl Ledger {
    /// The ledger in this file, or an empty one if there is no such file.
    ///
    /// # Errors
    /// The file cannot be read, or holds something else.
    pub fn load(path: &Path) -> Result<Ledger, String> {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Ledger::default()),
            Err(error) => return Err(format!("{}: {error}", path.display())),
        };
        serde_json::from_str(&text).map_err(|error| {
            format!("{}: expected the ledger of a campaign: {error}", path.display())
        })
    }

    /// Written beside and renamed: an interrupted campaign loses one piece at the most.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn save(&self, path: &Path) -> Result<(), String> {
        let beside = path.with_extension("new");
        let written = (|| {
            let mut file = std::fs::File::create(&beside)?;
            serde_json::to_writer_pretty(&mut file, self).map_err(io::Error::other)?;
            file.write_all(b"\n")?;
            file.sync_all()?;
            std::fs::rename(&beside, path)
        })();
        written.map_err(|error| format!("{}: {error}", path.display()))
    }

    /// Adds a piece that began at `next_seed`.
    pub fn add(&mut self, build: &str, seeds: u64, layouts: u64, totals: &Totals, wall: f64) {
        let figures = &totals.figures;
        let piece = Piece {
            build: build.to_owned(),
            from: self.next_seed,
            seeds,
            layouts,
            violations: totals.failures.len() as u64,
        };
        self.next_seed += seeds;
        self.runs += totals.runs;
        self.simulated_hours += figures.simulated as f64 / 3.6e9;
        self.events += figures.events;
        self.datagrams += figures.datagrams;
        self.elections += figures.elections;
        self.commits += figures.commits;
        self.moves += figures.moves;
        self.starts += figures.starts;
        self.fences += figures.fences;
        self.acknowledged += figures.acknowledged;
        self.wall_seconds += wall;
        let seconds =
            [(&mut self.healed, &figures.healed), (&mut self.survived, &figures.survived)];
        for (sum, more) in seconds {
            for (second, count) in more {
                *sum.entry(*second).or_default() += count;
            }
        }
        for (kind, count) in &figures.faults {
            *self.faults.entry((*kind).to_owned()).or_default() += count;
        }
        for (promise, count) in &totals.violations {
            *self.violations.entry((*promise).to_owned()).or_default() += count;
        }
        match self.pieces.last_mut() {
            // One line for what one build ran in one go.
            Some(last)
                if last.build == piece.build
                    && last.layouts == piece.layouts
                    && last.from + last.seeds == piece.from =>
            {
                last.seeds += piece.seeds;
                last.violations += piece.violations;
            }
            _ => self.pieces.push(piece),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_add_up_and_one_build_is_one_line() {
        let mut ledger = Ledger::default();
        let mut totals = Totals { runs: 28, ..Totals::default() };
        totals.figures.faults.insert("crash", 3);
        totals.figures.healed.insert(12, 28);
        ledger.add("one", 2, 14, &totals, 1.5);
        ledger.add("one", 2, 14, &totals, 1.5);
        totals.violations.insert("no_ping_pong", 1);
        ledger.add("two", 5, 14, &totals, 1.0);
        assert_eq!((ledger.next_seed, ledger.runs, ledger.wall_seconds), (9, 84, 4.0));
        assert_eq!((ledger.faults["crash"], ledger.healed[&12]), (9, 84));
        assert_eq!(ledger.violations["no_ping_pong"], 1);
        let ranges: Vec<_> = ledger.pieces.iter().map(|p| (p.from, p.seeds)).collect();
        assert_eq!(ranges, [(0, 4), (4, 5)]);
    }

    #[test]
    fn what_was_saved_is_loaded_and_other_files_are_refused() {
        let name = format!("crm-campaign-{}.json", std::process::id());
        let path = std::env::temp_dir().join(name);
        assert_eq!(Ledger::load(&path), Ok(Ledger::default()));
        let mut ledger = Ledger::default();
        ledger.add("one", 2, 14, &Totals { runs: 28, ..Totals::default() }, 1.5);
        ledger.save(&path).unwrap();
        assert_eq!(Ledger::load(&path), Ok(ledger));
        std::fs::write(&path, "[]").unwrap();
        let refused = Ledger::load(&path);
        std::fs::remove_file(&path).unwrap();
        assert!(refused.unwrap_err().contains("expected the ledger"));
    }
}
