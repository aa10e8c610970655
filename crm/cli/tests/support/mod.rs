//! One node on loopback for the tests of the commands: the built program as its own daemon, agents
//! that open and close when a test says so. Ended with everything it started.

#![allow(dead_code, unreachable_pub)]

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

/// Far above what anything here takes.
pub const PATIENCE: Duration = Duration::from_secs(60);

static NEXT: AtomicU16 = AtomicU16::new(0);

/// A resource that is up while its file is there. Start and stop wait as long as `hold-start` or
/// `hold-stop` is there; start fails as long as `broken` is.
const SWITCH: &str = r#"#!/bin/sh
case $1 in
start)
    while [ -e HOME/hold-start ]; do sleep 0.02; done
    [ -e HOME/broken ] && { echo 'the disk is on fire' >&2; exit 1; }
    : > HOME/up-$CRM_GROUP;;
stop)
    while [ -e HOME/hold-stop ]; do sleep 0.02; done
    rm -f HOME/up-$CRM_GROUP;;
monitor)
    [ -e HOME/up-$CRM_GROUP ] || exit 7
    [ ! -e HOME/degraded ] || cat HOME/degraded >&3;;
esac
"#;

/// A machine with a cluster of its own.
pub struct Machine {
    pub home: PathBuf,
    daemon: Option<Child>,
}

impl Machine {
    /// Founded, its daemon answers. `groups` as in a configuration; `ocf:test:switch` is there.
    pub fn start(groups: &str) -> Machine {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let home = std::env::temp_dir().join(format!("crm-cli-{}-{number}", std::process::id()));
        let _ = fs::remove_dir_all(&home);
        let mut machine = Machine { home, daemon: None };
        for part in ["etc", "state", "run", "agents", "ocf/resource.d/test"] {
            fs::create_dir_all(machine.home.join(part)).expect("a directory");
        }
        let agent = machine.home.join("ocf/resource.d/test/switch");
        let text = SWITCH.replace("HOME", &machine.home.display().to_string());
        fs::write(&agent, text).expect("the agent");
        fs::set_permissions(&agent, fs::Permissions::from_mode(0o755)).expect("its mode");
        let config = format!(
            "cluster: shop\nnodes:\n  alpha: {{links: [{}]}}\nheartbeat: {{port: 17697}}\n\
             fencing: none\ngroups:\n{groups}",
            machine.address()
        );
        machine.write("etc/cluster.yaml", &config);
        let founded = machine.crm(&["init"]);
        assert!(founded.status.success(), "crm init: {}", said(&founded));
        machine.start_daemon();
        machine
    }

    fn start_daemon(&mut self) {
        let log = fs::File::create(self.home.join("log")).expect("log");
        let mut command = self.command();
        command.arg0("crmd").args(["--realtime", "false", "--log", "text"]);
        let daemon = command.stdout(Stdio::null()).stderr(log).spawn().expect("crmd");
        self.daemon = Some(daemon);
        self.wait("an answer", |machine| machine.crm(&["status"]).status.success());
    }

    /// Each machine has an address of its own, so tests may run side by side.
    pub fn address(&self) -> String {
        let sum = crm_core::digest::digest(self.home.as_os_str().as_encoded_bytes()).0;
        format!("127.{}.{}.{}", 1 + sum % 250, 1 + (sum >> 8) % 250, 1 + (sum >> 16) % 250)
    }

    /// The program, with this machine's places.
    pub fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_crm"));
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("CRM_NODE", "alpha")
            .env("CRM_PORT", "17697")
            .env("CRM_CONFIG_DIR", self.home.join("etc"))
            .env("CRM_STATE", self.home.join("state"))
            .env("CRM_RUN", self.home.join("run"))
            .env("CRM_AGENTS_DIR", self.home.join("agents"))
            .env("OCF_ROOT", self.home.join("ocf"))
            .stdin(Stdio::null());
        command
    }

    /// `crm ARGUMENTS`, to its end.
    pub fn crm(&self, arguments: &[&str]) -> Output {
        self.command().args(arguments).output().expect("crm")
    }

    /// `crm ARGUMENTS`, which goes on.
    pub fn spawn(&self, arguments: &[&str]) -> Running {
        let mut command = self.command();
        command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped());
        Running(Some(command.spawn().expect("crm")))
    }

    pub fn write(&self, file: &str, text: &str) {
        fs::write(self.home.join(file), text).expect("a file");
    }

    pub fn remove(&self, file: &str) {
        fs::remove_file(self.home.join(file)).expect("the file was there");
    }

    /// Waits until a group is in this state, as `crm status` draws it.
    pub fn wait_for(&self, group: &str, state: &str) {
        self.wait(&format!("{group} {state}"), |machine| {
            let drawn = String::from_utf8_lossy(&machine.crm(&["status"]).stdout).into_owned();
            drawn.lines().any(|line| {
                let mut words = line.split_whitespace();
                words.next() == Some(group) && line.contains(state)
            })
        });
    }

    pub fn wait(&self, what: &str, met: impl Fn(&Machine) -> bool) {
        let until = Instant::now() + PATIENCE;
        while !met(self) {
            let log = fs::read_to_string(self.home.join("log")).unwrap_or_default();
            assert!(Instant::now() < until, "waited for {what}\n{log}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // Nothing may hold its end up.
        for file in ["hold-start", "hold-stop"] {
            let _ = fs::remove_file(self.home.join(file));
        }
        if let Some(mut daemon) = self.daemon.take() {
            let _ = kill(Pid::from_raw(daemon.id().cast_signed()), Signal::SIGTERM);
            let until = Instant::now() + PATIENCE;
            while !matches!(daemon.try_wait(), Ok(Some(_)) | Err(_)) {
                if Instant::now() > until {
                    let _ = daemon.kill();
                }
                std::thread::sleep(Duration::from_millis(10));
            }
        }
        let _ = fs::remove_dir_all(&self.home);
    }
}

/// A command under way; killed with its test.
pub struct Running(Option<Child>);

impl Running {
    pub fn child(&mut self) -> &mut Child {
        self.0.as_mut().expect("it is not taken yet")
    }

    pub fn has_ended(&mut self) -> bool {
        self.child().try_wait().expect("a child").is_some()
    }

    /// Waits for its end.
    pub fn output(mut self) -> Output {
        let until = Instant::now() + PATIENCE;
        while !self.has_ended() {
            assert!(Instant::now() < until, "the command does not end");
            std::thread::sleep(Duration::from_millis(10));
        }
        self.0.take().expect("a child").wait_with_output().expect("its output")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(mut child) = self.0.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Everything a command printed.
pub fn said(output: &Output) -> String {
    let (out, err) = (&output.stdout, &output.stderr);
    format!("{}{}", String::from_utf8_lossy(out), String::from_utf8_lossy(err))
}
