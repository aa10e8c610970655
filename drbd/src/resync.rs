//! Speed and end of a resync from what is left of it, for the texts that do not tell them (`events2`
//! of 8.4 gives what is left, and nothing else).

use std::time::Duration;

use crate::state::{Percent, Resync};

/// Follows one resync. The time is given, not asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    began: Option<(Duration, u64)>,
    last: Option<(Duration, u64)>,
}

impl Progress {
    /// `left_kib` is what is left at `now`, on any clock that does not go back. More than before
    /// means that another resync has begun.
    pub fn observe(&mut self, now: Duration, left_kib: u64) {
        let again = self.last.is_some_and(|(then, left)| left_kib > left || now < then);
        if again || self.began.is_none() {
            self.began = Some((now, left_kib));
        }
        self.last = Some((now, left_kib));
    }

    /// How far it has come; `None` before the first observation.
    #[must_use]
    pub fn resync(&self) -> Option<Resync> {
        let ((began, total), (now, left)) = (self.began?, self.last?);
        let copied = total.saturating_sub(left);
        let millis = now.saturating_sub(began).as_millis();
        let speed = match (copied, millis) {
            (0, _) | (_, 0) => None,
            (copied, millis) => u64::try_from(u128::from(copied) * 1000 / millis).ok(),
        };
        Some(Resync {
            done: Percent::of(copied, total),
            left_kib: Some(left),
            total_kib: Some(total),
            finish: speed.filter(|s| *s > 0).map(|speed| Duration::from_secs(left.div_ceil(speed))),
            speed_kib: speed,
            stalled: false,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn speed_and_end_come_from_what_is_left() {
        let mut progress = Progress::default();
        assert_eq!(progress.resync(), None);
        progress.observe(Duration::from_secs(10), 65_496);
        assert_eq!(progress.resync().and_then(|resync| resync.finish), None);
        progress.observe(Duration::from_secs(12), 54_232);
        let resync = progress.resync().expect("observed");
        assert_eq!(resync.to_string(), "17.1 % done, about 10 s left at 5.5 MiB/s");
        // Another resync begins.
        progress.observe(Duration::from_secs(20), 60_000);
        assert_eq!(progress.resync().and_then(|resync| resync.done), Percent::of(0, 1));
    }

    #[test]
    fn no_figure_breaks_it() {
        let mut progress = Progress::default();
        for (now, left) in [(0, u64::MAX), (0, 0), (5, u64::MAX), (u64::MAX, 0), (1, 7), (1, 0)] {
            progress.observe(Duration::from_secs(now), left);
            let _ = progress.resync().map(|resync| resync.to_string());
        }
    }
}
