//! What a group waits for before it is granted: those it starts after, and absent nodes that it
//! prefers (`initdead`).

use super::NodeSituation;
use super::choose::{Decision, leaves};
use super::facts::{Facts, Hold};
use super::obstacle::lasting;
use super::preference::rank;
use super::unit::Unit;
use crate::id::GroupId;
use crate::packet::GroupPhase;

/// Something that `starts_after` waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct WaitsFor<'a> {
    pub(super) group: &'a GroupId,
    pub(super) because: &'static str,
}

/// The first group that must run before this one may start.
pub(super) fn waits_for<'a>(
    facts: &Facts<'a>,
    decisions: &[Decision<'_>],
    group: usize,
) -> Option<WaitsFor<'a>> {
    facts.groups[group].spec.starts_after.iter().find_map(|name| {
        let because = match facts.group(name) {
            None => "which is not configured",
            Some(other) if facts.is_running(other) && !leaves(facts, decisions, other) => {
                return None;
            }
            Some(other) if facts.is_stopped(other) => "which is stopped by an operator",
            Some(other) if facts.groups[other].hold == Hold::Nobody => "which runs nowhere yet",
            Some(other) if facts.is_running(other) => "which is about to leave its node",
            Some(other) if facts.groups[other].phase == GroupPhase::Starting => "which is starting",
            Some(_) => "which does not run yet",
        };
        Some(WaitsFor { group: name, because })
    })
}

/// The absent node for which a unit waits that was never granted to anybody: one of `prefer`,
/// liked better than the best node to be had now. A group that ran is never kept down for this.
pub(super) fn awaited(facts: &Facts<'_>, unit: &Unit, best: usize) -> Option<usize> {
    let ran = unit.core.iter().any(|group| {
        let group = &facts.groups[*group];
        group.hold != Hold::Nobody || group.failures.is_some() || group.spec.follow.is_some()
    });
    if ran {
        return None;
    }
    unit.prefer.iter().copied().find(|node| {
        facts.nodes[*node].situation == NodeSituation::Awaited
            && rank(unit, *node) < rank(unit, best)
            && unit.core.iter().all(|group| lasting(facts, *group, *node).is_none())
    })
}
