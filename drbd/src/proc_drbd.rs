//! `/proc/drbd` of DRBD 0.7, 8.0, 8.3 and 8.4 (HB28).
//!
//! A device is known there by its minor number; the name of its resource is in the configuration.
//! With 9 the file names the version and nothing else.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::fields::number;
use crate::state::{
    Connection, Disk, Peer, PeerStatistics, PeerVolume, Percent, Replication, Resource, Resync,
    Role, Volume, VolumeStatistics,
};
use crate::vocabulary::split_connection;
use crate::{Unreadable, clip};

/// The whole file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProcDrbd {
    /// `8.4.11`.
    pub version: String,
    /// By minor number.
    pub devices: BTreeMap<u32, Device>,
}

/// One device.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Device {
    /// This node's role.
    pub role: Role,
    /// The peer's.
    pub peer_role: Role,
    /// How the connection stands.
    pub connection: Connection,
    /// What flows.
    pub replication: Replication,
    /// This node's copy. 0.7 tells this one only.
    pub disk: Disk,
    /// The peer's copy.
    pub peer_disk: Disk,
    /// `A`, `B` or `C`.
    pub protocol: Option<char>,
    /// I/O is held back: the first of the flags is not `r`.
    pub suspended: bool,
    /// A copy under way.
    pub resync: Option<Resync>,
    /// Counters of the connection.
    pub statistics: PeerStatistics,
    /// Counters of the disk.
    pub volume_statistics: VolumeStatistics,
}

/// Reads the file. Lines that are not known are passed over; words that are not known stay so.
///
/// # Errors
/// It does not begin with DRBD's version, so it is something else or was cut.
pub fn read(text: &str) -> Result<ProcDrbd, Unreadable> {
    let mut lines = text.lines();
    let first = lines.find(|line| !line.trim().is_empty()).unwrap_or_default();
    let version = first
        .trim()
        .strip_prefix("version:")
        .and_then(|rest| rest.split_whitespace().next())
        .filter(|version| version.starts_with(|c: char| c.is_ascii_digit()))
        .ok_or_else(|| Unreadable::new("`version: X.Y.Z` as the first line", first))?;
    let mut proc = ProcDrbd { version: clip(version), devices: BTreeMap::new() };
    let mut current: Option<u32> = None;
    for line in lines.map(str::trim) {
        if let Some((minor, rest)) = device_line(line) {
            if proc.devices.contains_key(&minor) {
                return Err(Unreadable::new("each device once", line));
            }
            if proc.devices.len() < MOST_DEVICES {
                proc.devices.insert(minor, device(rest));
                current = Some(minor);
            }
        } else if let Some(device) = current.and_then(|minor| proc.devices.get_mut(&minor)) {
            counters(device, line);
            progress(device, line);
        }
    }
    Ok(proc)
}

/// ` 0: cs:Connected ...`
fn device_line(line: &str) -> Option<(u32, &str)> {
    let (minor, rest) = line.split_once(':')?;
    let rest = rest.trim_start();
    rest.starts_with("cs:").then_some(())?;
    Some((number(minor)?, rest))
}

fn device(line: &str) -> Device {
    let mut device = Device::default();
    let mut plain = Vec::new();
    for word in line.split_whitespace() {
        match word.split_once(':') {
            Some(("cs", value)) => {
                (device.connection, device.replication) = split_connection(value);
            }
            Some(("ro" | "st", value)) => {
                let (here, there) = pair(value);
                (device.role, device.peer_role) = (Role::read(here), Role::read(there));
            }
            Some(("ds", value)) => {
                let (here, there) = pair(value);
                (device.disk, device.peer_disk) = (Disk::read(here), Disk::read(there));
            }
            // 0.7; printed as `Id` where somebody took the letter for another.
            Some(("ld" | "Id", value)) => device.disk = Disk::read(value),
            _ => plain.push(word),
        }
    }
    for word in plain {
        match word {
            "A" | "B" | "C" => device.protocol = word.chars().next(),
            // `r-----`: runs, or `s` for suspended; 8.0 has fewer of them.
            flags if flags.len() >= 3 && flags.bytes().all(is_flag) => {
                device.suspended = !flags.starts_with('r');
            }
            _ => {}
        }
    }
    device
}

fn is_flag(byte: u8) -> bool {
    byte == b'-' || byte.is_ascii_lowercase()
}

/// `Primary/Secondary`; the peer's half may be missing.
fn pair(value: &str) -> (&str, &str) {
    value.split_once('/').unwrap_or((value, ""))
}

