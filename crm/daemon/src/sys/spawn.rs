//! Starts a child without ever waiting for it, and inside its cgroup from its first instruction.
//!
//! The standard library waits until the child has executed its program, which on a busy machine
//! takes as long as the child waits for a processor; the event loop has no such time. And a process
//! that moves itself into a cgroup makes the kernel wait for all processors (some ten milliseconds);
//! one that is born there does not.

use super::raw;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::libc;
use nix::sys::signal::{SigSet, SigmaskHow, Signal, kill, killpg, sigprocmask};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::Pid;
use std::ffi::{CStr, CString};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

/// What to start. Everything that needs memory is made before the child is.
#[derive(Debug)]
pub(crate) struct Spawn {
    /// With a slash in it; a script without a first line is given to the shell.
    pub(crate) program: CString,
    /// The first one is the name under which it is called.
    pub(crate) arguments: Vec<CString>,
    /// `NAME=VALUE`, and nothing else.
    pub(crate) environment: Vec<CString>,
    pub(crate) input: OwnedFd,
    /// Output and errors.
    pub(crate) output: OwnedFd,
    /// Descriptor 3.
    pub(crate) channel: OwnedFd,
    /// The directory of the cgroup.
    pub(crate) cgroup: Option<File>,
    /// Real-time priority for the program itself; whatever it forks starts without it. Where it is
    /// not permitted, the program runs without it too.
    pub(crate) priority: Option<i32>,
}

/// A child in a session of its own.
#[derive(Debug)]
pub(crate) struct Child {
    pub(crate) pid: i32,
    pidfd: OwnedFd,
    /// Holds the error number if the program could not be executed.
    problem: File,
}

/// The descriptors of a child while it becomes the program.
struct Ends {
    input: RawFd,
    output: RawFd,
    channel: RawFd,
    problem: RawFd,
    cgroup: Option<RawFd>,
}

/// Flags of clone3(2): handlers of signals are the parent's alone; born inside a cgroup; with a descriptor, or not at all.
const CLEAR_SIGHAND: u64 = 0x1_0000_0000;
const INTO_CGROUP: u64 = 0x2_0000_0000;
const WITH_PIDFD: u64 = libc::CLONE_PIDFD as u64;
/// Descriptors of the child lie above those that it is to have.
const ABOVE: RawFd = 10;

impl Spawn {
    /// Starts it. Whether the program can be executed at all shows when the child has ended:
    /// [`Child::problem`].
    ///
    /// # Errors
    /// There is no room for another process, or no descriptor. With a number of the kernel's: nothing has begun.
    pub(crate) fn start(self) -> io::Result<Child> {
        let (problem, their_problem) = nix::unistd::pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK)?;
        let (input, output) = (above(&self.input)?, above(&self.output)?);
        let (channel, their_problem) = (above(&self.channel)?, above(&their_problem)?);
        let cgroup = self.cgroup.as_ref().map(above).transpose()?;
        let ends = Ends {
            input: input.as_raw_fd(),
            output: output.as_raw_fd(),
            channel: channel.as_raw_fd(),
            problem: their_problem.as_raw_fd(),
            cgroup: cgroup.as_ref().map(AsRawFd::as_raw_fd),
        };
        let (arguments, environment) = (pointers(&self.arguments), pointers(&self.environment));
        // fork(2) gives no descriptor of the child: a place for it is taken before.
        let place = above(&problem)?;
        let before = blocked()?;
        let cloned = clone_into(ends.cgroup);
        let born_inside = cloned.is_ok();
        let cloned = match cloned {
            // An older kernel, or one that does not let us: the child enters by itself.
            // SAFETY: the child makes only async-signal-safe calls until it executes or ends.
            Err(error) if !super::is_shortage(&error) => {
                forked(unsafe { libc::fork() }).map(|pid| (pid, None))
            }
            cloned => cloned,
        };
        if let Ok((0, _)) = cloned {
            become_program(&self.program, &arguments, &environment, &ends, born_inside);
        }
        // With these it cannot fail; and one that has begun must not be told as an error.
        let _ = sigprocmask(SigmaskHow::SIG_SETMASK, Some(&before), None);
        let (pid, pidfd) = cloned?;
        if let Some(priority) = self.priority {
            // From here, not by the child: on a busy machine it would wait for its turn to do so.
            let _ = super::round_robin(pid, priority);
        }
        drop(place);
        let pidfd = pidfd.map_or_else(|| late_pidfd(pid), Ok)?;
        Ok(Child { pid, pidfd, problem: File::from(problem) })
    }
}

