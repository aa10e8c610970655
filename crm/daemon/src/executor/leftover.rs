//! What a former daemon left open is killed and settled before the core is started (H15, R17).

use super::cgroup::Cgroup;
use super::environ::{self, Environ};
use super::environment::TOKEN;
use super::journal::Entry;
use super::procfs::{self, Stat};
use super::tree::STARTING;
use super::{Surroundings, carry_out};
use crm_core::event::Event;
use crm_core::operation::OpOutcome;
use futures_util::future::join_all;
use std::collections::BTreeSet;
use std::io;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep};

/// How long killed processes may take to be gone.
const PATIENCE: Duration = Duration::from_secs(if cfg!(test) { 3 } else { 30 });
/// The same where they can change nothing: until this is over the node sends no heartbeat.
const PATIENCE_WITHOUT_NEED: Duration = Duration::from_millis(300);

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
    // All of them, before anything is called: of one resource there may be a start and a stop, and nothing runs beside
    // what is left of either.
    let held = end(&entries).await?;
    for entry in &entries {
        let text = format!("{} was cut off by the end of the former daemon", entry.what.text());
        events.push(Event::warning("operation-settled", text));
    }
    for (entry, why) in held {
        let text = format!("{} was cut off, and {why}", entry.what.text());
        events.push(Event::error("operation-hangs", text));
    }
    for (number, entry) in (0u64..).zip(&entries) {
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

/// A call that is being ended.
struct Call<'a> {
    entry: &'a Entry,
    cgroup: Option<Cgroup>,
    /// That of its first process, if nobody else can have it.
    session: Option<i32>,
    left: Left,
    /// Who was found to be of it before, by number and start. One that is killed and hangs in the kernel has no memory any
    /// more, and so no environment to be known by.
    known: BTreeSet<(i32, u64)>,
    was_empty: bool,
}

/// What is left of a call.
#[derive(Default)]
struct Left {
    /// Everything that carries the token, and the session of the first process.
    ours: Vec<Stat>,
    /// They hang, and so nobody can tell whose they are.
    unknown: Vec<Stat>,
    is_populated: bool,
    /// Why there may be more.
    unseen: Option<String>,
}

impl Left {
    fn is_empty(&self) -> bool {
        let nobody = self.ours.is_empty() && self.unknown.is_empty();
        nobody && !self.is_populated && self.unseen.is_none()
    }

    /// What holds them, and what helps.
    fn text(&self) -> (String, &'static str) {
        let pids = |stats: &[Stat]| {
            stats.iter().map(|stat| stat.pid.to_string()).collect::<Vec<_>>().join(", ")
        };
        let cannot_be_seen = |why: &str| format!("whether it has ended cannot be seen: {why}");
        const PASSES: &str = "this may pass, and the daemon tries again at its next start";
        match &self.unseen {
            Some(error) => (cannot_be_seen(&format!("/proc cannot be read: {error}")), PASSES),
            None if self.ours.is_empty() && !self.is_populated => {
                let unknown = pids(&self.unknown);
                (cannot_be_seen(&format!("nobody can tell whose these are: {unknown}")), PASSES)
            }
            None => {
                let who =
                    if self.ours.is_empty() { "unknown".to_owned() } else { pids(&self.ours) };
                let text = format!("its processes cannot be killed (the kernel holds them): {who}");
                (text, "reboot this machine")
            }
        }
    }
}

