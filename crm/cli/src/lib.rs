//! The operator's commands.
//!
//! Each command is one file under `command`; what they print goes through [`output::Output`],
//! which ends quietly when the reader goes away. Data goes to the standard output, everything
//! else to the standard error.

// No panic on any input.
#![cfg_attr(not(test), warn(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod args;
mod catalog;
mod command;
mod draw;
mod handler;
mod multicall;
mod output;
mod paths;
mod session;
mod started_at_boot;
mod wait;

use args::{Args, Command};
use clap::Parser;
use crm_api::Exit;
use output::{Failure, Output};
use std::process::ExitCode;

/// Runs the program: as an agent or the daemon if it is called by that name, else as `crm`.
pub fn main() -> ExitCode {
    if let Some(code) = multicall::dispatch() {
        return code;
    }
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => {
            let code = if error.use_stderr() { Exit::Usage } else { Exit::Done };
            // A closed pipe is no reason to complain about a help text.
            let _ = error.print();
            return code.into();
        }
    };
    let mut output = Output::new();
    match run(args, &mut output) {
        Ok(exit) => exit.into(),
        Err(failure) => failure.report(),
    }
}

fn run(args: Args, output: &mut Output) -> Result<Exit, Failure> {
    let place = args.place;
    match args.command {
        Command::Init(init) => command::init::run(&place, init, output),
        Command::Join(join) => command::join::run(&place, join, output),
        Command::Check(check) => command::check::run(&place, check, output),
        Command::Verify(verify) => command::rehearse::verify(&place, &verify, output),
        Command::Replay(replay) => command::rehearse::replay(&place, &replay, output),
        Command::Simulate(simulate) => command::rehearse::simulate(&place, &simulate, output),
        Command::Apply(apply) => command::apply::run(&place, apply, output),
        Command::Keygen(keygen) => command::keygen::run(&place, keygen, output),
        Command::Config => command::config::run(&place, output),
        Command::Status(status) => command::status::run(&place, status, output),
        Command::Why(why) => command::why::run(&place, &why, output),
        Command::Events(events) => command::events::run(&place, &events, output),
        Command::Change(change) => command::change::run(&place, change, output),
        Command::Agents(agents) => command::agents::run(agents, output),
        Command::Drbd(drbd) => command::drbd::run(&place, drbd, output),
        Command::Witness(witness) => command::witness::run(&witness, output),
        Command::Demo(demo) => command::demo::run(demo, output),
        Command::Generate(generate) => command::generate::run(generate, output),
    }
}
