//! The processes of an instance, by the names that Oracle gives them: `ora_pmon_SID`, `oracleSID`.

use crate::procfs::{self, Stat};
use crate::running::user::User;

/// Its background and server processes, of its user only.
pub(super) fn of(sid: &str, user: &User) -> Vec<i32> {
    named(user, |name| is_of(name, sid))
}

/// The one that ends when the instance ends.
pub(super) fn monitor(sid: &str, user: &User) -> Option<i32> {
    named(user, |name| name == format!("ora_pmon_{sid}")).first().copied()
}

fn is_of(name: &str, sid: &str) -> bool {
    let background = name
        .strip_prefix("ora_")
        .and_then(|rest| rest.split_once('_'))
        .is_some_and(|(_, of)| of == sid);
    background || name.strip_prefix("oracle") == Some(sid)
}

fn named(user: &User, wanted: impl Fn(&str) -> bool) -> Vec<i32> {
    procfs::pids()
        .filter(|pid| procfs::works_as(*pid) == Some(user.credentials.uid.as_raw()))
        .filter(|pid| {
            let line = procfs::read_bytes(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            let first = line.split(|byte| *byte == 0).next().unwrap_or_default();
            let text = String::from_utf8_lossy(first).into_owned();
            // A server process has `(LOCAL=NO)` behind its name.
            wanted(text.split(' ').next().unwrap_or_default())
        })
        .filter(|pid| Stat::of(*pid).is_some_and(|stat| !stat.is_dead()))
        .collect()
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
