//! Start: become Primary, if this copy is the newest and nobody else is.

use std::time::Duration;

use crm_drbd::Resource;
use crm_drbd::eligibility::eligibility;
use crm_drbd::refusal::Kind;
use crm_drbd::state::{Connection, Disk, Role};

use super::tools::{Refused, Tools};
use super::{alone, dead_peer, word};
use crate::contract::{Call, Failure, Outcome};
use crate::deadline::Pause;

pub(super) fn start(call: &Call, tools: &Tools, name: &str) -> Outcome {
    let mut why = None;
    let outcome = promote(call, tools, name, &mut why);
    if outcome.is_err() {
        dead_peer::listen_again(call, tools, name);
    }
    // Else the next status does it: what stands on the device need not wait for a peer that is dead.
    outcome.map_err(|failure| match why {
        // The time was over in the middle of a call: what stood in the way before says more.
        Some(why) if call.context.deadline.passed() => Failure::generic(why),
        _ => failure,
    })
}

/// `why` is what has stood in the way so far.
fn promote(call: &Call, tools: &Tools, name: &str, why: &mut Option<String>) -> Outcome {
    let deadline = call.context.deadline;
    let mut resource = match tools.resource(name)? {
        Some(resource) => resource,
        None => bring_up(call, tools, name, why)?,
    };
    // A peer that died is noticed by DRBD in a few seconds; one that lives stays Primary.
    let mut ended = false;
    let patience = deadline.at_most(OTHER_PRIMARY);
    let mut pause = Pause::slow();
    loop {
        if resource.role == Role::Primary {
            return Ok(());
        }
        // A copy that was the newest right before its connection was ended still is.
        if !ended {
            may_promote(call, name, &resource)?;
            ended = dead_peer::let_go(call, tools, name, &resource)?;
        }
        let refusal = match tools.promote(name, &resource) {
            Ok(()) => {
                alone::note(call, &resource, ended);
                return verify(tools, name, &resource);
            }
            Err(Refused::Said(refusal)) => refusal,
            Err(Refused::Failed(failure)) => return Err(failure),
        };
        let until = match refusal.kind {
            Kind::OtherPrimary => patience,
            _ if refusal.is_passing() => deadline,
            _ => return Err(Refused::Said(refusal).into_failure(&cannot(name))),
        };
        let now = format!("{}: {refusal}", cannot(name));
        if why.as_ref() != Some(&now) {
            call.channel.progress(format!("{now}; trying again"));
        }
        *why = Some(now);
        if !pause.sleep(until) {
            return Err(Refused::Said(refusal).into_failure(&cannot(name)));
        }
        resource = tools.resource(name)?.ok_or_else(|| gone(name))?;
    }
}

/// I8: looked at again right before the promotion.
fn may_promote(call: &Call, name: &str, resource: &Resource) -> Outcome {
    let answer = eligibility(resource, word(call));
    match answer.is_yes() {
        true => Ok(()),
        false => Err(Failure::generic(format!("{}: {}", cannot(name), answer.reason()))),
    }
}

fn verify(tools: &Tools, name: &str, found: &Resource) -> Outcome {
    match tools.role(name, found)?.ok_or_else(|| gone(name))? {
        Role::Primary => Ok(()),
        role => Err(Failure::generic(format!(
            "expected {name} to be Primary after its promotion, found {role}"
        ))),
    }
}

/// A copy that has only just come up may think itself the newest: it has to meet its peer first.
fn bring_up(
    call: &Call,
    tools: &Tools,
    name: &str,
    why: &mut Option<String>,
) -> Result<Resource, Failure> {
    call.channel.progress(format!("{name} is not up; bringing it up"));
    tools
        .administer("up", name)
        .map_err(|refused| refused.into_failure(&format!("cannot bring up {name}")))?;
    let lonely = format!(
        "{}: it was brought up just now and has not met its peer, so whether its copy is the newest \
         is not known; bring the peer back, or promote it by hand if the peer is lost for good",
        cannot(name)
    );
    *why = Some(lonely.clone());
    let deadline = call.context.deadline.at_most(MEETING);
    let mut pause = Pause::slow();
    loop {
        let resource = tools.resource(name)?.ok_or_else(|| gone(name))?;
        if has_met_its_peer(&resource) || (call.context.freshest && is_attached(&resource)) {
            *why = None;
            return Ok(resource);
        }
        if !pause.sleep(deadline) {
            return Err(Failure::generic(lonely));
        }
    }
}

fn has_met_its_peer(resource: &Resource) -> bool {
    resource.peers.values().any(|peer| peer.connection == Connection::Connected)
        && is_attached(resource)
}

fn is_attached(resource: &Resource) -> bool {
    let settled =
        |disk: &Disk| !matches!(disk, Disk::Attaching | Disk::Negotiating | Disk::Unknown(_));
    resource.volumes.values().all(|volume| settled(&volume.disk))
}

fn cannot(name: &str) -> String {
    format!("cannot make this node Primary of {name}")
}

fn gone(name: &str) -> Failure {
    Failure::generic(format!("{name} was taken down meanwhile"))
}

/// DRBD's own defaults notice a dead peer within 10 s of a ping interval and 6 s of a timeout.
const OTHER_PRIMARY: Duration = Duration::from_secs(20);
const MEETING: Duration = Duration::from_secs(20);
