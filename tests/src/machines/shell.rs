//! A root shell in a machine, over a virtio-serial port: it works without a network and during a boot.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::lines::Lines;
use super::{LabError, Result};

/// What a command in a machine left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// Its exit code; 124 when it was ended for taking too long.
    pub code: i32,
    /// What it printed, on both its outputs.
    pub text: String,
}

/// A connection to the shell of one machine.
pub struct Shell {
    machine: String,
    lines: Lines,
}

impl Shell {
    /// Connects, and waits until the shell answers.
    ///
    /// # Errors
    /// When it does not answer in time, or the machine goes away.
    pub fn connect(machine: &str, socket: &Path, within: Duration) -> Result<Self> {
        let deadline = Instant::now() + within;
        let lines = Lines::connect(&format!("{machine}: shell"), socket, deadline)?;
        let mut shell = Self { machine: machine.to_owned(), lines };
        shell.hello(deadline)?;
        Ok(shell)
    }

    /// Waits until a shell answers on this connection: after a reset of the machine it is another shell.
    ///
    /// # Errors
    /// When it does not answer in time, or the machine goes away.
    pub fn hello(&mut self, deadline: Instant) -> Result<()> {
        // What is sent before a shell listens waits for it. A shell that ended in the middle may have taken
        // a part of it, so ask again from time to time.
        loop {
            let mark = mark();
            // The text that is sent must not itself look like the answer.
            self.lines.send(format!("\necho '{}''{}'\n", &mark[..4], &mark[4..]).as_bytes())?;
            match self
                .lines
                .until(format!("{mark}\n").as_bytes(), deadline.min(Instant::now() + AGAIN))
            {
                Err(LabError::Silent { .. }) if Instant::now() < deadline => {}
                other => return other.map(drop),
            }
        }
    }

    /// Runs `command` with `sh -c`, without input, and gives it `within` to end.
    ///
    /// # Errors
    /// When the machine does not answer; what the command itself answers is in the [`Output`].
    pub fn run(&mut self, command: &str, within: Duration) -> Result<Output> {
        let mark = mark();
        let seconds = within.as_secs().max(1);
        let line = format!(
            "( timeout -k 2 {seconds} sh -c {} ) </dev/null 2>&1; echo '{}''{}' $? .\n",
            quoted(command),
            &mark[..4],
            &mark[4..]
        );
        self.lines.send(line.as_bytes())?;
        let deadline = Instant::now() + within + GRACE;
        let text = self.lines.until(format!("{mark} ").as_bytes(), deadline)?;
        let code = self.lines.until(b" .\n", deadline)?;
        let code = code.trim_end_matches(" .\n").parse().map_err(|_| LabError::Failed {
            machine: self.machine.clone(),
            command: command.to_owned(),
            code: -1,
            text: format!("expected an exit code, found {code:?}"),
        })?;
        let text = text.strip_suffix(&format!("{mark} ")).unwrap_or(&text).to_owned();
        Ok(Output { code, text })
    }
}

/// A text that no command prints, another one each time, over all connections.
fn mark() -> String {
    static MARKS: AtomicU64 = AtomicU64::new(0);
    format!("@lab-{:04}@", MARKS.fetch_add(1, Ordering::Relaxed))
}

/// After this long without an answer a greeting is sent again.
const AGAIN: Duration = Duration::from_secs(20);
/// How much longer than the command itself its shell may take to answer.
const GRACE: Duration = Duration::from_secs(20);

/// `text` as one word of a shell.
pub fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn a_quoted_word_keeps_its_quotes() {
        assert_eq!(quoted("it's $HOME"), r"'it'\''s $HOME'");
    }
}
