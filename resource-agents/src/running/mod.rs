//! A program that is kept running: started in a session of its own with no tie to the agent,
//! remembered by pid and start time, and ended with all that it has started.
//!
//! `process` and the agents of servers that stay in the foreground stand on this.

pub(crate) mod environment;
pub(crate) mod members;
pub(crate) mod output;
pub(crate) mod record;
pub(crate) mod start;
pub(crate) mod stop;
pub(crate) mod user;
pub(crate) mod words;

use std::path::PathBuf;
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::child;
use crate::contract::Failure;
use crate::deadline::Deadline;

/// What is to run.
#[derive(Debug)]
pub(crate) struct Program {
    /// Program and arguments; never empty.
    pub(crate) command: Vec<String>,
    pub(crate) user: Option<user::User>,
    pub(crate) directory: PathBuf,
    pub(crate) environment: Vec<(String, String)>,
    pub(crate) stop_signal: Signal,
    /// Where a command that goes to the background writes its pid.
    pub(crate) pid_file: Option<PathBuf>,
    pub(crate) log_file: Option<PathBuf>,
}

/// When a program counts as started.
pub(crate) trait Readiness {
    /// Without any sign: how long it must survive.
    fn settle(&self) -> Option<Duration> {
        None
    }

    /// Looks once at what the process `main` serves; the error says what is missing yet.
    fn look(&self, main: i32, deadline: Deadline) -> Result<(), String>;
}

impl Program {
    /// A command that runs as the daemon does and stays in the foreground.
    pub(crate) fn new(command: Vec<String>) -> Program {
        Program {
            command,
            user: None,
            directory: PathBuf::from("/"),
            environment: Vec::new(),
            stop_signal: Signal::SIGTERM,
            pid_file: None,
            log_file: None,
        }
    }

    pub(crate) fn find(&self) -> Result<PathBuf, Failure> {
        let name = self.command.first().map_or("", String::as_str);
        let path = match name.contains('/') {
            true => Some(self.directory.join(name)).filter(|path| child::is_executable(path)),
            false => child::find_tool(name),
        };
        path.ok_or_else(|| {
            Failure::installed(format!("expected the program {name}, found nothing executable"))
        })
    }
}
