//! Watches: the kernel's own notifications about what a resource stands on. An agent asks for them
//! by `watch` lines on descriptor 3; each event makes the core look with `status` at once.
//!
//! A watch is a hint, never a verdict, so a lost one costs time only: `status` is also polled.

mod addresses;
mod drbd;
mod mounts;
mod process;
mod units;

use crate::happening::{Happening, Tell};
use addresses::Network;
use crm_core::id::{GroupId, ResourceId};
use drbd::Drbd;
use mounts::Mounts;
use std::collections::BTreeMap;
use std::net::IpAddr;
use tokio::task::AbortHandle;
use units::Units;

/// One thing to watch.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Watch {
    /// `process PID`: it ends.
    Process(i32),
    /// `address A`: it is taken from its interface.
    Address(IpAddr),
    /// `carrier IFACE`: the link goes up or down, or the interface goes away.
    Carrier(String),
    /// `mount PATH`: what is mounted there changes.
    Mount(String),
    /// `drbd RESOURCE`: DRBD says that its state changed.
    Drbd(String),
    /// `unit UNIT`: systemd says that its state changed.
    Unit(String),
}

impl Watch {
    /// What stands after the word `watch`; `None` if it is not understood.
    pub(crate) fn parse(text: &str) -> Option<Watch> {
        let (kind, what) = text.split_once(' ')?;
        let what = what.trim();
        match kind {
            "process" => what.parse().ok().filter(|pid| *pid > 1).map(Watch::Process),
            "address" => {
                let plain = what.split_once('/').map_or(what, |(address, _)| address);
                plain.parse().ok().map(Watch::Address)
            }
            "carrier" if !what.is_empty() && what.len() <= 15 => {
                Some(Watch::Carrier(what.to_owned()))
            }
            "mount" if what.starts_with('/') => Some(Watch::Mount(what.to_owned())),
            "drbd" if !what.is_empty() => Some(Watch::Drbd(what.to_owned())),
            "unit" if !what.is_empty() => Some(Watch::Unit(what.to_owned())),
            _ => None,
        }
    }
}

/// Whose watch it is.
pub(crate) type Owner = (GroupId, ResourceId);

/// What is watched now, by resource.
#[derive(Debug)]
pub(crate) struct Watches {
    tell: Tell,
    by_owner: BTreeMap<Owner, Vec<Watch>>,
    processes: BTreeMap<(Owner, i32), AbortHandle>,
    network: Network,
    mounts: Mounts,
    drbd: Drbd,
    units: Units,
}

impl Watches {
    pub(crate) fn new(tell: Tell) -> Watches {
        Watches {
            network: Network::new(tell.clone()),
            mounts: Mounts::new(tell.clone()),
            drbd: Drbd::new(tell.clone()),
            units: Units::new(tell.clone()),
            tell,
            by_owner: BTreeMap::new(),
            processes: BTreeMap::new(),
        }
    }

    /// From now on these and no others for this resource.
    pub(crate) fn replace(&mut self, group: &GroupId, resource: &ResourceId, mut new: Vec<Watch>) {
        let owner = (group.clone(), resource.clone());
        new.sort();
        let old = self.by_owner.remove(&owner).unwrap_or_default();
        for watch in old.iter().filter(|watch| !new.contains(watch)) {
            self.remove(&owner, watch);
        }
        for watch in new.iter().filter(|watch| !old.contains(watch)) {
            self.add(&owner, watch);
        }
        if !new.is_empty() {
            self.by_owner.insert(owner, new);
        }
    }

    /// The resource was stopped.
    pub(crate) fn forget(&mut self, group: &GroupId, resource: &ResourceId) {
        self.replace(group, resource, Vec::new());
    }

    fn add(&mut self, owner: &Owner, watch: &Watch) {
        match watch {
            Watch::Process(pid) => {
                let task = process::watch(self.tell.clone(), owner.clone(), *pid);
                self.processes.insert((owner.clone(), *pid), task);
            }
            Watch::Address(address) => self.network.add_address(owner, *address),
            Watch::Carrier(interface) => self.network.add_carrier(owner, interface),
            Watch::Mount(path) => self.mounts.add(owner, path),
            Watch::Drbd(resource) => self.drbd.add(owner, resource),
            Watch::Unit(unit) => self.units.add(owner, unit),
        }
    }

