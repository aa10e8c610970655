//! `watch address A` and `watch carrier IFACE`, by netlink's multicast groups.
//!
//! One socket, open as long as there is such a watch. When the kernel had to drop messages
//! (ENOBUFS) everything that is watched is looked at.

use super::{Owner, changed};
use crate::happening::Tell;
use futures_util::StreamExt;
use rtnetlink::packet_core::NetlinkPayload;
use rtnetlink::packet_route::RouteNetlinkMessage;
use rtnetlink::packet_route::address::{AddressAttribute, AddressMessage};
use rtnetlink::packet_route::link::{LinkAttribute, LinkFlags, LinkMessage};
use rtnetlink::{MulticastGroup, new_multicast_connection};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::rc::Rc;
use std::time::Duration;
use tokio::task::AbortHandle;

/// Between two tries to open the socket.
const RETRY: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct Network {
    tell: Tell,
    watched: Rc<RefCell<Watched>>,
    /// As long as anything is watched: an idle daemon holds no socket open.
    listening: Option<AbortHandle>,
}

#[derive(Debug, Default)]
struct Watched {
    addresses: BTreeMap<IpAddr, BTreeSet<Owner>>,
    carriers: BTreeMap<String, BTreeSet<Owner>>,
    /// Last carrier heard of, by interface; only of those that are watched.
    up: BTreeMap<String, bool>,
}

impl Network {
    pub(super) fn new(tell: Tell) -> Network {
        Network { tell, watched: Rc::default(), listening: None }
    }

    pub(super) fn add_address(&mut self, owner: &Owner, address: IpAddr) {
        self.watched.borrow_mut().addresses.entry(address).or_default().insert(owner.clone());
        self.listen();
    }

    pub(super) fn remove_address(&mut self, owner: &Owner, address: IpAddr) {
        remove(&mut self.watched.borrow_mut().addresses, owner, &address);
        self.rest();
    }

    pub(super) fn add_carrier(&mut self, owner: &Owner, interface: &str) {
        let mut watched = self.watched.borrow_mut();
        watched.carriers.entry(interface.to_owned()).or_default().insert(owner.clone());
        drop(watched);
        self.listen();
    }

    pub(super) fn remove_carrier(&mut self, owner: &Owner, interface: &str) {
        let mut watched = self.watched.borrow_mut();
        remove(&mut watched.carriers, owner, interface);
        if !watched.carriers.contains_key(interface) {
            watched.up.remove(interface);
        }
        drop(watched);
        self.rest();
    }

    fn listen(&mut self) {
        self.listening.get_or_insert_with(|| {
            let (tell, watched) = (self.tell.clone(), self.watched.clone());
            let task = tokio::task::spawn_local(async move {
                loop {
                    hear(&tell, &watched).await;
                    tokio::time::sleep(RETRY).await;
                    // Whatever happened meanwhile was not heard.
                    watched
                        .borrow()
                        .look_at_all(&tell, "the kernel's network events were interrupted");
                }
            });
            task.abort_handle()
        });
    }

    fn rest(&mut self) {
        let watched = self.watched.borrow();
        if watched.addresses.is_empty()
            && watched.carriers.is_empty()
            && let Some(task) = self.listening.take()
        {
            task.abort();
        }
    }
}

fn remove<K, Q>(map: &mut BTreeMap<K, BTreeSet<Owner>>, owner: &Owner, key: &Q)
where
    K: Ord + std::borrow::Borrow<Q>,
    Q: Ord + ?Sized,
{
    if let Some(owners) = map.get_mut(key) {
        owners.remove(owner);
        if owners.is_empty() {
            map.remove(key);
        }
    }
}

/// Until the socket breaks.
async fn hear(tell: &Tell, watched: &RefCell<Watched>) {
    let groups = [MulticastGroup::Link, MulticastGroup::Ipv4Ifaddr, MulticastGroup::Ipv6Ifaddr];
    let Ok((connection, _handle, mut messages)) = new_multicast_connection(&groups) else { return };
    let listen = async {
        while let Some((message, _)) = messages.next().await {
            match message.payload {
                NetlinkPayload::Overrun(_) => {
                    watched.borrow().look_at_all(tell, "the kernel dropped network events");
                }
                NetlinkPayload::InnerMessage(message) => watched.borrow_mut().hear(tell, &message),
                _ => {}
            }
        }
    };
    // In one task: who ends it closes the socket.
    tokio::select! {
        () = connection => {}
        () = listen => {}
    }
}

impl Watched {
    fn hear(&mut self, tell: &Tell, message: &RouteNetlinkMessage) {
        match message {
            RouteNetlinkMessage::DelAddress(message) => {
                for address in addresses(message) {
                    self.address(tell, address, "was removed");
                }
            }
            RouteNetlinkMessage::NewLink(link) => self.link(tell, link, is_up(link)),
            RouteNetlinkMessage::DelLink(link) => self.link(tell, link, false),
            _ => {}
        }
    }

