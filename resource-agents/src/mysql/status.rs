//! Status: running, stopped, starting, or failed; each told apart.

use super::Instance;
use super::client::{self, Answer};
use super::servers;
use super::start::{is_same, other};
use crate::contract::{Call, Failure, Outcome, Watch};
use crate::procfs::{self, Stat};
use crate::running::output;
use crate::running::record::Record;
use crate::{seen, state};

pub(super) fn status(call: &Call, instance: &Instance) -> Outcome {
    let mut pids = seen::pids(&servers::all(instance)?);
    // One that has not yet read its options works nowhere.
    if let Some(record) = Record::load(&call.context)?
        && record.main_is_alive()
        && !pids.contains(&record.pid)
    {
        pids.push(record.pid);
    }
    let pid = match pids.as_slice() {
        [] => {
            call.channel.attribute(STATE, "stopped");
            return Err(Failure::not_running(format!(
                "no server works in {}",
                instance.datadir.display()
            )));
        }
        [pid] => *pid,
        _ => {
            call.channel.attribute(STATE, "failed");
            return Err(Failure::generic(format!(
                "expected one server in {}, found {}",
                instance.datadir.display(),
                procfs::describe_all(&pids)
            )));
        }
    };
    output::keep_short(&call.context);
    let trouble = match client::ask(instance, call.context.deadline) {
        Answer::Serves(found) if is_same(&found, &instance.datadir) => {
            return well(call, pid);
        }
        Answer::Refuses(text) => {
            call.channel.attribute("query", format!("refused: {text}; see `client_options`"));
            return well(call, pid);
        }
        Answer::Serves(found) => other(&found),
        Answer::Silent(text) if !was_ready(call, pid) => {
            call.channel.attribute(STATE, "starting");
            call.channel.watch(Watch::Process(pid));
            return Err(Failure::generic(format!(
                "process {pid} is starting (after a crash it recovers first): {text}"
            )));
        }
        Answer::Silent(text) | Answer::Hangs(text) | Answer::Failed(text) => text,
    };
    call.channel.attribute(STATE, "failed");
    call.channel.watch(Watch::Process(pid));
    Err(Failure::generic(format!("process {pid} runs and does not serve: {trouble}")))
}

fn well(call: &Call, pid: i32) -> Outcome {
    mark_ready(call, pid);
    call.channel.attribute(STATE, "running");
    call.channel.watch(Watch::Process(pid));
    Ok(())
}

/// Remembers that this very process has served: silence afterwards is no start any more.
pub(super) fn mark_ready(call: &Call, pid: i32) {
    // Without it a failed server is called one that starts, which is the milder word only.
    if !was_ready(call, pid)
        && let (Some(stat), Ok(path)) = (Stat::of(pid), state::path(&call.context, READY))
    {
        let _ = state::store(&path, &text(stat));
    }
}

fn was_ready(call: &Call, pid: i32) -> bool {
    let Ok(path) = state::path(&call.context, READY) else { return false };
    let Ok(Some(found)) = state::load(&path) else { return false };
    Stat::of(pid).is_some_and(|stat| text(stat) == found)
}

pub(super) fn forget_ready(call: &Call) {
    if let Ok(path) = state::path(&call.context, READY) {
        let _ = state::remove(&path);
    }
}

fn text(stat: Stat) -> String {
    format!("{} {} {}\n", stat.pid, stat.started, procfs::boot_id().unwrap_or_default())
}

const STATE: &str = "state";
const READY: &str = "ready";
