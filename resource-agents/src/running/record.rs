//! What was started: kept in the state directory from one call to the next.

use crate::contract::{Context, Failure};
use crate::procfs;
use crate::seen::Process;
use crate::state;

/// The process that counts, and the session in which it was started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) pid: i32,
    /// Clock ticks since boot: with the pid it names a process for ever.
    pub(crate) started: u64,
    /// The session of the command; the pid of what was started first.
    pub(crate) session: i32,
    pub(crate) session_started: u64,
    /// The mark in the environment of everything that the command starts.
    pub(crate) mark: String,
    pub(crate) boot: String,
}

impl Record {
    /// # Errors
    /// The file cannot be read, or is not ours; it is never guessed at.
    pub(crate) fn load(context: &Context) -> Result<Option<Record>, Failure> {
        let path = state::path(context, ENDING).map_err(|error| {
            Failure::system(
                format!("cannot create the state directory {}", context.state_dir.display()),
                &error,
            )
        })?;
        let text = state::load(&path)
            .map_err(|error| Failure::system(format!("cannot read {}", path.display()), &error))?;
        let Some(text) = text else { return Ok(None) };
        let record = Record::parse(&text).ok_or_else(|| {
            Failure::generic(format!(
                "{} is damaged; end the process by hand if it still runs, then remove the file",
                path.display()
            ))
        })?;
        // Processes do not survive a boot, whatever a file says that did.
        let boot = procfs::boot_id()
            .map_err(|error| Failure::system("cannot tell which boot this is", &error))?;
        Ok(Some(record).filter(|record| record.boot == boot))
    }

    pub(crate) fn store(&self, context: &Context) -> Result<(), Failure> {
        let stored =
            state::path(context, ENDING).and_then(|path| state::store(&path, &self.text()));
        stored.map_err(|error| {
            Failure::system(
                format!("cannot write to the state directory {}", context.state_dir.display()),
                &error,
            )
        })
    }

    pub(crate) fn remove(context: &Context) -> Result<(), Failure> {
        let removed = state::path(context, ENDING).and_then(|path| state::remove(&path));
        removed.map_err(|error| {
            Failure::system(
                format!("cannot write to the state directory {}", context.state_dir.display()),
                &error,
            )
        })
    }

    pub(crate) fn main_is_alive(&self) -> bool {
        is_alive(self.pid, self.started)
    }

    fn text(&self) -> String {
        format!(
            "pid {} {}\nsession {} {}\nmark {}\nboot {}\n",
            self.pid, self.started, self.session, self.session_started, self.mark, self.boot
        )
    }

    fn parse(text: &str) -> Option<Record> {
        let field =
            |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        let pair = |name: &str| {
            let (pid, started) = field(name)?.split_once(' ')?;
            let pid: i32 = pid.parse().ok().filter(|pid| *pid > 1)?;
            Some((pid, started.parse().ok()?))
        };
        let (pid, started) = pair("pid")?;
        let (session, session_started) = pair("session")?;
        Some(Record {
            pid,
            started,
            session,
            session_started,
            mark: field("mark")?.to_owned(),
            boot: field("boot")?.to_owned(),
        })
    }
}

/// Does exactly this process still run?
pub(crate) fn is_alive(pid: i32, started: u64) -> bool {
    Process { pid, started }.is_alive()
}

const ENDING: &str = "process";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::procfs::Stat;

    fn record() -> Record {
        Record {
            pid: 20,
            started: 5,
            session: 10,
            session_started: 4,
            mark: "a/b".to_owned(),
            boot: "x".to_owned(),
        }
    }

    #[test]
    fn a_record_reads_back() {
        assert_eq!(Record::parse(&record().text()), Some(record()));
    }

    #[test]
    fn a_damaged_record_is_no_record() {
        let text = record().text();
        for line in 0..text.lines().count() {
            let cut: Vec<&str> =
                text.lines().enumerate().filter(|(at, _)| *at != line).map(|(_, l)| l).collect();
            assert_eq!(Record::parse(&cut.join("\n")), None);
        }
        // Signals to 0, 1 or a negative number would hit others.
        for pid in ["0", "1", "-5", "x"] {
            assert_eq!(Record::parse(&text.replace("pid 20", &format!("pid {pid}"))), None);
        }
    }

    #[test]
    fn a_pid_that_was_given_to_another_is_not_ours() {
        let me = Stat::of(i32::try_from(std::process::id()).expect("pid")).expect("alive");
        assert!(is_alive(me.pid, me.started));
        assert!(!is_alive(me.pid, me.started + 1));
    }
}
