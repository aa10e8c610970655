//! Operators: random commands on random nodes, some at the same time.

use crate::chance::Chance;
use crate::scene::{GROUPS, NODES};
use crm_tests::namespaces::Laboratory;
use std::collections::BTreeMap;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

/// A command that waits longer is ended: its own limit is 8 s.
const PATIENCE: Duration = Duration::from_secs(40);
/// What Rust's panics end with.
const PANICKED: i32 = 101;

#[derive(Default)]
pub(crate) struct Operators {
    running: Vec<(Instant, String, Child)>,
    /// How each command ended, how often.
    pub(crate) ends: BTreeMap<String, u64>,
    /// Commands that broke, which no fault excuses.
    pub(crate) broken: Vec<String>,
}

impl Operators {
    /// Gives a command on `node`, and does not wait for it. `draft`: a configuration to apply.
    pub(crate) fn act(
        &mut self,
        lab: &Laboratory,
        chance: &mut Chance,
        node: &str,
        victim: Option<&str>,
        draft: &str,
    ) -> Option<String> {
        let group = chance.pick(&GROUPS).0;
        let target = *chance.pick(&NODES);
        let draft_path = lab.node(node).disk.join("next.yaml");
        let draft_path = draft_path.to_string_lossy();
        let words: Vec<&str> = match chance.between(0, 17) {
            0 | 1 => vec!["stop", group, "--no-wait"],
            2 | 3 => vec!["start", group, "--timeout", "8"],
            4..=6 => vec!["migrate", group, target, "--timeout", "8"],
            7 => vec!["migrate", group, "--no-wait"],
            8 => vec!["restart", group, "--timeout", "8"],
            9 => vec!["standby", target, "--no-wait"],
            10 => vec!["online", target, "--timeout", "8"],
            11 => vec!["maintenance", "on", "--for", "20s"],
            12 => vec!["maintenance", "off"],
            13 => vec!["clear", group],
            14 => {
                std::fs::write(draft_path.as_ref(), draft).ok()?;
                vec!["apply", draft_path.as_ref(), "--yes"]
            }
            15 => vec!["status", "--links"],
            16 => vec!["why", group],
            _ => match victim {
                Some(victim) => vec!["fence", victim, "--yes", "--timeout", "8"],
                None => vec!["events"],
            },
        };
        let mut command = lab.node(node).try_command("crm")?;
        command.args(&words).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().ok()?;
        self.running.push((Instant::now(), words[0].to_owned(), child));
        Some(format!("crm {} on {node}", words.join(" ")))
    }

    /// Notes which have ended; with `all`, waits for each until its patience ends.
    pub(crate) fn reap(&mut self, all: bool) {
        loop {
            let mut rest = Vec::new();
            for (since, word, mut child) in std::mem::take(&mut self.running) {
                let code = match child.try_wait() {
                    Ok(Some(status)) => status.code(),
                    _ if since.elapsed() > PATIENCE => {
                        let _ = child.kill();
                        let _ = child.wait();
                        self.broken.push(format!("crm {word} did not end within {PATIENCE:?}"));
                        None
                    }
                    _ => {
                        rest.push((since, word, child));
                        continue;
                    }
                };
                if code == Some(PANICKED) {
                    self.broken.push(format!("crm {word} panicked"));
                }
                let end =
                    code.map_or("died with its node".to_owned(), |code| format!("code {code}"));
                *self.ends.entry(format!("{word}: {end}")).or_default() += 1;
            }
            self.running = rest;
            if !all || self.running.is_empty() {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}
