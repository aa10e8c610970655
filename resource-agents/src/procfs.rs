//! What `/proc` says about processes.
//!
//! A machine without a free descriptor or page shows nothing for a while. That must not look like a process that is gone,
//! so whoever reads here waits until there is room again: the time of the agent's call ends it.

use nix::libc;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::contract::Failure;

/// Between two attempts.
const PAUSE: Duration = Duration::from_millis(20);

/// The fields of `/proc/PID/stat` that agents need.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stat {
    pub(crate) pid: i32,
    /// `R`, `S`, `D`, `Z`, ...
    pub(crate) state: char,
    pub(crate) parent: i32,
    pub(crate) group: i32,
    pub(crate) session: i32,
    /// More than one with the state `Z`: its first thread has ended and others have not.
    pub(crate) threads: i64,
    /// Clock ticks since boot; with the pid it names a process for ever.
    pub(crate) started: u64,
}

impl Stat {
    /// Reads the line; the name of a program may hold anything, also `) R 1`.
    pub(crate) fn parse(line: &str) -> Option<Stat> {
        let open = line.find('(')?;
        let close = line.rfind(')')?;
        let pid = line.get(..open)?.trim().parse().ok()?;
        let mut fields = line.get(close + 1..)?.split_ascii_whitespace();
        let state = fields.next()?.chars().next()?;
        let parent = fields.next()?.parse().ok()?;
        let group = fields.next()?.parse().ok()?;
        let session = fields.next()?.parse().ok()?;
        // `num_threads` is field 20 and `starttime` field 22; `session` was field 6.
        let threads = fields.nth(13)?.parse().ok()?;
        let started = fields.nth(1)?.parse().ok()?;
        Some(Stat { pid, state, parent, group, session, threads, started })
    }

    pub(crate) fn of(pid: i32) -> Option<Stat> {
        Stat::parse(&read(format!("/proc/{pid}/stat")).ok()?)
    }

    /// Where its program, its words and its environment can be seen: once its first thread has ended, only with another.
    pub(crate) fn directory(&self) -> PathBuf {
        let process = PathBuf::from(format!("/proc/{}", self.pid));
        if self.state != 'Z' || self.threads <= 1 {
            return process;
        }
        let tasks = process.join("task");
        let lives = |thread: &PathBuf| {
            read(thread.join("stat"))
                .is_ok_and(|line| Stat::parse(&line).is_some_and(|stat| stat.state != 'Z'))
        };
        let threads = names(&tasks).unwrap_or_default().into_iter().map(|name| tasks.join(name));
        threads.into_iter().find(lives).unwrap_or(process)
    }

    /// A zombie runs nothing and holds nothing; it only waits to be collected. As long as one of its
    /// threads is still dying, its files and sockets are open.
    pub(crate) fn is_dead(&self) -> bool {
        matches!(self.state, 'Z' | 'X' | 'x') && self.threads <= 1
    }
}

/// A file in which the kernel writes names: of programs, which it cuts in the middle of a letter, and of paths. They need
/// not be text.
///
/// # Errors
/// It cannot be read: the process is gone, or belongs to somebody else.
pub(crate) fn read(file: impl AsRef<Path>) -> io::Result<String> {
    read_bytes(file).map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
}

/// The same for what holds no names.
///
/// # Errors
/// As [`read`].
pub(crate) fn read_bytes(file: impl AsRef<Path>) -> io::Result<Vec<u8>> {
    patiently(|| fs::read(&file))
}

/// Looks again as long as there is no room to look.
///
/// # Errors
/// Those of `look` that say something about what it looks at.
pub(crate) fn patiently<T>(look: impl Fn() -> io::Result<T>) -> io::Result<T> {
    loop {
        match look() {
            Err(error) if is_without_room(&error) => std::thread::sleep(PAUSE),
            seen => return seen,
        }
    }
}

fn is_without_room(error: &io::Error) -> bool {
    let passing = [libc::EMFILE, libc::ENFILE, libc::ENOMEM];
    error.raw_os_error().is_some_and(|number| passing.contains(&number))
}

