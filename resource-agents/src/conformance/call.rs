//! One call of any agent, with its environment, its limit, and what it said on descriptor 3.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::process::Command;
use std::time::{Duration, Instant};

use super::{Agent, Options};
use crate::child::{self, Finished};
use crate::contract::{Exit, Line};
use crate::deadline::Deadline;
use crate::{ocf, syscall};

/// Calls one agent again and again.
pub(super) struct Caller<'a> {
    agent: &'a Agent,
    options: &'a Options,
}

/// What one call brought.
pub(super) struct Reply {
    pub(super) finished: Finished,
    pub(super) stdout: String,
    /// The lines on descriptor 3 that are none.
    pub(super) bad_lines: Vec<String>,
    pub(super) took: Duration,
}

impl Reply {
    pub(super) fn exit(&self) -> Option<Exit> {
        self.finished.code.and_then(Exit::from_code)
    }
}

impl<'a> Caller<'a> {
    pub(super) fn new(agent: &'a Agent, options: &'a Options) -> Caller<'a> {
        Caller { agent, options }
    }

    pub(super) fn parameters(&self) -> &'a BTreeMap<String, String> {
        &self.options.parameters
    }

    /// Our word for an action, as this agent calls it.
    pub(super) fn word(&self, action: &'a str) -> &'a str {
        match (self.agent, action) {
            (Agent::Ocf { .. }, "status") => "monitor",
            (Agent::Ocf { .. }, "validate") => "validate-all",
            _ => action,
        }
    }

    pub(super) fn call(
        &self,
        action: &str,
        parameters: &BTreeMap<String, String>,
    ) -> io::Result<Reply> {
        // Holds descriptor 3 if it is free: what `spawn` opens for itself must not get it.
        let _reserved = File::open("/dev/null")?;
        let mut lines = child::unnamed_file()?;
        let mut command = self.command(parameters)?;
        command.arg(action);
        syscall::give_channel(&mut command, lines.try_clone()?);
        let began = Instant::now();
        let deadline = Deadline::after(self.options.timeout);
        let (finished, stdout) = child::run_for_output(&mut command, deadline, MOST_BYTES)?;
        let took = began.elapsed();
        Ok(Reply { finished, stdout, bad_lines: bad_lines(&mut lines)?, took })
    }

    fn command(&self, parameters: &BTreeMap<String, String>) -> io::Result<Command> {
        let timeout = u64::try_from(self.options.timeout.as_millis()).unwrap_or(u64::MAX);
        let (mut command, name) = match self.agent {
            Agent::Builtin { program, name } => {
                let mut command = Command::new(program);
                command.arg(name);
                (command, name.clone())
            }
            Agent::Executable(path) => {
                let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                (Command::new(path), name)
            }
            Agent::Ocf { root, provider, name } => {
                let root = root.to_string_lossy();
                let path = ocf::agent_path(&root, provider, name).ok_or_else(|| {
                    io::Error::new(
                        io::ErrorKind::InvalidInput,
                        format!("`ocf:{provider}:{name}` is no agent's name"),
                    )
                })?;
                let mut command = Command::new(path);
                command
                    .envs(ocf::environment(&root, provider, name, INSTANCE, timeout, parameters));
                (command, name.clone())
            }
        };
        if !matches!(self.agent, Agent::Ocf { .. }) {
            for (name, value) in parameters {
                command.env(format!("CRM_{}", name.to_ascii_uppercase()), value);
                command.env(format!("OCF_RESKEY_{name}"), value);
            }
        }
        command
            .env("CRM_GROUP", INSTANCE)
            .env("CRM_RESOURCE", name)
            .env("CRM_NODE", "localhost")
            .env("CRM_STATE_DIR", &self.options.state_dir)
            .env("CRM_TIMEOUT_MS", timeout.to_string());
        Ok(command)
    }
}

fn bad_lines(file: &mut File) -> io::Result<Vec<String>> {
    let text = child::head(file, MOST_BYTES)?;
    Ok(text.lines().filter(|line| Line::parse(line).is_none()).map(str::to_owned).collect())
}

const INSTANCE: &str = "conformance";
const MOST_BYTES: u64 = 1024 * 1024;
