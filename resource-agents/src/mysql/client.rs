//! Asks the server a question with its own client, over its socket.
//!
//! Credentials come from an option file that only the client reads, or are not needed: they are in
//! no argument, no variable and no message.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::Instance;
use crate::child;
use crate::contract::Failure;
use crate::deadline::Deadline;

/// What came of the question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    /// It serves this data directory.
    Serves(PathBuf),
    /// It lets nobody in now, or not this client: it is up all the same.
    Refuses(String),
    /// Nothing accepts at the socket.
    Silent(String),
    /// It accepted, and did not answer.
    Hangs(String),
    /// It could not be asked.
    Failed(String),
}

/// The client's program.
pub(super) fn program() -> Result<PathBuf, Failure> {
    CLIENTS.iter().find_map(child::find_tool).ok_or_else(|| {
        Failure::installed(format!(
            "expected the client {}, found none; install mariadb-client or mysql-client",
            CLIENTS.join(" or ")
        ))
    })
}

/// Asks once.
pub(super) fn ask(instance: &Instance, deadline: Deadline) -> Answer {
    if !instance.socket.exists() {
        return Answer::Silent(format!("there is no socket {}", instance.socket.display()));
    }
    let deadline = deadline.for_a_question();
    let given = deadline.remaining().as_secs_f32().ceil();
    let program = match program() {
        Ok(program) => program,
        Err(failure) => return Answer::Failed(failure.reason),
    };
    let mut command = Command::new(program);
    // It must be the first argument.
    match &instance.client_options {
        Some(file) => command.arg(format!("--defaults-file={}", file.display())),
        None => command.args(["--no-defaults", "--user=root"]),
    };
    command
        .args(["--protocol=socket", "--batch", "--skip-column-names", "--skip-reconnect"])
        .arg(format!("--connect-timeout={}", given.max(1.0)))
        .arg(format!("--socket={}", instance.socket.display()))
        .args(["--execute", QUERY])
        .env_remove("MYSQL_PWD")
        .env_remove("MYSQL_HOST");
    match child::run_for_output(&mut command, deadline, MOST_OUTPUT) {
        Err(error) => Answer::Failed(format!("cannot run the client: {error}")),
        Ok((finished, _)) if finished.timed_out => {
            Answer::Hangs(format!("it did not answer `{QUERY}` within {given} s"))
        }
        Ok((finished, output)) if finished.succeeded() => {
            match output.trim_end_matches(['\n', '/']) {
                "" => Answer::Failed("the client printed nothing".to_owned()),
                path => Answer::Serves(PathBuf::from(path)),
            }
        }
        Ok((finished, _)) => judge(&finished.output, &finished.summary(), &instance.socket),
    }
}

/// From the client's error number, which stays the same in every language.
fn judge(output: &str, summary: &str, socket: &Path) -> Answer {
    let number = output.lines().find_map(|line| {
        line.strip_prefix("ERROR ")?.split([' ', ':']).next()?.parse::<u32>().ok()
    });
    match number {
        // Too many connections; denied, by password or by another way.
        Some(1040 | 1044 | 1045 | 1203 | 1226 | 1227 | 1251 | 1524 | 1698 | 1862) => {
            Answer::Refuses(summary.to_owned())
        }
        Some(2002 | 2003) => {
            Answer::Silent(format!("nothing accepts at {}: {summary}", socket.display()))
        }
        // Gone, or lost, in the middle of it.
        Some(2006 | 2012 | 2013 | 2055) => Answer::Hangs(summary.to_owned()),
        _ => Answer::Failed(summary.to_owned()),
    }
}

const CLIENTS: [&str; 2] = ["mariadb", "mysql"];
const QUERY: &str = "SELECT @@datadir";
const MOST_OUTPUT: u64 = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clients_error_numbers_are_told_apart() {
        let of = |text: &str| judge(text, text, Path::new("/s"));
        let denied = "ERROR 1045 (28000): Access denied for user 'root'@'localhost'";
        assert_eq!(of(denied), Answer::Refuses(denied.to_owned()));
        assert!(matches!(of("ERROR 1040 (08004): Too many connections"), Answer::Refuses(_)));
        let none = "ERROR 2002 (HY000): Can't connect to local server through socket";
        assert!(matches!(of(none), Answer::Silent(_)));
        assert!(matches!(of("ERROR 2013 (HY000): Lost connection"), Answer::Hangs(_)));
        // A warning before it changes nothing, and neither does what is no number.
        assert!(matches!(of("WARNING: x\nERROR 1698 (28000): Denied"), Answer::Refuses(_)));
        for other in ["", "ERROR", "ERROR x", "ERROR 1064 (42000): syntax", "unknown variable"] {
            assert!(matches!(of(other), Answer::Failed(_)), "{other}");
        }
    }
}