/// Whom a process works as (its effective user). The owner of its directory does not tell: that is root for a program
/// that is set to run as another user, as Oracle's is.
pub(crate) fn works_as(pid: i32) -> Option<u32> {
    let text = read(format!("/proc/{pid}/status")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("Uid:"))?;
    line.split_ascii_whitespace().nth(1)?.parse().ok()
}

/// Every process there is, without the threads.
///
/// # Errors
/// They cannot be seen; that does not mean that there are none.
pub(crate) fn pids() -> Result<Vec<i32>, Failure> {
    pids_in(Path::new("/proc"))
}

fn pids_in(proc: &Path) -> Result<Vec<i32>, Failure> {
    let names = names(proc)
        .map_err(|error| Failure::system(format!("cannot read {}", proc.display()), &error))?;
    let pids: Vec<i32> = names.into_iter().filter_map(|name| name.to_str()?.parse().ok()).collect();
    match pids.is_empty() {
        // Whoever looks is a process too.
        true => Err(Failure::generic(format!(
            "expected processes in {}, found none; is it mounted?",
            proc.display()
        ))),
        false => Ok(pids),
    }
}

/// Where a link of the kernel's leads.
///
/// # Errors
/// As [`read`].
pub(crate) fn link(path: impl AsRef<Path>) -> io::Result<PathBuf> {
    patiently(|| fs::read_link(&path))
}

/// What is in a directory of the kernel's.
///
/// # Errors
/// As [`read`].
pub(crate) fn names(directory: impl AsRef<Path>) -> io::Result<Vec<OsString>> {
    patiently(|| fs::read_dir(&directory)?.map(|entry| Ok(entry?.file_name())).collect())
}

/// The process that called this one, its parent, and so on.
pub(crate) fn ancestors() -> Vec<i32> {
    let mut found = Vec::new();
    let mut next = nix::unistd::getppid().as_raw();
    while next > 0 && !found.contains(&next) {
        found.push(next);
        next = Stat::of(next).map_or(0, |stat| stat.parent);
    }
    found
}

/// `PID (NAME)` for messages.
pub(crate) fn describe(pid: i32) -> String {
    match read(format!("/proc/{pid}/comm")) {
        Ok(name) => format!("{pid} ({})", name.trim_end()),
        Err(_) => format!("{pid}"),
    }
}

/// Several processes for a message, the first few by name.
pub(crate) fn describe_all(pids: &[i32]) -> String {
    let mut names: Vec<String> = pids.iter().take(MOST_NAMED).map(|pid| describe(*pid)).collect();
    if pids.len() > MOST_NAMED {
        names.push(format!("{} more", pids.len() - MOST_NAMED));
    }
    names.join(", ")
}

/// Changes with each boot, so that pids of an earlier life are not believed.
///
/// # Errors
/// It cannot be read; then nothing is known of what was noted before.
pub(crate) fn boot_id() -> io::Result<String> {
    read("/proc/sys/kernel/random/boot_id").map(|text| text.trim().to_owned())
}

