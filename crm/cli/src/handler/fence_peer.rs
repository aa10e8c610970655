//! `crm-fence-peer`: the peer is out of reach, and this node is Primary or wants to be.
//!
//! The answers: 4, the peer's copy is recorded as stale; 7, and the peer is proved dead; 1, refused.
//! 5 and 6 are never given, though DRBD knows them: with either it would let the promotion happen
//! without anybody having recorded whose copy is stale.

use super::cluster::{Seen, Why, commit, look, persist};
use super::{Call, tell};
use crm_core::id::NodeId;
use crm_core::operator::Command;
use crm_core::status::NodeState;
use crm_drbd::state::Role;
use std::time::Duration;

const NAME: &str = "crm-fence-peer";
const REFUSED: u8 = 1;
const OUTDATED: u8 = 4;
const DEAD: u8 = 7;

/// A promotion that waits longer is given up by whoever asked for it.
const TO_PROMOTE: Duration = Duration::from_secs(45);
/// The writes of a Primary wait as long as this runs, and for ever if it refuses: then only its
/// peer's return, or an operator, lets them go on. So it goes on asking: the peer may have to be
/// shot first, the daemon may be under replacement, an operator may give his word much later.
const TO_GO_ON: Duration = Duration::from_secs(24 * 3600);
/// The longest that DRBD's tools may take.
const TOOLS: Duration = Duration::from_secs(3);

pub(super) fn run(call: &Call) -> u8 {
    let answer = persist(patience(call), || record(call));
    match answer {
        Ok((peer, code)) => {
            let resource = &call.resource;
            let said = format!(
                "{resource}: the copy on {peer} is stale, that is recorded; answering {code}"
            );
            tell(NAME, &said);
            code
        }
        Err(reason) => {
            tell(NAME, &format!("{}: refused: {reason}", call.resource));
            REFUSED
        }
    }
}

fn patience(call: &Call) -> Duration {
    // Tests have less time.
    let given = std::env::var("CRM_HANDLER_PATIENCE_MS").ok().and_then(|text| text.parse().ok());
    match given {
        Some(given) => Duration::from_millis(given),
        None if is_primary(call) => TO_GO_ON,
        None => TO_PROMOTE,
    }
}

/// Whether this node serves now, or only wants to. The file needs no lock that a promotion under way
/// may hold; with 9 it names no device.
fn is_primary(call: &Call) -> bool {
    let file = std::fs::read_to_string("/proc/drbd").unwrap_or_default();
    let minor = call.minor.as_deref().and_then(|minor| minor.parse().ok());
    let devices = crm_drbd::proc_drbd::read(&file).map(|file| file.devices).unwrap_or_default();
    match minor.and_then(|minor: u32| devices.get(&minor)) {
        Some(device) => device.role == Role::Primary,
        None => crm_agents::drbd::picture(TOOLS)
            .ok()
            .and_then(|picture| Some(picture.get(&call.resource)?.role == Role::Primary))
            .unwrap_or(false),
    }
}

/// The peer whose copy is recorded as stale, and the answer.
fn record(call: &Call) -> Result<(NodeId, u8), Why> {
    if call.resource.is_empty() {
        let what = "expected DRBD_RESOURCE in the environment, found none";
        return Err(Why::Never(what.to_owned()));
    }
    let peer =
        call.peer.as_ref().map(|peer| NodeId::new(peer)).map_err(|w| Why::Never(w.clone()))?;
    let (mut client, seen) = look(call, None)?;
    may_ask(&seen)?;
    let ban = Command::Ban {
        group: seen.group.clone(),
        node: peer.clone(),
        by: seen.me.clone(),
        reason: format!("{} lost its connection to {} while it served", peer, seen.me),
    };
    commit(&mut client, ban)?;
    let code = if is_dead(&seen, &peer) { DEAD } else { OUTDATED };
    Ok((peer, code))
}

/// The coordinator decides; this only tells sooner, and in better words.
fn may_ask(seen: &Seen) -> Result<(), Why> {
    let group = seen.group().ok_or_else(|| Why::NotNow("the group is not known yet".to_owned()))?;
    if group.bans.contains_key(&seen.me) {
        return Err(Why::Never(format!("the copy on this node, {}, is the stale one", seen.me)));
    }
    match &group.owner {
        Some(owner) if *owner == seen.me => Ok(()),
        Some(owner) => Err(Why::Never(format!("group {} is {owner}'s", seen.group))),
        None => Err(Why::Never(format!(
            "group {} is nobody's: only the cluster may make this node Primary",
            seen.group
        ))),
    }
}

fn is_dead(seen: &Seen, peer: &NodeId) -> bool {
    let state = seen.status.nodes.iter().find(|node| node.id == *peer);
    state.is_some_and(|node| node.state == NodeState::Dead)
}
