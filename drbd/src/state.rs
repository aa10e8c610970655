//! The picture of DRBD on one node, whichever text it was read from.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use serde::Serialize;

pub use crate::vocabulary::{Connection, Disk, Replication, Role};

/// All resources of this node, by name.
pub type Picture = BTreeMap<String, Resource>;

/// One resource: what `drbdadm` is told by name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Resource {
    /// The name in `drbd.conf`.
    pub name: String,
    /// The role of this node.
    pub role: Role,
    /// Why I/O is held back: `user`, `no-data`, `fencing`, `quorum`; empty if it is not.
    pub suspended: BTreeSet<String>,
    /// The local copies, by volume number.
    pub volumes: BTreeMap<u32, Volume>,
    /// The peers, by the name of the connection.
    pub peers: BTreeMap<String, Peer>,
}

/// One volume of a resource on this node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Volume {
    /// `/dev/drbdN`.
    pub minor: Option<u32>,
    /// The local copy.
    pub disk: Disk,
    /// Without a disk on purpose (9).
    pub client: Option<bool>,
    /// Has DRBD's own quorum (9).
    pub quorum: Option<bool>,
    /// Counters.
    pub statistics: VolumeStatistics,
}

/// One connection.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Peer {
    /// DRBD's number of the peer; 8.4 always says 0.
    pub node_id: Option<u32>,
    /// How the connection stands.
    pub connection: Connection,
    /// The role of the peer.
    pub role: Role,
    /// The link cannot keep up.
    pub congested: Option<bool>,
    /// What flows and what the peer's copies are worth, by volume number.
    pub volumes: BTreeMap<u32, PeerVolume>,
}

/// One volume, seen across one connection.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PeerVolume {
    /// What flows.
    pub replication: Replication,
    /// The peer's copy.
    pub disk: Disk,
    /// Who holds the resync back: `user`, `peer`, `dependency`; empty if nobody does.
    pub resync_suspended: BTreeSet<String>,
    /// How far a resync or verify has come.
    pub resync: Option<Resync>,
    /// Counters.
    pub statistics: PeerStatistics,
}

/// Counters of a volume, in KiB where they count data.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct VolumeStatistics {
    /// Usable size, KiB.
    pub size_kib: Option<u64>,
    /// Read from the disk, KiB.
    pub read_kib: Option<u64>,
    /// Written to the disk, KiB.
    pub written_kib: Option<u64>,
    /// Requests not yet answered to those above.
    pub upper_pending: Option<u64>,
    /// Requests not yet answered by the disk.
    pub lower_pending: Option<u64>,
}

/// Counters of a connection and volume, in KiB where they count data.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PeerStatistics {
    /// Sent to the peer, KiB.
    pub sent_kib: Option<u64>,
    /// Received from the peer, KiB.
    pub received_kib: Option<u64>,
    /// What the peer lacks, or this node does, KiB.
    pub out_of_sync_kib: Option<u64>,
    /// Sent to the peer and not yet answered, requests.
    pub pending: Option<u64>,
    /// Received and not yet answered, requests.
    pub unacked: Option<u64>,
}

/// A copy under way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Resync {
    /// How much of it is done.
    pub done: Option<Percent>,
    /// What is left, KiB.
    pub left_kib: Option<u64>,
    /// What there was to do, KiB.
    pub total_kib: Option<u64>,
    /// When DRBD believes it will be done, from now.
    pub finish: Option<Duration>,
    /// KiB each second.
    pub speed_kib: Option<u64>,
    /// DRBD says that nothing moves.
    pub stalled: bool,
}

/// Hundredths of a percent, 0 to 10000.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Percent(u16);

impl Percent {
    /// Reads `18.8`, `6.25`, `100`; digits after the second are dropped. `None` if it is no number
    /// from 0 to 100.
    #[must_use]
    pub fn read(text: &str) -> Option<Percent> {
        let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
        if part.is_empty() || !part.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let digit = |at: usize| part.as_bytes().get(at).map_or(0, |byte| u32::from(byte - b'0'));
        let hundredths = digits(whole)?.checked_mul(100)?.checked_add(digit(0) * 10 + digit(1))?;
        u16::try_from(hundredths).ok().filter(|hundredths| *hundredths <= 10_000).map(Percent)
    }

    /// `part` of `whole`.
    #[must_use]
    pub fn of(part: u64, whole: u64) -> Option<Percent> {
        let hundredths = u128::from(part) * 10_000 / u128::from(whole.max(1));
        (whole > 0).then(|| Percent(u16::try_from(hundredths.min(10_000)).unwrap_or(10_000)))
    }

