//! The few calls for which the standard library and nix have no safe form.
#![allow(unsafe_code)]

use std::ffi::CString;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::libc;
use nix::unistd::{ForkResult, Gid, Pid, Uid};

/// Descriptor 3, if the caller opened it for writing. Call it once, before anything is opened:
/// the first file that is opened otherwise gets this number.
pub(crate) fn inherited_channel() -> Option<File> {
    // SAFETY: the descriptor is only asked for its flags; EBADF is an answer.
    let borrowed = unsafe { BorrowedFd::borrow_raw(CHANNEL) };
    let mode = fcntl(borrowed, FcntlArg::F_GETFL).ok()? & libc::O_ACCMODE;
    if mode == libc::O_RDONLY {
        return None;
    }
    // What the agent starts must not hold the daemon's pipe.
    fcntl(borrowed, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC)).ok()?;
    // SAFETY: it is open, and nothing else in this process owns it.
    Some(unsafe { File::from_raw_fd(CHANNEL) })
}

/// Runs `work` in a child process and ends it with the result as its exit code.
///
/// Agents have one thread, so the child may do anything; it never returns to the caller's code.
pub(crate) fn fork(work: impl FnOnce() -> i32) -> io::Result<Pid> {
    // SAFETY: this process has a single thread, no lock can be held by another one.
    match unsafe { nix::unistd::fork() }.map_err(io::Error::from)? {
        ForkResult::Parent { child } => Ok(child),
        ForkResult::Child => {
            let code = work();
            // SAFETY: ends the process at once; buffers and destructors belong to the parent.
            unsafe { libc::_exit(code) }
        }
    }
}

/// A descriptor that is readable once a child has ended. For one that nobody has collected: until then nobody else has
/// its number.
pub(crate) fn end_of(child: Pid) -> io::Result<OwnedFd> {
    // SAFETY: two numbers.
    let result = unsafe { libc::syscall(libc::SYS_pidfd_open, child.as_raw(), 0) };
    let number = i32::try_from(result).map_err(io::Error::other)?;
    if number < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just given us this descriptor, nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

/// Cuts the ties to the caller: new session, standard streams to nowhere, and every descriptor
/// closed that came from the caller. Ours, which all close on exec, stay: libraries hold some.
pub(crate) fn detach() -> io::Result<()> {
    nix::unistd::setsid().map_err(io::Error::from)?;
    std::env::set_current_dir("/")?;
    let nowhere = File::options().read(true).write(true).open("/dev/null")?;
    for stream in 0..3 {
        // SAFETY: both are plain numbers; the standard streams are replaced on purpose.
        if unsafe { libc::dup2(nowhere.as_raw_fd(), stream) } < 0 {
            return Err(io::Error::last_os_error());
        }
    }
    drop(nowhere);
    for entry in std::fs::read_dir("/proc/self/fd")?.flatten() {
        let Some(number) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        // SAFETY: two calls on a number; whatever has the flag is owned by a Rust value of this
        // process, and nothing without it is.
        unsafe {
            if number >= CHANNEL && libc::fcntl(number, libc::F_GETFD) & libc::FD_CLOEXEC == 0 {
                libc::close(number);
            }
        }
    }
    Ok(())
}

/// Gives `channel` to the command as descriptor 3. The number must be taken in this process when
/// the command is spawned, by whatever file.
pub(crate) fn give_channel(command: &mut Command, channel: File) {
    let before_exec = move || -> io::Result<()> {
        let number = channel.as_raw_fd();
        // SAFETY: plain numbers. The copy does not close on exec; if it is the number already,
        // only the flag has to go.
        let result = unsafe {
            if number == CHANNEL {
                libc::fcntl(number, libc::F_SETFD, 0)
            } else {
                libc::dup2(number, CHANNEL)
            }
        };
        if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    };
    // SAFETY: the closure makes one system call; it neither allocates nor takes a lock.
    unsafe { command.pre_exec(before_exec) };
}

/// Who a command runs as.
#[derive(Debug, Clone)]
pub(crate) struct Credentials {
    pub(crate) uid: Uid,
    pub(crate) gid: Gid,
    pub(crate) groups: Vec<Gid>,
}

/// Makes `command` start in its own session, with no descriptor of ours but its standard
/// streams, with no signal blocked, as `credentials`.
pub(crate) fn set_apart(command: &mut Command, credentials: Option<Credentials>) {
    let before_exec = move || -> io::Result<()> {
        nix::unistd::setsid().map_err(io::Error::from)?;
        nix::sys::signal::SigSet::empty().thread_set_mask().map_err(io::Error::from)?;
        if let Some(credentials) = &credentials {
            nix::unistd::setgroups(&credentials.groups).map_err(io::Error::from)?;
            nix::unistd::setgid(credentials.gid).map_err(io::Error::from)?;
            nix::unistd::setuid(credentials.uid).map_err(io::Error::from)?;
        }
        // On exec only: until then the standard library needs its own pipe for errors.
        close_all_on_exec()
    };
    // SAFETY: the closure makes system calls only; it neither allocates nor takes a lock.
    unsafe { command.pre_exec(before_exec) };
}

/// Makes `command` see another host name than this machine's, alone.
pub(crate) fn rename_host(command: &mut Command, name: &str) {
    let name = std::ffi::OsString::from(name);
    let before_exec = move || -> io::Result<()> {
        nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWUTS).map_err(io::Error::from)?;
        nix::unistd::sethostname(&name).map_err(io::Error::from)
    };
    // SAFETY: the closure makes two system calls; it neither allocates nor takes a lock.
    unsafe { command.pre_exec(before_exec) };
}

