//! The processes of an instance, by the names that Oracle gives them: `ora_pmon_SID`, `oracleSID`.

use crate::contract::Failure;
use crate::procfs::{self, Stat};
use crate::running::user::User;
use crate::seen::{self, Process, Seen};

/// An instance's background and server processes, of its user only, over several looks.
pub(super) struct Processes {
    sid: String,
    user: User,
    seen: Seen,
}

impl Processes {
    pub(super) fn of(sid: &str, user: &User) -> Processes {
        Processes { sid: sid.to_owned(), user: user.clone(), seen: Seen::default() }
    }

    /// All that live.
    ///
    /// # Errors
    /// They cannot be seen.
    pub(super) fn look(&mut self) -> Result<Vec<i32>, Failure> {
        let Processes { sid, user, seen } = self;
        seen.look(|| named(user, |name| is_of(name, sid))).map(|found| seen::pids(&found))
    }

    /// The one that ends when the instance ends.
    pub(super) fn monitor(&self) -> Option<i32> {
        let name = format!("ora_pmon_{}", self.sid);
        named(&self.user, |found| found == name).ok()?.first().map(|process| process.pid)
    }
}

fn is_of(name: &str, sid: &str) -> bool {
    let background = name
        .strip_prefix("ora_")
        .and_then(|rest| rest.split_once('_'))
        .is_some_and(|(_, of)| of == sid);
    background || name.strip_prefix("oracle") == Some(sid)
}

fn named(user: &User, wanted: impl Fn(&str) -> bool) -> Result<Vec<Process>, Failure> {
    let found = procfs::pids()?
        .into_iter()
        .filter(|pid| procfs::works_as(*pid) == Some(user.credentials.uid.as_raw()))
        .filter_map(Stat::of)
        .filter(|stat| !stat.is_dead())
        .filter(|stat| {
            let line = procfs::read_bytes(stat.directory().join("cmdline")).unwrap_or_default();
            let first = line.split(|byte| *byte == 0).next().unwrap_or_default();
            let text = String::from_utf8_lossy(first).into_owned();
            // A server process has `(LOCAL=NO)` behind its name.
            wanted(text.split(' ').next().unwrap_or_default())
        })
        .map(Process::from)
        .collect();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::is_of;

    #[test]
    fn hb48_processes_of_two_instances_are_told_apart() {
        for name in ["ora_pmon_TEST01", "ora_dbw0_TEST01", "oracleTEST01"] {
            assert!(is_of(name, "TEST01"), "{name}");
            assert!(!is_of(name, "TEST0") && !is_of(name, "TEST02"), "{name}");
        }
        for name in ["", "ora_", "ora_pmon", "oracle", "pmon_TEST01", "xora_pmon_TEST01"] {
            assert!(!is_of(name, "TEST01"), "{name}");
        }
    }
}
