//! Start: only on its own data, and until it answers.

use std::fs;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use super::client::{self, Answer};
use super::{Instance, datadir, servers, status};
use crate::contract::{Call, Failure, Outcome, Watch};
use crate::deadline::{Deadline, Pause, QUESTION};
use crate::procfs;
use crate::running::record::Record;
use crate::running::{Program, Readiness, start};
use crate::seen::{Process, pids};

pub(super) fn start(call: &Call, instance: &Instance) -> Outcome {
    datadir::check(instance)?;
    let ours = Record::load(&call.context)?.filter(Record::main_is_alive).map(|record| record.pid);
    let servers = servers::all(instance)?;
    match servers.as_slice() {
        [server] if ours.is_none() => return adopt(call, instance, *server),
        [] | [_] => {}
        many => {
            return Err(Failure::generic(format!(
                "expected one server at most in {}, found {}; stop them first",
                instance.datadir.display(),
                procfs::describe_all(&pids(many))
            )));
        }
    }
    if ours.is_none() {
        free_socket(instance)?;
    }
    start::start(call, &program(instance)?, &Answers { instance })?;
    if let Some(record) = Record::load(&call.context)? {
        status::mark_ready(call, record.pid);
    }
    Ok(())
}

/// Somebody else started a server on this very directory: it is the one, once it answers where it
/// should.
fn adopt(call: &Call, instance: &Instance, server: Process) -> Outcome {
    call.channel.progress(format!("a server runs already, as process {}", server.pid));
    let ready = Answers { instance };
    let mut pause = Pause::new();
    while let Err(missing) = ready.look(server.pid, call.context.deadline) {
        if !server.is_alive() {
            return Err(Failure::generic("the server that ran already has ended"));
        }
        if !pause.sleep(call.context.deadline) {
            return Err(Failure::generic(format!(
                "process {}, which was not started by this agent, serves {} already, but: {missing}; \
                 stop it",
                server.pid,
                instance.datadir.display()
            )));
        }
    }
    status::mark_ready(call, server.pid);
    call.channel.watch(Watch::Process(server.pid));
    Ok(())
}

/// A socket that a crash left behind goes; one at which somebody answers is somebody's.
fn free_socket(instance: &Instance) -> Outcome {
    let socket = &instance.socket;
    match UnixStream::connect(socket) {
        Ok(_) => Err(Failure::generic(format!(
            "expected nobody at the socket {}, found a server of another data directory; give each \
             instance its own `socket`",
            socket.display()
        ))),
        Err(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => {
            fs::remove_file(socket).map_err(|error| {
                Failure::system(
                    format!("cannot remove the old socket {}", socket.display()),
                    &error,
                )
            })
        }
        Err(_) => Ok(()),
    }
}

fn program(instance: &Instance) -> Result<Program, Failure> {
    let path = |option: &str, path: &Path| format!("{option}={}", path.display());
    let mut command = vec![instance.program()?.display().to_string()];
    // It must be the first argument.
    if let Some(config) = &instance.config {
        if !config.is_file() {
            return Err(Failure::installed(format!(
                "expected the option file {}, found none",
                config.display()
            )));
        }
        command.push(path("--defaults-file", config));
    }
    command.push(path("--datadir", &instance.datadir));
    command.push(path("--socket", &instance.socket));
    command.push(path("--pid-file", &instance.pid_file));
    command.push(format!("--user={}", instance.user));
    if let Some(port) = instance.port {
        command.push(format!("--port={port}"));
    }
    if let Some(address) = &instance.bind_address {
        command.push(format!("--bind-address={address}"));
    }
    command.extend(instance.options.iter().cloned());
    let mut program = Program::new(command);
    program.log_file.clone_from(&instance.log_file);
    Ok(program)
}

/// Ready is who answers a query, and serves this directory.
struct Answers<'a> {
    instance: &'a Instance,
}

impl Readiness for Answers<'_> {
    fn look(&self, _: i32, deadline: Deadline) -> Result<(), String> {
        match client::ask(self.instance, deadline.at_most(QUESTION)) {
            Answer::Serves(found) if is_same(&found, &self.instance.datadir) => Ok(()),
            Answer::Serves(found) => Err(other(&found)),
            // It has recovered, and talks: who may log in is not ours to judge.
            Answer::Refuses(_) => Ok(()),
            Answer::Silent(text) | Answer::Hangs(text) | Answer::Failed(text) => Err(text),
        }
    }
}

/// What answers at the socket is another instance.
pub(super) fn other(found: &Path) -> String {
    format!("the server at its socket serves {}", found.display())
}

pub(super) fn is_same(left: &Path, right: &Path) -> bool {
    let whole = |path: &Path| -> PathBuf { fs::canonicalize(path).unwrap_or_else(|_| path.into()) };
    whole(left) == whole(right)
}
