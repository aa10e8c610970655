//! `crm-unfence-peer`: a resync has ended. 8.4 calls it on the node that was behind
//! (`after-resync-target`), right before the copy there counts as good; 9 as `unfence-peer`.
//!
//! DRBD waits for its handlers, so the work is done by a process of its own: it waits until DRBD
//! itself says that the copy is good, and only then asks the cluster to lift the ban.
//!
//! The daemon of a node that is banned calls it as well, from time to time (`--once GROUP`): a resync
//! may end before the ban is committed, or while nobody can lift it, and DRBD tells of it once.

use super::cluster::{Why, commit, look, persist};
use super::{Call, tell};
use crm_core::id::{GroupId, NodeId};
use crm_core::operator::Command;
use crm_drbd::state::{Connection, Disk, Peer, Role};
use crm_drbd::{Eligibility, RecordWord, Resource};
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::process::Stdio;
use std::time::Duration;

const NAME: &str = "crm-unfence-peer";
/// Says that this is the process of its own.
const NOW: &str = "--now";
/// Says that the daemon asks, for a group.
const ONCE: &str = "--once";
const PATIENCE: Duration = Duration::from_secs(120);
/// The longest that DRBD's tools may take.
const TOOLS: Duration = Duration::from_secs(10);

pub(super) fn run(call: &Call, args: &[OsString]) -> u8 {
    if let (Some(word), Some(group)) = (args.get(1), args.get(2).and_then(|name| name.to_str()))
        && word == ONCE
    {
        // Why it is not lifted yet was told when it was placed.
        return match lift(call, Some(group.into())) {
            Ok(said) => {
                tell(NAME, &format!("group {group}: {said}"));
                0
            }
            Err(_) => 1,
        };
    }
    if args.get(1).is_some_and(|word| word == NOW) {
        return match persist(PATIENCE, || lift(call, None)) {
            Ok(said) => {
                tell(NAME, &format!("{}: {said}", call.resource));
                0
            }
            Err(reason) => {
                tell(NAME, &format!("{}: the ban stays: {reason}", call.resource));
                1
            }
        };
    }
    match detach() {
        Ok(()) => 0,
        Err(error) => {
            tell(NAME, &format!("{}: cannot start a process: {error}", call.resource));
            1
        }
    }
}

fn detach() -> std::io::Result<()> {
    let mut command = std::process::Command::new(std::env::current_exe()?);
    command.arg0(NAME).arg(NOW).process_group(0);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().map(drop)
}

fn lift(call: &Call, group: Option<GroupId>) -> Result<String, Why> {
    if call.resource.is_empty() && group.is_none() {
        return Err(Why::Never("expected DRBD_RESOURCE in the environment, found none".to_owned()));
    }
    let (mut client, seen) = look(call, group)?;
    let banned = seen.group().map(|group| group.bans.clone()).unwrap_or_default();
    let owner = seen.group().and_then(|group| group.owner.as_ref());
    if banned.is_empty() {
        return Ok("no copy is banned".to_owned());
    }
    let picture = crm_agents::drbd::picture(TOOLS).map_err(Why::NotNow)?;
    let stale: BTreeSet<NodeId> = banned.keys().cloned().collect();
    let mut said = Vec::new();
    for (node, ban) in banned.into_iter().filter(|(node, _)| concerns(call, &seen.me, node)) {
        // The ban is the group's: one of its resources that is good again does not speak for another.
        for name in &seen.copies {
            let resource = picture.get(name);
            let resource = resource.ok_or_else(|| Why::NotNow(format!("{name} is not up here")))?;
            is_whole(resource, &seen.me, &node, &stale, owner)?;
        }
        let group = seen.group.clone();
        said.push(commit(&mut client, Command::LiftBan { group, node, ban })?);
    }
    match said.is_empty() {
        true => Ok("no copy that this is about is banned".to_owned()),
        false => Ok(said.join("; ")),
    }
}

fn concerns(call: &Call, me: &NodeId, node: &NodeId) -> bool {
    node == me || call.peer.as_ref().is_ok_and(|peer| peer == node.as_str())
}

