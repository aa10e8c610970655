//! Where the address belongs and whether it is there: pure functions of what the kernel said.

use std::net::IpAddr;

use super::netlink::{Holding, Link, Snapshot};
use crate::contract::Failure;

/// What the configuration asks for.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    pub(crate) ip: IpAddr,
    pub(crate) prefix: Option<u8>,
    pub(crate) interface: Option<String>,
}

/// Where the address goes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Place<'a> {
    pub(crate) link: &'a Link,
    pub(crate) prefix: u8,
}

/// Where the address is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Presence<'a> {
    Elsewhere(&'a str),
    Here(&'a Holding),
    Nowhere,
}

/// The interface and the prefix length: given, or found by the longest network that holds the
/// address, among the interfaces' own addresses first, then among their routes.
pub(crate) fn place<'a>(wanted: &Wanted, now: &'a Snapshot) -> Result<Place<'a>, Failure> {
    let networks = networks(wanted.ip, now);
    let link = match &wanted.interface {
        Some(name) => now.link_called(name).ok_or_else(|| {
            let names: Vec<&str> = now.links.iter().map(|link| link.name.as_str()).collect();
            Failure::configured(format!(
                "there is no interface `{name}`; there are {}",
                names.join(", ")
            ))
        })?,
        None => find_link(wanted.ip, &networks, now)?,
    };
    let longest = if wanted.ip.is_ipv4() { 32 } else { 128 };
    let found = networks.iter().find(|(index, _)| *index == link.index).map(|(_, length)| *length);
    Ok(Place { link, prefix: wanted.prefix.or(found).unwrap_or(longest) })
}

fn find_link<'a>(
    ip: IpAddr,
    networks: &[(u32, u8)],
    now: &'a Snapshot,
) -> Result<&'a Link, Failure> {
    let Some((_, longest)) = networks.first() else {
        // Held already by an interface that has no other address in its network: keep it there.
        let held = now.holdings.iter().find(|held| held.ip == ip);
        return held.and_then(|held| now.link(held.index)).ok_or_else(|| {
            Failure::configured(format!(
                "no interface has a network that holds {ip}; bring the network up, or name the \
                 interface with `interface`"
            ))
        });
    };
    let mut links: Vec<&Link> = networks
        .iter()
        .filter(|(_, length)| length == longest)
        .filter_map(|(index, _)| now.link(*index))
        .collect();
    if links.iter().any(|link| link.works()) {
        links.retain(|link| link.works());
    }
    match links.as_slice() {
        [] => Err(Failure::configured(format!("the interface for {ip} has just vanished"))),
        [link] => Ok(link),
        [one, other, ..] => Err(Failure::configured(format!(
            "{ip} fits the networks of both {} and {}; name one of them with `interface`",
            one.name, other.name
        ))),
    }
}

/// The interfaces' own addresses in whose network `ip` is. Where there is one, routes do not matter.
pub(crate) fn networks_of_addresses(ip: IpAddr, holdings: &[Holding]) -> Vec<(u32, u8)> {
    holdings
        .iter()
        .filter(|held| held.ip != ip && !is_link_local(held.ip) && holds(held.ip, held.prefix, ip))
        .map(|held| (held.index, held.prefix))
        .collect()
}

/// Interfaces (index, prefix length) whose network holds `ip`, longest first, each once.
fn networks(ip: IpAddr, now: &Snapshot) -> Vec<(u32, u8)> {
    let mut found = networks_of_addresses(ip, &now.holdings);
    if found.is_empty() {
        found = now
            .routes
            .iter()
            .filter(|route| route.prefix > 0 && holds(route.destination, route.prefix, ip))
            // The route to the address itself is there because the address is.
            .filter(|route| route.destination != ip)
            .map(|route| (route.index, route.prefix))
            .collect();
    }
    found.sort_by_key(|(index, length)| (std::cmp::Reverse(*length), *index));
    let mut seen = Vec::new();
    found.retain(|(index, _)| {
        let fresh = !seen.contains(index);
        seen.push(*index);
        fresh
    });
    found
}

fn is_link_local(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_unicast_link_local(),
    }
}

