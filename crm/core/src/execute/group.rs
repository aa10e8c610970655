//! The state of one group on this node.

use super::Want;
use super::resource::ResourceState;
use crate::id::GroupId;
use crate::model::{Group, Resource, RestartPolicy};
use crate::operation::DataWord;
use crate::packet::GroupPhase;
use crate::status::ResourcePhase;
use crate::time::Time;
use std::collections::VecDeque;
use std::sync::Arc;

#[derive(Clone, Debug, Hash)]
pub(super) struct GroupState {
    pub(super) id: GroupId,
    pub(super) restart: RestartPolicy,
    /// In order; started from the first, stopped from the last (I2).
    pub(super) resources: Vec<ResourceState>,
    pub(super) want: Want,
    pub(super) word: DataWord,
    /// No longer configured: stopped, then forgotten.
    pub(super) retiring: bool,
    /// Why this node gave the group up; it stays down until it is wanted anew or cleared.
    pub(super) gave_up: Option<String>,
    /// A definition that needs a restart from one resource on; waits until those are down.
    pub(super) incoming: Option<Incoming>,
    /// Restart counter under way: everything goes down once before it comes up.
    pub(super) restart_to: Option<u64>,
    pub(super) restarts_done: u64,
    /// When resources were restarted in place, oldest first; no older than the window.
    pub(super) restarted: VecDeque<Time>,
    /// Every resource has been looked at once.
    pub(super) looked: bool,
    /// Nothing of it runs that this run of the daemon has not started (AS6).
    pub(super) since_boot: bool,
    /// The phase the operator was told last, and since when.
    pub(super) announced: GroupPhase,
    pub(super) since: Time,
}

/// Resources that replace those from `from` on.
#[derive(Clone, Debug, Hash)]
pub(super) struct Incoming {
    pub(super) from: usize,
    pub(super) resources: Vec<Arc<Resource>>,
}

/// Where a group is to go now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Goal {
    Up,
    Down,
    Stay,
}

impl GroupState {
    pub(super) fn new(
        now: Time,
        group: &Group,
        restarts_done: u64,
        since_boot: bool,
    ) -> GroupState {
        let resources = group.resources.iter().cloned().map(Arc::new);
        GroupState {
            id: group.id.clone(),
            restart: group.restart,
            resources: resources.map(|spec| ResourceState::unknown(now, spec)).collect(),
            want: Want::Hold,
            word: DataWord::default(),
            retiring: false,
            gave_up: None,
            incoming: None,
            restart_to: None,
            restarts_done,
            restarted: VecDeque::new(),
            looked: false,
            since_boot,
            announced: GroupPhase::Unknown,
            since: now,
        }
    }

    /// Nothing can have started it: what its agent cannot say is looked at again, not stopped (AS6).
    pub(super) fn is_untouched(&self, resource: &ResourceState) -> bool {
        self.since_boot && !resource.touched
    }

    pub(super) fn goal(&self) -> Goal {
        match self.want {
            _ if self.retiring => Goal::Down,
            Want::Hold => Goal::Stay,
            Want::Stop => Goal::Down,
            Want::Run if self.gave_up.is_some() => Goal::Down,
            Want::Run => Goal::Up,
        }
    }

    /// The lowest resource that must go down once, for a restart or a new definition.
    pub(super) fn floor(&self) -> Option<usize> {
        let restart = self.restart_to.map(|_| 0);
        let incoming = self.incoming.as_ref().map(|incoming| incoming.from);
        restart.into_iter().chain(incoming).min()
    }

    /// A stop failed: nothing more is tried until the operator clears it (R21).
    pub(super) fn is_stuck(&self) -> bool {
        self.resources.iter().any(|resource| resource.phase == ResourcePhase::StopFailed)
    }

    /// Which of the resources of this name has a call open. After a restart of the daemon in the middle of a change there
    /// are two, the old and the new: one is called at a time.
    pub(super) fn busy(&self, i: usize) -> Option<usize> {
        let name = &self.resources[i].spec.id;
        self.resources.iter().position(|other| other.spec.id == *name && !other.is_idle())
    }

    pub(super) fn all_stopped_from(&self, floor: usize) -> bool {
        self.resources.iter().skip(floor).all(ResourceState::is_stopped)
    }

    pub(super) fn all_idle_from(&self, floor: usize) -> bool {
        self.resources.iter().skip(floor).all(ResourceState::is_idle)
    }

    /// Takes a new wish; only a lasting `Stop` ends the state of having given up.
    pub(super) fn set_want(&mut self, want: Want) {
        self.want = want;
        if want == Want::Stop {
            self.gave_up = None;
        }
    }
}
