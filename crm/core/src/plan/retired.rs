//! What a group may still run though the configuration says so no longer (I1).
//!
//! Of a group that the configuration dropped, or took resources from, the record keeps the old definition until
//! its owner has told that nothing of it is left. Till then nobody else is given what it had, and a daemon
//! that starts meanwhile knows what to look for.

use crate::id::{GroupId, NodeId};
use crate::model::{Cluster, Group, Resource};
use crate::node::Node;
use crate::record::Record;
use crate::rules::Rules;
use std::collections::BTreeMap;

/// Keeps what granted groups had before this change of the configuration.
pub(super) fn keep(next: &mut Record, before: &Cluster, after: &Cluster) {
    next.retired = may_run(next, before)
        .into_iter()
        .filter(|(id, group)| {
            let new = after.group(id);
            left(group, new).next().is_some() || new.is_some_and(|new| reorders(group, new))
        })
        .collect();
}

/// Whether what both have comes in another order in `new`: a later run must stop it in the one in which it was started (I2).
fn reorders(old: &Group, new: &Group) -> bool {
    let place = |resource: &Resource| new.resources.iter().position(|r| r.is_same_thing(resource));
    !old.resources.iter().filter_map(place).is_sorted()
}

/// Every granted group with all that its owner may run of it under `cluster`, or still runs of earlier definitions.
pub(crate) fn may_run(record: &Record, cluster: &Cluster) -> BTreeMap<GroupId, Group> {
    let definition = |id: &GroupId| match (record.retired.get(id), cluster.group(id)) {
        (Some(old), Some(new)) => Some(old.followed_by(new)),
        (one, other) => one.or(other).cloned(),
    };
    let granted = record.grants.keys();
    granted.filter_map(|id| Some((id.clone(), definition(id)?))).collect()
}

/// What `old` has and its definition in force has not.
pub(crate) fn left<'a>(
    old: &'a Group,
    now: Option<&'a Group>,
) -> impl Iterator<Item = &'a Resource> {
    old.resources.iter().filter(move |resource| {
        !now.is_some_and(|now| now.resources.iter().any(|new| new.is_same_thing(resource)))
    })
}

/// Whether something of this group is still to be stopped by the owner of another one that had it.
pub(crate) fn may_run_elsewhere(cluster: &Cluster, id: &GroupId, record: &Record) -> bool {
    cluster.group(id).is_none_or(|group| waits_for(cluster, group, record).is_some())
}

/// The group, and its owner, which may still run something of this one.
pub(crate) fn waits_for<'a>(
    cluster: &Cluster,
    group: &Group,
    record: &'a Record,
) -> Option<(&'a GroupId, &'a NodeId)> {
    let others = record.retired.iter().filter(|(other, _)| **other != group.id);
    let mut owned = others.filter_map(|(other, old)| Some((other, old, record.owner(other)?)));
    let has = |(other, old, _): &(&GroupId, &Group, &NodeId)| {
        left(old, cluster.group(other)).any(|resource| group.has_by_any_name(resource))
    };
    owned.find(has).map(|(other, _, owner)| (other, owner))
}

impl<R: Rules> Node<R> {
    /// Forgets the old definition of a group whose owner obeys this very record and has nothing of it left.
    /// That of a dropped group goes with its grant.
    pub(super) fn forget_what_ended(&self, current: &Record, next: &mut Record, cluster: &Cluster) {
        if self.coordinating().is_none_or(|own| own.committed != Some(current.stamp)) {
            return;
        }
        let reports = self.reports();
        let Record { retired, grants, .. } = next;
        retired.retain(|id, _| {
            let Some(grant) = grants.get(id).filter(|_| cluster.group(id).is_some()) else {
                return true;
            };
            let report = reports.get(&grant.owner).filter(|report| report.obeyed == current.stamp);
            report.and_then(|report| report.groups.get(id)).is_none_or(|group| group.redefining)
        });
    }
}