/// Is `ip` in the network `base/prefix`? Always false between the two families.
pub(crate) fn holds(base: IpAddr, prefix: u8, ip: IpAddr) -> bool {
    let (base, ip, bits) = match (base, ip) {
        (IpAddr::V4(base), IpAddr::V4(ip)) => {
            (u128::from(base.to_bits()), u128::from(ip.to_bits()), 32)
        }
        (IpAddr::V6(base), IpAddr::V6(ip)) => (base.to_bits(), ip.to_bits(), 128),
        _ => return false,
    };
    let free = u32::saturating_sub(bits, u32::from(prefix));
    base.checked_shr(free).unwrap_or(0) == ip.checked_shr(free).unwrap_or(0)
}

/// Is the address on this interface, on another one, or on none?
pub(crate) fn presence<'a>(ip: IpAddr, index: u32, now: &'a Snapshot) -> Presence<'a> {
    let mut held = now.holdings.iter().filter(|held| held.ip == ip).peekable();
    match held.peek() {
        None => Presence::Nowhere,
        Some(first) => {
            let elsewhere = now.name(first.index);
            held.find(|held| held.index == index)
                .map_or(Presence::Elsewhere(elsewhere), Presence::Here)
        }
    }
}

pub(crate) fn elsewhere(ip: IpAddr, link: &Link, other: &str) -> Failure {
    Failure::generic(format!(
        "{ip} belongs on {} and is on {other} of this node; remove it there (ip address del), or \
         set `interface: {other}`",
        link.name
    ))
}

/// An address on a dead link serves nobody.
pub(crate) fn link_works(link: &Link) -> Result<(), Failure> {
    if !link.up {
        return Err(Failure::generic(format!("interface {} is down", link.name)));
    }
    if !link.carrier {
        return Err(Failure::generic(format!("interface {} has lost its carrier", link.name)));
    }
    Ok(())
}

/// The link that holds the address, if all is well.
pub(crate) fn running<'a>(wanted: &Wanted, now: &'a Snapshot) -> Result<&'a Link, Failure> {
    let ip = wanted.ip;
    let held: Vec<&Holding> = now.holdings.iter().filter(|held| held.ip == ip).collect();
    let Some(first) = held.first() else {
        return Err(Failure::not_running(format!("{ip} is on no interface")));
    };
    let link = match &wanted.interface {
        None => now.link(first.index),
        Some(name) => {
            let link = now.link_called(name);
            let here = link.filter(|link| held.iter().any(|held| held.index == link.index));
            if here.is_none() {
                return Err(Failure::not_running(format!(
                    "{ip} is not on {name} but on {}, which is not this resource's interface",
                    now.name(first.index)
                )));
            }
            here
        }
    };
    let link = link.ok_or_else(|| {
        Failure::not_running(format!("the interface that held {ip} has just vanished"))
    })?;
    if held.iter().any(|held| held.index == link.index && held.refused) {
        return Err(Failure::generic(format!(
            "the kernel does not use {ip}: it found another holder on {}",
            link.name
        )));
    }
    link_works(link)?;
    Ok(link)
}

#[cfg(test)]
mod tests {
    use super::super::netlink::Route;
    use super::*;

    fn link(index: u32, name: &str) -> Link {
        Link {
            index,
            name: name.to_owned(),
            other_names: Vec::new(),
            up: true,
            carrier: true,
            mac: Some([2, 0, 0, 0, 0, index as u8]),
            talks: true,
        }
    }

    fn held(index: u32, ip: &str, prefix: u8) -> Holding {
        Holding { index, ip: ip.parse().expect("address"), prefix, refused: false }
    }

    fn wanted(ip: &str) -> Wanted {
        Wanted { ip: ip.parse().expect("address"), prefix: None, interface: None }
    }

    fn snapshot() -> Snapshot {
        Snapshot {
            links: vec![link(1, "lo"), link(2, "eth0"), link(3, "eth1")],
            holdings: vec![
                held(1, "127.0.0.1", 8),
                held(2, "10.0.0.5", 8),
                held(3, "10.1.0.5", 16),
                held(2, "fe80::5", 64),
                held(3, "2001:db8::5", 64),
            ],
            routes: vec![Route {
                index: 2,
                destination: "198.51.100.0".parse().expect("address"),
                prefix: 24,
            }],
        }
    }

