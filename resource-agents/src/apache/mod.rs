//! `apache`: one instance of Apache's web server, by its configuration file.
//!
//! It runs in the foreground with a PidFile of its own in the state directory: a number that a crash
//! left in a file on the volume means nothing here.

use std::path::{Path, PathBuf};
use std::process::Command;

use nix::sys::signal::Signal;

use crate::child;
use crate::contract::{Action, Call, Failure, Outcome, Parameters, Watch};
use crate::deadline::Pause;
use crate::http::{self, Page};
use crate::metadata::{Kind, MetaData, Parameter};
use crate::running::members::Members;
use crate::running::record::Record;
use crate::running::{Program, output, start, stop, words};
use crate::state;

pub(crate) fn meta_data() -> MetaData {
    let mut parameters = vec![
        Parameter::new(
            "config",
            Kind::Path,
            "Its configuration; else the distribution's: /etc/apache2/apache2.conf or \
             /etc/httpd/conf/httpd.conf",
        )
        .unique(),
        Parameter::new("program", Kind::String, "The server; else apache2, or httpd"),
        Parameter::new(
            "envvars",
            Kind::Path,
            "A file of shell assignments that the configuration needs; else Debian's beside the \
             configuration, if it is there",
        ),
        Parameter::new("options", Kind::String, "More options, quoted as in a shell"),
    ];
    parameters.extend(http::parameters("http://127.0.0.1/"));
    parameters.extend([
        Parameter::new(
            "graceful",
            Kind::Duration,
            "How long a stop lets requests end that are being answered",
        )
        .default("5s"),
        Parameter::new("stop_timeout", Kind::Duration, "How long it may take to end after that")
            .default("10s"),
    ]);
    MetaData {
        name: "apache".to_owned(),
        short_description: "An Apache web server".to_owned(),
        long_description:
            "The configuration is tested before each start. It counts as started when it \
            answers a request."
                .to_owned(),
        primary: Some("config".to_owned()),
        parameters,
        ..MetaData::usual()
    }
}

pub(crate) fn run(call: &Call) -> Outcome {
    match call.action {
        Action::MetaData => Ok(()),
        Action::Start => start(call),
        Action::Status => status(call, &Page::new(&call.parameters)?),
        Action::Stop => stop(call),
        Action::Validate => {
            Page::new(&call.parameters)?;
            let command = command(&call.parameters)?;
            // It may lie on the volume, which is mounted elsewhere now.
            if config(&call.parameters).is_ok_and(|config| config.exists()) {
                test(call, &command)?;
            }
            Ok(())
        }
    }
}

fn start(call: &Call) -> Outcome {
    let page = Page::new(&call.parameters)?;
    let config = config(&call.parameters)?;
    if !config.is_file() {
        return Err(Failure::installed(format!(
            "expected the configuration {}, found none; is its filesystem mounted before this?",
            config.display()
        )));
    }
    let mut command = command(&call.parameters)?;
    test(call, &command)?;
    let pid_file = state::path(&call.context, "pid")
        .map_err(|error| Failure::system("cannot use the state directory", &error))?;
    let ours = Record::load(&call.context)?.is_some_and(|record| record.main_is_alive());
    if !ours {
        let _ = state::remove(&pid_file);
    }
    command.extend(["-c".to_owned(), format!("PidFile {}", pid_file.display())]);
    command.push("-DFOREGROUND".to_owned());
    start::start(call, &Program::new(command), &page)
}

fn status(call: &Call, page: &Page) -> Outcome {
    alive(call)?;
    output::keep_short(&call.context);
    page.ask(call.context.deadline)
        .map_err(|found| Failure::generic(format!("it runs and does not serve: {found}")))
}

/// The main process, which is then watched.
pub(crate) fn alive(call: &Call) -> Result<i32, Failure> {
    match Record::load(&call.context)? {
        Some(record) if record.main_is_alive() => {
            call.channel.watch(Watch::Process(record.pid));
            Ok(record.pid)
        }
        Some(record) => {
            let left = Members::of(&record).look()?;
            if left.is_empty() {
                return Err(Failure::not_running(format!("process {} has ended", record.pid)));
            }
            Err(Failure::generic(format!(
                "process {} has ended and left {} behind",
                record.pid,
                crate::procfs::describe_all(&left)
            )))
        }
        None => Err(Failure::not_running("it has not been started here")),
    }
}

