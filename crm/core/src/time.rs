//! Time as the core knows it: two plain numbers, passed in by the shell.
//!
//! `Time` is microseconds of the node's own boot clock (`CLOCK_BOOTTIME`, assumption AS2), so it
//! can be printed, stored in a trace and replayed. It means nothing on another node.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::ops::{Add, AddAssign, Mul, Sub};

/// A moment on this node's boot clock, in microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Time(pub u64);

/// A length of time, in microseconds.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Span(pub u64);

/// By a method of its own, so that a hasher can tell a moment from a number (see [`crate::same`]).
impl std::hash::Hash for Time {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        state.write_i128(i128::from(self.0));
    }
}

impl Time {
    /// Time since `earlier`; zero if `earlier` is later than this.
    #[must_use]
    pub fn since(self, earlier: Time) -> Span {
        Span(self.0.saturating_sub(earlier.0))
    }
}

impl Span {
    pub const ZERO: Span = Span(0);

    #[must_use]
    pub const fn micros(value: u64) -> Span {
        Span(value)
    }
    #[must_use]
    pub const fn millis(value: u64) -> Span {
        Span(value.saturating_mul(1_000))
    }
    #[must_use]
    pub const fn secs(value: u64) -> Span {
        Span(value.saturating_mul(1_000_000))
    }
    #[must_use]
    pub const fn as_micros(self) -> u64 {
        self.0
    }
    /// Whole milliseconds, rounded down.
    #[must_use]
    pub const fn as_millis(self) -> u64 {
        self.0 / 1_000
    }
    #[must_use]
    pub fn as_secs_f64(self) -> f64 {
        self.0 as f64 / 1e6
    }
    #[must_use]
    pub const fn saturating_sub(self, other: Span) -> Span {
        Span(self.0.saturating_sub(other.0))
    }
}

impl Add<Span> for Time {
    type Output = Time;
    fn add(self, span: Span) -> Time {
        Time(self.0.saturating_add(span.0))
    }
}

impl AddAssign<Span> for Time {
    fn add_assign(&mut self, span: Span) {
        *self = *self + span;
    }
}

impl Sub<Span> for Time {
    type Output = Time;
    fn sub(self, span: Span) -> Time {
        Time(self.0.saturating_sub(span.0))
    }
}

impl Add for Span {
    type Output = Span;
    fn add(self, other: Span) -> Span {
        Span(self.0.saturating_add(other.0))
    }
}

impl Mul<u64> for Span {
    type Output = Span;
    fn mul(self, times: u64) -> Span {
        Span(self.0.saturating_mul(times))
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:06}", self.0 / 1_000_000, self.0 % 1_000_000)
    }
}

/// Written as the configuration writes it: `200ms`, `1s`, `1.5s`, `10m`, `1h`.
impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let micros = self.0;
        if micros == 0 {
            f.write_str("0s")
        } else if micros.is_multiple_of(3_600_000_000) {
            write!(f, "{}h", micros / 3_600_000_000)
        } else if micros.is_multiple_of(60_000_000) {
            write!(f, "{}m", micros / 60_000_000)
        } else if micros.is_multiple_of(1_000_000) {
            write!(f, "{}s", micros / 1_000_000)
        } else if micros >= 1_000_000 {
            write!(f, "{:.3}s", micros as f64 / 1e6)
        } else if micros.is_multiple_of(1_000) {
            write!(f, "{}ms", micros / 1_000)
        } else if micros >= 1_000 {
            write!(f, "{:.3}ms", micros as f64 / 1e3)
        } else {
            write!(f, "{micros}us")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_print_as_the_configuration_writes_them() {
        for (span, text) in [
            (Span::millis(200), "200ms"),
            (Span::secs(1), "1s"),
            (Span::millis(1500), "1.500s"),
            (Span::secs(600), "10m"),
            (Span::secs(3600), "1h"),
            (Span::micros(7), "7us"),
            (Span::ZERO, "0s"),
        ] {
            assert_eq!(span.to_string(), text);
        }
    }

    #[test]
    fn arithmetic_saturates_instead_of_wrapping() {
        assert_eq!(Time(5).since(Time(9)), Span::ZERO);
        assert_eq!(Time(u64::MAX) + Span(1), Time(u64::MAX));
    }
}
