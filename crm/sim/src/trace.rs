//! What happened, one readable line each, and a digest of everything for `same seed, same trace`.

use crate::clock::Micros;
use std::collections::VecDeque;
use std::fmt;

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub at: Micros,
    /// A machine, or `*` for the world.
    pub who: String,
    pub what: String,
    pub rest: String,
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Entry { at, who, what, rest } = self;
        let (seconds, micros) = (at / 1_000_000, at % 1_000_000);
        write!(f, "{seconds:>6}.{micros:06} {who:<8} {what:<10} {rest}")
    }
}

/// The lines are kept only when somebody wants to read them; the digest always is.
#[derive(Clone, Debug, Default)]
pub struct Trace {
    lines: Option<VecDeque<Entry>>,
    digest: u64,
    /// Everything, instead of the last lines.
    whole: bool,
}

impl Trace {
    #[must_use]
    pub fn silent() -> Trace {
        Trace { lines: None, digest: 0xcbf2_9ce4_8422_2325, whole: false }
    }

    /// Keeps the last lines.
    #[must_use]
    pub fn tail() -> Trace {
        Trace { lines: Some(VecDeque::new()), ..Trace::silent() }
    }

    /// Keeps every line.
    #[must_use]
    pub fn whole() -> Trace {
        Trace { whole: true, ..Trace::tail() }
    }

    #[must_use]
    pub fn wanted(&self) -> bool {
        self.lines.is_some()
    }

    /// Digest of everything that was noted.
    #[must_use]
    pub fn digest(&self) -> u64 {
        self.digest
    }

    /// Takes numbers into the digest: cheap, always done.
    pub fn note(&mut self, numbers: &[u64]) {
        for number in numbers {
            self.digest =
                (self.digest ^ number).wrapping_mul(0x0000_0100_0000_01b3).rotate_left(23);
        }
    }

    /// Writes a line: time, who, what, the rest.
    pub fn line(&mut self, at: Micros, who: &str, what: &str, rest: fmt::Arguments<'_>) {
        let Some(lines) = &mut self.lines else { return };
        if !self.whole && lines.len() == TAIL_MAX {
            lines.pop_front();
        }
        let (who, what) = (who.to_owned(), what.to_owned());
        lines.push_back(Entry { at, who, what, rest: rest.to_string() });
    }

    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        self.lines.iter().flatten().map(ToString::to_string).collect()
    }

    /// What happened since the last call.
    pub fn take(&mut self) -> Vec<Entry> {
        self.lines.as_mut().map(|lines| lines.drain(..).collect()).unwrap_or_default()
    }
}

/// Lines that a tail keeps.
const TAIL_MAX: usize = 400;
