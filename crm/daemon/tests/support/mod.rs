//! A real `crmd` on loopback, with directories of its own, ended with everything it started.

#![allow(dead_code, unreachable_pub)]

use crm_api::{Client, Reply, Request};
use crm_core::id::NodeId;
use crm_core::status::Status;
use std::fs;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

/// How long anything may take here before a test fails.
pub const PATIENCE: Duration = Duration::from_secs(30);

static NEXT: AtomicU16 = AtomicU16::new(0);

/// One node with its daemon.
pub struct Machine {
    dir: PathBuf,
    daemon: Option<Child>,
    node: String,
    /// The daemon gets a mount namespace of its own (for root only).
    pub private_mounts: bool,
}

impl Machine {
    /// A founded cluster of this one node whose groups are `groups` (YAML, indented by two).
    pub fn founded(groups: &str) -> Machine {
        let machine = Machine::bare("alpha");
        machine.write_config(groups);
        crm_daemon::found(&machine.dir("etc"), &machine.dir("state"), &NodeId::new("alpha"))
            .expect("founded");
        machine
    }

    /// A member and one that is to join it, with the same keys and a configuration that names both.
    pub fn pair(groups: &str) -> (Machine, Machine) {
        let (alpha, beta) = (Machine::bare("alpha"), Machine::bare("beta"));
        fs::copy(alpha.dir("etc/authkeys"), beta.dir("etc/authkeys")).expect("keys");
        let config = format!(
            "cluster: test\nnodes:\n  alpha: {{links: [{}]}}\n  beta: {{links: [{}]}}\n\
             heartbeat: {{port: 17694, initdead: 3s, warntime: 2s, deadtime: 3s, lease: 5s}}\nfencing: none\ngroups:\n{groups}\n",
            alpha.address(),
            beta.address()
        );
        fs::write(alpha.dir("etc/cluster.yaml"), config).expect("configuration");
        crm_daemon::found(&alpha.dir("etc"), &alpha.dir("state"), &NodeId::new("alpha"))
            .expect("founded");
        crm_daemon::note_contact(&beta.dir("state"), &alpha.address()).expect("noted");
        (alpha, beta)
    }

    /// Directories and keys only.
    pub fn bare(node: &str) -> Machine {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("crmd-it-{}-{number}", std::process::id());
        let dir = std::env::temp_dir().join(name);
        let _ = fs::remove_dir_all(&dir);
        fs::DirBuilder::new().mode(0o755).create(&dir).expect("directory");
        for name in ["etc", "state", "run", "agents", "pids"] {
            fs::create_dir(dir.join(name)).expect("directory");
        }
        let keys = dir.join("etc/authkeys");
        let random = std::array::from_fn(|place| place as u8 ^ number as u8);
        fs::write(&keys, crm_wire::generate(random).as_bytes()).expect("keys");
        fs::set_permissions(&keys, fs::Permissions::from_mode(0o600)).expect("mode");
        Machine { dir, daemon: None, node: node.to_owned(), private_mounts: false }
    }

    pub fn dir(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// Each machine has an address of its own, so tests may run side by side.
    pub fn address(&self) -> String {
        let sum = crm_core::digest::digest(self.dir.as_os_str().as_encoded_bytes()).0;
        format!("127.{}.{}.{}", 1 + sum % 250, 1 + (sum >> 8) % 250, 1 + (sum >> 16) % 250)
    }

    pub fn config(&self, groups: &str) -> String {
        format!(
            "cluster: test\nnodes:\n  alpha: {{links: [{}]}}\nheartbeat: {{port: 17694}}\n\
             fencing: none\ngroups:\n{groups}\n",
            self.address()
        )
    }

    fn write_config(&self, groups: &str) {
        fs::write(self.dir("etc/cluster.yaml"), self.config(groups)).expect("configuration");
    }

    /// A shell script as an OCF agent, `ocf:test:NAME`.
    pub fn agent(&self, name: &str, body: &str) {
        let provider = self.dir("ocf/resource.d/test");
        fs::create_dir_all(&provider).expect("directory");
        let file = provider.join(name);
        let text = format!("#!/bin/sh\nP={}\n{body}\n", self.dir("pids").display());
        fs::write(&file, text).expect("agent");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).expect("mode");
    }

    pub fn command(&self) -> Command {
        let program = env!("CARGO_BIN_EXE_crmd");
        let mut command = if self.private_mounts {
            let mut command = Command::new("unshare");
            command.args(["--mount", "--propagation", "private", program]);
            command
        } else {
            Command::new(program)
        };
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .args(["--node", &self.node, "--port", "17694", "--log", "text"])
            .args(["--realtime", "false", "--link", &self.address()])
            .arg("--config-dir")
            .arg(self.dir("etc"))
            .arg("--state")
            .arg(self.dir("state"))
            .arg("--run")
            .arg(self.dir("run"))
            .arg("--agents-dir")
            .arg(self.dir("agents"))
            .arg("--ocf-root")
            .arg(self.dir("ocf"))
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        command
    }

