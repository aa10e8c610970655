//! What is known of one group and its resources on this node.

use super::Want;
use crate::id::OpId;
use crate::model::{Group, Resource};
use crate::operation::Action;
use crate::time::Time;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// One group on this node.
#[derive(Debug)]
pub(super) struct GroupRun {
    /// Definition that what runs was started with.
    pub(super) spec: Arc<Group>,
    /// A newer definition, taken once everything it changes is stopped.
    pub(super) next_spec: Option<Arc<Group>>,
    /// No longer configured: forgotten once it is stopped.
    pub(super) removed: bool,
    pub(super) want: Want,
    pub(super) resources: Vec<ResourceRun>,
    /// A failure that ended the group here; it is not tried again before something changes.
    pub(super) failed: Option<String>,
    /// `on_fail: block`: left as it is for the operator.
    pub(super) blocked: Option<String>,
    /// Restarts in place within the window.
    pub(super) restarts: VecDeque<Time>,
    /// Everything from here on is stopped before anything starts.
    pub(super) stop_from: Option<usize>,
    /// Operators' restarts seen and carried out.
    pub(super) restart_seen: Option<u64>,
    pub(super) restart_done: u64,
    pub(super) told: super::report::Told,
}

/// One resource on this node.
#[derive(Debug)]
pub(super) struct ResourceRun {
    pub(super) spec: Arc<Resource>,
    pub(super) state: State,
    pub(super) open: Option<Open>,
    /// When `status` is called next, unless an event asks for it before.
    pub(super) poll_at: Option<Time>,
    /// An event came while a call was open: look again after it.
    pub(super) look_again: bool,
    /// One `status` failed without saying stopped; the next one decides.
    pub(super) suspected: bool,
    pub(super) reason: Option<String>,
    pub(super) attributes: BTreeMap<String, String>,
    pub(super) restarts: u32,
}

/// Unknown is never stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Unknown,
    Stopped,
    Running,
    /// A start that did not end well, or a resource found dead: needs a stop before a start.
    Broken,
    StopFailed,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Open {
    pub(super) op: OpId,
    pub(super) action: Action,
    pub(super) cancelled: bool,
}

impl GroupRun {
    pub(super) fn new(spec: Arc<Group>, now: Time) -> GroupRun {
        let resources = spec.resources.iter().map(|spec| ResourceRun::new(spec, now)).collect();
        GroupRun {
            spec,
            next_spec: None,
            removed: false,
            want: Want::Hold,
            resources,
            failed: None,
            blocked: None,
            restarts: VecDeque::new(),
            stop_from: None,
            restart_seen: None,
            restart_done: 0,
            told: super::report::Told::default(),
        }
    }

    /// Whether it is to be up now.
    pub(super) fn goes_up(&self) -> bool {
        self.want == Want::Run && self.failed.is_none() && !self.removed
    }

    /// Whether every resource is stopped; with `open` also no start or stop is open (H15).
    pub(super) fn is_stopped(&self, open: bool) -> bool {
        self.resources.iter().all(|r| r.state == State::Stopped && !(open && r.changes()))
    }
}

impl ResourceRun {
    pub(super) fn new(spec: &Resource, now: Time) -> ResourceRun {
        ResourceRun {
            spec: Arc::new(spec.clone()),
            state: State::Unknown,
            open: None,
            poll_at: Some(now),
            look_again: false,
            suspected: false,
            reason: None,
            attributes: BTreeMap::new(),
            restarts: 0,
        }
    }

    /// A start or stop is under way.
    pub(super) fn changes(&self) -> bool {
        self.open.is_some_and(|open| open.action != Action::Status)
    }
}
