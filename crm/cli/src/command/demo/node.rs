//! One node of the demo: its directory and what runs in its namespaces.

use crate::output::{Failure, read_file};
use crm_api::{Client, Reply, Request};
use crm_core::status::Status;
use crm_sandbox::{Keeper, SharedPower};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::PoisonError;

pub(super) struct Node {
    pub(super) name: &'static str,
    pub(super) address: &'static str,
    directory: PathBuf,
    programs: PathBuf,
    power: SharedPower,
}

impl Node {
    pub(super) fn new(
        name: &'static str,
        address: &'static str,
        root: &Path,
        power: SharedPower,
    ) -> Result<Node, Failure> {
        let directory = root.join(name);
        for part in ["etc", "state", "run"] {
            std::fs::create_dir_all(directory.join(part))?;
        }
        Ok(Node { name, address, directory, programs: root.join("bin"), power })
    }

    /// Gives the node fresh namespaces and a cable to the bridge, like a boot.
    pub(super) fn power_on(&self) -> Result<(), Failure> {
        let run = self.directory.join("run");
        std::fs::remove_dir_all(&run)?;
        std::fs::create_dir_all(&run)?;
        let keeper = Keeper::start(self.name)?;
        let address = format!("{}/24", self.address);
        crm_sandbox::add_port(
            None,
            "br0",
            &format!("port-{}", self.name),
            &keeper,
            "eth0",
            &address,
        )?;
        let mut power = self.power.lock().unwrap_or_else(PoisonError::into_inner);
        power.keepers.insert(self.name.to_owned(), keeper);
        Ok(())
    }

    /// Ends every process of the node at once.
    pub(super) fn power_off(&self) -> Result<(), Failure> {
        let mut power = self.power.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(mut keeper) = power.keepers.remove(self.name) {
            keeper.kill()?;
        }
        Ok(())
    }

    pub(super) fn is_up(&self) -> bool {
        self.power.lock().unwrap_or_else(PoisonError::into_inner).keepers.contains_key(self.name)
    }

    /// A command inside the node, with its environment.
    pub(super) fn command(&self, program: &str) -> Result<Command, Failure> {
        let power = self.power.lock().unwrap_or_else(PoisonError::into_inner);
        let keeper = power
            .keepers
            .get(self.name)
            .ok_or_else(|| Failure::failed(format!("node {} is off", self.name)))?;
        let mut command = keeper.command(program);
        let path = std::env::var("PATH").unwrap_or_default();
        command
            .env("PATH", format!("{}:{path}:/usr/sbin:/sbin", self.programs.display()))
            .env("CRM_NODE", self.name)
            .env("CRM_CONFIG_DIR", self.etc(""))
            .env("CRM_STATE", self.directory.join("state"))
            .env("CRM_RUN", self.directory.join("run"));
        Ok(command)
    }

    /// `crm ARGS` on this node; what it prints is kept for the error.
    pub(super) fn crm(&self, args: &[&str]) -> Result<(), Failure> {
        let done = self.command("crm")?.args(args).stdin(Stdio::null()).output()?;
        if done.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&done.stderr);
        Err(Failure::failed(format!("crm {} on {}: {}", args.join(" "), self.name, said.trim())))
    }

    pub(super) fn start_daemon(&self) -> Result<(), Failure> {
        let log = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.directory.join("log"))?;
        self.command("crmd")?
            .args(["--log", "text"])
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            // What is typed at the terminal is not meant for daemons.
            .process_group(0)
            .spawn()?;
        Ok(())
    }

    pub(super) fn etc(&self, file: &str) -> PathBuf {
        self.directory.join("etc").join(file)
    }

    pub(super) fn connect(&self) -> Option<Client> {
        Client::connect(self.directory.join("run").join("crm.sock")).ok()
    }

    pub(super) fn status(&self) -> Option<Status> {
        if !self.is_up() {
            return None;
        }
        match self.connect()?.request(Request::Status).ok()? {
            Reply::Status(status) => Some(*status),
            _ => None,
        }
    }

    /// The end of the daemon's log, for an error.
    pub(super) fn log_tail(&self) -> String {
        let log = read_file(&self.directory.join("log")).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines.get(lines.len().saturating_sub(12)..).unwrap_or_default().join("\n")
    }
}
