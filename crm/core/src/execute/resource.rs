//! The state of one resource on this node.

use crate::id::OpId;
use crate::model::Resource;
use crate::operation::{Action, OpResult};
use crate::packet::Eligibility;
use crate::status::ResourcePhase;
use crate::time::{Span, Time};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Attributes kept of one resource, and bytes of one text of an agent: more is cut off.
const ATTRIBUTES_MAX: usize = 64;
pub(super) const TEXT_BYTES_MAX: usize = 512;

/// After its timeout an operation may take this much longer to be reported as ended; then the
/// operator is told. It still counts as open (H15).
const OVERDUE_AFTER: Span = Span::secs(30);

#[derive(Clone, Debug, Hash)]
pub(super) struct ResourceState {
    /// The definition it was started with, so that the stop fits.
    pub(super) spec: Arc<Resource>,
    pub(super) phase: ResourcePhase,
    /// Why it is not simply running or stopped.
    pub(super) reason: Option<String>,
    pub(super) attributes: BTreeMap<String, String>,
    /// From the last status, for resources that are observed everywhere.
    pub(super) eligible: Option<Eligibility>,
    /// At most one operation at a time.
    pub(super) open: Option<Open>,
    /// When `status` is due.
    pub(super) look_at: Time,
    /// When the last status ended.
    pub(super) looked: Option<Time>,
    /// Events in a row that led to a status which found nothing new.
    pub(super) false_alarms: u32,
    /// Answers of `status` in a row that said neither running nor stopped.
    pub(super) doubts: u32,
    /// Something was stopped since the last status that may have been this one.
    pub(super) unsure: bool,
    /// This run of the daemon has tried to start it, or has seen it run.
    pub(super) touched: bool,
    /// With phase `Failed`: what is done about it.
    pub(super) verdict: Verdict,
    /// Restarts in place since the last clear.
    pub(super) restarts: u32,
}

/// An operation under way.
#[derive(Clone, Debug, Hash)]
pub(super) struct Open {
    pub(super) op: OpId,
    pub(super) action: Action,
    pub(super) since: Time,
    pub(super) timeout: Span,
    pub(super) cancelled: bool,
    /// An event came while it was open: look once more after it.
    pub(super) hinted: bool,
    /// The operator has been told that it should have ended long ago.
    pub(super) overdue: bool,
}

/// What is done about a resource that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Verdict {
    /// Nobody has decided yet.
    Open,
    /// Stop it, and start it again if the group is wanted.
    Recover,
    /// Reported only; the resources after it stay as they are.
    Ignore,
    /// Left as it is until the operator speaks; nothing more is started.
    Block,
}

impl ResourceState {
    /// A resource nobody has looked at yet.
    pub(super) fn unknown(now: Time, spec: Arc<Resource>) -> ResourceState {
        ResourceState {
            spec,
            phase: ResourcePhase::Unknown,
            reason: None,
            attributes: BTreeMap::new(),
            eligible: None,
            open: None,
            look_at: now,
            looked: None,
            false_alarms: 0,
            doubts: 0,
            unsure: false,
            touched: false,
            verdict: Verdict::Open,
            restarts: 0,
        }
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.phase == ResourcePhase::Stopped
    }

    /// Whether later resources may rest on it: it runs, or its failure is to be lived with.
    pub(super) fn is_up(&self) -> bool {
        match self.phase {
            ResourcePhase::Running => true,
            ResourcePhase::Failed => matches!(self.verdict, Verdict::Ignore | Verdict::Block),
            _ => false,
        }
    }

    /// Whether an operation is open that could start something (H15). A `status` cannot.
    pub(super) fn is_changing(&self) -> bool {
        self.open.as_ref().is_some_and(|open| open.action != Action::Status)
    }

    pub(super) fn is_idle(&self) -> bool {
        self.open.is_none()
    }

    pub(super) fn set(&mut self, phase: ResourcePhase, reason: Option<String>) {
        self.phase = phase;
        self.reason = reason;
        self.doubts = 0;
        self.unsure = false;
        self.touched |= phase == ResourcePhase::Running;
        self.verdict = Verdict::Open;
    }

    pub(super) fn timeout(&self, action: Action) -> Span {
        match action {
            Action::Start | Action::Promote => self.spec.timeouts.start,
            Action::Stop | Action::Demote => self.spec.timeouts.stop,
            Action::Status => self.spec.timeouts.status,
        }
    }

    /// Keeps what the agent said of itself, cut to size.
    pub(super) fn take_attributes(&mut self, result: &OpResult) {
        self.attributes = result
            .attributes
            .iter()
            .take(ATTRIBUTES_MAX)
            .map(|(name, value)| (cut(name), cut(value)))
            .collect();
    }
}

impl Open {
    /// When the operator is told that it does not end.
    pub(super) fn overdue_at(&self) -> Option<Time> {
        (!self.overdue).then(|| self.since + self.timeout + OVERDUE_AFTER)
    }
}

/// The first bytes of a text, cut between characters, on one line.
pub(super) fn cut(text: &str) -> String {
    let mut end = text.len().min(TEXT_BYTES_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].chars().map(|c| if c.is_control() { ' ' } else { c }).collect::<String>()
}