impl Child {
    /// How it ended, if it has. Asked again after that, there is no such child any more.
    ///
    /// # Errors
    /// The kernel does not tell.
    pub(crate) fn try_wait(&self) -> io::Result<Option<ExitStatus>> {
        let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG;
        Ok(match waitid(Id::PIDFd(self.pidfd.as_fd()), flags)? {
            WaitStatus::Exited(_, code) => Some(ExitStatus::from_raw((code & 0xff) << 8)),
            WaitStatus::Signaled(_, signal, _) => Some(ExitStatus::from_raw(signal as i32)),
            _ => None,
        })
    }

    /// Why its program could not be executed; `None`: it was.
    pub(crate) fn problem(&self) -> Option<io::Error> {
        let mut number = [0; 4];
        match (&self.problem).read(&mut number) {
            Ok(4) => Some(io::Error::from_raw_os_error(i32::from_ne_bytes(number))),
            _ => None,
        }
    }

    /// The polite signal, to its whole session if it leads one by now. For a child whose end was
    /// not taken yet: until then nobody else has its number.
    pub(crate) fn ask_to_end(&self) {
        let pid = Pid::from_raw(self.pid);
        if killpg(pid, Signal::SIGTERM).is_err() {
            let _ = kill(pid, Signal::SIGTERM);
        }
    }

    /// Ends it and what it started in its session. For a child whose end was not taken yet.
    pub(crate) fn kill_session(&self) {
        let _ = killpg(Pid::from_raw(self.pid), Signal::SIGKILL);
        self.kill();
    }

    /// Ends exactly this process.
    pub(crate) fn kill(&self) {
        let _ = super::pidfd_kill(&self.pidfd);
    }

    /// Readable when it has ended.
    pub(crate) fn end(&self) -> io::Result<OwnedFd> {
        self.pidfd.try_clone()
    }
}

/// The descriptor of a child of fork(2). One that nobody can wait for is killed, and reaped as an orphan: to wait for it
/// here would stop the loop, and it may hang. It had begun, so this is no lack of room that another attempt may wait out.
fn late_pidfd(pid: i32) -> io::Result<OwnedFd> {
    super::pidfd_open(pid).map_err(|error| {
        let pid = Pid::from_raw(pid);
        let _ = killpg(pid, Signal::SIGKILL);
        let _ = kill(pid, Signal::SIGKILL);
        io::Error::other(format!("it was killed, for its end could not be seen: {error}"))
    })
}

/// Another name for a descriptor, high enough not to be in the way of 0 to 3.
fn above(file: &impl AsFd) -> io::Result<OwnedFd> {
    let file: BorrowedFd<'_> = file.as_fd();
    let number = fcntl(file, FcntlArg::F_DUPFD_CLOEXEC(ABOVE))?;
    // SAFETY: the kernel has just given us this descriptor, nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

fn pointers(texts: &[CString]) -> Vec<*const libc::c_char> {
    texts.iter().map(|text| text.as_ptr()).chain([std::ptr::null()]).collect()
}

/// Blocks every signal, so that no handler of this process runs in the child; answers what was
/// blocked before.
fn blocked() -> io::Result<SigSet> {
    let mut before = SigSet::empty();
    sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::all()), Some(&mut before))?;
    Ok(before)
}

/// As fork(2), but the child is in the cgroup from the start, and comes with its descriptor.
fn clone_into(cgroup: Option<RawFd>) -> io::Result<(i32, Option<OwnedFd>)> {
    let mut pidfd: RawFd = -1;
    // SAFETY: zero is a valid value of each field.
    let mut arguments: libc::clone_args = unsafe { std::mem::zeroed() };
    arguments.flags = CLEAR_SIGHAND | WITH_PIDFD;
    arguments.pidfd = (&raw mut pidfd).expose_provenance() as u64;
    arguments.exit_signal = libc::SIGCHLD as u64;
    if let Some(cgroup) = cgroup {
        arguments.flags |= INTO_CGROUP;
        arguments.cgroup = u64::try_from(cgroup).map_err(io::Error::other)?;
    }
    // SAFETY: without CLONE_VM the child has a copy of everything, as after fork(2); the structure, and the number that
    // the kernel writes, are valid for the call. The child makes only async-signal-safe calls until it executes.
    let pid = unsafe {
        libc::syscall(libc::SYS_clone3, &raw mut arguments, size_of::<libc::clone_args>())
    };
    raw(pid)?;
    // SAFETY: to the parent the kernel has just given this descriptor, nobody else owns it.
    let pidfd = (pid > 0).then(|| unsafe { OwnedFd::from_raw_fd(pidfd) });
    Ok((i32::try_from(pid).map_err(io::Error::other)?, pidfd))
}

