//! A new configuration: what it may change while things run.

use super::carry_out::refused;
use super::copies::stale_copy_at_stake;
use super::reach::{CutOff, cut_off};
use crate::id::{GroupId, ResourceId};
use crate::model::Cluster;
use crate::node::Node;
use crate::operator::Outcome;
use crate::plan::retired;
use crate::record::{ConfigText, Record};
use crate::rules::Rules;

/// Resources of earlier definitions that are remembered of one group.
const LEFT_MAX: usize = 64;

impl<R: Rules> Node<R> {
    pub(super) fn apply(
        &self,
        next: &mut Record,
        cluster: &Cluster,
        text: &str,
        base: Option<crate::id::Digest>,
    ) -> Result<String, Outcome> {
        let new = ConfigText::new(text);
        // Before the base is looked at: a command whose coordinator died is asked again, and may have
        // been carried out.
        if new.digest == next.config.digest {
            return Ok("this configuration is in force".to_owned());
        }
        if base.is_some_and(|base| base != next.config.digest) {
            return Err(refused(
                "the configuration in force is not the one this was edited from".to_owned(),
                "compare with `crm config` and apply again",
            ));
        }
        let parsed =
            (self.parse)(text).map_err(|reason| refused(reason, "see `crm check FILE`"))?;
        if parsed.name != cluster.name {
            return Err(refused(
                format!("this file is for cluster {}, not {}", parsed.name, cluster.name),
                "a cluster keeps its name",
            ));
        }
        if parsed.node(&self.id).is_none() {
            return Err(refused(
                format!("node {} coordinates and is not in this configuration", self.id),
                "stop crmd there first, then apply from another node",
            ));
        }
        for node in cluster.nodes.iter().filter(|node| parsed.node(&node.id).is_none()) {
            let id = &node.id;
            if next.grants.values().any(|grant| grant.owner == *id) {
                return Err(refused(
                    format!("node {id} still owns groups and cannot be removed"),
                    &format!("`crm standby {id}` moves them away"),
                ));
            }
        }
        if let Some(cut_off) = cut_off(cluster, &parsed) {
            return Err(refuse_to_cut_off(&cut_off));
        }
        if let Some((resource, from, to)) = moved_resource(cluster, &parsed, next) {
            return Err(refused(
                format!(
                    "resource {resource} would move from group {from} to group {to} while {from} may run"
                ),
                &format!("`crm stop {from}`, apply, then `crm start {from}`"),
            ));
        }
        if let Some((resource, from, to)) = inherited_resource(cluster, &parsed, next) {
            return Err(refused(
                format!(
                    "resource {resource}, which group {from} no longer has, would be in group {to} while {from} may still run it"
                ),
                &format!(
                    "apply again when {from} has stopped it; `crm status` tells, and `crm stop {from}` stops all of it"
                ),
            ));
        }
        if let Some((group, resource, node)) = stale_copy_at_stake(cluster, &parsed, next) {
            return Err(refused(
                format!(
                    "the copy of group {group} on node {node} lacks writes, and this changes its resource {resource}: which copy is stale would be forgotten"
                ),
                &format!(
                    "bring that copy up to date first (`crm drbd status`), or apply without it: {group} with `only_preferred` and not on {node}"
                ),
            ));
        }
        if let Some((group, left)) = overfull(cluster, &parsed, next) {
            return Err(refused(
                format!(
                    "group {group} may still run {left} resources of earlier definitions, more than are kept"
                ),
                &format!(
                    "let them stop first (`crm maintenance off`, `crm clear {group}`), and apply again"
                ),
            ));
        }
        next.config = new;
        Ok("the configuration is in force".to_owned())
    }
}

fn refuse_to_cut_off(cut_off: &CutOff) -> Outcome {
    match cut_off {
        CutOff::Everybody => refused(
            "the port of the heartbeats would change, and the nodes would not hear each other on the way".to_owned(),
            "a running cluster keeps its port",
        ),
        CutOff::Node(node) => refused(
            format!("node {node} would keep none of its addresses, and would not be heard on the way"),
            "change one of its `links` after the other; or take the node out, apply, and let it join again",
        ),
    }
}

/// A group that was changed again and again while nothing of it could stop: the record has its bounds (I10). What one
/// change takes out is bounded by the configuration.
fn overfull(before: &Cluster, after: &Cluster, record: &Record) -> Option<(GroupId, usize)> {
    let had = retired::may_run(record, before).into_iter();
    let again = had.filter(|(id, _)| record.retired.contains_key(id));
    again
        .map(|(id, old)| (retired::left(&old, after.group(&id)).count(), id))
        .find(|(left, _)| *left > LEFT_MAX)
        .map(|(left, id)| (id, left))
}

/// A resource that leaves a group with an owner and turns up in another one: two nodes could run it.
fn moved_resource(
    before: &Cluster,
    after: &Cluster,
    record: &Record,
) -> Option<(ResourceId, GroupId, GroupId)> {
    let owned = before.groups.iter().filter(|group| record.grants.contains_key(&group.id));
    owned.filter_map(|old| Some((old, after.group(&old.id)?))).find_map(|(old, new)| {
        retired::left(old, Some(new)).find_map(|resource| {
            // Who had it before it left here has it by right.
            let had = |id| before.group(id).is_some_and(|group| group.has_by_any_name(resource));
            let mut others =
                after.groups.iter().filter(|group| group.id != old.id && !had(&group.id));
            others
                .find(|group| group.has_by_any_name(resource))
                .map(|group| (resource.id.clone(), old.id.clone(), group.id.clone()))
        })
    })
}

/// A resource that a granted group may still run and has no longer, which turns up in another one that is
/// granted already. One that is granted to nobody waits by itself for the end of it.
fn inherited_resource(
    before: &Cluster,
    after: &Cluster,
    record: &Record,
) -> Option<(ResourceId, GroupId, GroupId)> {
    let had = retired::may_run(record, before);
    had.values().find_map(|old| {
        retired::left(old, after.group(&old.id)).find_map(|resource| {
            let heir = had.iter().find(|(id, had)| {
                **id != old.id
                    && !had.has_by_any_name(resource)
                    && after.group(id).is_some_and(|group| group.has_by_any_name(resource))
            });
            heir.map(|(heir, _)| (resource.id.clone(), old.id.clone(), heir.clone()))
        })
    })
}
