//! Short-lived children: run a tool, or a call that may block for ever, within a deadline.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, kill, killpg};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use crate::deadline::{Deadline, Pause};
use crate::syscall;

/// How a tool ended.
#[derive(Debug)]
pub(crate) struct Finished {
    /// `None` if a signal ended it, or the deadline did.
    pub(crate) code: Option<i32>,
    /// The end of its output, both streams in one.
    pub(crate) output: String,
    pub(crate) timed_out: bool,
}

impl Finished {
    pub(crate) fn succeeded(&self) -> bool {
        self.code == Some(0)
    }

    /// One line: how it ended and the last thing it said.
    pub(crate) fn summary(&self) -> String {
        let how = match (self.timed_out, self.code) {
            (true, _) => "did not end in time".to_owned(),
            (false, Some(code)) => format!("exit code {code}"),
            (false, None) => "ended by a signal".to_owned(),
        };
        match self.output.trim() {
            "" => how,
            output => format!("{how}: {}", one_line(output)),
        }
    }
}

/// Runs a tool and all that it starts in a process group of their own; at the deadline the
/// group is killed.
///
/// # Errors
/// The tool could not be started.
pub(crate) fn run(command: &mut Command, deadline: Deadline) -> io::Result<Finished> {
    // A file, not a pipe: nobody has to read while it runs, and a child of the tool that keeps
    // it open delays nothing.
    let mut output = unnamed_file()?;
    let (code, timed_out) = run_into(command, deadline, &output, &output)?;
    Ok(Finished { code, output: tail(&mut output)?, timed_out })
}

/// The same for a tool whose standard output is wanted whole, up to `most` bytes.
pub(crate) fn run_for_output(
    command: &mut Command,
    deadline: Deadline,
    most: u64,
) -> io::Result<(Finished, String)> {
    let mut stdout = unnamed_file()?;
    let mut stderr = unnamed_file()?;
    let (code, timed_out) = run_into(command, deadline, &stdout, &stderr)?;
    let said = tail(&mut stderr)?;
    let output = if said.trim().is_empty() { tail(&mut stdout)? } else { said };
    Ok((Finished { code, output, timed_out }, head(&mut stdout, most)?))
}

/// The same for a tool that reads `input`, with both its streams as one. The caller has given it a
/// session of its own.
pub(crate) fn run_with_input(
    command: &mut Command,
    input: File,
    deadline: Deadline,
    most: u64,
) -> io::Result<(Finished, String)> {
    let mut output = unnamed_file()?;
    command.stdin(input).stdout(output.try_clone()?).stderr(output.try_clone()?);
    let (code, timed_out) = wait(command.spawn()?, deadline)?;
    let said = head(&mut output, most)?;
    Ok((Finished { code, output: tail(&mut output)?, timed_out }, said))
}

fn run_into(
    command: &mut Command,
    deadline: Deadline,
    stdout: &File,
    stderr: &File,
) -> io::Result<(Option<i32>, bool)> {
    command
        .stdin(Stdio::null())
        .stdout(stdout.try_clone()?)
        .stderr(stderr.try_clone()?)
        .process_group(0);
    wait(command.spawn()?, deadline)
}

/// Waits for a child that leads a process group; at the deadline the group is killed.
fn wait(mut child: Child, deadline: Deadline) -> io::Result<(Option<i32>, bool)> {
    let group = i32::try_from(child.id()).map_err(io::Error::other)?;
    let mut patience = Patience::with(Pid::from_raw(group));
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok((status.code(), false));
        }
        if !patience.sleep(deadline) {
            let _ = killpg(Pid::from_raw(group), Signal::SIGKILL);
            // It may hang in the kernel for ever; then it is left to its fate.
            wait_briefly(|| matches!(child.try_wait(), Ok(Some(_)) | Err(_)));
            return Ok((None, true));
        }
    }
}

/// Makes a system call that may block for ever (mount, unmount) in a child of its own.
///
/// `None`: it was not done in time. The child stays behind if the kernel will not let it go.
pub(crate) fn call(
    deadline: Deadline,
    work: impl FnOnce() -> io::Result<()>,
) -> io::Result<Option<io::Result<()>>> {
    let child = syscall::fork(|| match work() {
        Ok(()) => 0,
        Err(error) => error.raw_os_error().filter(|code| (1..=254).contains(code)).unwrap_or(255),
    })?;
    let mut patience = Patience::with(child);
    loop {
        match waitpid(child, Some(WaitPidFlag::WNOHANG)).map_err(io::Error::from)? {
            WaitStatus::Exited(_, 0) => return Ok(Some(Ok(()))),
            WaitStatus::Exited(_, 255) => {
                return Ok(Some(Err(io::Error::other("failed for an unnamed reason"))));
            }
            WaitStatus::Exited(_, code) => {
                return Ok(Some(Err(io::Error::from_raw_os_error(code))));
            }
            WaitStatus::Signaled(_, signal, _) => {
                return Ok(Some(Err(io::Error::other(format!("ended by {signal}")))));
            }
            _ => {}
        }
        if !patience.sleep(deadline) {
            let _ = kill(child, Signal::SIGKILL);
            wait_briefly(|| {
                !matches!(waitpid(child, Some(WaitPidFlag::WNOHANG)), Ok(WaitStatus::StillAlive))
            });
            return Ok(None);
        }
    }
}

