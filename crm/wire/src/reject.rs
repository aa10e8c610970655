//! Why a datagram was dropped, and how often (HB4, I9).

/// Why a datagram was dropped. Nothing else happened because of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, thiserror::Error)]
pub enum Reject {
    /// Too few bytes to be one of ours.
    #[error("too short for a packet")]
    Short,
    /// More bytes than we ever send.
    #[error("longer than any packet")]
    TooBig,
    /// Not a packet of this protocol.
    #[error("not a crm packet")]
    Magic,
    /// Another major version.
    #[error("another major version: upgrade the older side")]
    Version,
    /// A sender's name that no node can have.
    #[error("malformed sender name")]
    Name,
    /// Another cluster on the same network.
    #[error("of another cluster")]
    Cluster,
    /// A key number that our file does not have.
    #[error("sealed with a key that is not in our authkeys: copy the file to every node")]
    UnknownKey,
    /// Not sealed with our key of that number, or changed on the way.
    #[error("not authentic: another key under the same number, or changed on the way")]
    Authentication,
    /// Our own packet came back to us.
    #[error("our own packet, reflected")]
    Own,
    /// Our name and another incarnation: an old packet of ours, or a second
    /// node of this name.
    #[error("our name from another incarnation: two nodes of one name, or an old packet of ours")]
    Namesake,
    /// Authentic, but its fragment fields contradict each other or the digest.
    #[error("contradictory fragment")]
    Fragment,
}

impl Reject {
    /// Every reason, in the order in which they are checked.
    pub const ALL: [Reject; 11] = [
        Reject::Short,
        Reject::TooBig,
        Reject::Magic,
        Reject::Version,
        Reject::Name,
        Reject::Cluster,
        Reject::UnknownKey,
        Reject::Authentication,
        Reject::Own,
        Reject::Namesake,
        Reject::Fragment,
    ];

    /// Its name in `crm status --links` and in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Reject::Short => "short",
            Reject::TooBig => "too_big",
            Reject::Magic => "magic",
            Reject::Version => "version",
            Reject::Name => "name",
            Reject::Cluster => "cluster",
            Reject::UnknownKey => "unknown_key",
            Reject::Authentication => "authentication",
            Reject::Own => "own",
            Reject::Namesake => "namesake",
            Reject::Fragment => "fragment",
        }
    }
}

/// How many datagrams were dropped for each reason.
///
/// An endpoint counts for itself; a caller with several links may keep one more
/// for each of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RejectCounters([u64; Reject::ALL.len()]);

impl RejectCounters {
    /// Counts one dropped datagram.
    pub fn record(&mut self, reject: Reject) {
        if let Some(count) = self.0.get_mut(reject as usize) {
            *count = count.saturating_add(1);
        }
    }

    /// How many for this reason.
    pub fn of(&self, reject: Reject) -> u64 {
        self.0.get(reject as usize).copied().unwrap_or(0)
    }

    /// How many in all.
    pub fn total(&self) -> u64 {
        self.0.iter().fold(0, |sum, count| sum.saturating_add(*count))
    }

    /// Every reason with its count, in a fixed order.
    pub fn iter(&self) -> impl Iterator<Item = (Reject, u64)> + '_ {
        Reject::ALL.into_iter().map(|reject| (reject, self.of(reject)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_has_its_own_counter_and_name() {
        let mut counters = RejectCounters::default();
        for (times, reject) in (1..).zip(Reject::ALL) {
            (0..times).for_each(|_| counters.record(reject));
        }
        for (times, (reject, count)) in (1u64..).zip(counters.iter()) {
            assert_eq!(count, times, "{}", reject.name());
            assert_eq!(Reject::ALL.iter().filter(|r| r.name() == reject.name()).count(), 1);
        }
        assert_eq!(counters.total(), (1..=11).sum());
    }
}
