//! Durations as people write them.

use std::time::Duration;

/// Reads `200ms`, `5s`, `1.5s`, `2m` (`min`), `1h` (`hr`), `1d`; a bare number counts seconds, as in OCF.
///
/// # Errors
/// The text is not such a duration; the message says what was expected.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let complain = || format!("expected a duration such as 200ms, 5s or 2m, found {text:?}");
    let trimmed = text.trim();
    let split = trimmed.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(trimmed.len());
    let (number, unit) = trimmed.split_at(split);
    let scale: f64 = match unit.trim() {
        "us" | "usec" => 0.000_001,
        "ms" | "msec" => 0.001,
        "" | "s" | "sec" => 1.0,
        "m" | "min" => 60.0,
        "h" | "hr" => 3600.0,
        "d" => 86_400.0,
        _ => return Err(complain()),
    };
    let number: f64 = number.parse().map_err(|_| complain())?;
    Duration::try_from_secs_f64(number * scale)
        .ok()
        .filter(|duration| *duration <= LONGEST)
        .ok_or_else(complain)
}

/// Nobody means more than a year.
const LONGEST: Duration = Duration::from_secs(366 * 86_400);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_unit() {
        for (text, ms) in [
            ("200ms", 200),
            ("5s", 5000),
            ("20", 20_000),
            ("1.5s", 1500),
            ("2m", 120_000),
            ("1 h", 3_600_000),
            ("0", 0),
        ] {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(ms)), "{text}");
        }
    }

    #[test]
    fn refuses_what_is_no_duration() {
        for text in ["", "s", "-1s", "5x", "1.2.3", "inf", "NaN", "1e9", "99999999d"] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }
}
