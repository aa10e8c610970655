//! Status: does this node serve the resource, and could it?

use crm_drbd::eligibility::eligibility;
use crm_drbd::state::{Disk, Role};
use crm_drbd::{Eligibility, Resource};

use super::tools::{Refused, Tools};
use super::{alone, dead_peer, word};
use crate::contract::{Call, Failure, Outcome, Watch};
use crate::state;

/// HB23: it runs if this node is Primary.
pub(super) fn status(call: &Call, tools: &Tools, name: &str) -> Outcome {
    dead_peer::listen_again(call, tools, name);
    let found = tools.resource(name).inspect_err(|failure| {
        call.channel.attribute("eligible", Eligibility::Unknown(failure.reason.clone()));
    })?;
    let found = match found {
        None => bring_up(call, tools, name)?,
        found => found,
    };
    call.channel.watch(Watch::Drbd(name.to_owned()));
    let Some(resource) = found else {
        let reason = format!("{name} is not up on this node; `drbdadm up {name}` brings it up");
        call.channel.attribute("eligible", Eligibility::No(reason.clone()));
        return Err(Failure::not_running(reason));
    };
    alone::listen(call, tools, name, &resource);
    tell(call, &resource);
    match resource.role {
        Role::Primary => serves(&resource),
        Role::Secondary => Err(Failure::not_running(format!("{name} is Secondary here"))),
        Role::Unseen | Role::Unknown(_) => Err(Failure::generic(format!(
            "expected {name} to be Primary or Secondary here, found {}",
            resource.role
        ))),
    }
}

/// AS6: every candidate brings its resources up after a boot, without waiting for the peer, and
/// leaves alone what an administrator takes down later.
fn bring_up(call: &Call, tools: &Tools, name: &str) -> Result<Option<Resource>, Failure> {
    if call.parameters.text("up") != Some("boot") {
        return Ok(None);
    }
    let flag = state::path(&call.context, "up")
        .map_err(|error| Failure::system("cannot make the state directory", &error))?;
    if state::load(&flag).is_ok_and(|flag| flag.is_some()) {
        return Ok(None);
    }
    // Before the attempt: one that hangs is not to be repeated for ever.
    state::store(&flag, name)
        .map_err(|error| Failure::system("cannot note that the resource was brought up", &error))?;
    call.channel.progress(format!("bringing up {name}, once after this boot"));
    if let Err(refused) = tools.administer("up", name) {
        if let Refused::Said(_) = refused {
            // What is missing may come: the next look tries again.
            let _ = state::remove(&flag);
        }
        let failure = refused.into_failure(&format!("cannot bring up {name}"));
        call.channel.attribute("eligible", Eligibility::No(failure.reason.clone()));
        return Err(Failure::not_running(failure.reason));
    }
    tools.resource(name)
}

/// Facts for the cluster and for people.
fn tell(call: &Call, resource: &Resource) {
    let channel = &call.channel;
    channel.attribute("role", &resource.role);
    channel.attribute("eligible", eligibility(resource, word(call)));
    let joined = |words: Vec<String>| words.join(" ");
    let disks = resource.volumes.values().map(|volume| volume.disk.to_string()).collect();
    channel.attribute("disk", joined(disks));
    let peers = resource.peers.values();
    channel.attribute(
        "connection",
        joined(peers.clone().map(|peer| peer.connection.to_string()).collect()),
    );
    let seen: Vec<_> = peers.flat_map(|peer| peer.volumes.values()).collect();
    channel.attribute("peer_disk", joined(seen.iter().map(|v| v.disk.to_string()).collect()));
    if let Some(kib) = resource.out_of_sync_kib() {
        channel.attribute("out_of_sync_kib", kib);
    }
    if let Some(resync) = seen.iter().find_map(|volume| volume.resync) {
        channel.attribute("resync", resync);
    }
    if let Some(reason) = degraded(resource) {
        channel.attribute("degraded", reason);
    }
}

/// What an operator should know while it serves (HB27).
fn degraded(resource: &Resource) -> Option<String> {
    let disk = resource.volumes.iter().find(|(_, volume)| volume.disk != Disk::UpToDate);
    if let Some((number, volume)) = disk {
        return Some(match (resource.role == Role::Primary, &volume.disk) {
            (true, Disk::Diskless | Disk::Failed) => {
                format!("volume {number} has lost its disk and is served through the peer")
            }
            _ => format!("volume {number} is {}", volume.disk),
        });
    }
    if !resource.suspended.is_empty() {
        let why: Vec<&str> = resource.suspended.iter().map(String::as_str).collect();
        return Some(format!("I/O is held back: {}", why.join(", ")));
    }
    if resource.stands_alone() {
        return Some(format!(
            "it stands alone: nothing is replicated and no peer is listened for; `drbdadm connect {}`",
            resource.name
        ));
    }
    let other = resource
        .peers
        .values()
        .flat_map(|peer| peer.volumes.values())
        .find(|volume| volume.disk != Disk::UpToDate);
    other.map(|volume| format!("the peer's copy is {}: there is no second good one", volume.disk))
}

/// HB26: what stands in the way of every read: no good copy here, and none that can be reached.
fn no_copy(resource: &Resource) -> Option<String> {
    let (number, volume) = resource.volumes.iter().find(|(number, volume)| {
        let mut others = resource.peers.values().filter_map(|peer| peer.volumes.get(number));
        let bad = matches!(
            volume.disk,
            Disk::Diskless | Disk::Failed | Disk::Inconsistent | Disk::Outdated
        );
        bad && !others.any(|other| other.disk == Disk::UpToDate)
    })?;
    Some(format!("volume {number} is {} and no good copy of it can be reached", volume.disk))
}

fn serves(resource: &Resource) -> Outcome {
    // The handler of the fencing policy lets it go on in a moment; these wait for something else.
    let stuck = ["no-data", "quorum"].iter().find(|why| resource.suspended.contains(**why));
    match stuck {
        Some(why) => Err(Failure::generic(format!(
            "expected {} to serve, found its I/O held back ({why}): no good copy or not enough \
             peers can be reached",
            resource.name
        ))),
        None => match no_copy(resource) {
            None => Ok(()),
            Some(found) => Err(Failure::generic(format!(
                "expected {} to serve, found that {found}: what reads it gets errors",
                resource.name
            ))),
        },
    }
}
