//! A machine's own boot clock beside the one true time of the world (AS2).

use crm_core::time::Time;

/// True time of the world, in microseconds since its beginning.
pub type Micros = u64;

pub const MILLI: Micros = 1_000;
pub const SECOND: Micros = 1_000_000;

/// Maps true time to a machine's clock and back: an offset, and a drift that stays below half of
/// rho, so that any two clocks differ by less than 1 %.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    booted: Micros,
    offset: u64,
    drift_ppm: i64,
}

impl Clock {
    #[must_use]
    pub fn new(booted: Micros, offset: u64, drift_ppm: i64) -> Clock {
        Clock { booted, offset, drift_ppm: drift_ppm.clamp(-4_900, 4_900) }
    }

    /// A clock for which AS2 does not hold.
    #[must_use]
    pub fn wild(booted: Micros, offset: u64, drift_ppm: i64) -> Clock {
        Clock { booted, offset, drift_ppm: drift_ppm.clamp(-900_000, 900_000) }
    }

    #[must_use]
    pub fn read(&self, now: Micros) -> Time {
        let elapsed = now.saturating_sub(self.booted) as i128;
        let local = elapsed + elapsed * i128::from(self.drift_ppm) / 1_000_000;
        Time(self.offset.saturating_add(local.max(0) as u64))
    }

    /// The clock jumps forward (AS2 excludes it).
    pub fn step(&mut self, by: Micros) {
        self.offset = self.offset.saturating_add(by);
    }

    /// The clock stood still for so long (AS2 excludes it).
    pub fn stood_still(&mut self, time: Micros) {
        self.booted = self.booted.saturating_add(time);
    }

    /// The first true time at which the clock reads `local` or more.
    #[must_use]
    pub fn when(&self, local: Time) -> Micros {
        let elapsed = local.0.saturating_sub(self.offset) as i128;
        let scale = 1_000_000 + i128::from(self.drift_ppm);
        let mut at = self.booted + (elapsed * 1_000_000 / scale).max(0) as u64;
        while self.read(at) < local {
            at += 1;
        }
        at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn when_is_the_inverse_of_read() {
        for drift in [-4_900, -17, 0, 350, 4_900] {
            let clock = Clock::new(5 * SECOND, 123_456_789, drift);
            for local in [123_456_789u64, 123_456_790, 200_000_000, 9_000_000_000] {
                let at = clock.when(Time(local));
                assert!(clock.read(at) >= Time(local));
                assert!(at <= 5 * SECOND || clock.read(at - 1) < Time(local), "{drift} {local}");
            }
        }
    }
}
