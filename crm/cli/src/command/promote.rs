//! `crm promote --stale`: an older copy is served, because the machine with the newer one will not come back.
//!
//! Given on the node whose copy it is. The record says first that this copy counts and no other; only then may DRBD be
//! told to take an outdated one for good.

use super::change::{done, find, limit, question, runs, why};
use crate::args::Promote;
use crate::handler::copies_of;
use crate::output::{Failure, Output, say};
use crate::session::Session;
use crate::wait::wait;
use crm_api::Exit;
use crm_core::id::{GroupId, NodeId};
use crm_core::operator::Command;
use crm_core::status::{GroupStatus, Status};
use crm_drbd::state::{Connection, Disk, Role};
use crm_drbd::{Picture, Resource};
use std::time::Duration;

/// The longest that one of DRBD's tools may take.
const TIME: Duration = Duration::from_secs(20);

pub(super) fn run(
    session: &mut Session,
    args: &Promote,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let (group, node) = (GroupId::new(&args.group), NodeId::new(&args.node));
    let status = session.status()?;
    if status.node.as_ref() != Some(&node) {
        return Err(Failure::refused(
            format!("this is not node {node}, whose copy is to be served"),
            format!("run this on {node}: DRBD there may have to be told as well"),
        ));
    }
    let Some(found) = find(&status, &group) else {
        return Err(Failure::refused(format!("there is no group {group}"), "see `crm status`"));
    };
    let names = session.config()?.map(|text| copies_of(&text, &group)).unwrap_or_default();
    let picture = match names.is_empty() {
        true => Picture::new(),
        false => crm_agents::drbd::picture(TIME).map_err(Failure::failed)?,
    };
    let outdated = outdated(&names, &picture)?;
    warn(&status, found, &node, &outdated);
    let typed = match &args.i_am_certain {
        Some(typed) => typed.clone(),
        None => question(
            "type the name of the group to give up what the other copies have beyond it: ",
        )?,
    };
    if typed.trim() != group.as_str() {
        return Err(Failure::refused("the name does not match", "nothing was changed"));
    }
    let ban = found.bans.get(&node).cloned();
    let said =
        session.change(Command::PromoteStale { group: group.clone(), node: node.clone(), ban })?;
    output.line(&said)?;
    for name in &outdated {
        take_for_good(name)?;
    }
    if args.waiting.no_wait {
        return Ok(Exit::Done);
    }
    wait(session, limit(args.waiting), &why(&group), |status| runs(status, &group, Some(&node)))?;
    done(output, &format!("group {group} runs on {node}"))
}

/// Those that DRBD would not promote by itself. Half of a resync is not an older copy, it is none.
fn outdated<'a>(names: &'a [String], picture: &Picture) -> Result<Vec<&'a str>, Failure> {
    let mut outdated = Vec::new();
    for name in names {
        let resource = picture.get(name).ok_or_else(|| {
            Failure::refused(
                format!("{name} is not up on this node"),
                format!("`drbdadm up {name}`"),
            )
        })?;
        // The other machine is there, whatever became of its daemon.
        if let Some(peer) = good_peer(resource) {
            return Err(Failure::refused(
                format!("{name}: DRBD is connected to {peer}, whose copy is good"),
                format!("let it catch up: `crm drbd status {name}`; then nothing is given up"),
            ));
        }
        if let Some(found) = unusable(resource) {
            return Err(Failure::refused(
                format!("{name}: {found}"),
                "only a copy that was whole once can be served; restore a backup, or bring the other machine back",
            ));
        }
        if resource.volumes.values().any(|volume| volume.disk == Disk::Outdated) {
            outdated.push(name.as_str());
        }
    }
    Ok(outdated)
}

fn good_peer(resource: &Resource) -> Option<&str> {
    let good = resource.peers.iter().find(|(_, peer)| {
        peer.connection == Connection::Connected
            && peer.volumes.values().any(|volume| volume.disk == Disk::UpToDate)
    });
    good.map(|(name, _)| name.as_str())
}

