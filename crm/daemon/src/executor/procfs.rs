//! Processes as /proc shows them: only what the kernel tells without a lock of the process's memory (see `environ`).
//!
//! A machine without a free descriptor or page shows nothing: that is an error here, never a process that is gone.

use nix::libc;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read};
use std::path::Path;

/// What identifies a process and its place in the tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stat {
    pub(crate) pid: i32,
    /// It holds nothing any more. As long as one of its threads is still dying, its files are open, and what it wrote
    /// may be on its way.
    pub(crate) zombie: bool,
    /// Its first thread has ended, others have not: what /proc shows of it has to be looked for with them.
    pub(crate) half: bool,
    /// It is on its way out, maybe for long: its memory goes first, its files later.
    pub(crate) exiting: bool,
    pub(crate) session: i32,
    /// Ticks since boot; together with the pid it never comes again.
    pub(crate) started: u64,
}

/// `None`: there is no such process (any more).
///
/// # Errors
/// Whether there is one cannot be seen.
pub(crate) fn stat(pid: i32) -> io::Result<Option<Stat>> {
    let text = unless_gone(read(format!("/proc/{pid}/stat")))?;
    Ok(text.and_then(|text| parse(pid, &text)))
}

/// Whether what is not there says that its process is gone.
pub(super) fn is_gone(error: &io::Error) -> bool {
    error.kind() == ErrorKind::NotFound || error.raw_os_error() == Some(libc::ESRCH)
}

