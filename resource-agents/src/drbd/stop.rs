//! Stop: become Secondary. Success only if this node really is not Primary any more.

use crm_drbd::Resource;
use crm_drbd::refusal::Kind;
use crm_drbd::state::Role;

use super::tools::{Refused, Tools};
use super::users;
use crate::contract::{Call, Failure, Outcome};
use crate::deadline::Pause;

pub(super) fn stop(call: &Call, tools: &Tools, name: &str) -> Outcome {
    let mut why = None;
    demote(call, tools, name, &mut why).map_err(|failure| match why {
        // The time was over in the middle of a call: who was in the way before says more.
        Some(why) if call.context.deadline.passed() => Failure::generic(why),
        _ => failure,
    })
}

/// `why` is what has stood in the way so far.
fn demote(call: &Call, tools: &Tools, name: &str, why: &mut Option<String>) -> Outcome {
    let mut pause = Pause::slow();
    loop {
        // What is not up, or not even loaded, cannot be Primary. What cannot be asked may be.
        let Some(resource) = tools.resource(name)? else {
            call.channel.progress(format!("{name} is not up"));
            return Ok(());
        };
        match resource.role {
            Role::Secondary => return Ok(()),
            Role::Primary => {}
            Role::Unseen | Role::Unknown(_) => {
                return Err(Failure::generic(format!(
                    "expected {name} to be Primary or Secondary here, found {}",
                    resource.role
                )));
            }
        }
        let now = match tools.administer("secondary", name) {
            Ok(()) if is_secondary(tools, name)? => return Ok(()),
            Ok(()) => format!("{name} is still Primary after `drbdadm secondary`"),
            Err(Refused::Said(refusal)) if refusal.kind == Kind::InUse => in_use(&resource),
            Err(Refused::Said(refusal)) if refusal.is_passing() => {
                format!("{}: {refusal}", cannot(name))
            }
            Err(refused) => return Err(refused.into_failure(&cannot(name))),
        };
        if why.as_ref() != Some(&now) {
            call.channel.progress(format!("{now}; trying again"));
        }
        *why = Some(now.clone());
        if !pause.sleep(call.context.deadline) {
            return Err(Failure::generic(now));
        }
    }
}

fn is_secondary(tools: &Tools, name: &str) -> Result<bool, Failure> {
    Ok(tools.resource(name)?.is_none_or(|resource| resource.role == Role::Secondary))
}

fn cannot(name: &str) -> String {
    format!("cannot make this node Secondary of {name}")
}

/// HB22: first whatever stands on it has to go; who that is must be named.
fn in_use(resource: &Resource) -> String {
    let minors: Vec<u32> = resource.volumes.values().filter_map(|volume| volume.minor).collect();
    let users = users::of(&minors);
    let who = if users.is_empty() {
        "nobody that can be seen from here; an NFS export, another mount namespace or the kernel \
         may"
        .to_owned()
    } else {
        users.join("; ")
    };
    format!("{}: it is still in use: {who}", cannot(&resource.name))
}
