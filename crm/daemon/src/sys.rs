//! The few calls for which the kernel leaves no safe way. The only module with `unsafe`.
#![allow(unsafe_code)]

use nix::libc;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Makes a command run in a session of its own, with `channel` as descriptor 3 and inside the
/// cgroup whose `cgroup.procs` is given.
pub(crate) fn isolate(
    command: &mut tokio::process::Command,
    channel: Option<OwnedFd>,
    cgroup: Option<File>,
) {
    let child_side = move || {
        // The child joins its cgroup before it can fork, so that no descendant stays outside.
        if let Some(cgroup) = &cgroup {
            raw(unsafe_write(cgroup.as_raw_fd(), b"0") as i64)?;
        }
        nix::unistd::setsid()?;
        if let Some(channel) = &channel {
            let from = channel.as_raw_fd();
            if from == 3 {
                // SAFETY: changes a flag of a descriptor that this process owns.
                raw(i64::from(unsafe { libc::fcntl(3, libc::F_SETFD, 0) }))?;
            } else {
                // SAFETY: makes 3 another name of an open descriptor; `reserve_three` makes sure
                // that 3 is nothing that the standard library uses between fork and exec.
                raw(i64::from(unsafe { libc::dup2(from, 3) }))?;
            }
        }
        give_up_oom_protection();
        // What the daemon itself inherited is not the agent's. Old kernels refuse; then nothing that
        // this program opened is passed on, for all of that is marked.
        let (first, last) = (4u32, u32::MAX);
        // SAFETY: marks descriptors to be closed by exec; closes nothing now.
        unsafe { libc::syscall(libc::SYS_close_range, first, last, libc::CLOSE_RANGE_CLOEXEC) };
        Ok(())
    };
    // SAFETY: between fork and exec the closure makes only async-signal-safe system calls
    // (open, write, close, setsid, fcntl, dup2,
    // close_range); it neither allocates nor locks. `io::Error` of a raw code
    // does not allocate.
    unsafe { command.pre_exec(child_side) };
}

/// The daemon may be protected from the out-of-memory killer; what it starts is judged as usual.
/// Raising the score is always permitted; where it is higher already the kernel refuses, which is
/// right too.
fn give_up_oom_protection() {
    let path = c"/proc/self/oom_score_adj";
    // SAFETY: the path ends with a zero byte; open(2) and close(2) are async-signal-safe.
    let fd = unsafe { libc::open(path.as_ptr(), libc::O_WRONLY | libc::O_CLOEXEC) };
    if fd >= 0 {
        unsafe_write(fd, b"0");
        // SAFETY: opened above, closed once.
        unsafe { libc::close(fd) };
    }
}

fn unsafe_write(fd: i32, bytes: &[u8]) -> isize {
    // SAFETY: the slice is valid for its length; write(2) is async-signal-safe.
    unsafe { libc::write(fd, bytes.as_ptr().cast(), bytes.len()) }
}

fn raw(result: i64) -> io::Result<()> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Keeps descriptor 3 of this process occupied for good, so that it is never one that the
/// standard library needs between fork and exec.
pub(crate) fn reserve_three() -> io::Result<()> {
    loop {
        let file = File::open("/dev/null")?;
        let number = file.as_raw_fd();
        if number > 3 {
            return Ok(());
        }
        // Not closed on purpose; at most four in the life of a process.
        std::mem::forget(file);
    }
}

/// A descriptor that becomes readable when the process ends.
pub(crate) fn pidfd_open(pid: i32) -> io::Result<OwnedFd> {
    // SAFETY: plain system call with two numbers.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    raw(fd)?;
    let fd = i32::try_from(fd).map_err(io::Error::other)?;
    // SAFETY: the kernel has just given us this descriptor, nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Sends a signal to exactly the process that the descriptor was opened for.
pub(crate) fn pidfd_kill(pidfd: &OwnedFd) -> io::Result<()> {
    let no_information: *const libc::siginfo_t = std::ptr::null();
    // SAFETY: a null siginfo is allowed and means what kill(2) would fill in.
    raw(unsafe {
        libc::syscall(
            libc::SYS_pidfd_send_signal,
            pidfd.as_raw_fd(),
            libc::SIGKILL,
            no_information,
            0,
        )
    })
}

/// Round-robin real-time scheduling for this thread; children start without it.
pub(crate) fn round_robin(priority: i32) -> io::Result<()> {
    let parameters = libc::sched_param { sched_priority: priority };
    // SAFETY: the structure is valid for the call; 0 is the calling thread.
    raw(i64::from(unsafe {
        libc::sched_setscheduler(0, libc::SCHED_RR | libc::SCHED_RESET_ON_FORK, &parameters)
    }))
}

nix::ioctl_readwrite!(watchdog_set_timeout, b'W', 6, libc::c_int);

/// Sets the margin of a watchdog; the driver may choose another, which is returned, in seconds.
pub(crate) fn watchdog_margin(device: &File, seconds: i32) -> io::Result<i32> {
    let mut margin: libc::c_int = seconds;
    // SAFETY: WDIOC_SETTIMEOUT reads and writes one int, which `margin` is.
    unsafe { watchdog_set_timeout(device.as_raw_fd(), &raw mut margin) }?;
    Ok(margin)
}

/// Types that own one descriptor and never change or close it before they are dropped.
pub(crate) trait Steady: AsRawFd {}
impl Steady for OwnedFd {}
impl Steady for File {}
impl Steady for socket2::Socket {}

/// Makes a descriptor known to the event loop.
pub(crate) fn register<T: Steady>(inner: T, interest: Interest) -> io::Result<AsyncFd<T>> {
    // SAFETY: `Steady` types keep their one descriptor open as long as the `AsyncFd` owns them.
    unsafe { AsyncFd::register_with_interest(inner, interest) }.map_err(Into::into)
}
