//! Carries out the core's operations: one agent call each, bounded in time, memory and processes.
//!
//! A call is journalled before it begins (H15), runs in a session and, where there is one, a cgroup
//! of its own, and is reported when none of its processes is left, except those that a start or promotion
//! that succeeded left running on purpose, and those that the kernel does not let die (see `held`).

mod call;
mod cgroup;
mod environ;
mod environment;
#[cfg(fuzzing)]
pub(crate) mod fuzzing;
mod held;
mod journal;
mod judge;
mod launch;
mod leftover;
mod procfs;
mod reaper;
pub(crate) mod room;
mod second_look;
mod speech;
mod started;
mod tail;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
mod tree;

pub(crate) use call::{AGENT_NAME, Places};
pub(crate) use cgroup::Parent as CgroupParent;
pub(crate) use environment::clean as clean_environment;
pub(crate) use held::Held;
pub(crate) use journal::{Entry, Journal, What};
pub(crate) use launch::{Awaited, End, Launch};
pub(crate) use leftover::settle;
pub(crate) use reaper::Reaper;
pub(crate) use tail::last_line;

use self::room::Refused;
use self::second_look::Look;
use crate::happening::{Happening, Tell};
use crate::timing::mark;
use crate::watches::Watch;
use crm_core::id::OpId;
use crm_core::operation::{Action, OpOutcome, OpResult, Operation};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// What every call needs.
#[derive(Debug)]
pub(crate) struct Surroundings {
    pub(crate) places: Places,
    pub(crate) journal: Journal,
    pub(crate) cgroups: Option<CgroupParent>,
    pub(crate) awaited: Awaited,
    /// What could not be killed.
    pub(crate) held: Held,
    /// Real-time priority of the agents built in, if this daemon may give one.
    pub(crate) priority: Option<i32>,
    /// Distinguishes the calls of this run of the daemon from those of every other.
    pub(crate) run: String,
    pub(crate) tell: Tell,
}

/// The calls that are open.
#[derive(Debug)]
pub(crate) struct Executor {
    surroundings: Rc<Surroundings>,
    open: Rc<RefCell<BTreeMap<OpId, oneshot::Sender<()>>>>,
}

impl Executor {
    pub(crate) fn new(surroundings: Rc<Surroundings>) -> Executor {
        Executor { surroundings, open: Rc::default() }
    }

    /// Begins a call; it ends with [`Happening::Finished`].
    pub(crate) fn run(&mut self, operation: Operation) {
        let (cancel, cancelled) = oneshot::channel();
        self.open.borrow_mut().insert(operation.op, cancel);
        let (surroundings, open) = (self.surroundings.clone(), self.open.clone());
        tokio::task::spawn_local(async move {
            let (result, watches) = carry_out(&surroundings, &operation, cancelled).await;
            open.borrow_mut().remove(&operation.op);
            let operation = Box::new(operation);
            surroundings.tell.tell(Happening::Finished { operation, result, watches });
        });
    }

    /// Kills a call; it still ends with [`Happening::Finished`].
    pub(crate) fn cancel(&mut self, op: OpId) {
        if let Some(cancel) = self.open.borrow_mut().remove(&op) {
            let _ = cancel.send(());
        }
    }
}

/// The call, and what its word is worth.
pub(crate) async fn carry_out(
    surroundings: &Surroundings,
    operation: &Operation,
    cancelled: oneshot::Receiver<()>,
) -> (OpResult, Vec<Watch>) {
    let (held, journal) = (&surroundings.held, &surroundings.journal);
    if let Some(result) = held.instead(journal, operation).await {
        return (result, Vec::new());
    }
    let (result, watches) = call_and_look(surroundings, operation, cancelled).await;
    let result = held.weigh(journal, operation, result).await;
    (journal.hold_against_starts(operation, result), watches)
}

/// The call, and a look afterwards where its word alone proves nothing.
async fn call_and_look(
    surroundings: &Surroundings,
    operation: &Operation,
    mut cancelled: oneshot::Receiver<()>,
) -> (OpResult, Vec<Watch>) {
    let token = format!("{}.{}", surroundings.run, operation.op);
    let begun = Instant::now();
    let (result, watches) = one_call(surroundings, operation, &token, &mut cancelled).await;
    if !second_look::is_due(operation, result.outcome) {
        return (result, watches);
    }
    match second_look::look(surroundings, operation, &token, begun, &mut cancelled).await {
        Look::Agrees => (result, watches),
        Look::Denies(reason) => (with_reason(OpOutcome::Failed { code: 0 }, reason), watches),
        Look::Cancelled => (OpResult::of(OpOutcome::Cancelled), watches),
    }
}

