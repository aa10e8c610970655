//! What a former daemon left open is killed and settled before the core is started (H15, R17).

use super::cgroup::Cgroup;
use super::environment::TOKEN;
use super::journal::Entry;
use super::{Surroundings, carry_out, procfs};
use crm_core::event::Event;
use crm_core::operation::OpOutcome;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep};

/// How long killed processes may take to be gone.
const PATIENCE: Duration = Duration::from_secs(30);

/// Kills what is left of open calls, and stops what a cut-off start may have half started.
///
/// # Errors
/// Something cannot be killed, or the journal cannot be read: the daemon must not say anything of
/// those resources, so it does not start.
pub(crate) async fn settle(surroundings: &Surroundings) -> Result<Vec<Event>, String> {
    let (entries, broken) = surroundings
        .journal
        .open_calls()
        .map_err(|error| format!("the journal of open calls cannot be read: {error}"))?;
    if let Some(path) = broken.first() {
        return Err(format!(
            "{} is damaged, so it is not known which agent call was open; stop the resources of \
             this node by hand or reboot it, then remove the file",
            path.display()
        ));
    }
    let mut events = Vec::new();
    for (number, entry) in (0u64..).zip(&entries) {
        end(entry).await?;
        let text = format!("{} was cut off by the end of the former daemon", entry.what.text());
        events.push(Event::warning("operation-settled", text));
        if let Some(stop) = entry.what.undo(u64::MAX - number) {
            let (_keep, never) = oneshot::channel();
            let (result, _) = carry_out(surroundings, &stop, never).await;
            if result.outcome != OpOutcome::Done {
                let reason = result.reason.unwrap_or_else(|| format!("{:?}", result.outcome));
                let text = format!("stop after a start that was cut off failed: {reason}");
                let event = Event::error("settle-failed", text);
                events.push(event.group(&stop.group).resource(&stop.resource));
            }
        }
        surroundings.journal.end(&entry.token);
    }
    if let Some(cgroups) = &surroundings.cgroups {
        cgroups.sweep();
    }
    Ok(events)
}

async fn end(entry: &Entry) -> Result<(), String> {
    let begun = Instant::now();
    let cgroup = entry.cgroup.as_deref().map(Cgroup::at);
    loop {
        if let Some(cgroup) = &cgroup {
            cgroup.kill();
        }
        let alive = processes(entry);
        for stat in &alive {
            procfs::kill(stat);
        }
        if alive.is_empty() && !cgroup.as_ref().is_some_and(Cgroup::is_populated) {
            if let Some(cgroup) = &cgroup {
                let _ = cgroup.remove();
            }
            return Ok(());
        }
        if begun.elapsed() > PATIENCE {
            let pids: Vec<String> = alive.iter().map(|stat| stat.pid.to_string()).collect();
            return Err(format!(
                "{} was open when the former daemon ended, and its processes cannot be killed \
                 (the kernel holds them): {}; reboot this machine",
                entry.what.text(),
                pids.join(", ")
            ));
        }
        sleep(Duration::from_millis(20)).await;
    }
}

/// Everything that carries the token, and the session of the first process if that still lives.
fn processes(entry: &Entry) -> Vec<procfs::Stat> {
    let session = entry
        .leader
        .filter(|(pid, started)| procfs::stat(*pid).is_some_and(|stat| stat.started == *started))
        .map(|(pid, _)| pid);
    procfs::all()
        .into_iter()
        .filter_map(procfs::stat)
        .filter(|stat| !stat.zombie && stat.pid != std::process::id().cast_signed())
        .filter(|stat| {
            session == Some(stat.session) || procfs::has_variable(stat.pid, TOKEN, &entry.token)
        })
        .collect()
}