fn unless_gone<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(found) => Ok(Some(found)),
        Err(error) if is_gone(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether the process of this number is the one that was started then, or gone. The kernel gives the number of a session
/// to nobody else while a member of it lives, so the session is the same, too.
///
/// # Errors
/// It cannot be seen.
pub(super) fn is_or_was(pid: i32, started: u64) -> io::Result<bool> {
    Ok(stat(pid)?.is_none_or(|stat| stat.started == started))
}

/// A file of /proc: its size is not known before, and guessing it by small steps costs a dozen calls. The names
/// in it, of programs and paths, need not be text, and the kernel cuts a program's in the middle of a letter.
///
/// # Errors
/// The process is gone (see [`is_gone`]), or there is no room to look at it.
pub(super) fn read(path: impl AsRef<Path>) -> io::Result<String> {
    let mut file = File::open(path)?;
    let mut text = Vec::new();
    let mut part = [0; 4096];
    loop {
        match file.read(&mut part) {
            Ok(0) => return Ok(String::from_utf8_lossy(&text).into_owned()),
            Ok(count) => text.extend_from_slice(part.get(..count).unwrap_or_default()),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// The kernel's `PF_EXITING` among the flags of a process.
const EXITING: u32 = 0x4;

/// The threads of a process, without the first one.
///
/// # Errors
/// They cannot be seen.
pub(super) fn other_threads(pid: i32) -> io::Result<Vec<i32>> {
    let mut found = Vec::new();
    for thread in fs::read_dir(format!("/proc/{pid}/task"))? {
        found.extend(thread?.file_name().to_str().and_then(|name| name.parse::<i32>().ok()));
    }
    found.retain(|thread| *thread != pid);
    Ok(found)
}

/// The name in the second field may contain anything, also spaces and brackets.
pub(super) fn parse(pid: i32, text: &str) -> Option<Stat> {
    let (_, after_name) = text.rsplit_once(')')?;
    let fields: Vec<&str> = after_name.split_ascii_whitespace().collect();
    let ended = matches!(*fields.first()?, "Z" | "X");
    let threads: i64 = fields.get(17)?.parse().ok()?;
    Some(Stat {
        pid,
        zombie: ended && threads <= 1,
        half: ended && threads > 1,
        exiting: fields.get(6)?.parse::<u32>().ok()? & EXITING != 0,
        session: fields.get(3)?.parse().ok()?,
        started: fields.get(19)?.parse().ok()?,
    })
}

/// Direct children, zombies included.
///
/// # Errors
/// They cannot be seen.
pub(crate) fn children(pid: i32) -> io::Result<Vec<i32>> {
    let mut found = Vec::new();
    let Some(threads) = unless_gone(fs::read_dir(format!("/proc/{pid}/task")))? else {
        return Ok(found);
    };
    for thread in threads {
        let Some(thread) = unless_gone(thread)? else { break };
        if let Some(text) = unless_gone(read(thread.path().join("children")))? {
            found.extend(text.split_ascii_whitespace().filter_map(|pid| pid.parse::<i32>().ok()));
        }
    }
    Ok(found)
}

/// Every process of the machine, or of this PID namespace.
///
/// # Errors
/// They cannot be seen.
pub(crate) fn all() -> io::Result<Vec<Stat>> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")? {
        if let Some(pid) = entry?.file_name().to_str().and_then(|name| name.parse().ok()) {
            found.extend(stat(pid)?);
        }
    }
    Ok(found)
}

/// Kills exactly this process, not one that took its number meanwhile.
pub(crate) fn kill(stat: &Stat) {
    let Ok(pidfd) = crate::sys::pidfd_open(stat.pid) else { return };
    if self::stat(stat.pid).is_ok_and(|now| now.is_some_and(|now| now.started == stat.started)) {
        // It may have ended by itself, which is as good.
        let _ = crate::sys::pidfd_kill(&pidfd);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_brackets_and_spaces_does_not_confuse() {
        let rest = (5..=22).map(|n| n.to_string()).collect::<Vec<_>>().join(" ");
        let text = format!("42 (a) Z (b c) S 1 42 {rest}");
        let stat = parse(42, &text).expect("parsed");
        assert!(!stat.zombie);
        assert_eq!(stat.session, 5);
        assert_eq!(stat.started, 21);
        assert_eq!(parse(1, "1 (cut"), None);
    }

    #[test]
    fn i1_who_has_a_thread_left_is_not_dead() {
        let line = |threads: u32| format!("4 (x) Z 7 8 9 0 0 0 0 0 0 0 0 0 0 0 0 0 {threads} 0 5");
        let of = |threads| parse(4, &line(threads)).expect("parsed");
        assert!(of(0).zombie && of(1).zombie && !of(1).half);
        assert!(!of(2).zombie && of(2).half && !of(2).exiting);
    }

    /// A program that is named in another encoding, or in this one and cut by the kernel after 15 bytes, is a process.
    #[test]
    fn h15_a_name_that_is_no_text_hides_no_process() {
        use std::os::unix::ffi::OsStrExt;
        let dir = crate::testing::Dir::new();
        for name in [&b"w\xe4chter"[..], "datenbankwächter-ä".as_bytes(), b"\xc3)\xff Z"] {
            let program = dir.path().join(std::ffi::OsStr::from_bytes(name));
            std::os::unix::fs::symlink("/bin/sleep", &program).expect("link");
            let mut child = std::process::Command::new(program).arg("300").spawn().expect("child");
            let found = stat(child.id().cast_signed()).expect("seen");
            let _ = child.kill();
            let _ = child.wait();
            assert!(found.is_some_and(|stat| !stat.zombie && stat.started > 0), "{name:?}");
        }
    }

    #[test]
    fn this_process_is_found() {
        let me = std::process::id().cast_signed();
        let stat = stat(me).expect("seen").expect("alive");
        assert!(!stat.zombie && stat.started > 0);
        assert!(all().expect("seen").contains(&stat));
    }

    #[test]
    fn who_is_gone_is_no_error() {
        let mut child = std::process::Command::new("true").spawn().expect("child");
        let pid = child.id().cast_signed();
        child.wait().expect("ended");
        assert_eq!(stat(pid).expect("seen"), None);
        assert!(children(pid).expect("seen").is_empty());
        assert!(is_or_was(pid, 1).expect("seen"));
    }

    /// It has children, which nobody sees.
    #[test]
    fn i1_without_a_free_descriptor_nobody_counts_as_gone() {
        let me = std::process::id().cast_signed();
        crate::testing::without_descriptors(move || {
            let full = |error: io::Error| error.raw_os_error() == Some(libc::EMFILE);
            assert!(stat(me).is_err_and(full));
            assert!(is_or_was(me, 1).is_err_and(full));
            assert!(children(me).is_err_and(full));
            assert!(all().is_err_and(full));
        });
    }
}
