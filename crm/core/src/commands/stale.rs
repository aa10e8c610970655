//! The operator's word that an older copy is to be served, because nothing better will come back (H24).
//!
//! It is the only way past a ban but a resync. What the other copies hold beyond it is given up from then on: they
//! are the banned ones.

use super::carry_out::{known_group, known_node, refused};
use crate::id::{GroupId, NodeId};
use crate::model::Cluster;
use crate::node::Node;
use crate::operator::Outcome;
use crate::record::Record;
use crate::rules::Rules;

impl<R: Rules> Node<R> {
    /// `ban` is what the operator saw of this copy; another one now in force refuses it.
    pub(super) fn promote_stale(
        &self,
        next: &mut Record,
        cluster: &Cluster,
        (group, node): (GroupId, NodeId),
        ban: Option<&str>,
    ) -> Result<String, Outcome> {
        known_group(cluster, &group)?;
        known_node(cluster, &node)?;
        if let Some(owner) = next.owner(&group) {
            return Err(refused(
                format!("group {group} is granted to node {owner}"),
                &format!("if {owner} is off for good: `crm confirm-dead {owner}`"),
            ));
        }
        let spec = cluster.group(&group);
        let copies = || {
            let may_run = |id: &NodeId| {
                spec.is_none_or(|spec| !spec.only_preferred || spec.prefer.contains(id))
            };
            cluster.nodes.iter().map(|node| &node.id).filter(move |id| may_run(id))
        };
        let others: Vec<&NodeId> = copies().filter(|id| **id != node).collect();
        let banned = |id: &NodeId| next.bans.get(&group).and_then(|nodes| nodes.get(id));
        let now = banned(&node).map(String::as_str);
        let reports = self.reports();
        let word = |id: &NodeId| reports.get(id).and_then(|report| report.eligible.get(&group));
        if now.is_none() && others.iter().all(|id| banned(id).is_some()) {
            return Ok(format!("no other copy of group {group} counts but that on {node}"));
        }
        if now != ban {
            return Err(refused(
                format!(
                    "it is known otherwise by now whether the copy of {group} on {node} is stale"
                ),
                &format!("look at `crm why {group}` again"),
            ));
        }
        if !copies().any(|id| *id == node) {
            return Err(refused(
                format!("group {group} may not run on {node}"),
                "see `only_preferred`",
            ));
        }
        if now.is_none() && word(&node).is_none_or(|own| own.eligible == Some(true)) {
            return Err(refused(
                format!("nothing is known against the copy of group {group} on {node}"),
                &format!("`crm why {group}` tells why the group does not run"),
            ));
        }
        // Who is there and has a better copy, or has not told yet, is what the group waits for.
        let better = others.iter().find(|id| {
            let said_no = word(id).is_some_and(|word| word.eligible == Some(false));
            self.hears_now(id) && banned(id).is_none() && !said_no
        });
        if let Some(better) = better {
            return Err(refused(
                format!(
                    "node {better} is there, and its copy of group {group} is not called stale"
                ),
                &format!("`crm why {group}` tells what it waits for"),
            ));
        }
        let reason =
            format!("an operator had the older copy on {node} served (record {})", next.stamp);
        let missing: Vec<NodeId> =
            others.iter().filter(|id| banned(id).is_none()).map(|id| (*id).clone()).collect();
        let bans = next.bans.entry(group.clone()).or_default();
        bans.remove(&node);
        for other in missing {
            bans.insert(other, reason.clone());
        }
        next.bans.retain(|_, nodes| !nodes.is_empty());
        Ok(format!("the copy of group {group} on {node} counts from now on, and no other"))
    }

    fn hears_now(&self, node: &NodeId) -> bool {
        *node == self.id || self.peers.get(node).is_some_and(|peer| peer.alive)
    }
}
