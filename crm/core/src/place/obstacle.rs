//! What keeps a group off a node, whatever else is placed where.

use super::NodeSituation;
use super::facts::Facts;
use crate::id::ServiceId;
use crate::record::Failures;

/// One reason why a group may not be on a node.
#[derive(Clone, Copy, Debug)]
pub(super) enum Obstacle<'a> {
    /// The node is not online.
    Situation(NodeSituation),
    Standby,
    /// R14: it is shutting down, and gets nothing new.
    Leaving,
    /// R14: it has shut down.
    Left,
    /// H24: its replica lacks acknowledged writes.
    Banned(&'a str),
    Failed(&'a Failures),
    /// `only_preferred`, and `prefer` does not name it.
    NotPreferred,
    /// Another role than the one followed, or none that is known.
    OtherRole {
        service: &'a ServiceId,
        wanted: &'a str,
        held: Option<&'a str>,
    },
    /// Two nodes claim a role that only one may hold (O12).
    ClaimedTwice {
        service: &'a ServiceId,
        role: &'a str,
    },
    /// It said that it cannot serve the data, with its reason.
    NotEligible(&'a str),
    /// It did not say whether it can serve the data: unknown is no.
    EligibilityUnknown {
        reason: Option<&'a str>,
    },
}

impl Obstacle<'_> {
    /// Nothing is known against the node: its report has not come yet.
    pub(super) fn may_pass_at_once(&self) -> bool {
        matches!(
            self,
            Obstacle::Situation(NodeSituation::Joining | NodeSituation::Awaited)
                | Obstacle::EligibilityUnknown { reason: None }
        )
    }

    /// Whether its words name the group, or are about the node alone.
    pub(super) fn speaks_for_itself(&self) -> bool {
        use Obstacle::{Failed, Leaving, Left, Situation, Standby};
        matches!(self, Situation(_) | Standby | Leaving | Left | Failed(_))
    }
}

/// The first obstacle, the weightiest kind first; `None`: this group may be on this node.
pub(super) fn obstacle<'a>(facts: &Facts<'a>, group: usize, node: usize) -> Option<Obstacle<'a>> {
    beside_role(facts, group, node).or_else(|| {
        facts.groups[group]
            .followed
            .as_ref()
            .and_then(|followed| followed.obstacle(facts, group, node))
    })
}

/// The same, leaving out the role that the group follows.
pub(super) fn beside_role<'a>(
    facts: &Facts<'a>,
    group: usize,
    node: usize,
) -> Option<Obstacle<'a>> {
    let here = &facts.nodes[node];
    if here.situation == NodeSituation::Lost && here.leaving {
        return Some(Obstacle::Left);
    }
    if here.situation != NodeSituation::Online {
        return Some(Obstacle::Situation(here.situation));
    }
    lasting(facts, group, node).or_else(|| eligibility(facts, group, node))
}

/// The obstacles that stay when a silent node comes back.
pub(super) fn lasting<'a>(facts: &Facts<'a>, group: usize, node: usize) -> Option<Obstacle<'a>> {
    let here = &facts.nodes[node];
    let group = &facts.groups[group];
    if here.standby {
        return Some(Obstacle::Standby);
    }
    if here.leaving {
        return Some(Obstacle::Leaving);
    }
    if let Some(reason) = group.bans.and_then(|bans| bans.get(here.id)) {
        return Some(Obstacle::Banned(reason));
    }
    if let Some(failures) = group.failures.and_then(|failures| failures.get(here.id))
        && !failures.is_blocked()
    {
        return Some(Obstacle::Failed(failures));
    }
    (group.spec.only_preferred && !group.prefer.contains(&node)).then_some(Obstacle::NotPreferred)
}

fn eligibility<'a>(facts: &Facts<'a>, group: usize, node: usize) -> Option<Obstacle<'a>> {
    let group = &facts.groups[group];
    if !group.observed {
        return None;
    }
    // An owner is judged by its word alone, and only while it is proved not to run the group:
    // what runs is served, and what it has not looked at yet it keeps.
    let owns = group.owned_by() == Some(node) && (group.held || !group.phase.is_stopped());
    let word = group.eligible.and_then(|words| words.get(facts.nodes[node].id));
    match word.map(|word| (word.eligible, word.reason.as_str())) {
        Some((Some(true), _)) => None,
        Some((Some(false), reason)) => {
            (!owns || group.phase.is_stopped()).then_some(Obstacle::NotEligible(reason))
        }
        Some((None, reason)) => {
            (!owns).then_some(Obstacle::EligibilityUnknown { reason: Some(reason) })
        }
        None => (!owns).then_some(Obstacle::EligibilityUnknown { reason: None }),
    }
}
