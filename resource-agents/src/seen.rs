//! Processes that are looked for until none is left.

use crate::contract::Failure;
use crate::procfs::Stat;

/// A process: a pid and its start time, which name it for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Process {
    pub(crate) pid: i32,
    pub(crate) started: u64,
}

impl Process {
    pub(crate) fn is_alive(self) -> bool {
        Stat::of(self.pid).is_some_and(|stat| stat.started == self.started && !stat.is_dead())
    }
}

impl From<Stat> for Process {
    fn from(stat: Stat) -> Process {
        Process { pid: stat.pid, started: stat.started }
    }
}

/// Whom earlier looks have found, and who has not ended since.
///
/// A process that is killed loses its memory first, and with it the program, the words and the environment by which it
/// was found. Then its files are closed; that may wait for a disk, and until it is done they are open.
#[derive(Debug, Default)]
pub(crate) struct Seen(Vec<Process>);

impl Seen {
    /// What `find` finds now, and whoever of those before still lives. None only if two looks in a row find nobody: one
    /// look passes over a child that gets a number behind it while its parent, before it, ends.
    ///
    /// # Errors
    /// Those of `find`.
    pub(crate) fn look(
        &mut self,
        find: impl Fn() -> Result<Vec<Process>, Failure>,
    ) -> Result<Vec<Process>, Failure> {
        for _ in 0..LOOKS {
            for process in find()? {
                if !self.0.contains(&process) {
                    self.0.push(process);
                }
            }
            if !self.alive().is_empty() {
                break;
            }
        }
        Ok(self.0.clone())
    }

    /// Of those of all looks, whoever still lives.
    pub(crate) fn alive(&mut self) -> &[Process] {
        self.0.retain(|process| process.is_alive());
        &self.0
    }
}

pub(crate) fn pids(processes: &[Process]) -> Vec<i32> {
    processes.iter().map(|process| process.pid).collect()
}

const LOOKS: usize = 2;

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    fn myself() -> Process {
        let pid = i32::try_from(std::process::id()).expect("pid");
        Process::from(Stat::of(pid).expect("alive"))
    }

    #[test]
    fn i1_who_was_found_once_counts_until_it_has_ended() {
        let mut seen = Seen::default();
        let me = myself();
        assert_eq!(seen.look(|| Ok(vec![me])), Ok(vec![me]));
        assert_eq!(seen.look(|| Ok(Vec::new())), Ok(vec![me]));
        let ended = Process { started: me.started + 1, ..me };
        assert_eq!(Seen::default().look(|| Ok(vec![ended])), Ok(Vec::new()));
    }

    #[test]
    fn i1_nobody_is_left_only_if_two_looks_say_so() {
        let looks = Cell::new(0);
        let found = Seen::default().look(|| {
            looks.set(looks.get() + 1);
            Ok(if looks.get() == 2 { vec![myself()] } else { Vec::new() })
        });
        assert_eq!((found, looks.get()), (Ok(vec![myself()]), 2));
        let unseen = Seen::default().look(|| Err(Failure::generic("cannot read /proc")));
        assert!(unseen.is_err());
    }
}
