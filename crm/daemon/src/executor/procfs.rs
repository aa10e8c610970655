//! Processes as /proc shows them: only what the kernel tells without a lock of the process's memory (see `environ`).

use std::fs::{self, File};
use std::io::Read;

/// What identifies a process and its place in the tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stat {
    pub(crate) pid: i32,
    pub(crate) zombie: bool,
    pub(crate) session: i32,
    /// Ticks since boot; together with the pid it never comes again.
    pub(crate) started: u64,
}

/// `None`: there is no such process (any more).
pub(crate) fn stat(pid: i32) -> Option<Stat> {
    parse(pid, &read(&format!("/proc/{pid}/stat"))?)
}

/// Whether the process of this number is the one that was started then, or gone. The kernel gives the number of a session
/// to nobody else while a member of it lives, so the session is the same, too.
pub(super) fn is_or_was(pid: i32, started: u64) -> bool {
    stat(pid).is_none_or(|stat| stat.started == started)
}

/// A file of /proc: its size is not known before, and guessing it by small steps costs a dozen calls. The names
/// in it, of programs and paths, need not be text, and the kernel cuts a program's in the middle of a letter.
pub(super) fn read(path: &str) -> Option<String> {
    let mut file = File::open(path).ok()?;
    let mut text = Vec::new();
    let mut part = [0; 4096];
    loop {
        match file.read(&mut part).ok()? {
            0 => return Some(String::from_utf8_lossy(&text).into_owned()),
            count => text.extend_from_slice(part.get(..count)?),
        }
    }
}

/// The name in the second field may contain anything, also spaces and brackets.
pub(super) fn parse(pid: i32, text: &str) -> Option<Stat> {
    let (_, after_name) = text.rsplit_once(')')?;
    let fields: Vec<&str> = after_name.split_ascii_whitespace().collect();
    Some(Stat {
        pid,
        zombie: matches!(*fields.first()?, "Z" | "X"),
        session: fields.get(3)?.parse().ok()?,
        started: fields.get(19)?.parse().ok()?,
    })
}

/// Direct children, zombies included.
pub(crate) fn children(pid: i32) -> Vec<i32> {
    let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else { return Vec::new() };
    threads
        .flatten()
        .filter_map(|thread| read(&thread.path().join("children").display().to_string()))
        .flat_map(|text| {
            text.split_ascii_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<i32>>()
        })
        .collect()
}

/// Every process of the machine, or of this PID namespace.
pub(crate) fn all() -> Vec<i32> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

/// Kills exactly this process, not one that took its number meanwhile.
pub(crate) fn kill(stat: &Stat) {
    let Ok(pidfd) = crate::sys::pidfd_open(stat.pid) else { return };
    if self::stat(stat.pid).is_some_and(|now| now.started == stat.started) {
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

    /// A program that is named in another encoding, or in this one and cut by the kernel after 15 bytes, is a process.
    #[test]
    fn h15_a_name_that_is_no_text_hides_no_process() {
        use std::os::unix::ffi::OsStrExt;
        let dir = crate::testing::Dir::new();
        for name in [&b"w\xe4chter"[..], "datenbankwächter-ä".as_bytes(), b"\xc3)\xff Z"] {
            let program = dir.path().join(std::ffi::OsStr::from_bytes(name));
            std::os::unix::fs::symlink("/bin/sleep", &program).expect("link");
            let mut child = std::process::Command::new(program).arg("300").spawn().expect("child");
            let found = stat(child.id().cast_signed());
            let _ = child.kill();
            let _ = child.wait();
            assert!(found.is_some_and(|stat| !stat.zombie && stat.started > 0), "{name:?}");
        }
    }

    #[test]
    fn this_process_is_found() {
        let me = std::process::id().cast_signed();
        assert!(all().contains(&me));
        assert!(stat(me).is_some_and(|stat| !stat.zombie && stat.started > 0));
    }
}