    #[test]
    fn the_longest_connected_network_wins() {
        let now = snapshot();
        let found = place(&wanted("10.1.2.3"), &now).expect("place");
        assert_eq!((found.link.name.as_str(), found.prefix), ("eth1", 16));
        let found = place(&wanted("10.2.2.3"), &now).expect("place");
        assert_eq!((found.link.name.as_str(), found.prefix), ("eth0", 8));
        let found = place(&wanted("2001:db8::9"), &now).expect("place");
        assert_eq!((found.link.name.as_str(), found.prefix), ("eth1", 64));
    }

    #[test]
    fn a_route_on_the_link_serves_when_no_address_does() {
        let now = snapshot();
        let found = place(&wanted("198.51.100.7"), &now).expect("place");
        assert_eq!((found.link.name.as_str(), found.prefix), ("eth0", 24));
    }

    #[test]
    fn no_network_and_two_networks_are_configuration_errors() {
        let mut now = snapshot();
        let failure = place(&wanted("192.0.2.1"), &now).expect_err("no network");
        assert!(failure.reason.contains("name the interface"), "{failure}");
        now.holdings.push(held(2, "10.1.0.6", 16));
        let failure = place(&wanted("10.1.2.3"), &now).expect_err("two networks");
        assert!(failure.reason.contains("both eth0 and eth1"), "{failure}");
        now.links[1].carrier = false;
        assert_eq!(place(&wanted("10.1.2.3"), &now).expect("one works").link.name, "eth1");
    }

    #[test]
    fn the_address_itself_is_no_network() {
        let mut now = snapshot();
        now.holdings.push(held(2, "10.1.2.3", 32));
        let found = place(&wanted("10.1.2.3"), &now).expect("place");
        assert_eq!(found.link.name, "eth1");
        assert_eq!(presence(wanted("10.1.2.3").ip, 3, &now), Presence::Elsewhere("eth0"));
    }

    #[test]
    fn a_named_interface_must_exist_and_an_own_prefix_wins() {
        let now = snapshot();
        let mut wish = wanted("192.0.2.1");
        wish.interface = Some("eth9".to_owned());
        assert!(place(&wish, &now).expect_err("none").reason.contains("lo, eth0, eth1"));
        wish.interface = Some("eth0".to_owned());
        assert_eq!(place(&wish, &now).expect("place").prefix, 32);
        wish.prefix = Some(24);
        assert_eq!(place(&wish, &now).expect("place").prefix, 24);
    }

    #[test]
    fn a_lost_carrier_is_not_running_well() {
        let mut now = snapshot();
        now.holdings.push(held(2, "10.0.0.9", 8));
        assert_eq!(running(&wanted("10.0.0.9"), &now).expect("runs").name, "eth0");
        now.links[1].carrier = false;
        let failure = running(&wanted("10.0.0.9"), &now).expect_err("no carrier");
        assert_eq!(failure.exit, crate::contract::Exit::Generic);
        assert!(failure.reason.contains("eth0 has lost its carrier"), "{failure}");
        let failure = running(&wanted("10.0.0.10"), &now).expect_err("absent");
        assert_eq!(failure.exit, crate::contract::Exit::NotRunning);
    }

    #[test]
    fn networks_hold_what_they_hold() {
        let holds = |base: &str, prefix, ip: &str| {
            holds(base.parse().expect("base"), prefix, ip.parse().expect("ip"))
        };
        assert!(holds("10.0.0.1", 0, "192.0.2.1"));
        assert!(holds("10.0.0.1", 32, "10.0.0.1"));
        assert!(!holds("10.0.0.1", 32, "10.0.0.2"));
        assert!(!holds("10.0.0.1", 0, "::1"));
        assert!(holds("::", 0, "2001:db8::1"));
        assert!(holds("2001:db8::1", 127, "2001:db8::"));
    }
}
