//! A ban speaks of the data that its group has (I8): while there is one, that data stays in that group.
//!
//! Under another name the stale copy would be banned no more, and other data in the group would be taken for
//! the freshest.

use crate::id::{GroupId, NodeId, ResourceId};
use crate::model::{Cluster, Group, Resource};
use crate::record::Record;

/// A group whose data a new configuration changes while a node that may run it has a stale copy: the group, the
/// resource that comes or goes, and the node.
pub(super) fn stale_copy_at_stake(
    before: &Cluster,
    after: &Cluster,
    record: &Record,
) -> Option<(GroupId, ResourceId, NodeId)> {
    record.bans.iter().find_map(|(id, nodes)| {
        let old = before.group(id)?;
        let node = nodes.keys().find(|node| may_run(old, node) && after.node(node).is_some())?;
        let resource = changed(old, after.group(id))?;
        Some((id.clone(), resource, node.clone()))
    })
}

fn may_run(group: &Group, node: &NodeId) -> bool {
    !group.only_preferred || group.prefer.contains(node)
}

/// A resource with copies on several nodes that only one of the two definitions has.
fn changed(old: &Group, new: Option<&Group>) -> Option<ResourceId> {
    let copies = |group: Option<&Group>| -> Vec<Resource> {
        let all = group.into_iter().flat_map(|group| &group.resources);
        all.filter(|resource| resource.observe_everywhere).cloned().collect()
    };
    let (old, new) = (copies(Some(old)), copies(new));
    let lacks = |of: &[Resource], one: &Resource| !of.iter().any(|other| other.acts_alike(one));
    let gone = old.iter().find(|resource| lacks(&new, resource));
    gone.or_else(|| new.iter().find(|resource| lacks(&old, resource))).map(|r| r.id.clone())
}