/// Waits for the end of a child: told by the kernel, or where it does not tell (before Linux 5.3), by looking again
/// and again.
struct Patience {
    end: Option<OwnedFd>,
    pause: Pause,
}

impl Patience {
    /// `child` is one of ours that nobody has collected.
    fn with(child: Pid) -> Patience {
        Patience { end: syscall::end_of(child).ok(), pause: Pause::new() }
    }

    /// Sleeps until it may have ended, never past the deadline; false if the deadline has passed.
    fn sleep(&mut self, deadline: Deadline) -> bool {
        let Some(end) = &self.end else { return self.pause.sleep(deadline) };
        let remaining = deadline.remaining();
        if remaining.is_zero() {
            return false;
        }
        // Rounded up, so that the last millisecond is not spent in a loop.
        let timeout = PollTimeout::try_from(remaining + Duration::from_millis(1));
        let mut events = [PollFd::new(end.as_fd(), PollFlags::POLLIN)];
        if poll(&mut events, timeout.unwrap_or(PollTimeout::MAX)).is_err_and(|e| e != Errno::EINTR)
        {
            self.end = None;
        }
        true
    }
}

/// Is this program in one of the directories where administrators' tools are?
pub(crate) fn find_tool(name: impl AsRef<OsStr>) -> Option<std::path::PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin", "/sbin", "/usr/bin", "/bin", "/usr/local/sbin"].map(Into::into))
        .filter(|directory| directory.is_absolute())
        .map(|directory| directory.join(name.as_ref()))
        .find(|candidate| is_executable(candidate))
}

/// A regular file that somebody may execute.
pub(crate) fn is_executable(path: &std::path::Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    path.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

/// The last part of a file, as text.
pub(crate) fn tail(file: &mut File) -> io::Result<String> {
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(TAIL)))?;
    let mut bytes = Vec::new();
    file.take(TAIL).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The first `most` bytes of a file, as text.
pub(crate) fn head(file: &mut File, most: u64) -> io::Result<String> {
    file.seek(SeekFrom::Start(0))?;
    let mut bytes = Vec::new();
    file.take(most).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The last lines of a text as one line.
pub(crate) fn one_line(text: &str) -> String {
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    lines[lines.len().saturating_sub(TAIL_LINES)..].join(" | ")
}

/// A file in memory that has no name.
pub(crate) fn unnamed_file() -> io::Result<File> {
    use nix::sys::memfd::{MFdFlags, memfd_create};
    Ok(File::from(memfd_create(c"output", MFdFlags::MFD_CLOEXEC).map_err(io::Error::from)?))
}

fn wait_briefly(mut done: impl FnMut() -> bool) {
    let deadline = Deadline::after(AFTER_KILL);
    let mut pause = Pause::new();
    while !done() && pause.sleep(deadline) {}
}

const AFTER_KILL: Duration = Duration::from_millis(200);
const TAIL: u64 = 2048;
const TAIL_LINES: usize = 5;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tool_that_hangs_is_killed_with_its_children() {
        let deadline = Deadline::after(Duration::from_millis(300));
        let mut command = Command::new("/bin/sh");
        command.args(["-c", "echo $$; sleep 600 & sleep 600"]);
        let finished = run(&mut command, deadline).expect("started");
        assert!(finished.timed_out);
        let group: i32 = finished.output.trim().parse().expect("a pid");
        // Dead ones may wait for a parent that does not collect them.
        let lives = || {
            let pids = crate::procfs::pids().expect("/proc");
            pids.into_iter()
                .filter_map(crate::procfs::Stat::of)
                .any(|stat| stat.group == group && !stat.is_dead())
        };
        wait_briefly(|| !lives());
        assert!(!lives(), "children are left");
    }

    #[test]
    fn the_end_of_a_child_is_told_and_not_looked_for() {
        let child = syscall::fork(|| {
            std::thread::sleep(Duration::from_millis(150));
            0
        })
        .expect("fork");
        let mut patience = Patience::with(child);
        let sleeps = (0..).take_while(|_| {
            let runs = waitpid(child, Some(WaitPidFlag::WNOHANG)) == Ok(WaitStatus::StillAlive);
            runs && patience.sleep(Deadline::after(Duration::from_secs(20)))
        });
        assert_eq!(sleeps.count(), 1, "it was asked whether it has ended");
        // A kernel that does not tell.
        let child = syscall::fork(|| 0).expect("fork");
        let mut patience = Patience { end: None, pause: Pause::new() };
        while waitpid(child, Some(WaitPidFlag::WNOHANG)) == Ok(WaitStatus::StillAlive) {
            assert!(patience.sleep(Deadline::after(Duration::from_secs(20))), "it does not end");
        }
        assert!(!Patience::with(Pid::this()).sleep(Deadline::after(Duration::ZERO)));
    }

    #[test]
    fn output_and_exit_code_are_reported() {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", "echo one; echo two >&2; exit 4"]);
        let finished = run(&mut command, Deadline::after(Duration::from_secs(20))).expect("run");
        assert_eq!(finished.code, Some(4));
        assert_eq!(finished.summary(), "exit code 4: one | two");
    }

    #[test]
    fn endless_output_is_cut_to_its_end() {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", "yes filler | head -c 1000000; echo end"]);
        let finished = run(&mut command, Deadline::after(Duration::from_secs(20))).expect("run");
        assert!(finished.output.len() <= TAIL as usize);
        assert!(finished.output.ends_with("end\n"));
    }
}
