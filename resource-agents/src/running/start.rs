//! Start: run the command apart from the agent, remember it, wait until it is ready.

use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use super::members::{MARK, Members};
use super::record::Record;
use super::{Program, Readiness, environment, output, stop};
use crate::contract::{Call, Failure, Outcome, Watch};
use crate::deadline::{Deadline, Pause};
use crate::procfs::{self, Stat};
use crate::syscall;

/// Starts it unless it runs already, and returns when it is ready. A failed start leaves nothing behind that can be
/// ended, and forgets nothing else.
pub(crate) fn start(call: &Call, wanted: &Program, ready: &dyn Readiness) -> Outcome {
    if let Some(record) = Record::load(&call.context)? {
        if record.main_is_alive() {
            call.channel.progress(format!("it runs already, as process {}", record.pid));
            return wait_and_watch(call, ready, &record);
        }
        let left = Members::of(&record).look()?;
        if !left.is_empty() {
            return Err(Failure::generic(format!(
                "an earlier run has left {} behind; stop it first",
                procfs::describe_all(&left)
            )));
        }
    }
    let program = wanted.find()?;
    if let Some(path) = &wanted.pid_file {
        // The number of an earlier run must not be taken for the new one.
        let _ = fs::remove_file(path);
    }
    let mut log = output::open(&call.context, wanted.log_file.as_deref())
        .map_err(|error| Failure::system("cannot open the file for the output", &error))?;
    let before = log.metadata().map(|meta| meta.len()).unwrap_or(0);

    let mark = mark(call);
    let mut child = spawn(call, wanted, &program, &log, &mark)?;
    let noted =
        record(&child, mark).and_then(|record| record.store(&call.context).map(|()| record));
    let record = noted.inspect_err(|_| {
        // Nobody could find it later.
        if let Ok(group) = i32::try_from(child.id()) {
            let _ = killpg(Pid::from_raw(group), Signal::SIGKILL);
        }
        let _ = child.kill();
        let _ = child.wait();
    })?;
    match await_ready(call, wanted, ready, &mut child, &record) {
        Ok(record) => {
            record.store(&call.context)?;
            call.channel.watch(Watch::Process(record.pid));
            Ok(())
        }
        Err(failure) => {
            let said = output::since(&mut log, before);
            let deadline = call.context.deadline;
            let mut words =
                if said.is_empty() { String::new() } else { format!("; it said: {said}") };
            // The next stop must find what cannot be ended now.
            match end_all(&record, wanted.stop_signal, deadline, &mut child) {
                Ok(left) if left.is_empty() => {
                    let _ = Record::remove(&call.context);
                }
                Ok(left) => words += &format!("; {}", stop::cannot_be_killed(&left)),
                Err(unseen) => words += &format!("; what is left of it is not known: {unseen}"),
            }
            Err(Failure::new(failure.exit, format!("{}{words}", failure.reason)))
        }
    }
}

/// A start of what runs also waits until it is ready.
fn wait_and_watch(call: &Call, ready: &dyn Readiness, record: &Record) -> Outcome {
    let mut pause = Pause::new();
    while let Err(missing) = ready.look(record.pid, call.context.deadline) {
        if !record.main_is_alive() {
            return Err(Failure::generic("it ended before it was ready"));
        }
        if !pause.sleep(call.context.deadline) {
            return Err(Failure::generic(format!("it is not ready in time: {missing}")));
        }
    }
    call.channel.watch(Watch::Process(record.pid));
    Ok(())
}

fn mark(call: &Call) -> String {
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map(|since| since.as_nanos())
        .unwrap_or(0);
    format!("{}.{}.{now}", call.context.instance, std::process::id())
}

fn spawn(
    call: &Call,
    wanted: &Program,
    program: &Path,
    log: &File,
    mark: &str,
) -> Result<Child, Failure> {
    let name = wanted.command.first().map_or("", String::as_str);
    let failed = |error: std::io::Error| Failure::system(format!("cannot run {name}"), &error);
    let mut command = Command::new(program);
    command
        .arg0(name)
        .args(wanted.command.get(1..).unwrap_or_default())
        .current_dir(&wanted.directory)
        .stdin(Stdio::null())
        .stdout(log.try_clone().map_err(failed)?)
        .stderr(log.try_clone().map_err(failed)?);
    for (variable, _) in std::env::vars_os() {
        if variable.to_str().is_some_and(environment::is_ours) {
            command.env_remove(variable);
        }
    }
    if let Some(user) = &wanted.user {
        command.env("HOME", &user.home).env("SHELL", &user.shell);
        command.env("USER", &user.name).env("LOGNAME", &user.name);
    }
    command
        .env("CRM_GROUP", &call.context.group)
        .env("CRM_RESOURCE", &call.context.resource)
        .env("CRM_NODE", &call.context.node)
        .envs(wanted.environment.iter().map(|(name, value)| (name, value)))
        .env(MARK, mark);
    syscall::set_apart(&mut command, wanted.user.as_ref().map(|user| user.credentials.clone()));
    if !wanted.directory.is_dir() {
        return Err(Failure::configured(format!(
            "the working directory {} does not exist",
            wanted.directory.display()
        )));
    }
    command.spawn().map_err(failed)
}