/// One call from the journal entry to the proof that nothing of it is left, or the note of what is.
async fn one_call(
    surroundings: &Surroundings,
    operation: &Operation,
    token: &str,
    cancelled: &mut oneshot::Receiver<()>,
) -> (OpResult, Vec<Watch>) {
    let action = operation.action;
    let step = |what: &str| {
        mark(format_args!("{} of {} {what}", action.as_str(), operation.resource));
    };
    step("is called");
    let call = match call::call(&surroundings.places, operation, token) {
        Ok(call) => call,
        Err(reason) => return (with_reason(OpOutcome::Missing, reason), Vec::new()),
    };
    let cgroup = surroundings.cgroups.as_ref().and_then(|parent| parent.make(token).ok());
    let mut entry = Entry {
        token: token.to_owned(),
        cgroup: cgroup.as_ref().map(|cgroup| cgroup.path().to_owned()),
        leader: None,
        what: What::of(operation),
    };
    let noted = surroundings.journal.note_start(operation);
    if let Err(error) = noted.and_then(|()| surroundings.journal.begin(&entry))
        && !matches!(action, Action::Stop | Action::Demote | Action::Status)
    {
        // Without the entry a restarted daemon would not know of the call (H15). But a full run directory is no reason
        // to call what runs failed, and its stop too: that would end the machine (R21).
        let reason = format!("the call cannot be journalled: {error}; is the run directory full?");
        return (with_reason(OpOutcome::Failed { code: 1 }, reason), Vec::new());
    }
    let judge = call.judge;
    let launch = Launch {
        program: call.program,
        own_name: call.own_name,
        arguments: call.arguments,
        environment: call.environment,
        input: None,
        token: token.to_owned(),
        cgroup: cgroup.clone(),
        // Ours are short and fork nothing that keeps it. On a busy machine an agent that waits for
        // its turn is an outage; what others do with such a priority is not known.
        priority: call.own_name.and(surroundings.priority),
    };
    let program = launch.program.display().to_string();
    let timeout = Duration::from_micros(operation.timeout.as_micros());
    let start = || launch.clone().start(&surroundings.awaited);
    let (mut running, timeout) = match room::wait_for(timeout, wish(cancelled), start).await {
        Ok(made) => made,
        Err(refused) => {
            surroundings.journal.end(token);
            if let Some(cgroup) = cgroup {
                let _ = cgroup.remove();
            }
            let result = match refused {
                Refused::Cancelled => OpResult::of(OpOutcome::Cancelled),
                Refused::Error(error) => {
                    let reason = format!("no process can be made for {program}: {error}");
                    with_reason(OpOutcome::Failed { code: 126 }, reason)
                }
            };
            return (result, Vec::new());
        }
    };
    entry.leader = running.tree.since.map(|since| (running.tree.leader, since));
    // Its first entry, with the token and the cgroup, is there already.
    let _ = surroundings.journal.begin(&entry);

    step("is spawned");
    let ended = running.wait(timeout, wish(cancelled));
    let (end, mut left) = match ended.await {
        Ok(ended) => (Some(ended.end), ended.left),
        Err(_) => (None, running.tree.end(tree::DEATH_PATIENCE).await.err()),
    };
    step("has exited");
    let output = running.heard.tail.text();
    log(operation, &output, running.heard.tail.dropped());
    let speech = std::mem::take(&mut running.heard.speech);
    let (outcome, words) = match end {
        Some(End::Exited(status)) => judge::judge(judge, action, status, &output),
        Some(End::NotExecuted(number)) => {
            let error = std::io::Error::from_raw_os_error(number);
            let text = format!("{program} cannot be executed: {error}");
            (OpOutcome::Failed { code: 126 }, Some(text))
        }
        // That it did not end in time, the outcome says.
        Some(End::TimedOut) => (OpOutcome::TimedOut, None),
        Some(End::Cancelled) => (OpOutcome::Cancelled, None),
        None => (OpOutcome::Failed { code: 1 }, Some("its exit cannot be known".to_owned())),
    };
    let keeps = outcome == OpOutcome::Done
        && matches!(action, Action::Start | Action::Promote | Action::Demote);
    if matches!(end, Some(End::Exited(_))) && !keeps && !running.tree.is_empty().await {
        left = running.tree.end(tree::DEATH_PATIENCE).await.err();
    }
    let mut reason = reason(outcome, speech.reason, words, &output);
    match left {
        Some(pids) => {
            let text = format!("its processes cannot be killed (the kernel holds them): {pids}");
            surroundings.held.keep(surroundings, operation, &running.tree, &text);
            reason = Some(text);
        }
        None => {
            running.tree.tidy();
            surroundings.journal.end(token);
        }
    }
    let result = OpResult { outcome, reason, attributes: speech.attributes };
    (result, speech.watches)
}

/// Ends when somebody cancels the call.
pub(crate) async fn wish(cancelled: &mut oneshot::Receiver<()>) {
    if cancelled.is_terminated() || cancelled.await.is_err() {
        // Nobody can cancel it any more.
        std::future::pending::<()>().await;
    }
}

/// The agent's own words first, then ours, then the last line of its output.
fn reason(
    outcome: OpOutcome,
    said: Option<String>,
    ours: Option<String>,
    output: &str,
) -> Option<String> {
    match outcome {
        OpOutcome::Done | OpOutcome::NotRunning | OpOutcome::RunningPromoted => said.or(ours),
        _ => said.or(ours).or_else(|| last_line(output)),
    }
}

fn with_reason(outcome: OpOutcome, reason: String) -> OpResult {
    OpResult { reason: Some(reason), ..OpResult::of(outcome) }
}

fn log(operation: &Operation, output: &str, dropped: u64) {
    if !tracing::enabled!(target: "crm_agent", tracing::Level::DEBUG) {
        return;
    }
    let (group, resource) = (operation.group.as_str(), operation.resource.as_str());
    let action = operation.action.as_str();
    if dropped > 0 {
        tracing::debug!(target: "crm_agent", group, resource, action, dropped, "output was cut");
    }
    for line in output.lines().filter(|line| !line.trim().is_empty()) {
        let line = speech::printable(line);
        tracing::debug!(target: "crm_agent", group, resource, action, "{line}");
    }
}
