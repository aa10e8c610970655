//! The probe: another program, told who is up, asked for its counts.

use serde_json::Value;
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// The probe answers within this, or is no witness.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Outside {
    child: Child,
    orders: Option<ChildStdin>,
    lines: Receiver<Value>,
    /// What it said that is forbidden.
    pub(crate) violations: Vec<Value>,
}

impl Outside {
    pub(crate) fn start(programs: &Path, out: &Path) -> std::io::Result<Outside> {
        let mut child = Command::new(programs.join("lab-probe"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(File::create(out.join("probe.log"))?)
            .spawn()?;
        let missing = || std::io::Error::other("the probe has no pipes");
        let output = child.stdout.take().ok_or_else(missing)?;
        let orders = Some(child.stdin.take().ok_or_else(missing)?);
        let (send, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if send.send(serde_json::from_str(&line).unwrap_or(Value::Null)).is_err() {
                    break;
                }
            }
        });
        Ok(Outside { child, orders, lines, violations: Vec::new() })
    }

    /// Says a line that has no answer.
    pub(crate) fn tell(&mut self, line: &str) -> Result<(), String> {
        let orders = self.orders.as_mut().ok_or("the probe is closed")?;
        writeln!(orders, "{line}")
            .and_then(|()| orders.flush())
            .map_err(|error| format!("the probe: {error}"))
    }

    /// Says a line, and gives the answer that has this key.
    pub(crate) fn ask(&mut self, line: &str, key: &str) -> Result<Value, String> {
        self.tell(line)?;
        let until = Instant::now() + PATIENCE;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let said = self.lines.recv_timeout(left);
            let said =
                said.map_err(|error| format!("the probe did not answer `{line}`: {error}"))?;
            if said.get("violation").is_some() {
                self.violations.push(said);
            } else if said.get(key).is_some() {
                return Ok(said);
            }
        }
    }

    /// What it has said unasked.
    pub(crate) fn listen(&mut self) {
        let said = self.lines.try_iter().filter(|said| said.get("violation").is_some());
        self.violations.extend(said);
    }
}

impl Drop for Outside {
    fn drop(&mut self) {
        drop(self.orders.take());
        let until = Instant::now() + Duration::from_secs(5);
        while Instant::now() < until {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
