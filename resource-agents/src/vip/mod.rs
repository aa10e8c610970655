//! `vip`: an address that moves with its group.
//!
//! Start looks whether somebody else answers for the address, adds it and tells the neighbours.
//! Stop takes it away. Status says whether the address is there and its link alive.

mod announce;
mod arp;
mod decide;
mod ndp;
mod netlink;
mod packet;

use std::net::IpAddr;
use std::time::Duration;

use crate::contract::{Action, Call, Failure, Outcome, Parameters, Watch};
use crate::metadata::{ActionSpec, Kind, MetaData, Parameter};
use announce::Announcement;
use decide::{Presence, Wanted};
use netlink::{Holding, Netlink, Snapshot};
use packet::{Answer, Wire};

pub(crate) fn meta_data() -> MetaData {
    MetaData {
        name: "vip".to_owned(),
        short_description: "An IPv4 or IPv6 address that moves with its group".to_owned(),
        long_description: "Adds the address to the interface whose network it belongs to, after \
            asking whether another machine holds it, and tells the neighbours by gratuitous ARP or \
            unsolicited neighbour advertisements: a burst at once, again after 1 and 5 seconds."
            .to_owned(),
        primary: Some("address".to_owned()),
        parameters: vec![
            Parameter::new("address", Kind::Address, "The address, with or without /PREFIX")
                .required()
                .unique(),
            Parameter::new(
                "interface",
                Kind::String,
                "The interface; without it the one whose network holds the address",
            ),
            Parameter::new(
                "prefix",
                Kind::Integer,
                "The prefix length; without it that of the interface's network",
            ),
            Parameter::new("dad", Kind::Boolean, "Ask for another holder before the start")
                .default("true"),
            Parameter::new(
                "dad_wait",
                Kind::Duration,
                "How long to wait for another holder's answer; the start takes that much longer",
            )
            .default("2ms"),
            Parameter::new("garp_repeat", Kind::Integer, "Announcements in each burst (1 to 100)")
                .default("3"),
        ],
        stateless: true,
        actions: vec![
            ActionSpec::new("start", 20_000),
            ActionSpec::new("stop", 20_000),
            ActionSpec::new("status", 10_000).every(10_000),
            ActionSpec::new("validate", 5_000),
            ActionSpec::new("meta-data", 5_000),
        ],
        ..MetaData::usual()
    }
}

pub(crate) fn run(call: &Call) -> Outcome {
    let wanted = wanted(&call.parameters)?;
    let repeat = match call.parameters.integer("garp_repeat") {
        Some(count) if (1..=100).contains(&count) => count as u32,
        other => {
            return Err(Failure::configured(format!(
                "`garp_repeat` must be 1 to 100, found {}",
                other.unwrap_or_default()
            )));
        }
    };
    match call.action {
        Action::MetaData => Ok(()),
        Action::Validate => validate(&wanted),
        Action::Start => start(call, &wanted, repeat),
        Action::Stop => stop(call, &wanted),
        Action::Status => status(call, &wanted),
    }
}

fn wanted(parameters: &Parameters) -> Result<Wanted, Failure> {
    let (ip, prefix) = parameters.address("address")?;
    let apart = match parameters.integer("prefix") {
        None => None,
        Some(number) => {
            let longest = if ip.is_ipv4() { 32 } else { 128 };
            match u8::try_from(number) {
                Ok(number) if (1..=longest).contains(&number) => Some(number),
                _ => {
                    return Err(Failure::configured(format!(
                        "`prefix` must be 1 to {longest}, found {number}"
                    )));
                }
            }
        }
    };
    if let (Some(one), Some(other)) = (prefix, apart)
        && one != other
    {
        return Err(Failure::configured(format!(
            "`address` says /{one} and `prefix` says {other}; leave one of them out"
        )));
    }
    if ip.is_unspecified() || ip.is_multicast() {
        return Err(Failure::configured(format!("{ip} cannot be given to an interface")));
    }
    Ok(Wanted {
        ip,
        prefix: prefix.or(apart),
        interface: parameters.text("interface").map(str::to_owned),
    })
}

fn validate(wanted: &Wanted) -> Outcome {
    Netlink::with(async |netlink| {
        let now = netlink.snapshot(wanted.ip).await?;
        decide::place(wanted, &now).map(|_| ())
    })
}

