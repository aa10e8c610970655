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
use crm_drbd::state::{Connection, Disk};
use crm_drbd::{Eligibility, RecordWord, Resource};
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
    if banned.is_empty() {
        return Ok("no copy is banned".to_owned());
    }
    let picture = crm_agents::drbd::picture(TOOLS).map_err(Why::NotNow)?;
    let mut said = Vec::new();
    for (node, ban) in banned.into_iter().filter(|(node, _)| concerns(call, &seen.me, node)) {
        // The ban is the group's: one of its resources that is good again does not speak for another.
        for name in &seen.copies {
            let resource = picture.get(name);
            let resource = resource.ok_or_else(|| Why::NotNow(format!("{name} is not up here")))?;
            is_whole(resource, node == seen.me)?;
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
    node == me || call.peers.iter().any(|peer| peer == node.as_str())
}

/// Good here and there, and connected: then the two are the same.
fn is_whole(resource: &Resource, here: bool) -> Result<(), Why> {
    let answer = crm_drbd::eligibility::eligibility(resource, RecordWord::Silent);
    if let Eligibility::No(reason) | Eligibility::Unknown(reason) = answer {
        return Err(Why::NotNow(reason));
    }
    let same = resource.peers.values().any(|peer| {
        peer.connection == Connection::Connected
            && !peer.volumes.is_empty()
            && peer.volumes.values().all(|volume| volume.disk == Disk::UpToDate)
    });
    match (same, here) {
        (true, _) => Ok(()),
        (false, true) => Err(Why::NotNow("it is not connected to a good copy".to_owned())),
        (false, false) => Err(Why::NotNow("the peer's copy is not good yet".to_owned())),
    }
}
