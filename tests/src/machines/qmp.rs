//! The emulator's control socket: pull a cable, press reset, hear of a reset.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::lines::Lines;
use super::{LabError, Result};

/// How long the emulator may take to answer.
const PATIENCE: Duration = Duration::from_secs(20);

/// A connection to one emulator.
pub struct Qmp {
    machine: String,
    lines: Lines,
    events: Vec<String>,
}

impl Qmp {
    /// Connects and says hello.
    ///
    /// # Errors
    /// When the emulator does not answer.
    pub fn connect(machine: &str, socket: &Path) -> Result<Self> {
        let deadline = Instant::now() + PATIENCE;
        let mut lines = Lines::connect(&format!("{machine}: control socket"), socket, deadline)?;
        lines.line(deadline)?;
        let mut qmp = Self { machine: machine.to_owned(), lines, events: Vec::new() };
        qmp.execute("qmp_capabilities", &json!({}))?;
        Ok(qmp)
    }

    /// Runs one command and answers what it returned.
    ///
    /// # Errors
    /// When the emulator refuses it or does not answer.
    pub fn execute(&mut self, command: &str, arguments: &Value) -> Result<Value> {
        let deadline = Instant::now() + PATIENCE;
        self.lines.send(
            format!("{}\n", json!({"execute": command, "arguments": arguments})).as_bytes(),
        )?;
        loop {
            let mut message = self.message(deadline)?;
            if let Some(answer) = message.get_mut("return") {
                return Ok(answer.take());
            }
            if let Some(error) = message.get("error") {
                return Err(LabError::Refused {
                    machine: self.machine.clone(),
                    command: command.to_owned(),
                    answer: error.to_string(),
                });
            }
        }
    }

    /// Waits for an event such as `RESET`, and forgets all events until then: one reset of a guest can be
    /// several events.
    ///
    /// # Errors
    /// When it does not come in time.
    pub fn wait_event(&mut self, event: &str, within: Duration) -> Result<()> {
        let deadline = Instant::now() + within;
        while !self.events.iter().any(|seen| seen == event) {
            self.message(deadline)?;
        }
        self.events.clear();
        Ok(())
    }

    /// Forgets the events that have come so far.
    ///
    /// # Errors
    /// When the emulator does not answer.
    pub fn forget_events(&mut self) -> Result<()> {
        self.execute("query-status", &json!({}))?;
        self.events.clear();
        Ok(())
    }

    fn message(&mut self, deadline: Instant) -> Result<Value> {
        let line = self.lines.line(deadline)?;
        let message: Value = serde_json::from_str(&line).map_err(|e| LabError::Io {
            what: format!("{}: {line}", self.machine),
            source: e.into(),
        })?;
        if let Some(event) = message.get("event").and_then(Value::as_str) {
            self.events.push(event.to_owned());
        }
        Ok(message)
    }
}
