//! What an agent's exit means, by the convention of its class.

use crm_core::operation::{Action, OpOutcome};
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

/// A convention.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Judge {
    /// OCF's numbers: 7 not running, 8 promoted, 5 not installed.
    Ocf,
    /// LSB's numbers: status 1 and 3 not running, 5 not installed. 2 ought to be one that died and left its lock file, but
    /// is also what a shell says that finds no room for a process, so it proves nothing.
    Lsb,
    /// A command of the admin's that asks for a state (HB47): the same. 2 is what a shell says of a mistake in it, too.
    Check,
    /// Heartbeat's: the numbers for start and stop, the words of the output for status.
    Words,
}

/// The code of a call for which there was no room; and a shell's for a program that it cannot execute. bash ends with 254
/// when it cannot fork, dash with 2 and a word.
pub(super) const NOT_ASKED: i32 = 126;
/// Of a status that is judged by its words.
pub(super) const SAID_NOTHING: &str = "status said nothing";

/// The outcome, and words of our own where the number says too little.
pub(crate) fn judge(
    judge: Judge,
    action: Action,
    status: ExitStatus,
    output: &str,
) -> (OpOutcome, Option<String>) {
    let Some(code) = status.code() else {
        return (OpOutcome::Signalled { signal: status.signal().unwrap_or(0) }, None);
    };
    let is_status = action == Action::Status;
    let outcome = match (judge, code) {
        (Judge::Words, _) if is_status => return words(code, output),
        (_, 0) => OpOutcome::Done,
        (Judge::Ocf, 7) if is_status => OpOutcome::NotRunning,
        (Judge::Ocf, 8) if is_status => OpOutcome::RunningPromoted,
        (Judge::Lsb | Judge::Check, 1 | 3) if is_status => OpOutcome::NotRunning,
        // LSB: "program is not running", which is what a stop wants.
        (Judge::Lsb, 7) if action == Action::Stop => OpOutcome::Done,
        (Judge::Ocf | Judge::Lsb, 5) => OpOutcome::Missing,
        _ => OpOutcome::Failed { code },
    };
    (outcome, None)
}

/// Heartbeat judged by the words alone. A script that says neither proves nothing: unknown is
/// never stopped.
fn words(code: i32, output: &str) -> (OpOutcome, Option<String>) {
    let (mut runs, mut stopped, mut doubtful) = (false, false, false);
    for line in output.to_lowercase().lines() {
        let words: Vec<&str> =
            line.split(|c: char| !c.is_ascii_alphanumeric()).filter(|w| !w.is_empty()).collect();
        for (at, word) in words.iter().enumerate() {
            let before = words.get(..at).unwrap_or_default();
            let denied = before.last().is_some_and(|word| DENIALS.contains(word));
            let perhaps = before.iter().any(|word| DENIALS.contains(word));
            match *word {
                "running" | "ok" if denied || words.get(at + 1) == Some(&"no") => stopped = true,
                "running" | "ok" | "stopped" if perhaps => doubtful = true,
                "running" | "ok" => runs = true,
                "stopped" => stopped = true,
                _ => {}
            }
        }
    }
    match (runs, stopped) {
        (true, false) if !doubtful => (OpOutcome::Done, None),
        (false, true) if !doubtful => (OpOutcome::NotRunning, None),
        _ if [NOT_ASKED, 254].contains(&code) || output.to_lowercase().contains("cannot fork") => {
            let reason = "status found no room for a process".to_owned();
            (OpOutcome::Failed { code: NOT_ASKED }, Some(reason))
        }
        _ if output.trim().is_empty() => {
            (OpOutcome::Failed { code }, Some(SAID_NOTHING.to_owned()))
        }
        _ => {
            let reason = "status said neither `running` nor `stopped` plainly".to_owned();
            (OpOutcome::Failed { code }, Some(reason))
        }
    }
}

/// `isn't` comes in two words.
const DENIALS: [&str; 4] = ["not", "isn", "t", "no"];

