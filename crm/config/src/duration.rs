//! Lengths of time as people write them: `500ms`, `1s`, `1.5s`, `10m`, `1h`, and Heartbeat's bare
//! `2`, which counts seconds (HB6).

use crm_core::time::Span;

const UNITS: [(&str, u64); 5] =
    [("us", 1), ("ms", 1_000), ("s", 1_000_000), ("m", 60_000_000), ("h", 3_600_000_000)];

/// Reads `text` exactly, to the microsecond.
///
/// # Errors
/// What is wrong, without a full stop: not a number, an unknown unit, too exact, too long.
pub fn parse_duration(text: &str) -> Result<Span, String> {
    let digits_end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits_end);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let is_number = !whole.is_empty()
        && fraction.bytes().all(|b| b.is_ascii_digit())
        && (number.contains('.') != fraction.is_empty());
    if !is_number {
        return Err("it does not start with a number".to_owned());
    }
    let scale = if unit.is_empty() {
        1_000_000
    } else {
        UNITS
            .iter()
            .find(|(name, _)| *name == unit)
            .map(|(_, scale)| *scale)
            .ok_or_else(|| format!("`{unit}` is not a unit"))?
    };
    let too_long = || "it is longer than this program can count".to_owned();
    let whole: u64 = whole.parse().map_err(|_| too_long())?;
    let mut micros = whole.checked_mul(scale).ok_or_else(too_long)?;
    if !fraction.is_empty() {
        micros = micros.checked_add(fraction_micros(fraction, scale)?).ok_or_else(too_long)?;
    }
    Ok(Span::micros(micros))
}

/// `0.FRACTION` times `scale`, refused unless it is a whole number of microseconds.
fn fraction_micros(fraction: &str, scale: u64) -> Result<u64, String> {
    let fraction = fraction.trim_end_matches('0');
    let too_exact = || "it is more exact than a microsecond".to_owned();
    if fraction.is_empty() {
        return Ok(0);
    }
    let places = u32::try_from(fraction.len()).map_err(|_| too_exact())?;
    let divisor = 10u128.checked_pow(places).ok_or_else(too_exact)?;
    let product = fraction
        .parse::<u128>()
        .ok()
        .and_then(|digits| digits.checked_mul(u128::from(scale)))
        .ok_or_else(too_exact)?;
    if product % divisor != 0 {
        return Err(too_exact());
    }
    u64::try_from(product / divisor).map_err(|_| too_exact())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hb6_times_are_exact() {
        for (text, micros) in [
            ("500ms", 500_000),
            ("100ms", 100_000),
            ("2", 2_000_000),
            ("1s", 1_000_000),
            ("1.5s", 1_500_000),
            ("0.25", 250_000),
            ("10m", 600_000_000),
            ("1h", 3_600_000_000),
            ("7us", 7),
            ("0.1ms", 100),
            ("1.50h", 5_400_000_000),
            ("0", 0),
        ] {
            assert_eq!(parse_duration(text), Ok(Span::micros(micros)), "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            "s",
            "fast",
            "-1s",
            "1 s",
            "1sec",
            "1.s",
            ".5s",
            "1..5s",
            "1.5.5s",
            "1e3",
            "0.0000001s",
            "1_000",
            "99999999999999999999",
            "99999999999999999h",
            "1.00000000000000000000000000000000000000001",
        ] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn every_span_is_read_back_as_it_is_printed() {
        for micros in [0, 7, 1_000, 1_500, 200_000, 1_000_000, 1_500_000, 60_000_000, 3_600_000_000]
        {
            let span = Span::micros(micros);
            assert_eq!(parse_duration(&span.to_string()), Ok(span));
        }
    }
}
