//! `process`: a command that is kept running.
//!
//! Start runs it in a session of its own, with no tie to the agent, and waits until it is ready.
//! What was started is remembered by pid and start time, so a number that the kernel gave to
//! somebody else is never taken for it.

mod ready;

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::child;
use crate::contract::{Action, Call, Failure, Outcome, Parameters, Watch};
use crate::filesystem::signal_called;
use crate::metadata::{Kind, MetaData, Parameter};
use crate::running::members::Members;
use crate::running::record::Record;
use crate::running::{Program, environment, output, start, stop, user, words};

pub(crate) fn meta_data() -> MetaData {
    MetaData {
        name: "process".to_owned(),
        short_description: "A command that is kept running".to_owned(),
        long_description: "Runs the command in a session of its own and waits until it is ready \
            (`ready`, `ready_tcp`, `pid_file`; without any of them, until it has survived \
            `settle`). Stop signals all that it started, then kills what is left."
            .to_owned(),
        primary: Some("command".to_owned()),
        parameters: vec![
            Parameter::new(
                "command",
                Kind::String,
                "The command and its arguments, quoted as in a shell",
            )
            .required(),
            Parameter::new("shell", Kind::Boolean, "Give the command to /bin/sh").default("false"),
            Parameter::new(
                "user",
                Kind::String,
                "USER or USER:GROUP to run as; else as the daemon",
            ),
            Parameter::new("directory", Kind::Path, "The working directory").default("/"),
            Parameter::new("environment", Kind::String, "NAME=VALUE words, quoted as in a shell"),
            Parameter::new(
                "environment_file",
                Kind::String,
                "A file of NAME=VALUE lines; a leading `-` means that it may be missing",
            ),
            Parameter::new("stop_signal", Kind::String, "The signal that asks it to end")
                .default("TERM"),
            Parameter::new(
                "stop_timeout",
                Kind::Duration,
                "How long it may take to end before it is killed",
            )
            .default("10s"),
            Parameter::new(
                "pid_file",
                Kind::Path,
                "Where the command itself writes the pid of its main process; it may then go to \
                 the background",
            ),
            Parameter::new(
                "ready",
                Kind::String,
                "A command that succeeds once the service is ready",
            ),
            Parameter::new("ready_tcp", Kind::String, "ADDRESS:PORT that accepts once it is ready"),
            Parameter::new(
                "settle",
                Kind::Duration,
                "Without any sign of readiness: how long it must survive to count as started",
            )
            .default("50ms"),
            Parameter::new(
                "check",
                Kind::String,
                "A command by which `status` asks for its health",
            ),
            Parameter::new(
                "log_file",
                Kind::Path,
                "Where its output goes; else a small file in the state directory that `status` \
                 keeps short",
            ),
        ],
        ..MetaData::usual()
    }
}

pub(crate) fn run(call: &Call) -> Outcome {
    match call.action {
        Action::MetaData => Ok(()),
        Action::Validate => {
            let (program, _) = wanted(&call.parameters)?;
            program.find().map(|_| ())
        }
        Action::Start => {
            let (program, ready) = wanted(&call.parameters)?;
            start::start(call, &program, &ready)
        }
        // Neither needs the user or the environment file, which may lie on a filesystem that is
        // already gone.
        Action::Stop => {
            let (signal, timeout) = stop_terms(&call.parameters)?;
            stop::stop(call, signal, timeout)
        }
        Action::Status => status(call),
    }
}

fn wanted(parameters: &Parameters) -> Result<(Program, ready::Ready), Failure> {
    let (stop_signal, _) = stop_terms(parameters)?;
    check(parameters)?;
    let shell = parameters.boolean("shell");
    let mut environment = environment::from_file(parameters.text("environment_file"))?;
    environment.extend(environment::from_words(parameters.text("environment"))?);
    let program = Program {
        command: command(parameters.required("command")?, shell, "command")?,
        user: parameters.text("user").map(user::User::find).transpose()?,
        directory: PathBuf::from(parameters.text("directory").unwrap_or("/")),
        environment,
        stop_signal,
        pid_file: parameters.text("pid_file").map(PathBuf::from),
        log_file: parameters.text("log_file").map(PathBuf::from),
    };
    Ok((program, ready::Ready::new(parameters)?))
}

fn stop_terms(parameters: &Parameters) -> Result<(Signal, Duration), Failure> {
    let name = parameters.text("stop_signal").unwrap_or("TERM");
    let signal = signal_called(name).ok_or_else(|| {
        Failure::configured(format!("`stop_signal` must be a signal such as TERM, found {name:?}"))
    })?;
    Ok((signal, parameters.duration("stop_timeout")))
}

/// The words of a command, or the shell that gets them all.
fn command(text: &str, shell: bool, parameter: &str) -> Result<Vec<String>, Failure> {
    if shell {
        return Ok(["/bin/sh", "-c", text].map(str::to_owned).to_vec());
    }
    match words::split(text) {
        Ok(words) if !words.is_empty() => Ok(words),
        Ok(_) => Err(Failure::configured(format!("`{parameter}` is empty"))),
        Err(error) => Err(Failure::configured(format!("`{parameter}`: {error}"))),
    }
}

fn check(parameters: &Parameters) -> Result<Option<Vec<String>>, Failure> {
    let shell = parameters.boolean("shell");
    parameters.text("check").map(|text| command(text, shell, "check")).transpose()
}

fn status(call: &Call) -> Outcome {
    let Some(record) = Record::load(&call.context)? else {
        return Err(Failure::not_running("it has not been started here"));
    };
    if !record.main_is_alive() {
        let left = Members::of(&record).look()?;
        if left.is_empty() {
            return Err(Failure::not_running(format!("process {} has ended", record.pid)));
        }
        return Err(Failure::generic(format!(
            "process {} has ended and left {} behind",
            record.pid,
            crate::procfs::describe_all(&left)
        )));
    }
    output::keep_short(&call.context);
    if let Some(words) = check(&call.parameters)? {
        let finished = child::run(&mut plain(&words), call.context.deadline)
            .map_err(|error| Failure::system(format!("cannot run {}", words[0]), &error))?;
        if !finished.succeeded() {
            return Err(Failure::generic(format!("the check failed: {}", finished.summary())));
        }
    }
    call.channel.watch(Watch::Process(record.pid));
    Ok(())
}

/// A short command of the administrator, as it is.
fn plain(words: &[String]) -> Command {
    let mut command = Command::new(words.first().map_or("", String::as_str));
    command.args(words.get(1..).unwrap_or_default());
    command
}
