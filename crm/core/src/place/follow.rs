//! `follow: SERVICE ROLE`: an address goes where the role is held. Unknown is never a role.

use super::Situation;
use crate::id::NodeId;
use crate::model::Group;
use std::collections::BTreeSet;

/// Where a following group may be: `None` if it follows nothing.
pub(super) enum Followed {
    Anywhere,
    /// Nodes that hold the role, and the words for it.
    On(BTreeSet<NodeId>, String),
}

/// A role of which there must be one: two claimants are a conflict, and nobody gets it anew.
fn is_exclusive(role: &str) -> bool {
    matches!(role, "primary" | "master" | "leader")
}

pub(super) fn followed(
    situation: &Situation<'_>,
    group: &Group,
    owner: Option<&NodeId>,
) -> Followed {
    let Some(follow) = &group.follow else { return Followed::Anywhere };
    let holders = |role: &str| -> BTreeSet<NodeId> {
        situation
            .roles
            .get(&follow.service)
            .into_iter()
            .flatten()
            .filter(|(_, held)| held.as_str() == role)
            .map(|(node, _)| node.clone())
            .collect()
    };
    let exclusive = |role: &str, held: BTreeSet<NodeId>| {
        if held.len() < 2 || !is_exclusive(role) {
            return Followed::On(held, format!("holds role {role} of {}", follow.service));
        }
        // O12: the present holder keeps it, a second claimant gets nothing.
        let kept = held.into_iter().filter(|node| Some(node) == owner).collect();
        Followed::On(
            kept,
            format!("holds role {role} of {}, which two nodes claim", follow.service),
        )
    };
    let held = holders(&follow.role);
    match &follow.otherwise {
        Some(other) if held.is_empty() => exclusive(other, holders(other)),
        _ => exclusive(&follow.role, held),
    }
}
