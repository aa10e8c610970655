//! The outside of the demo: a directory, the namespaces, the end.

use super::{directory, permission};
use crate::args::Demo;
use crate::output::{Failure, say};
use crm_api::Exit;
use nix::sys::signal::{SigSet, Signal};
use std::path::Path;
use std::process::{Child, Command};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// The whole story takes some ten seconds; this is when it is given up.
const LIMIT: Duration = Duration::from_secs(60);

pub(super) fn run(args: &Demo) -> Result<Exit, Failure> {
    // Taken by a thread instead of ending this process, so that the directory goes too.
    let ending = ending();
    ending.thread_block().map_err(std::io::Error::from)?;
    let namespaces = permission::find()?;
    let directory = directory::make()?;
    let ended = play(args, namespaces, &directory, ending);
    // Mounts were private to the namespaces, so only files are left.
    if let Err(error) = std::fs::remove_dir_all(&directory) {
        say(format!("warning: {} could not be removed: {error}", directory.display()));
    }
    ended
}

/// The signals that end the demo.
pub(super) fn ending() -> SigSet {
    let mut ending = SigSet::empty();
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        ending.add(signal);
    }
    ending
}

fn play(
    args: &Demo,
    namespaces: &[&str],
    directory: &Path,
    ending: SigSet,
) -> Result<Exit, Failure> {
    let mut child = start(args, namespaces, directory)?;
    let (sender, signals) = mpsc::channel();
    std::thread::spawn(move || {
        while let Ok(signal) = ending.wait() {
            if sender.send(signal).is_err() {
                return;
            }
        }
    });
    let until = Instant::now() + LIMIT;
    loop {
        if let Some(status) = child.try_wait()? {
            return match status.code() {
                // What went wrong is said already.
                Some(code) => Ok(if code == 0 { Exit::Done } else { Exit::Failed }),
                None => Err(Failure::failed("the demo was killed before its end")),
            };
        }
        let interrupted = signals.recv_timeout(Duration::from_millis(20)).is_ok();
        let late = !args.keep && Instant::now() > until;
        if interrupted || late {
            // `--kill-child`: everything inside ends with it.
            child.kill()?;
            child.wait()?;
            let why = if interrupted {
                "interrupted; everything is cleaned up".to_owned()
            } else {
                format!("the demo was not over after {} s and was ended", LIMIT.as_secs())
            };
            return Err(Failure::failed(why));
        }
    }
}

fn start(args: &Demo, namespaces: &[&str], directory: &Path) -> Result<Child, Failure> {
    let program = std::env::current_exe()?;
    let mut command = Command::new("setpriv");
    // If this process is killed outright, the kernel ends the rest.
    command.args(["--pdeathsig", "KILL", "unshare"]).args(namespaces);
    command.arg(&program).args(["demo", "--inside"]).arg(directory);
    if args.json {
        command.arg("--json");
    }
    if args.keep {
        command.arg("--keep");
    }
    for name in ["CRM_CONFIG_DIR", "CRM_STATE", "CRM_RUN", "CRM_SOCKET", "CRM_NODE"] {
        command.env_remove(name);
    }
    command.env("PATH", permission::path());
    command.spawn().map_err(|error| Failure::failed(format!("setpriv cannot be run: {error}")))
}