#[cfg(test)]
mod tests {
    use super::*;

    fn exit(code: i32) -> ExitStatus {
        ExitStatus::from_raw(code << 8)
    }

    #[test]
    fn numbers_mean_what_their_class_says() {
        use Action::{Start, Status, Stop};
        for (kind, action, code, expected) in [
            (Judge::Ocf, Status, 0, OpOutcome::Done),
            (Judge::Ocf, Status, 7, OpOutcome::NotRunning),
            (Judge::Ocf, Status, 8, OpOutcome::RunningPromoted),
            (Judge::Ocf, Stop, 7, OpOutcome::Failed { code: 7 }),
            (Judge::Ocf, Start, 5, OpOutcome::Missing),
            (Judge::Ocf, Start, 1, OpOutcome::Failed { code: 1 }),
            (Judge::Lsb, Status, 1, OpOutcome::NotRunning),
            (Judge::Lsb, Status, 2, OpOutcome::Failed { code: 2 }),
            (Judge::Lsb, Status, 3, OpOutcome::NotRunning),
            (Judge::Lsb, Status, 4, OpOutcome::Failed { code: 4 }),
            (Judge::Lsb, Stop, 7, OpOutcome::Done),
            (Judge::Lsb, Start, 7, OpOutcome::Failed { code: 7 }),
            (Judge::Words, Start, 1, OpOutcome::Failed { code: 1 }),
            (Judge::Check, Status, 0, OpOutcome::Done),
            (Judge::Check, Status, 1, OpOutcome::NotRunning),
            (Judge::Check, Status, 2, OpOutcome::Failed { code: 2 }),
            (Judge::Check, Status, 127, OpOutcome::Failed { code: 127 }),
        ] {
            assert_eq!(
                judge(kind, action, exit(code), "").0,
                expected,
                "{kind:?} {action:?} {code}"
            );
        }
    }

    #[test]
    fn hb24_a_shell_that_cannot_fork_has_not_been_asked() {
        let not_asked = OpOutcome::Failed { code: NOT_ASKED };
        let of = |code, text| judge(Judge::Words, Action::Status, exit(code), text);
        assert_eq!(of(254, "bash: fork: Resource temporarily unavailable").0, not_asked);
        assert_eq!(of(2, "/etc/ha.d/resource.d/x: 7: Cannot fork").0, not_asked);
        assert_eq!(of(2, "usage").0, OpOutcome::Failed { code: 2 });
        assert_eq!(of(3, " \n").1.as_deref(), Some(SAID_NOTHING));
    }

    #[test]
    fn a_signal_is_not_an_exit() {
        let (outcome, _) = judge(Judge::Ocf, Action::Stop, ExitStatus::from_raw(11), "");
        assert_eq!(outcome, OpOutcome::Signalled { signal: 11 });
    }

    #[test]
    fn hb38_status_of_a_heartbeat_script_is_judged_by_its_words_not_its_number() {
        for (text, expected) in [
            ("/data1 is mounted (running)", OpOutcome::Done),
            ("/data1 is unmounted (stopped)", OpOutcome::NotRunning),
            ("httpd is running...", OpOutcome::Done),
            ("OK", OpOutcome::Done),
            ("httpd is not running", OpOutcome::NotRunning),
            ("httpd isn't running", OpOutcome::NotRunning),
            ("Running: no\nStopped", OpOutcome::NotRunning),
            ("r0 is running, r1 is stopped", OpOutcome::Failed { code: 3 }),
            ("it is not stopped", OpOutcome::Failed { code: 3 }),
            ("it is not currently running", OpOutcome::Failed { code: 3 }),
            ("broken", OpOutcome::Failed { code: 3 }),
            ("", OpOutcome::Failed { code: 3 }),
        ] {
            let got = judge(Judge::Words, Action::Status, exit(3), text).0;
            assert_eq!(got, expected, "{text:?}");
        }
    }
}
