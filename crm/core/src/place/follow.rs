//! `follow: SERVICE ROLE`: a group goes where a role is held. Unknown is never a role.

use super::NodeSituation;
use super::facts::Facts;
use super::obstacle::{self, Obstacle};
use crate::id::{NodeId, ServiceId};
use crate::packet::GroupPhase;
use std::collections::BTreeMap;

/// Which role a group follows now.
pub(super) struct Followed<'a> {
    pub(super) service: &'a ServiceId,
    /// The role, or the `otherwise` role while nobody that could run the group holds the role.
    pub(super) role: &'a str,
    /// Two nodes claim a role that only one may have: nobody gets the group anew (O12).
    pub(super) claimed_twice: bool,
    roles: Option<&'a BTreeMap<NodeId, String>>,
}

/// A role that at most one node may hold at a time.
fn is_exclusive(role: &str) -> bool {
    ["primary", "master"].iter().any(|name| role.eq_ignore_ascii_case(name))
}

/// What group number `group` follows, if anything.
pub(super) fn followed<'a>(facts: &Facts<'a>, group: usize) -> Option<Followed<'a>> {
    let follow = facts.groups[group].spec.follow.as_ref()?;
    let roles = facts.situation.roles.get(&follow.service);
    // A silent node's last word is no word; a node that is heard makes its claim, ready or not.
    let holders = |role: &str| {
        (0..facts.nodes.len())
            .filter(|node| {
                let node = &facts.nodes[*node];
                let heard =
                    matches!(node.situation, NodeSituation::Online | NodeSituation::Joining);
                heard && roles.and_then(|roles| roles.get(node.id)).is_some_and(|r| r == role)
            })
            .collect::<Vec<usize>>()
    };
    let mut role = follow.role.as_str();
    let mut holding = holders(role);
    if let Some(otherwise) = &follow.otherwise
        && !holding.iter().any(|node| obstacle::beside_role(facts, group, *node).is_none())
        && !(is_exclusive(role) && holding.len() > 1)
    {
        role = otherwise.as_str();
        holding = holders(role);
    }
    let claimed_twice = is_exclusive(role) && holding.len() > 1;
    Some(Followed { service: &follow.service, role, claimed_twice, roles })
}

impl<'a> Followed<'a> {
    /// Why the group may not follow its role to this node.
    pub(super) fn obstacle(
        &self,
        facts: &Facts<'a>,
        group: usize,
        node: usize,
    ) -> Option<Obstacle<'a>> {
        let id = facts.nodes[node].id;
        let group = &facts.groups[group];
        let owns = group.owned_by() == Some(node);
        match self.roles.and_then(|roles| roles.get(id)) {
            Some(role) if role == self.role => (self.claimed_twice && !owns)
                .then_some(Obstacle::ClaimedTwice { service: self.service, role: self.role }),
            Some(role) => Some(Obstacle::OtherRole {
                service: self.service,
                wanted: self.role,
                held: Some(role),
            }),
            // R17: a daemon that just started has not looked yet; what it has is not touched.
            None if owns && group.held && group.phase == GroupPhase::Unknown => None,
            None => {
                Some(Obstacle::OtherRole { service: self.service, wanted: self.role, held: None })
            }
        }
    }
}
