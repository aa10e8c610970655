//! The outside of the demo: a directory, the namespaces, the end.

use crate::args::Demo;
use crate::output::{Failure, say};
use crm_api::Exit;
use nix::sys::signal::{SigSet, Signal};
use std::path::Path;
use std::process::{Child, Command};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// The whole story takes some ten seconds; this is when it is given up.
const LIMIT: Duration = Duration::from_secs(120);

pub(super) fn run(args: &Demo) -> Result<Exit, Failure> {
    let directory = std::env::temp_dir().join(format!("crm-demo-{}", std::process::id()));
    std::fs::create_dir_all(&directory)
        .map_err(|error| Failure::failed(format!("{}: {error}", directory.display())))?;
    let ended = play(args, &directory);
    // Mounts were private to the namespaces, so only files are left.
    let removed = std::fs::remove_dir_all(&directory);
    if let Err(error) = removed {
        say(format!("warning: {} could not be removed: {error}", directory.display()));
    }
    ended
}

fn play(args: &Demo, directory: &Path) -> Result<Exit, Failure> {
    // Taken by a thread below instead of ending this process, so that the directory goes too.
    let mut ending = SigSet::empty();
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        ending.add(signal);
    }
    ending.thread_block().map_err(std::io::Error::from)?;
    let mut child = start(args, directory)?;
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
                Some(0) => Ok(Exit::Done),
                Some(1) => Err(hint_of_namespaces()),
                _ => Err(Failure::failed("the demo did not come to its end")),
            };
        }
        let interrupted = signals.recv_timeout(Duration::from_millis(20)).is_ok();
        if interrupted || (!args.keep && Instant::now() > until) {
            // `--kill-child`: everything inside ends with it.
            child.kill()?;
            child.wait()?;
            let why = if interrupted {
                "interrupted; everything is cleaned up"
            } else {
                "it took too long and was ended"
            };
            return Err(Failure::failed(why));
        }
    }
}

fn start(args: &Demo, directory: &Path) -> Result<Child, Failure> {
    let program = std::env::current_exe()?;
    let mut command = Command::new("setpriv");
    // If this process is killed outright, the kernel ends the rest.
    command.args(["--pdeathsig", "KILL", "unshare"]);
    command.args(["--user", "--map-root-user", "--net", "--mount", "--uts", "--pid", "--fork"]);
    command.args(["--kill-child=KILL", "--mount-proc"]);
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
    command.spawn().map_err(|error| {
        Failure::failed(format!("setpriv and unshare (util-linux) cannot be run: {error}"))
    })
}

fn hint_of_namespaces() -> Failure {
    Failure::new(
        Exit::Failed,
        "the demo could not be played to its end",
        "it needs user namespaces without root: `sysctl kernel.unprivileged_userns_clone user.max_user_namespaces kernel.apparmor_restrict_unprivileged_userns` shows what forbids them; as root it needs none of these",
    )
}
