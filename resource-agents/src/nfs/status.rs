//! Status: threads, an answer, the table of exports, and the two programs.

use super::parts::{Parts, living};
use super::{Server, exports, kernel, probe};
use crate::contract::{Call, Failure, Outcome, Watch};
use crate::running::output;

pub(super) fn status(call: &Call, server: &Server) -> Outcome {
    let parts = Parts::load(call)?;
    let threads = kernel::threads()?;
    if !parts.is_ours() {
        return Err(Failure::not_running(match threads {
            0 => "no NFS server runs".to_owned(),
            _ => "the NFS server of this machine was not started by this agent".to_owned(),
        }));
    }
    if threads == 0 && parts.left()?.is_empty() {
        return Err(Failure::not_running("no thread of the NFS server runs"));
    }
    for name in [super::parts::REMEMBERS, super::parts::ANSWERS] {
        output::keep_short(&call.part(name).context);
    }
    for pid in parts.alive() {
        call.channel.watch(Watch::Process(pid));
    }
    let mut troubles = Vec::new();
    if threads == 0 {
        troubles.push("no thread of the NFS server runs".to_owned());
    } else if let Err(found) = probe::ask(call.context.deadline) {
        troubles.push(found);
    }
    for (name, record) in [("nfsdcld", &parts.remembers), ("rpc.mountd", &parts.answers)] {
        if living(record).is_none() {
            troubles.push(format!("{name} has ended"));
        }
    }
    let missing = exports::missing(server, &exports::below(&server.mount)?);
    if !missing.is_empty() {
        troubles.push(format!("no longer exported: {}", missing.join(", ")));
    }
    match troubles.is_empty() {
        true => Ok(()),
        false => Err(Failure::generic(troubles.join("; "))),
    }
}
