//! Every length of time the cluster logic uses. Relations between them are checked by `crm check`.

use crate::time::Span;
use serde::{Deserialize, Serialize};

/// Heartbeat's terms (`keepalive`, `warntime`, `deadtime`, `initdead`) and those of the lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timing {
    /// Between two heartbeats on a link.
    pub keepalive: Span,
    /// Silence after which a peer is reported late.
    pub warntime: Span,
    /// Silence after which a peer counts as lost.
    pub deadtime: Span,
    /// How long a fresh quorum waits for absent preferred nodes.
    pub initdead: Span,
    /// L: how long a lease holds, from the holder's own send time (R13).
    pub lease: Span,
    /// S: time to stop everything after the lease ended, while the watchdog is still fed (H17).
    pub stop_margin: Span,
    /// W: the watchdog's own margin (AS4).
    pub watchdog: Span,
    /// Upper bound of an election among live voters.
    pub election: Span,
    /// How long a returned node must be stable before it votes again (R18).
    pub rejoin_after: Span,
    /// Parts per thousand by which two clocks may drift apart (AS2's rho).
    pub drift_per_mille: u32,
    /// UDP port of the heartbeats.
    pub port: u16,
}

/// The times by which an armed node lives: they bound how long it may run something after its last
/// renewal, whatever configuration the others have meanwhile.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
pub struct LeaseTimes {
    /// L.
    pub lease: Span,
    /// S.
    pub stop_margin: Span,
    /// W, as the kernel was told when the watchdog was opened.
    pub watchdog: Span,
}

impl LeaseTimes {
    /// The longer of each.
    #[must_use]
    pub fn longest(self, other: LeaseTimes) -> LeaseTimes {
        LeaseTimes {
            lease: self.lease.max(other.lease),
            stop_margin: self.stop_margin.max(other.stop_margin),
            watchdog: self.watchdog.max(other.watchdog),
        }
    }
}

impl Default for Timing {
    fn default() -> Timing {
        Timing {
            keepalive: Span::millis(200),
            warntime: Span::millis(500),
            deadtime: Span::secs(1),
            initdead: Span::secs(30),
            lease: Span::secs(3),
            stop_margin: Span::secs(2),
            watchdog: Span::secs(10),
            election: Span::millis(500),
            rejoin_after: Span::secs(2),
            drift_per_mille: 10,
            port: 694,
        }
    }
}

impl Timing {
    /// What a node that goes by this timing does without a renewal.
    #[must_use]
    pub fn lease_times(&self) -> LeaseTimes {
        LeaseTimes { lease: self.lease, stop_margin: self.stop_margin, watchdog: self.watchdog }
    }

    /// T_out of a node that goes by this timing.
    #[must_use]
    pub fn reset_bound(&self) -> Span {
        self.reset_bound_of(self.lease_times())
    }

    /// T_out = (L + S + 2W)(1 + rho) + m (H17): after this long without a renewal an armed node
    /// that goes by `times` has been reset. The margin m is one keepalive.
    #[must_use]
    pub fn reset_bound_of(&self, times: LeaseTimes) -> Span {
        let sum = times.lease + times.stop_margin + times.watchdog * 2;
        Span(sum.0.saturating_mul(1000 + u64::from(self.drift_per_mille)) / 1000) + self.keepalive
    }
}