fn unusable(resource: &Resource) -> Option<String> {
    if resource.role != Role::Secondary {
        return Some(format!("this node is {} of it", resource.role));
    }
    let whole = |disk: &Disk| matches!(disk, Disk::UpToDate | Disk::Consistent | Disk::Outdated);
    let (number, volume) = resource.volumes.iter().find(|(_, volume)| !whole(&volume.disk))?;
    Some(format!("volume {number} is {}", volume.disk))
}

fn warn(status: &Status, group: &GroupStatus, node: &NodeId, outdated: &[&str]) {
    let known = group.bans.get(node).map_or_else(
        || "nothing is recorded of what it lacks".to_owned(),
        |ban| format!("it lacks what was written since {ban}"),
    );
    say(format!("the copy of group {} on {node}: {known}", group.id));
    for name in outdated {
        say(format!("{name} calls itself Outdated here; it will be forced to be UpToDate"));
    }
    let others = status.nodes.iter().filter(|other| other.id != *node);
    let others: Vec<String> = others
        .map(|other| match &other.silent_for {
            Some(silent) => format!("{} (last heard {silent} ago)", other.id),
            None => other.id.to_string(),
        })
        .collect();
    say(format!(
        "What only {} has is given up: when it comes back its copy is the stale one, and `crm drbd resolve` there \
         ends that.",
        others.join(" or ")
    ));
}

/// Primary by force makes the copy good; nobody uses it yet.
fn take_for_good(name: &str) -> Result<(), Failure> {
    let told = |arguments: &[&str]| {
        crm_agents::drbd::ask(arguments, TIME).map_err(|reason| {
            Failure::new(
                Exit::Failed,
                format!(
                    "it is recorded that this copy counts, and DRBD does not take it: {reason}"
                ),
                "say the same again, or see `crm drbd status`",
            )
        })
    };
    told(&["primary", "--force", name])?;
    told(&["secondary", name])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crm_drbd::state::{Peer, PeerVolume, Volume};

    fn picture(disk: &str, role: &str) -> Picture {
        let mut resource = Resource { role: Role::read(role), ..Resource::default() };
        resource.volumes.insert(0, Volume { disk: Disk::read(disk), ..Volume::default() });
        Picture::from([("r0".to_owned(), resource)])
    }

    #[test]
    fn h24_only_a_copy_that_was_whole_once_can_be_served() {
        let names = ["r0".to_owned()];
        for (disk, forced) in [("UpToDate", false), ("Consistent", false), ("Outdated", true)] {
            let found = outdated(&names, &picture(disk, "Secondary")).expect(disk);
            assert_eq!(!found.is_empty(), forced, "{disk}");
        }
        for disk in ["Inconsistent", "Diskless", "Failed", "Negotiating", "DUnknown", "Novel"] {
            assert!(outdated(&names, &picture(disk, "Secondary")).is_err(), "{disk}");
        }
        assert!(outdated(&names, &picture("UpToDate", "Primary")).is_err(), "it is in use");
        assert!(outdated(&names, &Picture::new()).is_err(), "it is not up");
    }

    #[test]
    fn h24_nothing_is_given_up_while_the_good_copy_is_connected() {
        let names = ["r0".to_owned()];
        for (connection, disk, refused) in [
            (Connection::Connected, Disk::UpToDate, true),
            (Connection::Connected, Disk::Outdated, false),
            (Connection::Connecting, Disk::DUnknown, false),
        ] {
            let mut picture = picture("UpToDate", "Secondary");
            let mut peer = Peer { connection, ..Peer::default() };
            peer.volumes.insert(0, PeerVolume { disk, ..PeerVolume::default() });
            if let Some(resource) = picture.get_mut("r0") {
                resource.peers.insert("alpha".to_owned(), peer);
            }
            assert_eq!(outdated(&names, &picture).is_err(), refused);
        }
    }
}
