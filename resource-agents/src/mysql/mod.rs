//! `mysql`: one instance of MariaDB or MySQL.
//!
//! An instance is its data directory. Start waits until the server answers a query over its own
//! socket; stop ends when no server works in the directory any more, whoever started it. A data
//! directory is never created, initialised or repaired.

mod client;
mod datadir;
mod servers;
mod start;
mod status;
mod stop;

use std::path::PathBuf;

use crate::child;
use crate::contract::{Action, Call, Failure, Outcome, Parameters};
use crate::metadata::{Kind, MetaData, Parameter};
use crate::running::words;

pub(crate) fn meta_data() -> MetaData {
    MetaData {
        name: "mysql".to_owned(),
        short_description: "A MariaDB or MySQL server".to_owned(),
        long_description: "One instance, told from others by its data directory, its socket and its \
            port. It counts as started when it answers a query over its socket, and as stopped when \
            no server works in the data directory any more. The data directory is never created or \
            initialised."
            .to_owned(),
        primary: Some("datadir".to_owned()),
        parameters: vec![
            Parameter::new("datadir", Kind::Path, "The data directory").required().unique(),
            Parameter::new(
                "mount",
                Kind::Path,
                "The mount point on which the data directory must lie; a start without it is refused",
            ),
            Parameter::new(
                "socket",
                Kind::Path,
                "The server's socket; else `mysqld.sock` in the data directory",
            ),
            Parameter::new(
                "port",
                Kind::Integer,
                "The TCP port; else what the server's own configuration says, or 3306",
            ),
            Parameter::new("bind_address", Kind::String, "The address on which the port is open"),
            Parameter::new(
                "config",
                Kind::Path,
                "The only option file that the server reads; else the usual ones of the system",
            ),
            Parameter::new(
                "options",
                Kind::String,
                "More options for the server, quoted as in a shell; no passwords: they can be seen \
                 by everybody on the machine",
            ),
            Parameter::new("user", Kind::String, "The user that the server runs as")
                .default("mysql"),
            Parameter::new("program", Kind::String, "The server; else mariadbd, or mysqld"),
            Parameter::new(
                "client_options",
                Kind::Path,
                "An option file for the client that asks the server, with `user` and `password` under \
                 `[client]`; else it logs in as root by the socket, without a password",
            ),
            Parameter::new(
                "pid_file",
                Kind::Path,
                "Where the server writes its pid; else `mysqld.pid` in the data directory",
            ),
            Parameter::new(
                "log_file",
                Kind::Path,
                "Where its output goes; else a small file in the state directory that `status` keeps \
                 short",
            ),
            Parameter::new(
                "stop_timeout",
                Kind::Duration,
                "How long it may take to shut down before it is killed; else four fifths of the time \
                 that the stop has",
            ),
        ],
        ..MetaData::usual()
    }
}

/// The instance as configured.
#[derive(Debug)]
pub(super) struct Instance {
    datadir: PathBuf,
    mount: Option<PathBuf>,
    socket: PathBuf,
    pid_file: PathBuf,
    port: Option<u16>,
    bind_address: Option<String>,
    config: Option<PathBuf>,
    options: Vec<String>,
    user: String,
    program: Option<String>,
    client_options: Option<PathBuf>,
    log_file: Option<PathBuf>,
}

pub(crate) fn run(call: &Call) -> Outcome {
    if call.action == Action::MetaData {
        return Ok(());
    }
    let instance = Instance::new(&call.parameters)?;
    match call.action {
        Action::MetaData => Ok(()),
        Action::Start => start::start(call, &instance),
        Action::Status => status::status(call, &instance),
        Action::Stop => stop::stop(call, &instance),
        Action::Validate => instance.validate(),
    }
}

impl Instance {
    fn new(parameters: &Parameters) -> Result<Instance, Failure> {
        let path = |name: &str| parameters.text(name).map(PathBuf::from);
        let datadir = PathBuf::from(parameters.required("datadir")?);
        let socket = path("socket").unwrap_or_else(|| datadir.join("mysqld.sock"));
        let length = socket.as_os_str().len();
        if length > LONGEST_SOCKET_PATH {
            return Err(Failure::configured(format!(
                "the path of the socket may have {LONGEST_SOCKET_PATH} bytes, found {length}: {}; set \
                 `socket`",
                socket.display()
            )));
        }
        let port = parameters
            .integer("port")
            .map(|port| {
                u16::try_from(port).ok().filter(|port| *port > 0).ok_or_else(|| {
                    Failure::configured(format!("`port` must be 1 to 65535, found {port}"))
                })
            })
            .transpose()?;
        let options = words::split(parameters.text("options").unwrap_or_default())
            .map_err(|error| Failure::configured(format!("`options`: {error}")))?;
        // What says whose instance this is must be said once only.
        for (option, parameter) in TAKEN {
            if options.iter().any(|word| word == option || word.starts_with(&format!("{option}=")))
            {
                return Err(Failure::configured(format!(
                    "`options` may not hold {option}; use the parameter `{parameter}`"
                )));
            }
        }
        Ok(Instance {
            mount: path("mount"),
            pid_file: path("pid_file").unwrap_or_else(|| datadir.join("mysqld.pid")),
            socket,
            port,
            bind_address: parameters.text("bind_address").map(str::to_owned),
            config: path("config"),
            options,
            user: parameters.text("user").unwrap_or("mysql").to_owned(),
            program: parameters.text("program").map(str::to_owned),
            client_options: path("client_options"),
            log_file: path("log_file"),
            datadir,
        })
    }

    /// The server to run.
    fn program(&self) -> Result<PathBuf, Failure> {
        match &self.program {
            Some(name) if name.contains('/') => {
                Some(PathBuf::from(name)).filter(|path| child::is_executable(path))
            }
            Some(name) => child::find_tool(name),
            None => SERVERS.iter().find_map(child::find_tool),
        }
        .ok_or_else(|| {
            let wanted = self.program.clone().unwrap_or_else(|| SERVERS.join(" or "));
            Failure::installed(format!(
                "expected the program {wanted}, found none; install mariadb-server or mysql-server"
            ))
        })
    }

    /// What can be seen without the data, which may be mounted elsewhere.
    fn validate(&self) -> Outcome {
        self.program()?;
        client::program()?;
        crate::running::user::User::find(&self.user)?;
        for (name, file) in [("config", &self.config), ("client_options", &self.client_options)] {
            // One that lies on the volume of the data can be looked at only where that is mounted.
            if let Some(file) = file
                && !file.is_file()
                && !self.mount.as_ref().is_some_and(|mount| file.starts_with(mount))
            {
                return Err(Failure::installed(format!(
                    "expected the file `{name}` says, found none: {}",
                    file.display()
                )));
            }
        }
        Ok(())
    }
}

/// Names of the server, the newer one first.
const SERVERS: [&str; 2] = ["mariadbd", "mysqld"];

/// Options that have a parameter of their own.
const TAKEN: [(&str, &str); 9] = [
    ("--datadir", "datadir"),
    ("-h", "datadir"),
    ("--socket", "socket"),
    ("--port", "port"),
    ("-P", "port"),
    ("--bind-address", "bind_address"),
    ("--pid-file", "pid_file"),
    ("--user", "user"),
    ("--defaults-file", "config"),
];

/// `sun_path` of the kernel, less the NUL.
const LONGEST_SOCKET_PATH: usize = 107;
