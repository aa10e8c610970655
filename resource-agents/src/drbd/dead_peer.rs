//! A peer whose death is proved: its connection is ended at once, for DRBD itself would ask it and wait for
//! seconds, and once this node is Primary it listens for the peer again.
//!
//! That the connection was ended is noted before it is done: whatever ends the agent in between, the next
//! call finds the note and listens.

use std::collections::BTreeSet;

use crm_drbd::Resource;
use crm_drbd::conf::{self, Source};
use crm_drbd::state::Connection;

use super::tools::Tools;
use crate::contract::{Call, Failure};
use crate::state;

/// Ends the connection if DRBD still counts on it and every other node of the resource is proved dead.
/// Answers whether it did.
pub(super) fn let_go(
    call: &Call,
    tools: &Tools,
    name: &str,
    resource: &Resource,
) -> Result<bool, Failure> {
    let dead = &call.context.peers_dead;
    if dead.is_empty() || !resource.peers.values().any(|peer| waits_for_it(&peer.connection)) {
        return Ok(false);
    }
    let others = others(tools, name, &call.context.node)?;
    if others.is_empty() || !others.is_subset(dead) {
        return Ok(false);
    }
    let note = state::path(&call.context, NOTE).and_then(|note| state::store(&note, name));
    note.map_err(|error| Failure::system("cannot note that a connection is ended", &error))?;
    match tools.disconnect_dead(name) {
        Ok(()) => {
            call.channel.progress("the peer is proved dead: its connection is ended");
            Ok(true)
        }
        Err(refused) => {
            // Then DRBD's own timeouts have to do.
            let failure = refused.into_failure(&format!("cannot end the connection of {name}"));
            call.channel.progress(failure.reason);
            Ok(false)
        }
    }
}

/// Listens for the peer again, if this agent has ended its connection.
pub(super) fn listen_again(call: &Call, tools: &Tools, name: &str) {
    let Ok(note) = state::path(&call.context, NOTE) else { return };
    if !state::load(&note).is_ok_and(|note| note.is_some()) {
        return;
    }
    match tools.administer("connect", name) {
        Ok(()) => {
            let _ = state::remove(&note);
        }
        Err(refused) => {
            let what = format!("cannot listen for the peer of {name} again, trying later");
            call.channel.progress(refused.into_failure(&what).reason);
        }
    }
}

/// An established connection, or one whose end DRBD is still busy with.
fn waits_for_it(connection: &Connection) -> bool {
    !matches!(connection, Connection::Connecting | Connection::StandAlone)
}

/// Host names of all other nodes of the resource; none if that is not known for certain.
fn others(tools: &Tools, name: &str, me: &str) -> Result<BTreeSet<String>, Failure> {
    let dump = tools.ask(&["dump", name])?;
    let configuration = conf::read("drbdadm dump", &dump, &mut NoOther);
    let resources = configuration.map(|all| all.resources).unwrap_or_default();
    let Some(resource) = resources.into_iter().find(|resource| resource.name == name) else {
        return Ok(BTreeSet::new());
    };
    let known = resource.hosts.iter().all(|host| host.names.len() == 1);
    let mut names: BTreeSet<String> =
        resource.hosts.into_iter().flat_map(|host| host.names).collect();
    // Without this node's own name in it the rest cannot be trusted to be the others.
    Ok(if known && names.remove(me) { names } else { BTreeSet::new() })
}

/// A dump has everything in it.
struct NoOther;

impl Source for NoOther {
    fn include(&mut self, pattern: &str, _: &str) -> Result<Vec<(String, String)>, String> {
        Err(format!("expected a whole configuration, found `include {pattern}`"))
    }
}

const NOTE: &str = "let-go";
