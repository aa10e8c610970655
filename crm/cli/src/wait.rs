//! Waiting until the cluster has carried a change out, with one line for each thing that changes.

use crate::output::{Failure, say};
use crate::session::Session;
use crm_api::Exit;
use crm_core::packet::GroupPhase;
use crm_core::status::{GroupStatus, Status};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Between two looks at the status: a move takes some milliseconds, a database minutes.
const FIRST_LOOK: Duration = Duration::from_millis(5);
const LAST_LOOK: Duration = Duration::from_millis(250);

/// What a look at the status says of a change.
pub(crate) enum Progress {
    Done,
    /// Not yet, and what is missing.
    Waiting(String),
    /// It will not happen by itself.
    Failed(String),
}

/// Looks until `judge` is content, prints what changes meanwhile.
pub(crate) fn wait(
    session: &mut Session,
    timeout: Duration,
    hint: &str,
    mut judge: impl FnMut(&Status) -> Progress,
) -> Result<(), Failure> {
    let until = Instant::now() + timeout;
    let mut known: BTreeMap<String, String> = BTreeMap::new();
    let mut first = true;
    let mut pause = FIRST_LOOK;
    loop {
        let status = session.status()?;
        for group in &status.groups {
            let line = place_of(group);
            let before = known.insert(group.id.to_string(), line.clone());
            if !first && before.as_deref() != Some(&line) {
                say(format!("  {line}"));
            }
        }
        match judge(&status) {
            Progress::Done => return Ok(()),
            Progress::Failed(reason) => return Err(Failure::new(Exit::Failed, reason, hint)),
            Progress::Waiting(missing) if Instant::now() >= until => {
                let reason = format!(
                    "after {} s: {missing}; the change is committed and goes on",
                    timeout.as_secs()
                );
                return Err(Failure::new(Exit::TimedOut, reason, hint));
            }
            // What is waited for, before anything changes.
            Progress::Waiting(missing) if first => say(format!("  {missing}")),
            Progress::Waiting(_) => {}
        }
        first = false;
        std::thread::sleep(pause.min(until.saturating_duration_since(Instant::now())));
        pause = (pause * 3 / 2).min(LAST_LOOK);
    }
}

/// One group in a few words.
pub(crate) fn place_of(group: &GroupStatus) -> String {
    match &group.owner {
        Some(owner) => format!("{}: {} on {owner}", group.id, phase(group.phase)),
        None => format!("{}: stopped", group.id),
    }
}

/// A phase as people say it.
pub(crate) fn phase(phase: GroupPhase) -> &'static str {
    match phase {
        GroupPhase::Unknown => "unknown",
        GroupPhase::Stopped => "stopped",
        GroupPhase::Starting => "starting",
        GroupPhase::Running => "running",
        GroupPhase::Stopping => "stopping",
        GroupPhase::Failed => "failed",
        GroupPhase::StopFailed => "stop failed",
    }
}