/// Good here and there, and connected: then the two are the same. But of three copies two can be the same and stale:
/// only one that is not recorded as such vouches for another.
///
/// The owner vouches without a disk too: it lost that while it served, and DRBD lets a Primary go on through no copy but
/// the one that has all it has seen. Were its word not taken, its good copy would stay banned when it dies as well.
fn is_whole(
    resource: &Resource,
    me: &NodeId,
    node: &NodeId,
    stale: &BTreeSet<NodeId>,
    owner: Option<&NodeId>,
) -> Result<(), Why> {
    let answer = crm_drbd::eligibility::eligibility(resource, RecordWord::Silent);
    if let Eligibility::No(reason) | Eligibility::Unknown(reason) = answer {
        return Err(Why::NotNow(reason));
    }
    let here = node == me;
    if !here && stale.contains(me) {
        return Err(Why::NotNow("the copy on this node is recorded as stale itself".to_owned()));
    }
    // 8.4 has one peer and may call it by another name than the node's.
    let counts = |name: &str| match resource.peers.len() {
        1 if !here => true,
        _ if here => !stale.iter().any(|stale| stale.as_str() == name),
        _ => node.as_str() == name,
    };
    let serves_from_here = |name: &str, peer: &Peer| {
        let is_owner = |owner: &NodeId| {
            owner != me
                && !stale.contains(owner)
                && (resource.peers.len() == 1 || owner.as_str() == name)
        };
        here && peer.role == Role::Primary && owner.is_some_and(is_owner)
    };
    let same = resource.peers.iter().any(|(name, peer)| {
        let good = |disk: &Disk| match disk {
            Disk::UpToDate => true,
            Disk::Diskless => serves_from_here(name, peer),
            _ => false,
        };
        counts(name)
            && peer.connection == Connection::Connected
            && !peer.volumes.is_empty()
            && peer.volumes.values().all(|volume| good(&volume.disk))
    });
    match (same, here) {
        (true, _) => Ok(()),
        (false, true) => Err(Why::NotNow("it is not connected to a good copy".to_owned())),
        (false, false) => Err(Why::NotNow("the peer's copy is not good yet".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crm_drbd::state::{PeerVolume, Volume};

    /// This node's copy, and those of peers that it is connected to.
    fn resource(peers: &[(&str, Disk)]) -> Resource {
        let mut resource = Resource { role: Role::Secondary, ..Resource::default() };
        resource.volumes.insert(0, Volume { disk: Disk::UpToDate, ..Volume::default() });
        for (name, disk) in peers {
            let seen = PeerVolume { disk: disk.clone(), ..PeerVolume::default() };
            let mut peer = Peer { connection: Connection::Connected, ..Peer::default() };
            peer.volumes.insert(0, seen);
            resource.peers.insert((*name).to_owned(), peer);
        }
        resource
    }

    fn lifts(resource: &Resource, me: &str, node: &str, stale: &[&str]) -> bool {
        let stale = stale.iter().map(|node| NodeId::new(node)).collect();
        is_whole(resource, &NodeId::new(me), &NodeId::new(node), &stale, None).is_ok()
    }

    /// The resync to beta has ended, and before the ban was lifted alpha lost its disk: it serves from beta's.
    #[test]
    fn h24_an_owner_that_lost_its_disk_vouches_for_the_copy_it_serves_from() {
        let beta = |role: Role, own: Disk, alphas: Disk| {
            let mut resource = resource(&[("alpha", alphas)]);
            resource.volumes.insert(0, Volume { disk: own, ..Volume::default() });
            resource.peers.get_mut("alpha").expect("alpha").role = role;
            resource
        };
        let lifts = |resource: &Resource, stale: &[&str], owner: Option<&str>| {
            let stale = stale.iter().map(|node| NodeId::new(node)).collect();
            let (me, owner) = (NodeId::new("beta"), owner.map(NodeId::new));
            is_whole(resource, &me, &me, &stale, owner.as_ref()).is_ok()
        };
        let served = beta(Role::Primary, Disk::UpToDate, Disk::Diskless);
        assert!(lifts(&served, &["beta"], Some("alpha")));
        assert!(!lifts(&served, &["beta"], None), "somebody made it Primary by hand");
        assert!(!lifts(&served, &["alpha", "beta"], Some("alpha")), "alpha's is stale itself");
        for (role, own, alphas) in [
            (Role::Secondary, Disk::UpToDate, Disk::Diskless),
            (Role::Primary, Disk::Inconsistent, Disk::Diskless),
            (Role::Primary, Disk::UpToDate, Disk::Failed),
            (Role::Primary, Disk::UpToDate, Disk::DUnknown),
        ] {
            let other = beta(role, own, alphas);
            assert!(!lifts(&other, &["beta"], Some("alpha")), "{other:?}");
        }
        let mut three = served;
        three.peers.insert("gamma".to_owned(), Peer::default());
        assert!(lifts(&three, &["beta"], Some("alpha")));
        assert!(!lifts(&three, &["beta"], Some("gamma")), "a client that somebody made Primary");
    }

    #[test]
    fn i8_the_only_peer_that_is_known_may_be_stale_too() {
        assert!(!lifts(
            &resource(&[("gamma", Disk::UpToDate)]),
            "alpha",
            "alpha",
            &["alpha", "gamma"]
        ));
    }

    /// Beta served alone and died; alpha and gamma find one another again, and both lack what it wrote.
    #[test]
    fn i8_two_stale_copies_do_not_vouch_for_one_another() {
        let together = resource(&[("gamma", Disk::UpToDate), ("beta", Disk::DUnknown)]);
        assert!(!lifts(&together, "alpha", "alpha", &["alpha", "gamma"]));
        assert!(!lifts(&together, "alpha", "gamma", &["alpha", "gamma"]));
        let with_beta = resource(&[("gamma", Disk::Outdated), ("beta", Disk::UpToDate)]);
        assert!(lifts(&with_beta, "alpha", "alpha", &["alpha", "gamma"]));
    }

    #[test]
    fn i8_another_good_peer_does_not_vouch_for_the_one_that_was_banned() {
        let two = resource(&[("gamma", Disk::UpToDate), ("alpha", Disk::Inconsistent)]);
        assert!(!lifts(&two, "beta", "alpha", &["alpha"]));
        let whole = resource(&[("gamma", Disk::UpToDate), ("alpha", Disk::UpToDate)]);
        assert!(lifts(&whole, "beta", "alpha", &["alpha"]));
    }

    #[test]
    fn a_pair_needs_no_names() {
        let pair = resource(&[("remote", Disk::UpToDate)]);
        assert!(lifts(&pair, "alpha", "alpha", &["alpha"]));
        assert!(lifts(&pair, "beta", "alpha", &["alpha"]));
        assert!(!lifts(&resource(&[("remote", Disk::Inconsistent)]), "beta", "alpha", &["alpha"]));
    }
}
