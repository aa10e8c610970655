//! The only file that knows rtnetlink: links, addresses and routes in, addresses out.

use std::net::IpAddr;

use futures_util::TryStreamExt;
use rtnetlink::packet_route::AddressFamily;
use rtnetlink::packet_route::address::{
    AddressAttribute, AddressFlags, AddressHeaderFlags, AddressMessage,
};
use rtnetlink::packet_route::link::{
    LinkAttribute, LinkExtentMask, LinkFlags, LinkLayerType, LinkMessage, Prop,
};
use rtnetlink::packet_route::route::{RouteAddress, RouteAttribute, RouteMessage};
use rtnetlink::{Error, Handle};

use super::decide;
use crate::contract::{Exit, Failure};

/// One interface.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Link {
    pub(crate) index: u32,
    pub(crate) name: String,
    pub(crate) other_names: Vec<String>,
    pub(crate) up: bool,
    pub(crate) carrier: bool,
    pub(crate) mac: Option<[u8; 6]>,
    /// Has neighbours that ask for addresses: Ethernet, and not told to keep quiet.
    pub(crate) talks: bool,
}

impl Link {
    pub(crate) fn works(&self) -> bool {
        self.up && self.carrier
    }
}

/// One address on one interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Holding {
    pub(crate) index: u32,
    pub(crate) ip: IpAddr,
    pub(crate) prefix: u8,
    /// The kernel's own duplicate detection failed; it does not use the address.
    pub(crate) refused: bool,
}

/// One route without a gateway.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Route {
    pub(crate) index: u32,
    pub(crate) destination: IpAddr,
    pub(crate) prefix: u8,
}

/// What the kernel said at one moment.
#[derive(Debug, Default)]
pub(crate) struct Snapshot {
    pub(crate) links: Vec<Link>,
    pub(crate) holdings: Vec<Holding>,
    pub(crate) routes: Vec<Route>,
}

impl Snapshot {
    pub(crate) fn link(&self, index: u32) -> Option<&Link> {
        self.links.iter().find(|link| link.index == index)
    }

    /// The interface of this name or alternative name.
    pub(crate) fn link_called(&self, name: &str) -> Option<&Link> {
        self.links
            .iter()
            .find(|link| link.name == name || link.other_names.iter().any(|other| other == name))
    }

    pub(crate) fn name(&self, index: u32) -> &str {
        self.link(index).map_or("an interface that has gone", |link| &link.name)
    }
}

/// A conversation with the kernel.
pub(crate) struct Netlink {
    handle: Handle,
}

impl Netlink {
    /// Opens the conversation, runs `work` and closes it.
    pub(crate) fn with<T>(
        work: impl AsyncFnOnce(Netlink) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .build()
            .map_err(|error| Failure::system("cannot set up the event loop", &error))?;
        runtime.block_on(async {
            let (connection, handle, _) = rtnetlink::new_connection()
                .map_err(|error| Failure::system("cannot open a netlink socket", &error))?;
            let conversation = tokio::spawn(connection);
            let result = work(Netlink { handle }).await;
            conversation.abort();
            result
        })
    }

    /// Everything that matters for an address of this family.
    pub(crate) async fn snapshot(&self, ip: IpAddr) -> Result<Snapshot, Failure> {
        let family = if ip.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
        let failed = |what: &str, error: Error| failure(&format!("cannot list {what}"), &error);

        let mut request = self.handle.link().get();
        // Nobody here reads the counters, and they are most of the answer.
        let no_counters = LinkAttribute::ExtMask(vec![LinkExtentMask::SkipStats]);
        request.message_mut().attributes.push(no_counters);
        let links: Vec<LinkMessage> =
            request.execute().try_collect().await.map_err(|e| failed("interfaces", e))?;

        let mut request = self.handle.address().get();
        request.message_mut().header.family = family;
        let addresses: Vec<AddressMessage> =
            request.execute().try_collect().await.map_err(|e| failed("addresses", e))?;
        let holdings: Vec<Holding> = addresses.iter().filter_map(read_address).collect();

        // There may be a million of them.
        let routes = if decide::networks_of_addresses(ip, &holdings).is_empty() {
            self.routes(family).await?
        } else {
            Vec::new()
        };
        Ok(Snapshot { links: links.iter().map(read_link).collect(), holdings, routes })
    }

    async fn routes(&self, family: AddressFamily) -> Result<Vec<Route>, Failure> {
        let mut request = RouteMessage::default();
        request.header.address_family = family;
        let routes: Vec<RouteMessage> = self
            .handle
            .route()
            .get(request)
            .execute()
            .try_collect()
            .await
            .map_err(|error| failure("cannot list routes", &error))?;
        Ok(routes.iter().filter_map(read_route).collect())
    }

