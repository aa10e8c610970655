//! `samba`: one Samba file server, by its configuration file, on the group's address only.
//!
//! It runs in the foreground. Everything that it must remember lies in one directory on the volume; what only this
//! boot knows (pids, sockets) lies in the state directory. Start and status ask it for its protocol.

mod negotiate;

use std::fs::{self, DirBuilder};
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use nix::sys::signal::Signal;

use crate::apache::alive;
use crate::child;
use crate::contract::{Action, Call, Failure, Outcome, Parameters};
use crate::deadline::{Deadline, QUESTION};
use crate::filesystem::mounted_on;
use crate::metadata::{Kind, MetaData, Parameter};
use crate::running::{Program, Readiness, output, start, stop};
use crate::state;

pub(crate) fn meta_data() -> MetaData {
    MetaData {
        name: "samba".to_owned(),
        short_description: "A Samba file server".to_owned(),
        long_description: "Runs `smbd` with its own configuration and its own directories, listening on \
            one address only. It counts as started when it answers the first question of a client \
            (SMB2 negotiate), and as stopped when no process of it is left."
            .to_owned(),
        primary: Some("config".to_owned()),
        parameters: vec![
            Parameter::new("config", Kind::Path, "Its smb.conf; it may lie on the volume")
                .required()
                .unique(),
            Parameter::new(
                "address",
                Kind::Address,
                "The only address on which it listens; the `vip` of its group, which comes before it",
            )
            .required(),
            Parameter::new("port", Kind::Integer, "The TCP port").default("445"),
            Parameter::new(
                "state",
                Kind::Path,
                "The directory of its databases (passwords, locks, open files); else `state` beside \
                 the configuration. Made if it is missing",
            )
            .unique(),
            Parameter::new(
                "mount",
                Kind::Path,
                "The mount point on which configuration and state must lie; a start without it is \
                 refused",
            ),
            Parameter::new("program", Kind::String, "The server; else smbd"),
            Parameter::new("stop_timeout", Kind::Duration, "How long it may take to end")
                .default("10s"),
        ],
        ..MetaData::usual()
    }
}

/// The server as configured.
#[derive(Debug)]
struct Server {
    config: PathBuf,
    address: IpAddr,
    port: u16,
    state: PathBuf,
    mount: Option<PathBuf>,
    program: String,
}

pub(crate) fn run(call: &Call) -> Outcome {
    match call.action {
        Action::MetaData => Ok(()),
        // What it needs may be gone already.
        Action::Stop => stop::stop(call, Signal::SIGTERM, call.parameters.duration("stop_timeout")),
        Action::Start => start(call, &Server::new(&call.parameters)?),
        Action::Status => {
            let server = Server::new(&call.parameters)?;
            alive(call)?;
            output::keep_short(&call.context);
            negotiate::ask(server.socket(), call.context.deadline)
                .map_err(|found| Failure::generic(format!("it runs and does not serve: {found}")))
        }
        Action::Validate => {
            let server = Server::new(&call.parameters)?;
            Program::new(vec![server.program.clone()]).find()?;
            // It may lie on the volume, which is mounted elsewhere now.
            if server.config.exists() { server.test(call) } else { Ok(()) }
        }
    }
}

impl Server {
    fn new(parameters: &Parameters) -> Result<Server, Failure> {
        let path = |name: &str| parameters.text(name).map(PathBuf::from);
        let config = PathBuf::from(parameters.required("config")?);
        let port = parameters.integer("port").unwrap_or(DEFAULT_PORT);
        let port = u16::try_from(port).ok().filter(|port| *port > 0).ok_or_else(|| {
            Failure::configured(format!("`port` must be 1 to 65535, found {port}"))
        })?;
        let (address, _) = parameters.address("address")?;
        if address.is_unspecified() {
            return Err(Failure::configured(format!(
                "`address` must be the group's own address, found {address}"
            )));
        }
        Ok(Server {
            address,
            port,
            state: path("state")
                .unwrap_or_else(|| config.parent().unwrap_or(Path::new("/")).join("state")),
            mount: path("mount"),
            program: parameters.text("program").unwrap_or("smbd").to_owned(),
            config,
        })
    }

    fn socket(&self) -> SocketAddr {
        SocketAddr::new(self.address, self.port)
    }

    /// What it is run with, whatever its configuration says: nothing of it may lie elsewhere, nor listen elsewhere.
    fn program(&self, run: &Path) -> Program {
        let mut command = vec![self.program.clone(), "--foreground".to_owned()];
        command.push("--no-process-group".to_owned());
        command.push("--debug-stdout".to_owned());
        command.push(format!("--configfile={}", self.config.display()));
        let mut option = |name: &str, value: &str| command.push(format!("--option={name}={value}"));
        option("interfaces", &self.address.to_string());
        option("bind interfaces only", "yes");
        option("smb ports", &self.port.to_string());
        for (name, directory) in DIRECTORIES {
            option(name, &self.state.join(directory).display().to_string());
        }
        option("pid directory", &run.display().to_string());
        option("ncalrpc dir", &run.join("ncalrpc").display().to_string());
        Program::new(command)
    }

