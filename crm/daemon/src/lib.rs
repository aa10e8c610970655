//! `crmd`: the shell around the core. It turns the real world into inputs and outputs into the
//! real world, and holds no policy of the cluster itself.
//!
//! Read in this order: [`Options`], `start` (what must be right before the first packet),
//! `event_loop` (one thread that never blocks), `duties` (what each output does). Disk writes and
//! file watching have threads of their own, agents and fencing devices are child processes.

// No panic on any input.
#![cfg_attr(not(test), warn(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod bans;
mod clock;
mod control;
mod draft;
mod duties;
mod event_loop;
mod events;
mod executor;
mod fencing;
mod files;
mod founding;
#[cfg(fuzzing)]
pub mod fuzzing;
mod happening;
mod keys;
mod links;
mod lock;
mod logging;
mod options;
mod ping;
mod questions;
mod random;
mod realtime;
mod start;
mod store;
mod sys;
mod systemd;
#[cfg(test)]
mod testing;
mod timer;
mod timing;
mod watchdog;
mod watches;
mod witness;

pub use founding::{found, note_contact};
pub use keys::keep_keys;
pub use options::{LogKind, Options};
pub use store::replace_file;
pub use witness::{WitnessOptions, check_files as check_witness_files, serve as serve_witness};

use clap::Parser;
use crm_core::Shutdown;
use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

/// The whole program: the daemon, or, when called by the name `crm-agent`, an agent. A program
/// that embeds the daemon calls [`agent_from_args`] first thing in its own `main`.
pub fn main_from_args(args: Vec<OsString>) -> ExitCode {
    if let Some(code) = agent_from_args(&args) {
        return code;
    }
    match Options::try_parse_from(&args) {
        Ok(options) => run(&options),
        Err(error) => {
            // Help and version are asked for, everything else is a usage error.
            let code = if error.use_stderr() { 2 } else { 0 };
            let _ = error.print();
            ExitCode::from(code)
        }
    }
}

/// The agents built in: `Some` if the first argument is the name `crm-agent`, under which the
/// daemon calls its own program.
pub fn agent_from_args(args: &[OsString]) -> Option<ExitCode> {
    let name = Path::new(args.first()?).file_name()?;
    if name != executor::AGENT_NAME {
        return None;
    }
    let code = crm_agents::main_from_args(args.to_vec());
    Some(ExitCode::from(u8::try_from(code).unwrap_or(1)))
}

/// Exit code of a daemon that was told to end and to keep everything running. The service manager
/// starts the next one for it (`RestartForceExitStatus` in the unit), and none after a node left.
pub const KEPT: u8 = 75;

/// Runs the daemon until it is told to end.
pub fn run(options: &Options) -> ExitCode {
    if let Err(problem) = logging::install(options.log) {
        eprintln!("crmd: {problem}");
        return ExitCode::from(1);
    }
    match start::start(options) {
        Ok(Some(Shutdown::Keep)) => ExitCode::from(KEPT),
        Ok(_) => ExitCode::SUCCESS,
        Err(problem) => {
            tracing::error!(kind = "ended", "{problem}");
            systemd::status(problem.lines().next().unwrap_or_default());
            ExitCode::from(1)
        }
    }
}
