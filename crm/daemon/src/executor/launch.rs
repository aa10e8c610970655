//! Starts a child, listens to it, and sees it end: for agents and for fencing devices alike.

use super::cgroup::Cgroup;
use super::speech::Speech;
use super::tail::Tail;
use super::tree::Tree;
use nix::fcntl::OFlag;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::rc::Rc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::pipe;
use tokio::process::{Child, ChildStdin, Command};

/// Between the polite signal and the other one.
const TERM_GRACE: Duration = Duration::from_millis(500);
/// What may still lie in the pipes of a child that ended, in bytes.
const DRAIN_BYTES_MAX: usize = 1024 * 1024;

/// Children whose end somebody waits for; everything else that ends is reaped as an orphan.
pub(crate) type Awaited = Rc<RefCell<BTreeSet<i32>>>;

/// What to start.
#[derive(Debug)]
pub(crate) struct Launch {
    pub(crate) program: PathBuf,
    pub(crate) own_name: Option<&'static str>,
    pub(crate) arguments: Vec<String>,
    pub(crate) environment: BTreeMap<String, String>,
    /// Secrets go this way, never by argument or environment.
    pub(crate) input: Option<Vec<u8>>,
    pub(crate) token: String,
    pub(crate) cgroup: Option<Cgroup>,
}

/// A child that runs.
#[derive(Debug)]
pub(crate) struct Running {
    child: Child,
    pub(crate) tree: Tree,
    pub(crate) heard: Heard,
    ears: Ears,
    input: Option<(ChildStdin, Vec<u8>)>,
    awaited: Awaited,
}

/// What a child said.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    pub(crate) tail: Tail,
    pub(crate) speech: Speech,
}

#[derive(Debug)]
struct Ears {
    /// Output and errors in one pipe, so that their order is kept.
    output: Option<pipe::Receiver>,
    channel: Option<pipe::Receiver>,
}

/// Why waiting for a child was over.
#[derive(Clone, Copy, Debug)]
pub(crate) enum End {
    Exited(ExitStatus),
    /// The time was over, and everything was killed.
    TimedOut,
    /// Somebody cancelled it, and everything was killed.
    Cancelled,
}

/// The end, and the processes that could not be killed although they should be gone.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) end: End,
    pub(crate) left: Option<String>,
}

impl Launch {
    /// Starts it, in a session of its own and in its cgroup.
    ///
    /// # Errors
    /// It cannot be executed.
    pub(crate) fn start(self, awaited: &Awaited) -> io::Result<Running> {
        let (ours, theirs) = nix::unistd::pipe2(OFlag::O_CLOEXEC)?;
        let (output, their_output) = nix::unistd::pipe2(OFlag::O_CLOEXEC)?;
        let their_errors = their_output.try_clone()?;
        // Everything that can fail comes before the child.
        let ears = Ears {
            output: Some(pipe::Receiver::from_owned_fd(output)?),
            channel: Some(pipe::Receiver::from_owned_fd(ours)?),
        };
        let entrance = self.cgroup.as_ref().map(Cgroup::entrance).transpose()?;
        let mut command = Command::new(&self.program);
        if let Some(name) = self.own_name {
            command.arg0(name);
        }
        command
            .args(&self.arguments)
            .env_clear()
            .envs(&self.environment)
            .current_dir("/")
            .stdin(if self.input.is_some() { Stdio::piped() } else { Stdio::null() })
            .stdout(Stdio::from(their_output))
            .stderr(Stdio::from(their_errors));
        crate::sys::isolate(&mut command, Some(theirs), entrance);
        let mut child = command.spawn()?;
        // The writing ends must be the child's alone.
        drop(command);
        let leader = child.id().and_then(|id| i32::try_from(id).ok()).unwrap_or(0);
        awaited.borrow_mut().insert(leader);
        let input = child.stdin.take().zip(self.input);
        let tree = Tree { leader, token: self.token, cgroup: self.cgroup };
        let heard = Heard::default();
        Ok(Running { child, tree, heard, ears, input, awaited: awaited.clone() })
    }
}