    /// `testparm` reads all of the configuration, where it is installed.
    fn test(&self, call: &Call) -> Outcome {
        let Some(testparm) = child::find_tool("testparm") else { return Ok(()) };
        let mut tool = std::process::Command::new(testparm);
        tool.arg("--suppress-prompt").arg(&self.config);
        let finished = child::run(&mut tool, call.context.deadline)
            .map_err(|error| Failure::system("cannot run testparm", &error))?;
        match finished.succeeded() {
            true => Ok(()),
            false => Err(Failure::configured(format!(
                "Samba refuses the configuration: {}",
                finished.summary()
            ))),
        }
    }
}

fn start(call: &Call, server: &Server) -> Outcome {
    if !server.config.is_file() {
        return Err(Failure::installed(format!(
            "expected the configuration {}, found none; is its filesystem mounted before this?",
            server.config.display()
        )));
    }
    if let Some(mount) = &server.mount {
        mounted_on(mount, &server.config)?;
    }
    if let Err(error) = TcpListener::bind((server.address, 0)) {
        return Err(Failure::generic(format!(
            "expected the address {} on this machine: {error}; its `vip` comes before this in the group",
            server.address
        )));
    }
    let parent = server.state.parent().unwrap_or(Path::new("/"));
    if !parent.is_dir() {
        return Err(Failure::installed(format!(
            "expected the directory {}, found none; it is to hold the server's databases",
            parent.display()
        )));
    }
    for (_, directory) in DIRECTORIES {
        make(&server.state.join(directory))?;
    }
    if let Some(mount) = &server.mount {
        mounted_on(mount, &server.state)?;
    }
    let run = state::path(&call.context, "samba")
        .map_err(|error| Failure::system("cannot use the state directory", &error))?;
    make(&run.join("ncalrpc"))?;
    server.test(call)?;
    start::start(call, &server.program(&run), &Answers { server })
}

/// Samba insists that nobody but root may write there; users must be able to pass.
fn make(directory: &Path) -> Outcome {
    if fs::metadata(directory).is_ok_and(|found| found.is_dir()) {
        return Ok(());
    }
    DirBuilder::new().recursive(true).mode(0o755).create(directory).map_err(|error| {
        Failure::system(format!("cannot make the directory {}", directory.display()), &error)
    })
}

/// Ready is who answers a client's first question.
struct Answers<'a> {
    server: &'a Server,
}

impl Readiness for Answers<'_> {
    fn look(&self, _: i32, deadline: Deadline) -> Result<(), String> {
        negotiate::ask(self.server.socket(), deadline.at_most(QUESTION))
    }
}

const DEFAULT_PORT: i64 = 445;
/// Samba's name for each of its directories, and where it is below `state`.
const DIRECTORIES: [(&str, &str); 4] = [
    ("private dir", "private"),
    ("lock directory", "lock"),
    ("state directory", "lib"),
    ("cache directory", "cache"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn server(given: &[(&str, &str)]) -> Result<Server, Failure> {
        let given: BTreeMap<String, String> =
            given.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Server::new(&Parameters::checked(&meta_data(), given)?)
    }

    #[test]
    fn everything_lies_on_the_volume_and_only_one_address_is_served() {
        let server = server(&[("config", "/data/samba/smb.conf"), ("address", "10.9.0.100/24")]);
        let command = server.expect("fits").program(Path::new("/run/crm/x")).command;
        for wanted in [
            "--configfile=/data/samba/smb.conf",
            "--option=interfaces=10.9.0.100",
            "--option=bind interfaces only=yes",
            "--option=smb ports=445",
            "--option=private dir=/data/samba/state/private",
            "--option=lock directory=/data/samba/state/lock",
            "--option=state directory=/data/samba/state/lib",
            "--option=cache directory=/data/samba/state/cache",
            "--option=pid directory=/run/crm/x",
        ] {
            assert!(command.iter().any(|word| word == wanted), "{wanted} in {command:?}");
        }
    }

    #[test]
    fn what_would_listen_everywhere_or_nowhere_is_refused() {
        for (given, said) in [
            ([("address", "0.0.0.0"), ("port", "445")], "own address"),
            ([("address", "::"), ("port", "445")], "own address"),
            ([("address", "10.9.0.100"), ("port", "0")], "`port`"),
            ([("address", "10.9.0.100"), ("port", "65536")], "`port`"),
            ([("address", "server"), ("port", "445")], "address"),
        ] {
            let given = [&[("config", "/data/smb.conf")], &given[..]].concat();
            let failure = server(&given).expect_err("refused");
            assert!(failure.reason.contains(said), "{given:?}: {failure}");
        }
    }
}
