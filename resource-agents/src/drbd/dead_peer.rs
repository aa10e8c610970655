//! A peer whose death is proved: its connection is ended at once, for DRBD itself would ask it and wait for
//! seconds. Once this node is Primary, the next status has it listen for the peer again.
//!
//! That the connection was ended is noted before it is done: whatever ends the agent in between, the next
//! call finds the note and listens.

use std::collections::BTreeSet;

use crm_drbd::Resource;
use crm_drbd::conf::{self, Address};
use crm_drbd::state::Connection;

use super::files;
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
    let Others { names, ends } = others(tools, name, &call.context.node)?;
    if names.is_empty() || !names.is_subset(dead) {
        return Ok(false);
    }
    let note = state::path(&call.context, NOTE).and_then(|note| state::store(&note, name));
    note.map_err(|error| Failure::system("cannot note that a connection is ended", &error))?;
    match tools.disconnect_dead(name, ends) {
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

/// All other nodes of a resource.
#[derive(Debug, Default, PartialEq, Eq)]
struct Others {
    /// Their host names; none if that is not known for certain.
    names: BTreeSet<String>,
    /// This node's address and the other one's, if there is one other.
    ends: Option<(Address, Address)>,
}

fn others(tools: &Tools, name: &str, me: &str) -> Result<Others, Failure> {
    if let Some(resource) = files::resource(name) {
        return Ok(others_of(&resource, me));
    }
    let dump = tools.ask(&["dump", name])?;
    // A dump has everything in it.
    let configuration = conf::read("drbdadm dump", &dump, &mut ());
    let resources = configuration.map(|all| all.resources).unwrap_or_default();
    let found = resources.iter().find(|resource| resource.name == name);
    Ok(found.map(|resource| others_of(resource, me)).unwrap_or_default())
}

fn others_of(resource: &conf::Resource, me: &str) -> Others {
    let known = resource.hosts.iter().all(|host| host.names.len() == 1);
    let mut names: BTreeSet<String> =
        resource.hosts.iter().flat_map(|host| host.names.iter().cloned()).collect();
    // Without this node's own name in it the rest cannot be trusted to be the others.
    if !known || !names.remove(me) {
        return Others::default();
    }
    let address_of = |mine: bool| {
        let mut hosts = resource.hosts.iter().filter(|host| (host.names == [me]) == mine);
        hosts.next().filter(|_| hosts.next().is_none())?.address
    };
    Others { names, ends: address_of(true).zip(address_of(false)) }
}

const NOTE: &str = "let-go";

#[cfg(test)]
mod tests {
    use super::*;

    fn resource(hosts: &str) -> conf::Resource {
        let text = format!("resource r0 {{ {hosts} }}");
        let whole = conf::read("test", &text, &mut ()).expect("a configuration");
        whole.resources.into_iter().next().expect("one resource")
    }

    const A: &str =
        "on a { device minor 0; disk /dev/sda; meta-disk internal; address 10.0.0.1:7788; }";
    const B: &str =
        "on b { device minor 0; disk /dev/sda; meta-disk internal; address 10.0.0.2:7788; }";

    #[test]
    fn i8_the_others_are_known_for_certain_or_there_are_none() {
        let pair = others_of(&resource(&format!("{A} {B}")), "b");
        let names = |others: &Others| others.names.iter().cloned().collect::<Vec<_>>();
        assert_eq!(names(&pair), ["a"]);
        let (here, there) = pair.ends.expect("both addresses");
        assert_eq!(
            (here.ip.to_string(), there.ip.to_string()),
            ("10.0.0.2".into(), "10.0.0.1".into())
        );
        let three = format!("{A} {B} on c {{ address 10.0.0.3:7788; }}");
        let three = others_of(&resource(&three), "b");
        assert_eq!((names(&three), three.ends), (vec!["a".to_owned(), "c".to_owned()], None));
        for (hosts, me) in [
            (format!("{A} {B}"), "elsewhere"),
            (format!("{A} {B} floating 10.0.0.3:7788 {{ }}"), "b"),
            (format!("{B} on a c {{ address 10.0.0.1:7788; }}"), "b"),
        ] {
            assert_eq!(others_of(&resource(&hosts), me), Others::default(), "{hosts}");
        }
    }
}
