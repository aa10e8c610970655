//! The few calls for which the kernel leaves no safe way. The only module with `unsafe`.
#![allow(unsafe_code)]

mod spawn;

pub(crate) use spawn::{Child, Spawn};

use nix::libc;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

fn raw(result: i64) -> io::Result<()> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// No processes, no memory, no descriptors of this process or of all: an error that may pass.
pub(crate) fn is_shortage(error: &io::Error) -> bool {
    let passing = [libc::EAGAIN, libc::ENOMEM, libc::EMFILE, libc::ENFILE];
    error.raw_os_error().is_some_and(|number| passing.contains(&number))
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

/// Round-robin real-time scheduling for a process of one thread, or for this thread (0); what it
/// forks starts without it.
pub(crate) fn round_robin(pid: i32, priority: i32) -> io::Result<()> {
    let parameters = libc::sched_param { sched_priority: priority };
    // SAFETY: the structure is valid for the call.
    raw(i64::from(unsafe {
        libc::sched_setscheduler(pid, libc::SCHED_RR | libc::SCHED_RESET_ON_FORK, &parameters)
    }))
}

/// One heap for all threads, which keeps what it once had from the kernel.
#[cfg(target_env = "gnu")]
pub(crate) fn keep_one_heap() {
    // SAFETY: plain numbers; what is not taken changes nothing.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 1);
        libc::mallopt(libc::M_TRIM_THRESHOLD, libc::c_int::MAX);
    }
}

/// Other allocators are left as they are.
#[cfg(not(target_env = "gnu"))]
pub(crate) fn keep_one_heap() {}

/// Bytes that were asked of the allocator and not given back.
#[cfg(target_env = "gnu")]
pub(crate) fn heap_in_use() -> Option<u64> {
    // SAFETY: it only reads the allocator's own figures, under its own lock.
    let figures = unsafe { libc::mallinfo2() };
    u64::try_from(figures.uordblks.saturating_add(figures.hblkhd)).ok()
}

/// Other allocators do not tell.
#[cfg(not(target_env = "gnu"))]
pub(crate) fn heap_in_use() -> Option<u64> {
    None
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
impl Steady for std::net::UdpSocket {}

/// Makes a descriptor known to the event loop.
pub(crate) fn register<T: Steady>(inner: T, interest: Interest) -> io::Result<AsyncFd<T>> {
    // SAFETY: `Steady` types keep their one descriptor open as long as the `AsyncFd` owns them.
    unsafe { AsyncFd::register_with_interest(inner, interest) }.map_err(Into::into)
}

#[cfg(all(test, target_env = "gnu"))]
mod tests {
    /// What the soak judges beside RSS; more than the other tests of this program take meanwhile.
    #[test]
    fn i10_the_heap_in_use_tells_what_is_held_and_what_was_given_back() {
        const HELD: usize = 64 << 20;
        let mib = || super::heap_in_use().expect("the allocator tells") >> 20;
        let before = mib();
        let held: Vec<Vec<u8>> = (0..HELD >> 16).map(|_| vec![1; 1 << 16]).collect();
        std::hint::black_box(&held);
        let during = mib();
        drop(held);
        let after = mib();
        assert!((before + 48..before + 80).contains(&during), "{before}, {during}, {after} MiB");
        assert!(after + 48 < during, "{before}, {during}, {after} MiB");
    }
}