    /// Starts the daemon and waits until it answers.
    pub fn start(&mut self) {
        let log = fs::File::options().create(true).append(true).open(self.dir("log")).expect("log");
        let child = self.command().stderr(log).spawn().expect("crmd");
        self.daemon = Some(child);
        let begun = Instant::now();
        while self.status().is_none() {
            let ended = self.daemon.as_mut().and_then(|child| child.try_wait().ok().flatten());
            assert!(ended.is_none(), "the daemon ended: {ended:?}\n{}", self.log());
            assert!(begun.elapsed() < PATIENCE, "the daemon does not answer\n{}", self.log());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// A start that is to be refused: its exit code and what it said.
    pub fn refused(&self) -> (Option<i32>, String) {
        let output = self.command().stderr(Stdio::piped()).output().expect("crmd");
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    }

    pub fn socket(&self) -> PathBuf {
        self.dir("run/crm.sock")
    }

    pub fn client(&self) -> Client {
        let mut client = Client::connect(self.socket()).expect("connects");
        client.set_timeout(PATIENCE).expect("timeout");
        client
    }

    pub fn status(&self) -> Option<Status> {
        let mut client = Client::connect(self.socket()).ok()?;
        client.set_timeout(PATIENCE).ok()?;
        match client.request(Request::Status).ok()? {
            Reply::Status(status) => Some(*status),
            _ => None,
        }
    }

    /// Waits until the status is as it should be.
    pub fn wait_for(&self, what: &str, condition: impl Fn(&Status) -> bool) -> Status {
        let begun = Instant::now();
        loop {
            let status = self.status();
            if let Some(status) = status.as_ref().filter(|status| condition(status)) {
                return status.clone();
            }
            assert!(begun.elapsed() < PATIENCE, "waited for {what}\n{status:#?}\n{}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    pub fn pid(&self) -> i32 {
        self.daemon.as_ref().map_or(0, |child| child.id().cast_signed())
    }

    pub fn signal(&self, signal: nix::sys::signal::Signal) {
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(self.pid()), signal).expect("signal");
    }

    /// Waits for the end of the daemon.
    pub fn ended(&mut self) -> ExitStatus {
        let mut child = self.daemon.take().expect("a daemon");
        let begun = Instant::now();
        loop {
            if let Some(status) = child.try_wait().expect("wait") {
                return status;
            }
            if begun.elapsed() > PATIENCE {
                let _ = child.kill();
                let _ = child.wait();
                panic!("the daemon does not end\n{}", self.log());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    pub fn kill(&mut self) {
        let mut child = self.daemon.take().expect("a daemon");
        child.kill().expect("kill");
        child.wait().expect("wait");
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.dir("log")).unwrap_or_default()
    }

    /// The pid that an agent wrote into `pids/NAME`.
    pub fn agent_pid(&self, name: &str) -> Option<i32> {
        fs::read_to_string(self.dir("pids").join(name)).ok()?.trim().parse().ok()
    }
}

/// Whether a process lives and is no zombie.
pub fn lives(pid: i32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat"))
        .ok()
        .and_then(|stat| stat.rsplit_once(')').map(|(_, rest)| !rest.trim_start().starts_with('Z')))
        .unwrap_or(false)
}

pub fn wait_until(what: &str, condition: impl Fn() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < PATIENCE, "waited for {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn pids_in(dir: &Path) -> Vec<i32> {
    let Ok(files) = fs::read_dir(dir) else { return Vec::new() };
    files
        .flatten()
        .filter_map(|file| fs::read_to_string(file.path()).ok()?.trim().parse().ok())
        .filter(|pid| *pid > 1)
        .collect()
}

impl Drop for Machine {
    fn drop(&mut self) {
        if let Some(mut child) = self.daemon.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
        // Only processes that say themselves that they are of this test.
        for pid in pids_in(&self.dir("pids")) {
            let marked = fs::read(format!("/proc/{pid}/environ"))
                .is_ok_and(|text| String::from_utf8_lossy(&text).contains("CRM_OPERATION="));
            let inside = fs::read_link(format!("/proc/{pid}/cwd"))
                .is_ok_and(|cwd| cwd.starts_with(&self.dir));
            let ours = marked || inside;
            if ours {
                let pid = nix::unistd::Pid::from_raw(pid);
                let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL);
            }
        }
        self.remove_cgroups();
        let _ = fs::remove_dir_all(&self.dir);
    }
}

impl Machine {
    /// Those that the daemon made; it was killed before it could.
    fn remove_cgroups(&self) {
        let digest = crm_core::digest::digest(self.dir("run").as_os_str().as_encoded_bytes());
        let prefix = format!("crm-{digest}.");
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        let Some(mount) = mounts.lines().find(|line| line.contains(" - cgroup2 ")) else { return };
        let Some(at) = mount.split(' ').nth(4) else { return };
        let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        let own = own.lines().find_map(|line| line.strip_prefix("0::/")).unwrap_or_default();
        let Ok(entries) = fs::read_dir(Path::new(at).join(own)) else { return };
        for entry in entries.flatten() {
            if entry.file_name().to_string_lossy().starts_with(&prefix) {
                // What was just killed takes a moment to be gone.
                let begun = Instant::now();
                while fs::remove_dir(entry.path()).is_err()
                    && entry.path().exists()
                    && begun.elapsed() < Duration::from_secs(2)
                {
                    std::thread::sleep(Duration::from_millis(5));
                }
            }
        }
    }
}