/// First only its main process is asked, by Apache's own signal for it; then everything must go.
fn stop(call: &Call) -> Outcome {
    if let Some(record) = Record::load(&call.context)?.filter(Record::main_is_alive) {
        let polite = call.context.deadline.at_most(
            call.parameters
                .duration("graceful")
                .min(call.context.deadline.remaining().mul_f64(SHARE_OF_GRACE)),
        );
        if !polite.passed() {
            stop::signal(&[record.pid], Signal::SIGWINCH);
        }
        let mut pause = Pause::new();
        while record.main_is_alive() && pause.sleep(polite) {}
    }
    stop::stop(call, Signal::SIGTERM, call.parameters.duration("stop_timeout"))
}

/// `-t`: Apache reads all of it and says the line that is wrong.
fn test(call: &Call, command: &[String]) -> Outcome {
    let Some((program, arguments)) = command.split_first() else { return Ok(()) };
    let mut tool = Command::new(program);
    tool.args(arguments).arg("-t");
    let finished = child::run(&mut tool, call.context.deadline)
        .map_err(|error| Failure::system(format!("cannot run {program}"), &error))?;
    match finished.succeeded() {
        true => Ok(()),
        false => Err(Failure::configured(format!(
            "Apache refuses the configuration: {}",
            finished.summary()
        ))),
    }
}

fn command(parameters: &Parameters) -> Result<Vec<String>, Failure> {
    let wanted = parameters.text("program");
    let program = match wanted {
        Some(name) if name.contains('/') => Some(PathBuf::from(name)),
        Some(name) => child::find_tool(name),
        None => SERVERS.iter().find_map(child::find_tool),
    }
    .filter(|path| child::is_executable(path))
    .ok_or_else(|| {
        Failure::installed(format!(
            "expected the program {}, found none; install apache2 or httpd",
            wanted.unwrap_or("apache2 or httpd")
        ))
    })?;
    let config = config(parameters)?;
    let mut command = Vec::new();
    let beside = config.parent().unwrap_or(Path::new("/")).join("envvars");
    let given = parameters.text("envvars").map(PathBuf::from);
    if let Some(given) = given.as_ref().filter(|given| !given.is_file()) {
        return Err(Failure::installed(format!(
            "expected the file {}, found none",
            given.display()
        )));
    }
    if let Some(envvars) = given.or_else(|| Some(beside).filter(|file| file.is_file())) {
        // It is a shell's file, and its directories go with each boot.
        command.extend(["/bin/sh", "-c", WITH_ENVVARS].map(str::to_owned));
        command.push(envvars.display().to_string());
    }
    command.push(program.display().to_string());
    command.extend(["-f".to_owned(), config.display().to_string()]);
    let options = words::split(parameters.text("options").unwrap_or_default())
        .map_err(|error| Failure::configured(format!("`options`: {error}")))?;
    command.extend(options);
    Ok(command)
}

fn config(parameters: &Parameters) -> Result<PathBuf, Failure> {
    match parameters.text("config") {
        Some(path) => Ok(PathBuf::from(path)),
        None => CONFIGS.iter().map(PathBuf::from).find(|path| path.is_file()).ok_or_else(|| {
            Failure::installed(format!("expected {}, found neither", CONFIGS.join(" or ")))
        }),
    }
}

const SERVERS: [&str; 2] = ["apache2", "httpd"];
const CONFIGS: [&str; 2] = ["/etc/apache2/apache2.conf", "/etc/httpd/conf/httpd.conf"];
const WITH_ENVVARS: &str = ". \"$0\" && for d in \"$APACHE_RUN_DIR\" \"$APACHE_LOCK_DIR\"; do \
    [ -z \"$d\" ] || mkdir -p \"$d\"; done; exec \"$@\"";
/// Of the time that a stop has.
const SHARE_OF_GRACE: f64 = 0.5;
