//! The rate of the processor's counter of ticks, which the emulator passes on to its machines as it is.
//!
//! A kernel that boots measures it against an emulated timer. On a busy host that goes wrong without a word: a machine's
//! clock then runs many times too fast or too slow, and its watchdog goes off. So each is told.

use std::time::{Duration, Instant};

/// Over so long the rate is measured.
const MEASURED_OVER: Duration = Duration::from_millis(100);

/// Ticks in a millisecond; `None` on another kind of processor.
#[must_use]
pub fn rate_khz() -> Option<u64> {
    let (began, first) = pair()?;
    std::thread::sleep(MEASURED_OVER);
    let (ended, last) = pair()?;
    let nanoseconds = ended.duration_since(began).as_nanos();
    u64::try_from(u128::from(last.wrapping_sub(first)) * 1_000_000 / nanoseconds.max(1)).ok()
}

/// A moment and the counter at that moment: of many tries the one with the least time in between.
fn pair() -> Option<(Instant, u64)> {
    let try_once = |_| {
        let before = Instant::now();
        let ticks = counter()?;
        Some((before.elapsed(), (before, ticks)))
    };
    (0..50).filter_map(try_once).min_by_key(|(took, _)| *took).map(|(_, pair)| pair)
}

#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code)]
fn counter() -> Option<u64> {
    // SAFETY: reads a register that every processor of this kind has and every process may read.
    Some(unsafe { std::arch::x86_64::_rdtsc() })
}

#[cfg(not(target_arch = "x86_64"))]
fn counter() -> Option<u64> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_arch = "x86_64")]
    fn the_rate_is_the_same_each_time() {
        let rates = [(); 3].map(|()| rate_khz().expect("a rate"));
        let (least, most) = (rates.iter().min().unwrap(), rates.iter().max().unwrap());
        assert!(*least > 100_000 && most - least < least / 1000, "{rates:?}");
    }
}