    fn remove(&mut self, owner: &Owner, watch: &Watch) {
        match watch {
            Watch::Process(pid) => {
                if let Some(task) = self.processes.remove(&(owner.clone(), *pid)) {
                    task.abort();
                }
            }
            Watch::Address(address) => self.network.remove_address(owner, *address),
            Watch::Carrier(interface) => self.network.remove_carrier(owner, interface),
            Watch::Mount(path) => self.mounts.remove(owner, path),
            Watch::Drbd(resource) => self.drbd.remove(owner, resource),
            Watch::Unit(unit) => self.units.remove(owner, unit),
        }
    }
}

/// Tells the core to look.
fn changed(tell: &Tell, owner: &Owner, what: String) {
    tell.tell(Happening::Changed { group: owner.0.clone(), resource: owner.1.clone(), what });
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn only_what_is_understood_is_watched() {
        assert_eq!(Watch::parse("process 12"), Some(Watch::Process(12)));
        assert_eq!(Watch::parse("address 10.0.0.1/24"), Watch::parse("address 10.0.0.1"));
        assert!(Watch::parse("address fe80::1").is_some());
        for bad in [
            "",
            "process",
            "process 1",
            "process -4",
            "address x",
            "mount x",
            "unit",
            "carrier ",
            "drbd ",
        ] {
            assert_eq!(Watch::parse(bad), None, "{bad:?}");
        }
    }

    fn owner() -> (GroupId, ResourceId) {
        (GroupId::new("g"), ResourceId::new("r"))
    }

    #[tokio::test(flavor = "current_thread")]
    async fn the_end_of_a_watched_process_is_seen_at_once() {
        let local = tokio::task::LocalSet::new();
        local
            .run_until(async {
                let (tell, mut inbox) = Tell::channel();
                let mut watches = Watches::new(tell);
                let mut child =
                    std::process::Command::new("sleep").arg("60").spawn().expect("spawn");
                let pid = child.id().cast_signed();
                let (group, resource) = owner();
                watches.replace(&group, &resource, vec![Watch::Process(pid)]);
                tokio::task::yield_now().await;
                assert!(inbox.try_recv().is_err(), "nothing happened yet");
                child.kill().expect("kill");
                let seen = tokio::time::timeout(Duration::from_secs(5), inbox.recv()).await;
                child.wait().expect("reap");
                let Ok(Some(Happening::Changed { what, .. })) = seen else {
                    panic!("no event: {seen:?}")
                };
                assert!(what.contains(&pid.to_string()), "{what}");
            })
            .await;
    }

    #[tokio::test(flavor = "current_thread")]
    async fn a_forgotten_watch_says_nothing() {
        let local = tokio::task::LocalSet::new();
        local
            .run_until(async {
                let (tell, mut inbox) = Tell::channel();
                let mut watches = Watches::new(tell);
                let mut first =
                    std::process::Command::new("sleep").arg("60").spawn().expect("spawn");
                let mut second =
                    std::process::Command::new("sleep").arg("60").spawn().expect("spawn");
                let (group, resource) = owner();
                let pids = [first.id().cast_signed(), second.id().cast_signed()];
                watches.replace(&group, &resource, pids.map(Watch::Process).to_vec());
                tokio::task::yield_now().await;
                watches.replace(&group, &resource, vec![Watch::Process(pids[1])]);
                first.kill().expect("kill");
                first.wait().expect("reap");
                second.kill().expect("kill");
                second.wait().expect("reap");
                let seen = tokio::time::timeout(Duration::from_secs(5), inbox.recv()).await;
                let Ok(Some(Happening::Changed { what, .. })) = seen else {
                    panic!("no event: {seen:?}")
                };
                assert!(what.contains(&pids[1].to_string()), "{what}");
                assert!(inbox.try_recv().is_err(), "the first one was forgotten");
            })
            .await;
    }
}