fn forked(pid: i32) -> io::Result<i32> {
    raw(i64::from(pid)).map(|()| pid)
}

/// The child: never returns. Neither allocates nor locks, and makes only async-signal-safe calls.
fn become_program(
    program: &CStr,
    arguments: &[*const libc::c_char],
    environment: &[*const libc::c_char],
    ends: &Ends,
    born_inside: bool,
) -> ! {
    let failed = prepare(ends, born_inside).err();
    if failed.is_none() {
        // SAFETY: both lists end with a null pointer and point to texts that live on. It returns
        // only if it fails.
        unsafe { libc::execvpe(program.as_ptr(), arguments.as_ptr(), environment.as_ptr()) };
    }
    let failed = failed.unwrap_or_else(io::Error::last_os_error);
    let number = failed.raw_os_error().unwrap_or(libc::EIO).to_ne_bytes();
    write(ends.problem, &number);
    // SAFETY: ends this process without running anything of the parent's.
    unsafe { libc::_exit(127) }
}

fn prepare(ends: &Ends, born_inside: bool) -> io::Result<()> {
    if !born_inside && let Some(cgroup) = ends.cgroup {
        // Before it can fork, so that no descendant stays outside.
        enter(cgroup)?;
    }
    nix::unistd::setsid()?;
    for (from, to) in [(ends.input, 0), (ends.output, 1), (ends.output, 2), (ends.channel, 3)] {
        // SAFETY: makes the number another name of an open descriptor; all of them lie above 3.
        raw(i64::from(unsafe { libc::dup2(from, to) }))?;
    }
    // SAFETY: the path ends with a zero byte.
    raw(i64::from(unsafe { libc::chdir(c"/".as_ptr()) }))?;
    give_up_oom_protection();
    // What the daemon itself inherited is not the agent's. Old kernels refuse; then nothing that
    // this program opened is passed on, for all of that is marked.
    let (first, last) = (4u32, u32::MAX);
    // SAFETY: marks descriptors to be closed by exec; closes nothing now.
    unsafe { libc::syscall(libc::SYS_close_range, first, last, libc::CLOSE_RANGE_CLOEXEC) };
    // This program ignores it, others expect it; what is ignored stays so across exec.
    // SAFETY: changes what this process does on one signal.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
    sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::empty()), None)?;
    Ok(())
}

/// Moves this process into the cgroup of a directory.
fn enter(cgroup: RawFd) -> io::Result<()> {
    let flags = libc::O_WRONLY | libc::O_CLOEXEC;
    // SAFETY: the name ends with a zero byte; openat(2) and close(2) are async-signal-safe.
    let file = unsafe { libc::openat(cgroup, c"cgroup.procs".as_ptr(), flags) };
    raw(i64::from(file))?;
    raw(write(file, b"0") as i64)?;
    // SAFETY: opened above, closed once.
    unsafe { libc::close(file) };
    Ok(())
}

/// The daemon may be protected from the out-of-memory killer; what it starts is judged as usual.
/// Raising the score is always permitted; where it is higher already the kernel refuses, which is
/// right too.
fn give_up_oom_protection() {
    let path = c"/proc/self/oom_score_adj";
    // SAFETY: the path ends with a zero byte; open(2) and close(2) are async-signal-safe.
    let file = unsafe { libc::open(path.as_ptr(), libc::O_WRONLY | libc::O_CLOEXEC) };
    if file >= 0 {
        write(file, b"0");
        // SAFETY: opened above, closed once.
        unsafe { libc::close(file) };
    }
}

fn write(file: RawFd, bytes: &[u8]) -> isize {
    // SAFETY: the slice is valid for its length; write(2) is async-signal-safe.
    unsafe { libc::write(file, bytes.as_ptr().cast(), bytes.len()) }
}

#[cfg(test)]
mod tests;