/// `ns:0 nr:11264 dw:11264 dr:0 al:8 ... oos:54232`
fn counters(device: &mut Device, line: &str) {
    if !line.starts_with("ns:") {
        return;
    }
    let (seen, disk) = (&mut device.statistics, &mut device.volume_statistics);
    for (key, value) in line.split_whitespace().filter_map(crate::fields::split) {
        match key {
            "ns" => seen.sent_kib = number(value),
            "nr" => seen.received_kib = number(value),
            "dw" => disk.written_kib = number(value),
            "dr" => disk.read_kib = number(value),
            "lo" => disk.lower_pending = number(value),
            "ap" => disk.upper_pending = number(value),
            "pe" => seen.pending = number(value),
            "ua" => seen.unacked = number(value),
            "oos" => seen.out_of_sync_kib = number(value),
            _ => {}
        }
    }
}

/// `[==>....] sync'ed: 18.8% (54232/65496)K` and `finish: 0:00:09 speed: 5,632 (5,632) K/sec`, on
/// two lines or on one.
fn progress(device: &mut Device, line: &str) {
    let bar = after(line, "sync'ed:").or_else(|| after(line, "verified:"));
    if let Some(rest) = bar {
        let resync = device.resync.get_or_insert_default();
        resync.done = rest.split('%').next().and_then(|percent| Percent::read(percent.trim()));
        if let Some((left, total)) = left_and_total(rest) {
            (resync.left_kib, resync.total_kib) = (Some(left), Some(total));
        }
    }
    if let Some(rest) = after(line, "finish:") {
        let resync = device.resync.get_or_insert_default();
        resync.finish = rest.split_whitespace().next().and_then(clock);
        let speed = after(rest, "speed:").and_then(|rest| rest.split_whitespace().next());
        resync.speed_kib = speed.and_then(|speed| number(&speed.replace(',', "")));
        resync.stalled = rest.contains("stalled");
    }
}

fn after<'a>(line: &'a str, mark: &str) -> Option<&'a str> {
    line.split_once(mark).map(|(_, rest)| rest)
}

/// `(16891/17696)M`, in KiB.
fn left_and_total(text: &str) -> Option<(u64, u64)> {
    let (inside, unit) = after(text, "(")?.split_once(')')?;
    let factor = match unit.trim_start().chars().next()? {
        'K' => 1,
        'M' => 1024,
        'G' => 1024 * 1024,
        _ => return None,
    };
    let (left, total) = inside.split_once('/')?;
    let kib = |text: &str| number::<u64>(text)?.checked_mul(factor);
    Some((kib(left)?, kib(total)?))
}

/// `11:03:10`; the hours may have any number of digits.
fn clock(text: &str) -> Option<Duration> {
    let mut parts = text.splitn(3, ':').map(number::<u64>);
    let (hours, minutes, seconds) = (parts.next()??, parts.next()??, parts.next()??);
    let minutes = hours.checked_mul(60)?.checked_add(minutes)?;
    Some(Duration::from_secs(minutes.checked_mul(60)?.checked_add(seconds)?))
}

impl ProcDrbd {
    /// The resource whose volumes have these minor numbers; devices that are not there are
    /// volumes of which nothing is known.
    #[must_use]
    pub fn resource(&self, name: &str, minors: &BTreeMap<u32, u32>) -> Resource {
        let mut resource = Resource { name: name.to_owned(), ..Resource::default() };
        let mut peer = Peer { node_id: Some(0), ..Peer::default() };
        for (volume, minor) in minors {
            let missing = Device::default();
            let device = self.devices.get(minor).unwrap_or(&missing);
            resource.role = device.role.clone();
            if device.suspended {
                // The file does not say by whom.
                resource.suspended.insert("yes".to_owned());
            }
            let local = Volume {
                minor: Some(*minor),
                disk: device.disk.clone(),
                statistics: device.volume_statistics.clone(),
                ..Volume::default()
            };
            resource.volumes.insert(*volume, local);
            peer.connection = device.connection.clone();
            peer.role = device.peer_role.clone();
            peer.volumes.insert(*volume, device.seen());
        }
        resource.peers.insert("peer".to_owned(), peer);
        resource
    }
}

impl Device {
    fn seen(&self) -> PeerVolume {
        PeerVolume {
            replication: self.replication.clone(),
            disk: self.peer_disk.clone(),
            resync: self.resync,
            statistics: self.statistics.clone(),
            ..PeerVolume::default()
        }
    }
}

/// As many as the kernel has minor numbers for in practice.
const MOST_DEVICES: usize = 4096;
