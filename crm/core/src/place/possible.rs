//! Whether a group may be given to a node at all, and the first reason why not.

use super::follow::{Followed, followed};
use super::{NodeSituation, Situation};
use crate::id::NodeId;
use crate::model::Group;

/// `Err` says why not.
pub(super) fn possible(
    situation: &Situation<'_>,
    group: &Group,
    owner: Option<&NodeId>,
    node: &NodeId,
) -> Result<(), String> {
    match situation.nodes.get(node) {
        Some(NodeSituation::Online) => {}
        Some(NodeSituation::Joining) => return Err("it is joining and not ready yet".to_owned()),
        Some(NodeSituation::Awaited) => return Err("it has not come up yet".to_owned()),
        Some(NodeSituation::Lost) => return Err("it is silent".to_owned()),
        Some(NodeSituation::Gone) => return Err("it is proved dead".to_owned()),
        None => return Err("it is not known".to_owned()),
    }
    if situation.intents.standby.contains(node) {
        return Err("it is in standby".to_owned());
    }
    if situation.intents.leaving.contains(node) {
        return Err("it is leaving".to_owned());
    }
    if group.only_preferred && !group.prefer.contains(node) {
        return Err("the group runs on its preferred nodes only".to_owned());
    }
    if let Some(reason) = situation.bans.get(&group.id).and_then(|nodes| nodes.get(node)) {
        return Err(format!("its copy of the data is stale: {reason}"));
    }
    if let Some(failures) = situation.failures.get(&group.id).and_then(|nodes| nodes.get(node)) {
        let blocked = if failures.stop_failed { ", and a stop failed" } else { "" };
        return Err(format!("it failed there{blocked}: {}", failures.reason));
    }
    let keeps = owner == Some(node);
    if !keeps && group.resources.iter().any(|resource| resource.observe_everywhere) {
        let word = situation.eligible.get(&group.id).and_then(|nodes| nodes.get(node));
        match word {
            Some(word) if word.eligible == Some(true) => {}
            Some(word) if word.eligible == Some(false) => {
                return Err(format!("it is not eligible: {}", word.reason));
            }
            Some(word) => return Err(format!("its eligibility is unknown: {}", word.reason)),
            None => return Err("its eligibility is not known".to_owned()),
        }
    }
    if let Followed::On(nodes, words) = followed(situation, group, owner)
        && !nodes.contains(node)
    {
        let follow = group.follow.as_ref();
        let role = follow.map_or("", |follow| follow.role.as_str());
        let _ = words;
        return Err(format!("it does not hold the role that the group follows ({role})"));
    }
    Ok(())
}
