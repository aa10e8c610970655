//! After a takeover without its peer this node listens until the peer has been back once.
//!
//! DRBD itself gives that up when what comes is the former Primary, which stood still and was neither reset nor switched
//! off: it wants no second Primary, and stands alone from then on, also when the other has booted since. Nothing would be
//! replicated any more. To listen is safe: of two copies that have parted DRBD gives up neither, unless its configuration says
//! so (`after-sb-0pri` and the like), which `crm drbd check` warns of.

use crm_drbd::Resource;
use crm_drbd::state::{Connection, Role};

use super::tools::Tools;
use crate::contract::Call;
use crate::state;

/// Notes that the peer was not there when this node became Primary, or that its connection was `ended` for that.
pub(super) fn note(call: &Call, found: &Resource, ended: bool) {
    if is_connected(found) && !ended {
        return;
    }
    // Without the note an operator has to connect it: `degraded` says so.
    if let Err(error) = state::path(&call.context, NOTE).and_then(|note| state::store(&note, "0")) {
        call.channel.progress(format!("cannot note that the peer is to be listened for: {error}"));
    }
}

/// Listens for the peer again if DRBD has given it up before it was back once.
pub(super) fn listen(call: &Call, tools: &Tools, name: &str, resource: &Resource) {
    let Ok(note) = state::path(&call.context, NOTE) else { return };
    let Ok(Some(looks)) = state::load(&note) else { return };
    if resource.role != Role::Primary || is_connected(resource) {
        let _ = state::remove(&note);
        return;
    }
    if !resource.stands_alone() {
        return;
    }
    let looks = looks.trim().parse().unwrap_or(0_u32).saturating_add(1);
    let _ = state::store(&note, &looks.to_string());
    if !is_due(looks) {
        return;
    }
    match tools.administer("connect", name) {
        Ok(()) => {
            call.channel.progress(format!("{name} stood alone: listening for its peer again"))
        }
        Err(refused) => {
            let what = format!("cannot listen for the peer of {name} again, trying later");
            call.channel.progress(refused.into_failure(&what).reason);
        }
    }
}

/// At once, soon again, and then once a minute: a peer that is Primary still ends it each time.
fn is_due(looks: u32) -> bool {
    matches!(looks, 1 | 2 | 4) || looks.is_multiple_of(6)
}

fn is_connected(resource: &Resource) -> bool {
    resource.peers.values().any(|peer| peer.connection == Connection::Connected)
}

const NOTE: &str = "alone";
