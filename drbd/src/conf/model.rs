//! What a configuration means, whichever version's grammar it was written in.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;

use super::tree::Place;

/// All files together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Configuration {
    /// In the order of the files; what `common` says is in them already.
    pub resources: Vec<Resource>,
    /// Sections and options that were not understood, with their place.
    pub unknown: Vec<(String, Place)>,
}

/// One `resource`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resource {
    /// Its name.
    pub name: String,
    /// Where it begins.
    pub place: Place,
    /// Its options, with those of `common` below them.
    pub settings: Settings,
    /// The nodes that hold it.
    pub hosts: Vec<Host>,
}

/// Options by section and name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings(pub(super) BTreeMap<(String, String), Setting>);

/// One option.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// Its values, joined; `yes` if it was only named.
    pub value: String,
    /// Where it stands.
    pub place: Place,
}

/// One `on` or `floating`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// Host names; none for `floating`.
    pub names: Vec<String>,
    /// Where it begins.
    pub place: Place,
    /// Where it listens for its peers.
    pub address: Option<Address>,
    /// Its copies, by number.
    pub volumes: BTreeMap<u32, Volume>,
}

/// `10.0.0.1:7788`
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Address {
    /// IPv4 or IPv6.
    pub ip: IpAddr,
    /// TCP.
    pub port: u16,
}

/// One volume on one host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Volume {
    /// `/dev/drbd0`
    pub device: Option<String>,
    /// The number of the device.
    pub minor: Option<u32>,
    /// The backing device; `none` for a node without a copy.
    pub disk: Option<String>,
    /// `internal`, or a device and index.
    pub meta_disk: Option<String>,
}

impl Settings {
    /// An option, such as `("net", "protocol")`.
    #[must_use]
    pub fn find(&self, section: &str, name: &str) -> Option<&Setting> {
        self.0.get(&(section.to_owned(), name.to_owned()))
    }

    /// The option from the first of these sections that has it: some have moved between versions.
    #[must_use]
    pub fn find_in(&self, sections: &[&str], name: &str) -> Option<&Setting> {
        sections.iter().find_map(|section| self.find(section, name))
    }

    /// All options: section, name, value.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str, &Setting)> {
        self.0.iter().map(|((section, name), setting)| (section.as_str(), name.as_str(), setting))
    }

    pub(super) fn set(&mut self, section: &str, name: &str, setting: Setting) {
        self.0.insert((section.to_owned(), name.to_owned()), setting);
    }

    /// Takes over what is not said here.
    pub(super) fn inherit(&mut self, from: &Settings) {
        for (key, setting) in &from.0 {
            self.0.entry(key.clone()).or_insert_with(|| setting.clone());
        }
    }
}

impl Setting {
    /// Switched on.
    #[must_use]
    pub fn is_yes(&self) -> bool {
        self.value == "yes"
    }
}

impl Resource {
    /// `A`, `B` or `C`, wherever the version puts it.
    #[must_use]
    pub fn protocol(&self) -> Option<&Setting> {
        self.settings.find("net", "protocol")
    }

    /// The minor numbers by volume on a host, which is how `/proc/drbd` names them.
    #[must_use]
    pub fn minors(&self, host: &str) -> BTreeMap<u32, u32> {
        let host = self.hosts.iter().find(|one| one.names.iter().any(|name| name == host));
        let volumes = host.map(|host| &host.volumes).into_iter().flatten();
        volumes.filter_map(|(number, volume)| Some((*number, volume.minor?))).collect()
    }
}

impl Address {
    /// `10.0.0.1:7788`, `[::1]:7788`, also after `ipv4` or `ipv6`.
    #[must_use]
    pub fn read(words: &[String]) -> Option<Address> {
        let text = match words {
            [address] => address,
            [family, address] if matches!(family.as_str(), "ipv4" | "ipv6" | "sdp" | "ssocks") => {
                address
            }
            _ => return None,
        };
        let (ip, port) = text.rsplit_once(':')?;
        let ip = ip.strip_prefix('[').and_then(|ip| ip.strip_suffix(']')).unwrap_or(ip);
        let digits = port.bytes().all(|byte| byte.is_ascii_digit());
        let port = port.parse().ok().filter(|port| digits && *port > 0)?;
        Some(Address { ip: ip.parse().ok()?, port })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.ip {
            IpAddr::V4(ip) => write!(out, "ipv4 {ip}:{}", self.port),
            IpAddr::V6(ip) => write!(out, "ipv6 [{ip}]:{}", self.port),
        }
    }
}