impl Call<'_> {
    fn of(entry: &Entry) -> Call<'_> {
        let cgroup = entry.cgroup.as_deref().map(Cgroup::at);
        let (left, known) = (Left::default(), BTreeSet::new());
        Call { entry, cgroup, session: None, left, known, was_empty: false }
    }

    /// After each look, which began `since` the first one did. A cgroup knows its own; else one look proves little. Who is
    /// just executing a program has no environment for a moment, and who is forked during a look, by somebody who ends in
    /// it, shows in the next one only.
    fn is_over(&mut self, since: Duration) -> bool {
        let was_empty = std::mem::replace(&mut self.was_empty, self.left.is_empty());
        self.was_empty && (self.cgroup.is_some() || was_empty && since >= STARTING)
    }

    fn patience(&self) -> Duration {
        if self.entry.what.changes_nothing() { PATIENCE_WITHOUT_NEED } else { PATIENCE }
    }

    fn may_have(&self, stat: &Stat) -> bool {
        self.entry.leader.is_none_or(|(_, since)| stat.started >= since)
    }

    /// Whether only the environment of this process can tell that it is of this call.
    fn is_to_be_told(&self, stat: &Stat) -> bool {
        let is_known =
            self.session == Some(stat.session) || self.known.contains(&(stat.pid, stat.started));
        self.may_have(stat) && !is_known
    }
}

/// Kills all of them together, until nothing is left. Answers what the kernel does not let die, or to be seen, where that
/// can change nothing here.
///
/// # Errors
/// It can.
async fn end(entries: &[Entry]) -> Result<Vec<(&Entry, String)>, String> {
    let begun = Instant::now();
    let mut open: Vec<Call<'_>> = entries.iter().map(Call::of).collect();
    let mut held = Vec::new();
    while !open.is_empty() {
        let since = begun.elapsed();
        for cgroup in open.iter().filter_map(|call| call.cgroup.as_ref()) {
            cgroup.kill();
        }
        look(&mut open).await;
        let mut problems = Vec::new();
        open.retain_mut(|call| {
            call.left.ours.iter().for_each(procfs::kill);
            if call.is_over(since) {
                call.cgroup.as_ref().map(Cgroup::remove);
                return false;
            }
            if since <= call.patience() {
                return true;
            }
            let (why, advice) = call.left.text();
            if call.entry.what.changes_nothing() {
                held.push((call.entry, why));
                return false;
            }
            let what = call.entry.what.text();
            problems
                .push(format!("{what} was open when the former daemon ended, and {why}; {advice}"));
            true
        });
        if !problems.is_empty() {
            return Err(problems.join("; "));
        }
        if !open.is_empty() {
            sleep(Duration::from_millis(20)).await;
        }
    }
    Ok(held)
}

/// Looks who is left of the calls.
async fn look(calls: &mut [Call<'_>]) {
    for call in &mut *calls {
        call.left = Left::default();
    }
    let unseen = look_at_processes(calls).await.err().map(|error| error.to_string());
    for call in calls {
        call.left.unseen.clone_from(&unseen);
        call.left.is_populated = call.cgroup.as_ref().is_some_and(Cgroup::is_populated);
    }
}

/// Each process is looked at once for all calls, and those that hang all together.
///
/// # Errors
/// They cannot be seen.
async fn look_at_processes(calls: &mut [Call<'_>]) -> io::Result<()> {
    for call in &mut *calls {
        call.session = match call.entry.leader {
            Some((pid, started)) if procfs::is_or_was(pid, started)? => Some(pid),
            _ => None,
        };
    }
    let me = std::process::id().cast_signed();
    let mut all = procfs::all()?;
    all.retain(|stat| !stat.zombie && stat.pid != me);
    let environs = join_all(all.iter().map(async |stat| {
        let is_needed = calls.iter().any(|call| call.is_to_be_told(stat));
        if is_needed { environ::of(stat).await } else { Environ::Gone }
    }));
    let environs = environs.await;
    for call in calls {
        let mut left = Left::default();
        for (stat, environ) in all.iter().zip(&environs).filter(|(stat, _)| call.may_have(stat)) {
            let is_to_be_told = call.is_to_be_told(stat);
            match environ.has(TOKEN, &call.entry.token) {
                _ if !is_to_be_told => left.ours.push(*stat),
                Some(true) => left.ours.push(*stat),
                // The cgroup knows its own.
                None if call.cgroup.is_none() => left.unknown.push(*stat),
                _ => {}
            }
        }
        call.known.extend(left.ours.iter().map(|stat| (stat.pid, stat.started)));
        call.left = left;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
