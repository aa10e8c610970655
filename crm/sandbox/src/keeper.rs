//! A process that keeps a set of namespaces alive; when it ends, everything in them ends.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::os::fd::AsRawFd;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long the processes of a node may take to end. One that is stuck in the kernel may never.
const ENDING: Duration = Duration::from_secs(10);
/// How often it is looked for a stopped entrance meanwhile.
const WAKING: Duration = Duration::from_millis(200);

/// What the first process inside does. It reads its standard input, so it ends when its owner
/// does, however that ends.
const SCRIPT: &str = "hostname \"$0\" && ip link set lo up || exit 1; \
    mount -t tmpfs none /run/lock 2>/dev/null; echo ready; exec cat >/dev/null";

/// The first process of a PID namespace with its own network, mounts and host name.
#[derive(Debug)]
pub struct Keeper {
    unshare: Child,
    /// Process number on the host of the first process inside.
    pub pid: i32,
    /// Held so that the network can be silenced when its processes are gone.
    network: Option<File>,
}

impl Keeper {
    /// Makes the namespaces and gives them a host name.
    ///
    /// # Errors
    /// The kernel refused, or a tool is missing; with what was said.
    pub fn start(name: &str) -> io::Result<Keeper> {
        let mut unshare = Command::new("unshare")
            .args([
                "--net",
                "--mount",
                "--uts",
                "--pid",
                "--fork",
                "--kill-child=KILL",
                "--mount-proc",
            ])
            .args(["sh", "-c", SCRIPT, name])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| io::Error::other(format!("unshare (util-linux): {error}")))?;
        let mut line = String::new();
        if let Some(out) = unshare.stdout.take() {
            BufReader::new(out).read_line(&mut line)?;
        }
        if line.trim() != "ready" {
            let _ = unshare.kill();
            let mut said = String::new();
            if let Some(mut errors) = unshare.stderr.take() {
                errors.read_to_string(&mut said)?;
            }
            unshare.wait()?;
            let said = said.trim();
            return Err(io::Error::other(format!("the namespaces of {name}: {said}")));
        }
        let id = unshare.id();
        let mut keeper = Keeper { unshare, pid: 0, network: None };
        let children = std::fs::read_to_string(format!("/proc/{id}/task/{id}/children"))?;
        let pid = children.split_whitespace().next().and_then(|pid| pid.parse().ok());
        keeper.pid = pid.ok_or_else(|| io::Error::other("unshare has no child"))?;
        keeper.network = Some(File::open(format!("/proc/{}/ns/net", keeper.pid))?);
        Ok(keeper)
    }

    /// A command that runs inside.
    #[must_use]
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--target={}", self.pid));
        command.args(["--net", "--mount", "--uts", "--pid", "--", program]);
        command
    }

    /// A command that sees the host but the network of this one, so that it may name processes of
    /// other namespaces.
    #[must_use]
    pub fn on_network(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--target={}", self.pid));
        command.args(["--net", "--", program]);
        command
    }

    /// Ends every process inside, waits until none is left, and silences the network: without
    /// that the kernel would answer for its addresses a little longer.
    ///
    /// # Errors
    /// A process did not end in time. Then nothing is proved.
    pub fn kill(&mut self) -> io::Result<()> {
        if self.unshare.try_wait()?.is_some() {
            self.network = None;
            return Ok(());
        }
        let place = std::fs::read_link(format!("/proc/{}/ns/pid", self.pid)).ok();
        if self.pid > 0 {
            // The first process of the namespace takes all others with it.
            let pid = nix::unistd::Pid::from_raw(self.pid);
            let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL);
        } else {
            self.unshare.kill()?;
        }
        let mut silence = self.network.as_ref().map(silence);
        let begun = Instant::now();
        let mut woken = begun;
        loop {
            if let Some(place) = place.as_deref().filter(|_| woken <= Instant::now()) {
                wake_entrances(place);
                woken += WAKING;
            }
            // `unshare` ends when the kernel has taken the last process out of the namespace.
            let ended = self.unshare.try_wait()?.is_some();
            let silent = match &mut silence {
                Some(Ok(child)) => child.try_wait()?.is_some(),
                _ => true,
            };
            if ended && silent {
                self.network = None;
                return Ok(());
            }
            if begun.elapsed() > ENDING {
                let seconds = ENDING.as_secs();
                return Err(io::Error::other(format!("not every process ended in {seconds} s")));
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        if self.kill().is_err() {
            let _ = self.unshare.kill();
            let _ = self.unshare.wait();
        }
    }
}

/// Lets every `nsenter` into this PID namespace go on. One stops itself when its child is stopped, as by a SIGSTOP of
/// the daemon; stopped it does not collect the child, and the kernel waits for that before the namespace ends.
fn wake_entrances(place: &Path) {
    let Ok(all) = std::fs::read_dir("/proc") else { return };
    for pid in all.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok()) {
        let leads = |kind: &str| std::fs::read_link(format!("/proc/{pid}/ns/{kind}")).ok();
        if leads("pid_for_children").is_some_and(|there| there == place)
            && leads("pid").is_some_and(|here| here != place)
        {
            let pid = nix::unistd::Pid::from_raw(pid);
            let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGCONT);
        }
    }
}

/// Takes every interface of a network down.
fn silence(network: &File) -> io::Result<Child> {
    Command::new("nsenter")
        .arg(format!("--net=/proc/{}/fd/{}", std::process::id(), network.as_raw_fd()))
        .args(["--", "ip", "link", "set", "group", "default", "down"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
}