impl Running {
    /// Waits for the exit (not for the pipes, which daemons may have inherited), for the timeout or
    /// for `cancelled`; the last two kill the tree.
    ///
    /// # Errors
    /// The kernel does not tell of its end.
    pub(crate) async fn wait(
        &mut self,
        timeout: Duration,
        cancelled: impl Future<Output = ()>,
    ) -> io::Result<Ended> {
        let deadline = tokio::time::sleep(timeout);
        let feed = feed(self.input.take());
        tokio::pin!(deadline, cancelled, feed);
        let mut fed = false;
        let end = loop {
            tokio::select! {
                status = self.child.wait() => {
                    self.forget();
                    break End::Exited(status?);
                }
                () = self.ears.listen(&mut self.heard) => {}
                () = &mut feed, if !fed => fed = true,
                () = &mut deadline => break End::TimedOut,
                () = &mut cancelled => break End::Cancelled,
            }
        };
        let left = match end {
            End::Exited(_) => None,
            _ => self.end_tree().await.err(),
        };
        self.ears.drain(&mut self.heard);
        self.heard.speech.finish();
        Ok(Ended { end, left })
    }

    /// The polite signal, a short grace, then the kill of everything.
    async fn end_tree(&mut self) -> Result<(), String> {
        let group = nix::unistd::Pid::from_raw(self.tree.leader);
        if self.tree.leader > 1 {
            let _ = nix::sys::signal::killpg(group, nix::sys::signal::Signal::SIGTERM);
        }
        let grace = tokio::time::sleep(TERM_GRACE);
        tokio::pin!(grace);
        let mut exited = false;
        while !exited {
            tokio::select! {
                _ = self.child.wait() => exited = true,
                () = self.ears.listen(&mut self.heard) => {}
                () = &mut grace => break,
            }
        }
        let killed = self.tree.end(super::tree::DEATH_PATIENCE).await;
        if exited || killed.is_ok() {
            let _ = self.child.wait().await;
            self.forget();
        }
        killed
    }

    fn forget(&self) {
        self.awaited.borrow_mut().remove(&self.tree.leader);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Dropped only with the daemon, or with a child that hangs in the kernel.
        self.forget();
    }
}

/// Gives the child its input; a child that does not read it does not matter here.
async fn feed(input: Option<(ChildStdin, Vec<u8>)>) {
    if let Some((mut pipe, bytes)) = input {
        let _ = pipe.write_all(&bytes).await;
    }
}

impl Ears {
    /// Takes what one of the pipes has; waits for ever when all are closed.
    async fn listen(&mut self, heard: &mut Heard) {
        let mut first = [0u8; 8192];
        let mut second = [0u8; 2048];
        tokio::select! {
            count = read(&mut self.output, &mut first) => heard.tail.feed(&first[..count]),
            count = read(&mut self.channel, &mut second) => heard.speech.feed(&second[..count]),
        }
    }

    /// Takes what is there already, without waiting, and closes the pipes.
    fn drain(&mut self, heard: &mut Heard) {
        let mut buffer = [0u8; 8192];
        let mut left = DRAIN_BYTES_MAX;
        while let Some(count) = now(&mut self.output, &mut buffer, &mut left) {
            heard.tail.feed(&buffer[..count]);
        }
        while let Some(count) = now(&mut self.channel, &mut buffer, &mut left) {
            heard.speech.feed(&buffer[..count]);
        }
    }
}

/// Reads once; a pipe that ended is closed and never ready again.
async fn read<P: AsyncRead + Unpin>(pipe: &mut Option<P>, buffer: &mut [u8]) -> usize {
    if let Some(open) = pipe {
        match open.read(buffer).await {
            Ok(count) if count > 0 => return count,
            _ => *pipe = None,
        }
    }
    std::future::pending().await
}

/// Reads what is there; `None` when there is nothing, or enough was read. Asks the kernel itself:
/// the runtime may not have noticed yet that there is something.
fn now<P: AsFd>(pipe: &mut Option<P>, buffer: &mut [u8], left: &mut usize) -> Option<usize> {
    let open = pipe.as_ref()?;
    match nix::unistd::read(open.as_fd(), buffer) {
        Ok(count) if count > 0 && count <= *left => {
            *left -= count;
            Some(count)
        }
        _ => {
            *pipe = None;
            None
        }
    }
}