    /// 0 to 10000.
    #[must_use]
    pub fn hundredths(self) -> u16 {
        self.0
    }
}

/// Digits alone: `parse` would also take a sign.
fn digits(text: &str) -> Option<u32> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

/// `18.8 %`.
impl fmt::Display for Percent {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}.{} %", self.0 / 100, self.0 % 100 / 10)
    }
}

impl Serialize for Percent {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(f64::from(self.0) / 100.0)
    }
}

/// `resync 18.8 % done, about 9 s left at 5.5 MiB/s`, as far as it is known.
impl fmt::Display for Resync {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.done {
            Some(done) => write!(out, "{done} done")?,
            None => out.write_str("under way")?,
        }
        if self.stalled {
            return out.write_str(", stalled");
        }
        if let Some(finish) = self.finish {
            write!(out, ", about {} left", Span(finish))?;
        }
        if let Some(speed) = self.speed_kib {
            write!(out, " at {}/s", Amount(speed))?;
        }
        Ok(())
    }
}

/// An amount of data in KiB, for people.
#[derive(Clone, Copy, Debug)]
pub struct Amount(pub u64);

impl fmt::Display for Amount {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        const STEP: u64 = 1024;
        let (unit, name) = match self.0 {
            kib if kib < STEP => return write!(out, "{kib} KiB"),
            kib if kib < STEP.pow(2) => (STEP, "MiB"),
            kib if kib < STEP.pow(3) => (STEP.pow(2), "GiB"),
            _ => (STEP.pow(3), "TiB"),
        };
        write!(out, "{}.{} {name}", self.0 / unit, self.0 % unit * 10 / unit)
    }
}

/// A span of time for people: `9 s`, `35 min`, `11 h 3 min`.
#[derive(Clone, Copy, Debug)]
pub struct Span(pub Duration);

impl fmt::Display for Span {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_secs() {
            seconds if seconds < 120 => write!(out, "{seconds} s"),
            seconds if seconds < 7200 => write!(out, "{} min", seconds / 60),
            seconds => write!(out, "{} h {} min", seconds / 3600, seconds % 3600 / 60),
        }
    }
}

impl Resource {
    /// No peer is connected, and none is being waited for. 8.4 shows no peer at all then.
    #[must_use]
    pub fn stands_alone(&self) -> bool {
        self.peers.values().all(|peer| {
            matches!(peer.connection, Connection::StandAlone | Connection::Disconnecting)
        })
    }

    /// A peer that says it is Primary.
    #[must_use]
    pub fn primary_peer(&self) -> Option<&str> {
        let primary = |peer: &Peer| peer.role == Role::Primary;
        self.peers.iter().find(|(_, peer)| primary(peer)).map(|(name, _)| name.as_str())
    }

    /// The copy to this node that is under way for a volume, and the peer it comes from.
    #[must_use]
    pub fn incoming(&self, volume: u32) -> Option<(&str, &PeerVolume)> {
        self.peers.iter().find_map(|(name, peer)| {
            let seen = peer.volumes.get(&volume)?;
            seen.replication.is_target().then_some((name.as_str(), seen))
        })
    }

    /// What this node has written, or lacks, that its peers do not share, KiB.
    #[must_use]
    pub fn out_of_sync_kib(&self) -> Option<u64> {
        let seen = self.peers.values().flat_map(|peer| peer.volumes.values());
        let known = seen.filter_map(|volume| volume.statistics.out_of_sync_kib);
        known.reduce(u64::saturating_add)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percents_are_read_exactly_or_not_at_all() {
        for (text, hundredths) in
            [("18.8", 1880), ("6.25", 625), ("100", 10_000), ("0.00", 0), ("3.557", 355)]
        {
            assert_eq!(Percent::read(text).map(Percent::hundredths), Some(hundredths), "{text}");
        }
        for text in ["", ".", "1.", "101", "-1", "+1", "1.-5", "1e1", "99999999999", "100.5"] {
            assert_eq!(Percent::read(text), None, "{text}");
        }
    }

    #[test]
    fn people_can_read_it() {
        let resync = Resync {
            done: Percent::read("18.8"),
            finish: Some(Duration::from_secs(9)),
            speed_kib: Some(5632),
            ..Resync::default()
        };
        assert_eq!(resync.to_string(), "18.8 % done, about 9 s left at 5.5 MiB/s");
        assert_eq!(Span(Duration::from_secs(39790)).to_string(), "11 h 3 min");
        assert_eq!(Amount(22_143_016).to_string(), "21.1 GiB");
        assert_eq!(Percent::of(1, 0), None);
        assert_eq!(Percent::of(u64::MAX, 1).map(Percent::hundredths), Some(10_000));
    }
}
