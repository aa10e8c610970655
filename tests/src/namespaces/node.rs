//! One node: its disk (a directory), its daemon, its commands.

use crm_core::status::Status;
use crm_sandbox::SharedPower;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::PoisonError;
use std::time::{Duration, Instant};

/// What a command printed and how it ended.
#[derive(Clone, Debug)]
pub struct Finished {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

/// A node of the laboratory, up or down.
#[derive(Debug)]
pub struct Node {
    pub name: String,
    /// What survives: configuration, store, logs.
    pub disk: PathBuf,
    pub(super) power: SharedPower,
    pub(super) programs: PathBuf,
    pub(super) log_filter: Option<String>,
    /// Preloaded into its daemon, where the node has a watchdog.
    pub(super) watchdog: Option<PathBuf>,
    /// Of its daemon, beside what every command there has.
    pub daemon_environment: Vec<(&'static str, &'static str)>,
    pub(super) daemon: Option<Child>,
}

impl Node {
    fn environment(&self, command: &mut Command) {
        let path = std::env::var("PATH").unwrap_or_default();
        command
            .env("PATH", format!("{}:{path}:/usr/sbin:/sbin", self.programs.display()))
            .env("CRM_NODE", &self.name)
            .env("CRM_CONFIG_DIR", self.disk.join("etc"))
            .env("CRM_STATE", self.disk.join("state"))
            .env("CRM_RUN", self.disk.join("run"))
            .env("CRM_AGENTS_DIR", self.disk.join("agents"))
            .env("CRM_WITNESS_CONFIG_DIR", self.disk.join("etc"))
            .env("CRM_WITNESS_STATE", self.disk.join("state"))
            .env("CRM_WITNESS_RUN", self.disk.join("run"))
            .env("CRM_LOG", "text");
        if let Some(filter) = &self.log_filter {
            command.env("CRM_LOG_FILTER", filter);
        }
    }

    /// A command that runs on this node.
    ///
    /// # Panics
    /// If the node is down.
    #[must_use]
    pub fn command(&self, program: &str) -> Command {
        self.try_command(program).unwrap_or_else(|| panic!("{} is down", self.name))
    }

    /// A command that runs on this node, unless it is down: where a device may end it any time.
    #[must_use]
    pub fn try_command(&self, program: &str) -> Option<Command> {
        let power = self.power.lock().unwrap_or_else(PoisonError::into_inner);
        let mut command = power.keepers.get(&self.name)?.command(program);
        self.environment(&mut command);
        Some(command)
    }

    #[must_use]
    pub fn is_up(&self) -> bool {
        self.power.lock().unwrap_or_else(PoisonError::into_inner).keepers.contains_key(&self.name)
    }

    /// Runs a command to its end, which must come within a minute.
    ///
    /// # Panics
    /// If it cannot be started or does not end.
    pub fn run(&self, program: &str, args: &[&str]) -> Finished {
        self.try_run(program, args).unwrap_or_else(|| panic!("{} is down", self.name))
    }

    /// The same, unless the node is down.
    ///
    /// # Panics
    /// If it cannot be started or does not end.
    pub fn try_run(&self, program: &str, args: &[&str]) -> Option<Finished> {
        let mut child = self
            .try_command(program)?
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{program}: {error}"));
        let until = Instant::now() + Duration::from_secs(150);
        let out = child.stdout.take().map(read_all);
        let err = child.stderr.take().map(read_all);
        let code = loop {
            match child.try_wait() {
                Ok(Some(status)) => break status.code().unwrap_or(-1),
                _ if Instant::now() > until => {
                    let _ = child.kill();
                    let _ = child.wait();
                    panic!("{program} {args:?} on {} did not end", self.name);
                }
                _ => std::thread::sleep(Duration::from_millis(2)),
            }
        };
        let text = |reader: Option<std::thread::JoinHandle<String>>| {
            reader.and_then(|thread| thread.join().ok()).unwrap_or_default()
        };
        Some(Finished { code, stdout: text(out), stderr: text(err) })
    }

    /// `crm ARGS`, which must succeed.
    ///
    /// # Panics
    /// With everything it printed, if it does not.
    pub fn crm(&self, args: &[&str]) -> String {
        let done = self.run("crm", args);
        assert_eq!(
            done.code,
            0,
            "crm {args:?} on {}: {}{}\n{}",
            self.name,
            done.stdout,
            done.stderr,
            self.log()
        );
        done.stdout
    }

