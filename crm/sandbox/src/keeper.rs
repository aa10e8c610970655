//! A process that keeps a set of namespaces alive; when it ends, everything in them ends.

use std::io::{self, BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The first process of a PID namespace with its own network, mounts and host name.
#[derive(Debug)]
pub struct Keeper {
    unshare: Child,
    /// Process number on the host of the first process inside.
    pub pid: i32,
}

impl Keeper {
    /// Makes the namespaces and gives them a host name.
    ///
    /// # Errors
    /// The kernel refused, or the shell inside did not answer.
    pub fn start(name: &str) -> io::Result<Keeper> {
        // The first process inside reads its standard input: it ends when this process does.
        let script = "hostname \"$0\" && mount -t tmpfs none /run/lock 2>/dev/null; ip link set lo up; echo ready; exec cat >/dev/null";
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
            .args(["sh", "-c", script, name])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let mut line = String::new();
        if let Some(out) = unshare.stdout.take() {
            BufReader::new(out).read_line(&mut line)?;
        }
        if line.trim() != "ready" {
            let _ = unshare.kill();
            unshare.wait()?;
            return Err(io::Error::other(format!(
                "namespaces for {name} did not come up (is this root?)"
            )));
        }
        let children = format!("/proc/{0}/task/{0}/children", unshare.id());
        let pid = std::fs::read_to_string(children)?
            .split_whitespace()
            .next()
            .and_then(|p| p.parse().ok());
        let Some(pid) = pid else { return Err(io::Error::other("unshare has no child")) };
        Ok(Keeper { unshare, pid })
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

    /// Ends every process inside and waits until none is left.
    pub fn kill(&mut self) {
        // The first process of the namespace takes all others with it.
        let pid = nix::unistd::Pid::from_raw(self.pid);
        let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL);
        let until = Instant::now() + Duration::from_secs(10);
        while Instant::now() < until {
            match self.unshare.try_wait() {
                Ok(None) => std::thread::sleep(Duration::from_millis(1)),
                _ => return,
            }
        }
        let _ = self.unshare.kill();
        let _ = self.unshare.wait();
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.kill();
    }
}