    /// Adds the address; fine if it is there already. The kernel's own slow duplicate detection
    /// for IPv6 is skipped: the agent has asked before.
    pub(crate) async fn add(&self, index: u32, ip: IpAddr, prefix: u8) -> Result<(), Failure> {
        let mut request = self.handle.address().add(index, ip, prefix).replace();
        if ip.is_ipv6() {
            let message = request.message_mut();
            message.header.flags |= AddressHeaderFlags::Nodad;
            message.attributes.push(AddressAttribute::Flags(AddressFlags::Nodad));
        }
        request
            .execute()
            .await
            .map_err(|error| failure(&format!("cannot add {ip}/{prefix}"), &error))
    }

    /// Removes exactly this address; fine if it has gone already.
    pub(crate) async fn remove(&self, held: &Holding) -> Result<(), Failure> {
        let mut message = AddressMessage::default();
        message.header.family =
            if held.ip.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
        message.header.index = held.index;
        message.header.prefix_len = held.prefix;
        message.attributes.push(AddressAttribute::Local(held.ip));
        message.attributes.push(AddressAttribute::Address(held.ip));
        match self.handle.address().del(message).execute().await {
            Err(error) if !is_absent(&error) => {
                Err(failure(&format!("cannot remove {}/{}", held.ip, held.prefix), &error))
            }
            _ => Ok(()),
        }
    }
}

fn read_link(message: &LinkMessage) -> Link {
    let flags = message.header.flags;
    let mut link = Link {
        index: message.header.index,
        name: String::new(),
        other_names: Vec::new(),
        up: flags.contains(LinkFlags::Up),
        carrier: flags.contains(LinkFlags::LowerUp),
        mac: None,
        talks: message.header.link_layer_type == LinkLayerType::Ether
            && !flags.contains(LinkFlags::Noarp),
    };
    for attribute in &message.attributes {
        match attribute {
            LinkAttribute::IfName(name) => link.name.clone_from(name),
            LinkAttribute::Address(bytes) => link.mac = bytes.as_slice().try_into().ok(),
            LinkAttribute::PropList(names) => {
                for name in names {
                    if let Prop::AltIfName(name) = name {
                        link.other_names.push(name.clone());
                    }
                }
            }
            _ => {}
        }
    }
    link
}

fn read_address(message: &AddressMessage) -> Option<Holding> {
    let mut local = None;
    let mut address = None;
    let mut refused = message.header.flags.contains(AddressHeaderFlags::Dadfailed);
    for attribute in &message.attributes {
        match attribute {
            AddressAttribute::Local(ip) => local = Some(*ip),
            AddressAttribute::Address(ip) => address = Some(*ip),
            AddressAttribute::Flags(flags) => refused |= flags.contains(AddressFlags::Dadfailed),
            _ => {}
        }
    }
    // On point-to-point links `Address` is the other end.
    let ip = local.or(address)?;
    Some(Holding { index: message.header.index, ip, prefix: message.header.prefix_len, refused })
}

fn read_route(message: &RouteMessage) -> Option<Route> {
    let mut index = None;
    let mut destination = None;
    let mut table = u32::from(message.header.table);
    for attribute in &message.attributes {
        match attribute {
            RouteAttribute::Gateway(_) | RouteAttribute::Via(_) => return None,
            RouteAttribute::Oif(number) => index = Some(*number),
            RouteAttribute::Table(number) => table = *number,
            RouteAttribute::Destination(RouteAddress::Inet(ip)) => {
                destination = Some(IpAddr::V4(*ip));
            }
            RouteAttribute::Destination(RouteAddress::Inet6(ip)) => {
                destination = Some(IpAddr::V6(*ip));
            }
            _ => {}
        }
    }
    let destination = destination?;
    let link_local = matches!(destination, IpAddr::V6(ip) if ip.is_unicast_link_local());
    (table == MAIN_TABLE && !link_local && !destination.is_multicast()).then_some(())?;
    Some(Route { index: index?, destination, prefix: message.header.destination_prefix_length })
}

/// The kernel has no such address, or no such interface any more.
fn is_absent(error: &Error) -> bool {
    code(error).is_some_and(|code| code == -99 || code == -19)
}

fn code(error: &Error) -> Option<i32> {
    match error {
        Error::NetlinkError(message) => Some(message.raw_code()),
        _ => None,
    }
}

fn failure(what: &str, error: &Error) -> Failure {
    match code(error).map(|code| std::io::Error::from_raw_os_error(-code)) {
        Some(error) if error.kind() == std::io::ErrorKind::PermissionDenied => Failure::new(
            Exit::Permission,
            format!("{what}: {error}; the agent needs CAP_NET_ADMIN"),
        ),
        Some(error) => Failure::system(what, &error),
        None => Failure::generic(format!("{what}: {error}")),
    }
}

const MAIN_TABLE: u32 = 254;