    /// Starts `crmd` and waits until its socket answers.
    ///
    /// # Panics
    /// With its log, if it does not answer.
    pub fn start_daemon(&mut self, args: &[&str]) {
        assert!(self.spawn_daemon(args), "{} is down", self.name);
        let until = Instant::now() + Duration::from_secs(20);
        loop {
            let code = self.run("crm", &["status", "--json"]).code;
            if code == 0 || code == 5 {
                return;
            }
            assert!(
                Instant::now() < until,
                "crmd on {} does not answer:\n{}",
                self.name,
                self.log()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Starts `crmd` and does not wait for it; false if the node is down.
    ///
    /// # Panics
    /// If it cannot be started.
    pub fn spawn_daemon(&mut self, args: &[&str]) -> bool {
        let log = std::fs::OpenOptions::new().create(true).append(true).open(self.disk.join("log"));
        let log = log.unwrap_or_else(|error| panic!("log of {}: {error}", self.name));
        let again = log.try_clone().unwrap_or_else(|error| panic!("{error}"));
        let Some(mut command) = self.try_command("crmd") else { return false };
        if let Some(library) = &self.watchdog {
            command.env("LD_PRELOAD", library);
        }
        let child = command
            .args(args)
            .envs(self.daemon_environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(again)
            .spawn()
            .unwrap_or_else(|error| panic!("crmd: {error}"));
        if let Some(mut before) = self.daemon.replace(child) {
            // It has ended, or there would be no other; its parent may know that a moment later.
            let _ = before.kill();
            let _ = before.wait();
        }
        true
    }

    /// The node's own view.
    ///
    /// # Panics
    /// If the daemon gives none.
    pub fn status(&self) -> Status {
        let done = self.run("crm", &["status", "--json"]);
        serde_json::from_str(&done.stdout).unwrap_or_else(|error| {
            panic!("status of {}: {error}: {}{}", self.name, done.stdout, done.stderr)
        })
    }

    /// The node's view, if its daemon gives one.
    pub fn try_status(&self) -> Option<Status> {
        serde_json::from_str(&self.try_run("crm", &["status", "--json"])?.stdout).ok()
    }

    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.disk.join("log")).unwrap_or_default()
    }

    /// Process number, as the node sees it, of its daemon.
    pub fn daemon_pid(&self) -> Option<i32> {
        let done = self.run("pgrep", &["-o", "-x", "crmd"]);
        done.stdout.trim().parse().ok()
    }

    /// Ends the daemon, and only it, with SIGKILL, and waits until it is gone.
    ///
    /// # Panics
    /// If it does not go.
    pub fn kill_daemon(&mut self) {
        let pid = self.daemon_pid().map(|pid| pid.to_string()).unwrap_or_default();
        self.run("kill", &["-9", &pid]);
        let until = Instant::now() + Duration::from_secs(10);
        while self.run("kill", &["-0", &pid]).code == 0 {
            assert!(Instant::now() < until, "crmd on {} does not end", self.name);
            if let Some(child) = &mut self.daemon {
                // Its parent is outside of the node; it is gone when that one has seen it end.
                let _ = child.try_wait();
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    pub fn etc(&self, file: &str) -> PathBuf {
        self.disk.join("etc").join(file)
    }

    /// Whether an address is on one of the node's interfaces.
    pub fn has_address(&self, address: &str) -> bool {
        self.run("ip", &["-o", "addr", "show"]).stdout.contains(&format!(" {address}/"))
    }
}

fn read_all(mut pipe: impl std::io::Read + Send + 'static) -> std::thread::JoinHandle<String> {
    std::thread::spawn(move || {
        let mut text = Vec::new();
        let _ = pipe.read_to_end(&mut text);
        String::from_utf8_lossy(&text).into_owned()
    })
}

/// Links to the product's programs, as a package would lay them out.
pub(super) fn install_programs(directory: &Path, crm: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(directory)?;
    for name in ["crm", "crmd", "crm-agent"] {
        std::os::unix::fs::symlink(crm, directory.join(name))?;
    }
    Ok(())
}
