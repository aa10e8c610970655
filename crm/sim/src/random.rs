//! The only randomness of the simulator: a small seeded generator (splitmix64).
//!
//! Every part of a world draws from its own fork, so that dropping one fault from a plan does not
//! reshuffle everything else: shrinking depends on that.

/// A stream of numbers that a seed determines.
#[derive(Clone, Debug)]
pub struct Random {
    state: u64,
    /// Always the least that may be drawn, and never by chance: for a search, which chooses itself.
    least: bool,
}

impl Random {
    #[must_use]
    pub fn new(seed: u64) -> Random {
        let mut random = Random { state: seed ^ 0x5851_f42d_4c95_7f2d, least: false };
        random.next();
        random
    }

    /// No chance at all: the least of every range, and numbers in order.
    #[must_use]
    pub fn least() -> Random {
        Random { state: 0, least: true }
    }

    /// A stream of its own, named by `label`; the parent is not advanced.
    #[must_use]
    pub fn fork(&self, label: &str) -> Random {
        if self.least {
            return Random::least();
        }
        let mut state = self.state;
        for byte in label.bytes() {
            state = (state ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
        Random::new(state)
    }

    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self) -> u64 {
        if self.least {
            self.state += 1;
            return self.state;
        }
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn next_u128(&mut self) -> u128 {
        (u128::from(self.next()) << 64) | u128::from(self.next())
    }

    /// A number below `bound`; 0 if `bound` is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        if bound == 0 || self.least { 0 } else { self.next() % bound }
    }

    /// A number in `low..=high`.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high.saturating_sub(low).saturating_add(1))
    }

    /// True `per_mille` times in a thousand.
    pub fn chance(&mut self, per_mille: u64) -> bool {
        per_mille > 0 && !self.least && self.below(1000) < per_mille
    }

    /// An index into something of this length (0 for an empty one).
    pub fn index(&mut self, length: usize) -> usize {
        self.below(length as u64) as usize
    }

    /// A value whose logarithm is spread evenly over `low..=high`: short and long are equally likely.
    pub fn spread(&mut self, low: u64, high: u64) -> u64 {
        let low = low.max(1);
        if self.least {
            return low;
        }
        let ratio = (high.max(low) as f64 / low as f64).ln();
        let unit = (self.next() >> 11) as f64 / (1u64 << 53) as f64;
        ((low as f64) * (ratio * unit).exp()) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_seed_determines_the_stream_and_forks_differ() {
        let take = |mut r: Random| (0..8).map(|_| r.next()).collect::<Vec<_>>();
        assert_eq!(take(Random::new(7)), take(Random::new(7)));
        assert_ne!(take(Random::new(7)), take(Random::new(8)));
        assert_ne!(take(Random::new(7).fork("disk")), take(Random::new(7).fork("network")));
    }

    #[test]
    fn bounds_hold() {
        let mut random = Random::new(1);
        for _ in 0..1000 {
            assert!((3..=9).contains(&random.between(3, 9)));
            assert!((10..=10_000).contains(&random.spread(10, 10_000)));
            assert_eq!(random.below(0), 0);
        }
    }
}
