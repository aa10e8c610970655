//! Starts a child, listens to it, and sees it end: for agents and for fencing devices alike.

use super::cgroup::Cgroup;
use super::speech::Speech;
use super::tail::Tail;
use super::tree::Tree;
use crate::sys::{Child, Spawn};
use nix::fcntl::OFlag;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::CString;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::rc::Rc;
use std::time::Duration;
use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, Interest};
use tokio::net::unix::pipe;

/// Between the polite signal and the other one.
const TERM_GRACE: Duration = Duration::from_millis(500);
/// Between two looks at a child of whose end the kernel does not tell.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// What may still lie in the pipes of a child that ended, in bytes.
const DRAIN_BYTES_MAX: usize = 1024 * 1024;

/// Children whose end somebody waits for; everything else that ends is reaped as an orphan.
pub(crate) type Awaited = Rc<RefCell<BTreeSet<i32>>>;

/// What to start.
#[derive(Clone, Debug)]
pub(crate) struct Launch {
    pub(crate) program: PathBuf,
    pub(crate) own_name: Option<&'static str>,
    pub(crate) arguments: Vec<String>,
    pub(crate) environment: BTreeMap<String, String>,
    /// Secrets go this way, never by argument or environment.
    pub(crate) input: Option<Vec<u8>>,
    pub(crate) token: String,
    pub(crate) cgroup: Option<Cgroup>,
    /// Real-time priority of the program itself.
    pub(crate) priority: Option<i32>,
}

/// A child that runs.
#[derive(Debug)]
pub(crate) struct Running {
    child: Child,
    /// Tells of its end, where there was room for that.
    pub(super) end: Option<AsyncFd<OwnedFd>>,
    pub(crate) tree: Tree,
    pub(crate) heard: Heard,
    ears: Ears,
    input: Option<(pipe::Sender, Vec<u8>)>,
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
    /// Its program cannot be executed: the kernel's error number.
    NotExecuted(i32),
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
    /// Starts it, in a session of its own and in its cgroup, and waits for nothing: whether its
    /// program can be executed shows at its end.
    ///
    /// # Errors
    /// There is no room for a process, or a text with a zero byte in it.
    pub(crate) fn start(self, awaited: &Awaited) -> io::Result<Running> {
        let (ours, channel) = nix::unistd::pipe2(OFlag::O_CLOEXEC)?;
        let (ears, output) = nix::unistd::pipe2(OFlag::O_CLOEXEC)?;
        let ears = Ears {
            output: Some(pipe::Receiver::from_owned_fd(ears)?),
            channel: Some(pipe::Receiver::from_owned_fd(ours)?),
        };
        let (input, feed) = match self.input {
            None => (File::open("/dev/null")?.into(), None),
            Some(bytes) => {
                let (theirs, ours) = nix::unistd::pipe2(OFlag::O_CLOEXEC)?;
                (theirs, Some((pipe::Sender::from_owned_fd(ours)?, bytes)))
            }
        };
        let name = match self.own_name {
            Some(name) => CString::new(name)?,
            None => CString::new(self.program.as_os_str().as_bytes())?,
        };
        let mut arguments = vec![name];
        for argument in self.arguments {
            arguments.push(CString::new(argument)?);
        }
        let mut environment = Vec::with_capacity(self.environment.len());
        for (name, value) in self.environment {
            environment.push(CString::new(format!("{name}={value}"))?);
        }
        let spawn = Spawn {
            program: CString::new(self.program.as_os_str().as_bytes())?,
            arguments,
            environment,
            input,
            output,
            channel,
            cgroup: self.cgroup.as_ref().map(Cgroup::directory).transpose()?,
            priority: self.priority,
        };
        let child = spawn.start()?;
        // It has begun: if anything failed from here on, nobody would know of what it forks.
        awaited.borrow_mut().insert(child.pid);
        let end = child.end().and_then(|end| crate::sys::register(end, Interest::READABLE)).ok();
        // Unknown, anything may be its offspring.
        let since = super::procfs::stat(child.pid).ok().flatten().map(|stat| stat.started);
        let tree = Tree::new(child.pid, since, self.token, self.cgroup);
        let heard = Heard::default();
        let awaited = awaited.clone();
        Ok(Running { child, end, tree, heard, ears, input: feed, awaited })
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
                status = ended(&self.child, self.end.as_ref()) => {
                    self.forget();
                    break match self.child.problem() {
                        Some(problem) => End::NotExecuted(problem.raw_os_error().unwrap_or(0)),
                        None => End::Exited(status?),
                    };
                }
                () = self.ears.listen(&mut self.heard) => {}
                () = &mut feed, if !fed => fed = true,
                () = &mut deadline => break End::TimedOut,
                () = &mut cancelled => break End::Cancelled,
            }
        };
        let left = match end {
            End::Exited(_) | End::NotExecuted(_) => None,
            _ => self.end_tree().await.err(),
        };
        self.ears.drain(&mut self.heard);
        self.heard.speech.finish();
        Ok(Ended { end, left })
    }

    /// The polite signal, a short grace, then the kill of everything.
    async fn end_tree(&mut self) -> Result<(), String> {
        self.child.ask_to_end();
        let grace = tokio::time::sleep(TERM_GRACE);
        tokio::pin!(grace);
        let mut exited = false;
        while !exited {
            tokio::select! {
                _ = ended(&self.child, self.end.as_ref()) => exited = true,
                () = self.ears.listen(&mut self.heard) => {}
                () = &mut grace => break,
            }
        }
        if !exited {
            // Known by its descriptor even before it leads its session.
            self.child.kill();
        }
        let killed = self.tree.end(super::tree::DEATH_PATIENCE).await;
        if !exited && killed.is_ok() {
            let _ = ended(&self.child, self.end.as_ref()).await;
        }
        if exited || killed.is_ok() {
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

/// Waits for the end of a child and takes its status from the kernel.
async fn ended(child: &Child, end: Option<&AsyncFd<OwnedFd>>) -> io::Result<ExitStatus> {
    loop {
        let ready = match end {
            Some(end) => Some(end.readable().await?),
            None => None,
        };
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        match ready {
            Some(mut ready) => ready.clear_ready(),
            None => tokio::time::sleep(LOOK_EVERY).await,
        }
    }
}

/// Gives the child its input; a child that does not read it does not matter here.
async fn feed(input: Option<(pipe::Sender, Vec<u8>)>) {
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
