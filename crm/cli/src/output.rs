//! What the commands print, and how they fail.
//!
//! A reader that goes away (`crm status | head`) ends the program quietly. Failures are one
//! message in lower case and, after it, one hint.

use crm_api::{ApiError, Exit};
use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

/// The standard output, with colours where a person reads it.
pub(crate) struct Output {
    colours: bool,
    terminal: bool,
}

/// Meanings of colours; the text alone always says the same.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Tone {
    Good,
    Warn,
    Bad,
    Faint,
    Strong,
}

impl Output {
    pub(crate) fn new() -> Output {
        let terminal = io::stdout().is_terminal();
        let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Output { colours: terminal && !refused, terminal }
    }

    pub(crate) fn is_terminal(&self) -> bool {
        self.terminal
    }

    /// Writes one line of data.
    pub(crate) fn line(&mut self, text: impl fmt::Display) -> Result<(), Failure> {
        let mut out = io::stdout().lock();
        writeln!(out, "{text}").and_then(|()| out.flush()).map_err(Failure::from)
    }

    /// Writes text as it is.
    pub(crate) fn text(&mut self, text: &str) -> Result<(), Failure> {
        let mut out = io::stdout().lock();
        out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(Failure::from)
    }

    /// Prints a value as JSON.
    pub(crate) fn json<T: serde::Serialize>(&mut self, value: &T) -> Result<(), Failure> {
        let text = serde_json::to_string_pretty(value)
            .map_err(|error| Failure::failed(format!("cannot print this as JSON: {error}")))?;
        self.line(text)
    }

    /// Colours a word where that is wanted.
    pub(crate) fn tone(&self, tone: Tone, text: &str) -> String {
        if !self.colours {
            return text.to_owned();
        }
        let style = match tone {
            Tone::Good => anstyle::AnsiColor::Green.on_default(),
            Tone::Warn => anstyle::AnsiColor::Yellow.on_default(),
            Tone::Bad => anstyle::AnsiColor::Red.on_default().bold(),
            Tone::Faint => anstyle::Style::new().dimmed(),
            Tone::Strong => anstyle::Style::new().bold(),
        };
        format!("{style}{text}{style:#}")
    }
}

/// Progress and questions go to the standard error, so that data stays clean.
pub(crate) fn say(text: impl fmt::Display) {
    // Nobody to tell is nothing to fail for.
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// A command that did not do what it was asked.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    pub(crate) reason: String,
    pub(crate) hint: String,
    quiet: bool,
}

impl Failure {
    pub(crate) fn new(exit: Exit, reason: impl Into<String>, hint: impl Into<String>) -> Failure {
        Failure { exit, reason: reason.into(), hint: hint.into(), quiet: false }
    }

    pub(crate) fn failed(reason: impl Into<String>) -> Failure {
        Failure::new(Exit::Failed, reason, "")
    }

    pub(crate) fn refused(reason: impl Into<String>, hint: impl Into<String>) -> Failure {
        Failure::new(Exit::Refused, reason, hint)
    }

    pub(crate) fn usage(reason: impl Into<String>, hint: impl Into<String>) -> Failure {
        Failure::new(Exit::Usage, reason, hint)
    }

    /// Prints the message and gives the exit code.
    pub(crate) fn report(&self) -> ExitCode {
        if !self.quiet {
            say(format!("error: {}", self.reason));
            if !self.hint.is_empty() {
                say(format!("\nhint: {}", self.hint));
            }
        }
        self.exit.into()
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Failure {
        let quiet = error.kind() == io::ErrorKind::BrokenPipe;
        let exit = if quiet { Exit::Done } else { Exit::Failed };
        Failure { exit, reason: error.to_string(), hint: String::new(), quiet }
    }
}

impl From<ApiError> for Failure {
    fn from(error: ApiError) -> Failure {
        let text = error.to_string();
        let (reason, hint) = text.split_once("\nhint: ").unwrap_or((&text, ""));
        Failure::new(error.exit(), reason, hint)
    }
}

/// `1 error`, `2 errors`.
pub(crate) fn counted(number: usize, one: &str) -> String {
    if number == 1 { format!("1 {one}") } else { format!("{number} {one}s") }
}

/// Reads a file, with its name in the error.
pub(crate) fn read_file(path: &std::path::Path) -> Result<String, Failure> {
    std::fs::read_to_string(path)
        .map_err(|error| Failure::failed(format!("{} cannot be read: {error}", path.display())))
}