const MOST_NAMED: usize = 8;

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    #[test]
    fn a_hostile_program_name_changes_nothing() {
        let line = "42 (evil) R 1 1 1 (x) S 7 8 9 0 -1 4194304 1 0 0 0 0 0 0 0 20 0 1 0 12345 1 1";
        let stat = Stat::parse(line).expect("parses");
        assert_eq!((stat.pid, stat.state, stat.parent), (42, 'S', 7));
        assert_eq!((stat.group, stat.session, stat.started), (8, 9, 12345));
    }

    #[test]
    fn a_zombie_with_threads_is_not_dead_yet() {
        let line =
            |threads: u32| format!("4 (x) Z 7 8 9 0 0 0 0 0 0 0 0 0 0 0 0 0 {threads} 0 5 0");
        assert!(Stat::parse(&line(1)).is_some_and(|stat| stat.is_dead()));
        assert!(Stat::parse(&line(0)).is_some_and(|stat| stat.is_dead()));
        assert!(Stat::parse(&line(2)).is_some_and(|stat| !stat.is_dead() && stat.started == 5));
    }

    #[test]
    fn a_short_line_is_no_process() {
        for line in ["", "1", "1 (a", ") (", "1 (a) S 1 1", "x (a) S 1 1 1"] {
            assert_eq!(Stat::parse(line), None, "{line}");
        }
    }

    /// A program that is named in another encoding, or in this one and cut by the kernel after 15 bytes: were it not seen,
    /// it would count as stopped.
    #[test]
    fn i1_a_name_that_is_no_text_hides_no_process() {
        use std::os::unix::ffi::OsStrExt;
        let name = format!("crm-procfs-{}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        fs::create_dir_all(&directory).expect("directory");
        for name in [&b"w\xe4chter"[..], "datenbankwächter-ä".as_bytes(), b"\xc3) Z 1 (\xff"] {
            let program = directory.join(std::ffi::OsStr::from_bytes(name));
            std::os::unix::fs::symlink("/bin/sleep", &program).expect("link");
            let mut child = std::process::Command::new(program).arg("300").spawn().expect("child");
            let pid = i32::try_from(child.id()).expect("pid");
            let (found, user, text) = (Stat::of(pid), works_as(pid), describe(pid));
            let _ = child.kill();
            let _ = child.wait();
            let _ = fs::remove_dir_all(&directory);
            fs::create_dir_all(&directory).expect("directory");
            assert!(found.is_some_and(|stat| stat.pid == pid && !stat.is_dead()), "{name:?}");
            assert_eq!(user, Some(nix::unistd::geteuid().as_raw()), "{name:?}");
            assert!(text.contains('('), "{text}");
        }
        let _ = fs::remove_dir_all(&directory);
    }

    /// Looks while no descriptor is free, and makes sure that whoever looks waits until one is.
    pub(crate) fn without_a_descriptor<T: Send + 'static>(
        look: impl FnOnce() -> T + Send + 'static,
    ) -> T {
        use nix::sched::{CloneFlags, unshare};
        use nix::sys::resource::{Resource, getrlimit, setrlimit};
        const PLACES_MAX: u64 = 4096;
        let thread = std::thread::spawn(move || {
            unshare(CloneFlags::CLONE_FILES).expect("a table of its own");
            let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).expect("limit");
            setrlimit(Resource::RLIMIT_NOFILE, soft.min(PLACES_MAX), hard).expect("limit");
            let mut held = Vec::new();
            let full = loop {
                match fs::File::open("/dev/null") {
                    Ok(file) => held.push(file),
                    Err(error) => break error,
                }
            };
            assert!(is_without_room(&full), "{full}");
            let some = held.len();
            let waits = std::thread::spawn(look);
            // Long enough for somebody who does not wait to be done.
            std::thread::sleep(5 * PAUSE);
            let was_waiting = !waits.is_finished();
            drop(held);
            (some, was_waiting, waits.join())
        });
        let (some, was_waiting, seen) = thread.join().expect("ended");
        assert!(some > 100 && was_waiting);
        seen.expect("ended")
    }

    /// Processes that cannot be seen would count as stopped.
    #[test]
    fn i1_without_a_free_descriptor_whoever_looks_waits() {
        let me = i32::try_from(std::process::id()).expect("pid");
        let seen = without_a_descriptor(move || {
            let all = pids().is_ok_and(|pids| pids.contains(&me));
            (Stat::of(me).is_some(), all, works_as(me).is_some())
        });
        assert_eq!(seen, (true, true, true));
    }

    /// All would count as stopped.
    #[test]
    fn i1_a_proc_that_shows_nothing_is_a_failure() {
        let empty = std::env::temp_dir().join(format!("crm-no-proc-{}", std::process::id()));
        let missing = pids_in(&empty).expect_err("nothing to read");
        fs::create_dir_all(&empty).expect("directory");
        let nothing = pids_in(&empty).expect_err("nobody in it");
        let _ = fs::remove_dir(&empty);
        for failure in [missing, nothing] {
            assert!(failure.reason.contains(&*empty.to_string_lossy()), "{failure}");
        }
    }

    #[test]
    fn this_process_is_found() {
        let me = i32::try_from(std::process::id()).expect("pid");
        assert!(pids().expect("/proc").contains(&me));
        assert!(!Stat::of(me).expect("alive").is_dead());
        assert_eq!(works_as(me), Some(nix::unistd::geteuid().as_raw()));
    }
}