    fn address(&self, tell: &Tell, address: IpAddr, what: &str) {
        for owner in self.addresses.get(&address).into_iter().flatten() {
            changed(tell, owner, format!("address {address} {what}"));
        }
    }

    fn link(&mut self, tell: &Tell, link: &LinkMessage, up: bool) {
        let name = link.attributes.iter().find_map(|attribute| match attribute {
            LinkAttribute::IfName(name) => Some(name),
            _ => None,
        });
        let Some((name, owners)) = name.and_then(|name| self.carriers.get_key_value(name)) else {
            return;
        };
        // The kernel repeats itself: only a change counts. Before the first word it was up, for
        // the agent that asked had just found it well.
        if self.up.insert(name.clone(), up).unwrap_or(true) != up {
            let what = format!("carrier of {name} is {}", if up { "up" } else { "down" });
            owners.iter().for_each(|owner| changed(tell, owner, what.clone()));
        }
    }

    fn look_at_all(&self, tell: &Tell, why: &str) {
        let owners: BTreeSet<&Owner> =
            self.addresses.values().chain(self.carriers.values()).flatten().collect();
        owners.into_iter().for_each(|owner| changed(tell, owner, why.to_owned()));
    }
}

fn is_up(link: &LinkMessage) -> bool {
    link.header.flags.contains(LinkFlags::LowerUp)
}

fn addresses(message: &AddressMessage) -> impl Iterator<Item = IpAddr> {
    let all: BTreeSet<IpAddr> = message
        .attributes
        .iter()
        .filter_map(|attribute| match attribute {
            AddressAttribute::Address(address) | AddressAttribute::Local(address) => Some(*address),
            _ => None,
        })
        .collect();
    all.into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::happening::Happening;
    use crate::testing::until;
    use crm_core::id::{GroupId, ResourceId};
    use std::process::Command;

    /// In the network namespace of the calling thread.
    fn ip(arguments: &str) {
        let status = Command::new("ip").args(arguments.split(' ')).status();
        assert!(status.is_ok_and(|status| status.success()), "ip {arguments}");
    }

    #[test]
    fn an_address_taken_away_and_a_lost_carrier_are_seen_from_the_kernel() {
        // A namespace of this thread alone; it is gone with the thread.
        if nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET).is_err() {
            eprintln!("not checked: no network namespace for this user");
            return;
        }
        ip("link add w0 type veth peer name w1");
        ip("address add 192.0.2.1/24 dev w0");
        ip("address add 192.0.2.2/24 dev w0");
        ip("link set w0 up");
        ip("link set w1 up");
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
        tokio::task::LocalSet::new().block_on(&runtime, async {
            let (tell, mut inbox) = Tell::channel();
            let mut network = Network::new(tell);
            let owner = |name: &str| (GroupId::new("g"), ResourceId::new(name));
            let address: IpAddr = [192, 0, 2, 1].into();
            network.add_address(&owner("address"), address);
            network.add_carrier(&owner("carrier"), "w0");
            network.add_address(&owner("gone"), address);
            network.remove_address(&owner("gone"), address);
            // The socket is opened by the first turn of the task.
            tokio::time::sleep(Duration::from_millis(50)).await;
            assert!(inbox.try_recv().is_err(), "nothing happened yet");
            let mut next = async || {
                let seen = tokio::time::timeout(Duration::from_secs(5), inbox.recv()).await;
                let Ok(Some(Happening::Changed { resource, what, .. })) = seen else {
                    panic!("no event: {seen:?}")
                };
                (resource.to_string(), what)
            };
            ip("address del 192.0.2.2/24 dev w0");
            ip("address del 192.0.2.1/24 dev w0");
            let (resource, what) = next().await;
            assert_eq!(resource, "address", "{what}");
            assert!(what.contains("192.0.2.1"), "{what}");
            ip("link set w1 down");
            let (resource, what) = next().await;
            assert_eq!(resource, "carrier", "{what}");
            assert!(what.contains("down"), "{what}");
        });
    }

    #[test]
    fn i10_nothing_stays_open_for_what_is_watched_no_more() {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
        let tasks = |watched: &Rc<_>| Rc::strong_count(watched) - 1;
        tokio::task::LocalSet::new().block_on(&runtime, async {
            let (tell, _inbox) = Tell::channel();
            let owner = (GroupId::new("g"), ResourceId::new("r"));
            let mut watches = Network::new(tell);
            let address: IpAddr = [192, 0, 2, 1].into();
            for _ in 0..3 {
                watches.add_address(&owner, address);
                watches.add_carrier(&owner, "w9");
                until("one task listens", || tasks(&watches.watched) == 1).await;
                watches.remove_address(&owner, address);
                until("another one is left", || tasks(&watches.watched) == 1).await;
                watches.remove_carrier(&owner, "w9");
                until("its task is gone", || tasks(&watches.watched) == 0).await;
            }
        });
    }
}