fn close_all_on_exec() -> io::Result<()> {
    // SAFETY: three numbers; nothing is closed before the exec.
    let result = unsafe {
        libc::syscall(libc::SYS_close_range, CHANNEL, libc::c_uint::MAX, libc::CLOSE_RANGE_CLOEXEC)
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Binds a packet socket to one interface and one protocol (`ETH_P_ARP`, `ETH_P_IPV6`).
pub(crate) fn bind_packet_socket(
    socket: &impl AsRawFd,
    protocol: u16,
    interface: u32,
) -> io::Result<()> {
    // SAFETY: all-zero is a valid sockaddr_ll.
    let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
    address.sll_family = libc::AF_PACKET as u16;
    address.sll_protocol = protocol.to_be();
    address.sll_ifindex = i32::try_from(interface).map_err(io::Error::other)?;
    // SAFETY: the pointer and the length describe `address`, which outlives the call.
    let result = unsafe {
        libc::bind(
            socket.as_raw_fd(),
            (&raw const address).cast::<libc::sockaddr>(),
            size_of::<libc::sockaddr_ll>() as libc::socklen_t,
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Writes out and forgets the buffers of a block device (`BLKFLSBUF`).
pub(crate) fn flush_block_device(device: &File) -> io::Result<()> {
    const BLKFLSBUF: libc::c_ulong = 0x1261;
    // SAFETY: this request takes no argument.
    let result = unsafe { libc::ioctl(device.as_raw_fd(), BLKFLSBUF as _, 0) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// The mount and the device on which a path lies, without asking a network filesystem's server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Location {
    /// As in the first field of `mountinfo`; `None` before Linux 5.8.
    pub(crate) mount: Option<u64>,
    pub(crate) device: (u32, u32),
}

/// Where `path` lies; follows links, also those of `/proc/PID/fd`.
pub(crate) fn locate(path: &Path) -> io::Result<Location> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    // SAFETY: all-zero is a valid statx buffer.
    let mut found: libc::statx = unsafe { std::mem::zeroed() };
    let flags = libc::AT_STATX_DONT_SYNC | libc::AT_NO_AUTOMOUNT;
    let mask = libc::STATX_MNT_ID;
    // SAFETY: the path ends in NUL and the buffer is writable; both outlive the call.
    let result = unsafe { libc::statx(libc::AT_FDCWD, path.as_ptr(), flags, mask, &raw mut found) };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(Location {
        mount: (found.stx_mask & libc::STATX_MNT_ID != 0).then_some(found.stx_mnt_id),
        device: (found.stx_dev_major, found.stx_dev_minor),
    })
}

const CHANNEL: i32 = 3;
