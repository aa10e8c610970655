//! HB24: scripts of Heartbeat's time end with 0 whatever became of the work, so what they say of a start or a stop is
//! held against what they say of the state afterwards.

use super::judge::{NOT_ASKED, SAID_NOTHING};
use super::{Surroundings, one_call};
use crm_core::model::AgentClass;
use crm_core::operation::{Action, OpOutcome, Operation};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// What a script may need until its status has noticed, and how often it is asked.
const SETTLES_WITHIN: Duration = Duration::from_secs(5);
const AGAIN_AFTER: Duration = Duration::from_millis(200);

/// What the state says of the word.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// It agrees, or tells neither.
    Agrees,
    /// The opposite, as text.
    Denies(String),
    /// Somebody cancelled the operation meanwhile.
    Cancelled,
}

/// Whether a success of this operation is believed only after a look.
pub(super) fn is_due(operation: &Operation, outcome: OpOutcome) -> bool {
    operation.spec.agent.class == AgentClass::Heartbeat
        && outcome == OpOutcome::Done
        && matches!(operation.action, Action::Start | Action::Stop)
}

/// Asks until the state agrees, the operation's time (from `begun`) is over, or it has had enough of it. Once it is
/// asked even if the script has used up all of its time: else that would decide what is believed.
pub(super) async fn look(
    surroundings: &Surroundings,
    operation: &Operation,
    token: &str,
    begun: Instant,
    cancelled: &mut oneshot::Receiver<()>,
) -> Look {
    let end = begun + Duration::from_micros(operation.timeout.as_micros());
    let enough = Instant::now() + SETTLES_WITHIN;
    let mut word = None;
    for number in 0_u32.. {
        let now = Instant::now();
        let least = if number == 0 { SETTLES_WITHIN } else { Duration::ZERO };
        let left = end.saturating_duration_since(now).max(least).as_micros();
        if cancelled.is_terminated() {
            return Look::Agrees;
        }
        if left == 0 {
            break;
        }
        let timeout = crm_core::time::Span::micros(u64::try_from(left).unwrap_or(u64::MAX));
        let status = Operation { action: Action::Status, timeout, ..operation.clone() };
        let token = format!("{token}.look{number}");
        let (result, _) = one_call(surroundings, &status, &token, &mut *cancelled).await;
        word = match (operation.action, result.outcome) {
            (_, OpOutcome::Cancelled) => return Look::Cancelled,
            (Action::Start, OpOutcome::NotRunning) => Some("does not run"),
            (Action::Stop, OpOutcome::Done) => Some("runs"),
            (Action::Start, OpOutcome::Done | OpOutcome::RunningPromoted)
            | (Action::Stop, OpOutcome::NotRunning) => return Look::Agrees,
            // Old scripts say nothing of what does not run.
            (Action::Stop, OpOutcome::Failed { .. })
                if result.reason.as_deref() == Some(SAID_NOTHING) =>
            {
                return Look::Agrees;
            }
            // One that tells neither takes nothing back.
            _ if word.is_some() => word,
            // A status that hangs where something was stopped is no word of its end; one that was never asked, or was
            // killed, neither.
            (Action::Stop, OpOutcome::TimedOut) => Some("may run (that did not end in time)"),
            (Action::Stop, OpOutcome::Failed { code: NOT_ASKED } | OpOutcome::Signalled { .. }) => {
                Some("may run (that could not be asked)")
            }
            _ => return Look::Agrees,
        };
        if Instant::now() + AGAIN_AFTER >= enough.min(end) {
            break;
        }
        tokio::time::sleep(AGAIN_AFTER).await;
    }
    // Also if a busy machine slept past the end.
    word.map_or(Look::Agrees, |word| {
        Look::Denies(format!(
            "the script ended its {} with 0, but by its own status it {word}; its log may say why",
            operation.action.as_str()
        ))
    })
}