fn start(call: &Call, wanted: &Wanted, repeat: u32) -> Outcome {
    let (announcement, wire, link) = Netlink::with(async |netlink| {
        let now = netlink.snapshot(wanted.ip).await?;
        let place = decide::place(wanted, &now)?;
        let link = place.link;
        decide::link_works(link)?;
        let announcement = Announcement::new(wanted.ip, link);
        let wire = announcement.wire()?;
        let held = match decide::presence(wanted.ip, link.index, &now) {
            Presence::Elsewhere(other) => return Err(decide::elsewhere(wanted.ip, link, other)),
            Presence::Here(held) if !held.refused => true,
            // The kernel itself found a duplicate once; try anew.
            Presence::Here(held) => {
                netlink.remove(held).await?;
                false
            }
            Presence::Nowhere => false,
        };
        if !held {
            take(call, &netlink, wanted.ip, place.prefix, &announcement, wire.as_ref(), &now)
                .await?;
        }
        if let Some(wire) = &wire
            && let Err(error) = announcement.burst(wire, repeat)
        {
            call.channel.progress(format!(
                "cannot announce {} on {}: {error}",
                wanted.ip, announcement.name
            ));
        }
        Ok((announcement, wire, link.name.clone()))
    })?;
    if let Some(wire) = wire {
        announcement.repeat_later(call, repeat, wire)?;
    }
    watch(call, wanted.ip, &link);
    Ok(())
}

/// Asks and adds; an answer that comes late undoes it.
async fn take(
    call: &Call,
    netlink: &Netlink,
    ip: IpAddr,
    prefix: u8,
    announcement: &Announcement,
    wire: Option<&Wire>,
    now: &Snapshot,
) -> Outcome {
    let Some(wire) = wire.filter(|_| call.parameters.boolean("dad")) else {
        return netlink.add(announcement.index, ip, prefix).await;
    };
    let own: Vec<[u8; 6]> = now.links.iter().filter_map(|link| link.mac).collect();
    announcement.ask(wire)?;
    let wait = call.parameters.duration("dad_wait");
    if let Some(answer) = announcement.listen(wire, wait, &own)? {
        return Err(taken(ip, announcement, answer));
    }
    netlink.add(announcement.index, ip, prefix).await?;
    // Nobody has been told yet: a late answer still costs nobody anything.
    if let Some(answer) = announcement.listen(wire, Duration::ZERO, &own)? {
        netlink.remove(&Holding { index: announcement.index, ip, prefix, refused: false }).await?;
        return Err(taken(ip, announcement, answer));
    }
    Ok(())
}

fn taken(ip: IpAddr, announcement: &Announcement, answer: Answer) -> Failure {
    Failure::generic(format!(
        "{ip} is in use: {answer} answers for it on {}; free it there, or set another address",
        announcement.name
    ))
}

fn stop(call: &Call, wanted: &Wanted) -> Outcome {
    // First, so that nothing announces an address that is about to go.
    announce::end_repeats(&call.context);
    Netlink::with(async |netlink| {
        let now = netlink.snapshot(wanted.ip).await?;
        let scope = wanted.interface.as_deref().map(|name| now.link_called(name));
        for held in now.holdings.iter().filter(|held| held.ip == wanted.ip) {
            match scope {
                Some(link) if link.map(|link| link.index) != Some(held.index) => {
                    call.channel.progress(format!(
                        "{} is also on {}, which is not this resource's interface: left alone",
                        wanted.ip,
                        now.name(held.index)
                    ));
                }
                _ => netlink.remove(held).await?,
            }
        }
        Ok(())
    })
}

fn status(call: &Call, wanted: &Wanted) -> Outcome {
    let link = Netlink::with(async |netlink| {
        let now = netlink.snapshot(wanted.ip).await?;
        let link = decide::running(wanted, &now)?;
        Ok(link.name.clone())
    })?;
    watch(call, wanted.ip, &link);
    Ok(())
}

fn watch(call: &Call, ip: IpAddr, link: &str) {
    call.channel.watch(Watch::Address(ip));
    call.channel.watch(Watch::Carrier(link.to_owned()));
}
