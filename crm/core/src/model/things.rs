//! What a resource takes for itself: a disk, a mount point, an address. No two groups may have one thing (HB17, I1), however
//! else their definitions differ.

use super::{AgentClass, Resource};
use std::net::IpAddr;

/// Something of which there is one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Thing {
    /// In words: the agent, the parameter and its value.
    pub words: String,
    /// Which parameter names it; else the agent itself does.
    pub parameter: Option<&'static str>,
}

/// Parameters of one of our own agents whose value only one group may have.
#[must_use]
pub fn exclusive(agent: &str) -> &'static [&'static str] {
    match agent {
        "apache" => &["config"],
        "drbd" => &["drbd_resource"],
        "filesystem" => &["device", "at"],
        "mysql" => &["datadir", "socket", "pid_file"],
        "oracle" => &["sid"],
        "pgsql" => &["datadir"],
        "samba" => &["config", "state"],
        "tomcat" => &["base"],
        "vip" => &["address"],
        _ => &[],
    }
}

impl Resource {
    /// What it takes for itself.
    #[must_use]
    pub fn things(&self) -> Vec<Thing> {
        let one = |words: String| vec![Thing { words, parameter: None }];
        let given = |(name, value): (&String, &String)| format!("{name}={value}");
        match &self.agent.class {
            AgentClass::Own => {
                exclusive(&self.agent.name).iter().filter_map(|name| self.own_thing(name)).collect()
            }
            AgentClass::Systemd => one(self.agent.to_string()),
            AgentClass::Lsb | AgentClass::Heartbeat => {
                // How it is looked at makes it no other instance.
                let params = self.params.iter().filter(|(name, _)| *name != "check").map(given);
                let agent = std::iter::once(self.agent.to_string());
                let words: Vec<String> =
                    agent.chain(self.args.iter().cloned()).chain(params).collect();
                one(words.join(" "))
            }
            AgentClass::Ocf { .. } => {
                let params: Vec<String> = self.params.iter().map(given).collect();
                one(format!("{} {}", self.agent, params.join(" ")))
            }
        }
    }

    fn own_thing(&self, parameter: &'static str) -> Option<Thing> {
        let agent = self.agent.name.as_str();
        let Some(value) = self.params.get(parameter) else {
            // The distribution's, which is there once.
            let words = format!("{agent} with the distribution's configuration");
            return (agent == "apache").then_some(Thing { words, parameter: None });
        };
        let value = match (agent, parameter) {
            // A tmpfs or a network export may be mounted by many.
            ("filesystem", "device") if !is_disk(value) => return None,
            ("vip", "address") => network_address(value)?.to_string(),
            (_, "at" | "base" | "datadir") if value.len() > 1 => {
                value.trim_end_matches('/').to_owned()
            }
            _ => value.clone(),
        };
        let words = format!("{agent} {parameter} {value}");
        Some(Thing { words, parameter: Some(parameter) })
    }

    /// Whether two definitions, of two groups, would lay hands on the same thing: they act alike, or take one for themselves
    /// that the other takes, with other options or another prefix length.
    #[must_use]
    pub fn clashes_with(&self, other: &Resource) -> bool {
        self.acts_alike(other) || {
            let theirs = other.things();
            self.things().iter().any(|thing| theirs.iter().any(|other| other.words == thing.words))
        }
    }
}

/// Whether `device` names one disk, in one of the forms that `filesystem` knows.
fn is_disk(device: &str) -> bool {
    ["/dev/", "LABEL=", "UUID=", "-L", "-U"].iter().any(|start| device.starts_with(start))
}

/// The address in `ADDRESS` or `ADDRESS/PREFIX`.
#[must_use]
pub fn network_address(text: &str) -> Option<IpAddr> {
    let (address, prefix) = match text.split_once('/') {
        Some((address, prefix)) => (address, Some(prefix)),
        None => (text, None),
    };
    let address: IpAddr = address.parse().ok()?;
    let longest = if address.is_ipv4() { 32 } else { 128 };
    match prefix {
        Some(prefix) => {
            let digits = !prefix.is_empty() && prefix.bytes().all(|b| b.is_ascii_digit());
            let fits =
                digits && prefix.parse::<u8>().is_ok_and(|bits| (1..=longest).contains(&bits));
            fits.then_some(address)
        }
        None => Some(address),
    }
}
