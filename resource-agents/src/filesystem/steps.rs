//! In which steps the users of a mount are ended.

use std::time::Duration;

use nix::sys::signal::Signal;

/// Send a signal, then wait for the mount to become free.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) signal: Signal,
    pub(super) wait: Duration,
}

/// Reads `term=5s kill=5s`; `never` is no step at all.
pub(super) fn parse(text: &str) -> Result<Vec<Step>, String> {
    let complain = |word: &str| {
        format!(
            "`force_unmount` must be `never` or steps such as `term=5s kill=5s`, found {word:?}"
        )
    };
    if text.trim() == "never" {
        return Ok(Vec::new());
    }
    let mut steps = Vec::new();
    for word in text.split([' ', ',', '\t']).filter(|word| !word.is_empty()) {
        let (signal, wait) = word.split_once('=').ok_or_else(|| complain(word))?;
        let signal = signal_called(signal).ok_or_else(|| complain(word))?;
        let wait = crate::parse_duration(wait).map_err(|_| complain(word))?;
        steps.push(Step { signal, wait });
    }
    if steps.is_empty() { Err(complain(text)) } else { Ok(steps) }
}

/// A signal by name, with or without `SIG`, in any case.
pub(crate) fn signal_called(name: &str) -> Option<Signal> {
    let name = name.to_ascii_uppercase();
    let name = if name.starts_with("SIG") { name } else { format!("SIG{name}") };
    name.parse().ok()
}

/// The same steps in less time, if together they would last longer than `most`.
pub(super) fn fit(steps: &[Step], most: Duration) -> Vec<Step> {
    let whole: Duration = steps.iter().map(|step| step.wait).sum();
    if whole <= most || whole.is_zero() {
        return steps.to_vec();
    }
    let share = most.as_secs_f64() / whole.as_secs_f64();
    steps.iter().map(|step| Step { wait: step.wait.mul_f64(share), ..*step }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_steps() {
        let step = |signal, seconds| Step { signal, wait: Duration::from_secs(seconds) };
        assert_eq!(
            parse("term=5s, SIGKILL=2s"),
            Ok(vec![step(Signal::SIGTERM, 5), step(Signal::SIGKILL, 2)])
        );
        assert_eq!(parse("never"), Ok(vec![]));
        for bad in ["", "term", "term=", "dance=1s", "term=soon"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn hb37_steps_fit_the_time_that_is_left() {
        let steps = parse("term=30s kill=10s").expect("steps");
        let waits: Vec<u64> =
            fit(&steps, Duration::from_secs(4)).iter().map(|s| s.wait.as_secs()).collect();
        assert_eq!(waits, [3, 1]);
        assert_eq!(fit(&steps, Duration::from_secs(60)), steps);
    }
}