fn record(child: &Child, mark: String) -> Result<Record, Failure> {
    let pid = i32::try_from(child.id())
        .map_err(|_| Failure::generic("the kernel gave a pid that is no pid"))?;
    // Until it is waited for, even a process that has ended keeps its entry.
    let stat = Stat::of(pid).ok_or_else(|| {
        Failure::generic(format!("process {pid} is not in /proc; is it mounted?"))
    })?;
    Ok(Record {
        pid,
        started: stat.started,
        session: pid,
        session_started: stat.started,
        mark,
        boot: procfs::boot_id()
            .map_err(|error| Failure::system("cannot tell which boot this is", &error))?,
    })
}

/// Waits for readiness, or for the end of the process, whichever comes first.
fn await_ready(
    call: &Call,
    wanted: &Program,
    ready: &dyn Readiness,
    child: &mut Child,
    first: &Record,
) -> Result<Record, Failure> {
    let deadline = call.context.deadline;
    // A pid file is a sign too.
    let settle = ready.settle().filter(|_| wanted.pid_file.is_none());
    let settled = settle.map(|settle| deadline.at_most(settle));
    let mut pause = Pause::new();
    loop {
        let ended = child
            .try_wait()
            .map_err(|error| Failure::system("cannot wait for the process", &error))?;
        if let Some(status) = ended
            && !(wanted.pid_file.is_some() && status.success())
        {
            return Err(Failure::generic(format!("it ended at once: {}", describe(status))));
        }
        if let Some(settled) = settled {
            if settled.passed() {
                return Ok(first.clone());
            }
            pause.sleep(settled);
            continue;
        }
        let missing = match main_process(wanted, first) {
            Err(missing) => missing,
            Ok(record) => match ready.look(record.pid, deadline) {
                // What answered was another one if ours has ended meanwhile.
                Ok(()) if record.main_is_alive() => return Ok(record),
                Ok(()) => "it has ended".to_owned(),
                Err(missing) => missing,
            },
        };
        if !pause.sleep(deadline) {
            return Err(Failure::generic(format!("it is not ready in time: {missing}")));
        }
    }
}

/// The process that counts: what was started, or what the pid file names.
fn main_process(wanted: &Program, first: &Record) -> Result<Record, String> {
    let Some(path) = &wanted.pid_file else { return Ok(first.clone()) };
    let pid = read_pid(path)?;
    let stat = Stat::of(pid)
        .filter(|stat| !stat.is_dead())
        .ok_or_else(|| format!("{} names process {pid}, which does not run", path.display()))?;
    if stat.started < first.session_started {
        return Err(format!(
            "{} names process {pid}, which is older than this start",
            path.display()
        ));
    }
    Ok(Record { pid, started: stat.started, ..first.clone() })
}

fn read_pid(path: &Path) -> Result<i32, String> {
    let text = fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    text.split_whitespace()
        .next()
        .and_then(|word| word.parse().ok())
        .filter(|pid| *pid > 1)
        .ok_or_else(|| format!("{} holds no pid", path.display()))
}

/// A failed start leaves nothing behind that can be ended; the rest is returned.
fn end_all(
    record: &Record,
    signal: Signal,
    deadline: Deadline,
    child: &mut Child,
) -> Result<Vec<i32>, Failure> {
    let mut collect = || {
        let _ = child.try_wait();
    };
    let mut members = Members::of(record);
    stop::signal(&members.look()?, signal);
    let polite = deadline.at_most(stop::AFTER_FAILED_START);
    if stop::wait_until_gone(&mut members, polite, &mut collect)? {
        return Ok(Vec::new());
    }
    stop::kill_all(&mut members, deadline.at_least(stop::AFTER_FAILED_START), &mut collect)
}

fn describe(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt;
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(signal)) => match Signal::try_from(signal) {
            Ok(signal) => format!("ended by {signal}"),
            Err(_) => format!("ended by signal {signal}"),
        },
        (None, None) => "ended".to_owned(),
    }
}
