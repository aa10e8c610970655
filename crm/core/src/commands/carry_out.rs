//! What each command changes in the next record, or why it is refused.

use super::Origin;
use crate::fencing::Why;
use crate::id::{GroupId, NodeId};
use crate::model::Cluster;
use crate::node::Node;
use crate::operator::{Command, Outcome};
use crate::record::{Maintenance, Record};
use crate::rules::{Rule, Rules};

/// What a record keeps of the reason of a ban, in characters.
const BAN_REASON_MAX: usize = 200;

impl<R: Rules> Node<R> {
    /// Applies the waiting commands to the next record. Refusals are answered at once, the others
    /// when the record is committed.
    pub(crate) fn carry_out_commands(&mut self, next: &mut Record) -> Vec<(Origin, String)> {
        let Some(coordinator) = self.coordinating_mut() else { return Vec::new() };
        let queue = std::mem::take(&mut coordinator.queue);
        let mut replies = Vec::new();
        for (origin, command) in queue {
            if let Command::Fence { node } = &command {
                match self.may_fence(node) {
                    Ok(()) => self.want_fence(node, Why::Operator(origin)),
                    Err(outcome) => self.answer(&origin, outcome),
                }
                continue;
            }
            match self.carry_out(next, command) {
                Ok(message) => replies.push((origin, message)),
                Err(outcome) => self.answer(&origin, outcome),
            }
        }
        replies
    }

    fn may_fence(&self, node: &NodeId) -> Result<(), Outcome> {
        if *node == self.id {
            return Err(refused(
                format!("node {node} coordinates and cannot fence itself"),
                "run `crm standby` for it first, or power it off by hand",
            ));
        }
        let known = self.config.as_ref().is_some_and(|cluster| cluster.has_device(node));
        if !known {
            return Err(refused(
                format!("node {node} has no fencing device"),
                "name one under `fencing:` in cluster.yaml",
            ));
        }
        if self.peers.get(node).is_some_and(|peer| peer.is_proved_dead()) {
            return Err(refused(format!("node {node} is already proved dead"), "see `crm status`"));
        }
        Ok(())
    }

    fn carry_out(&mut self, next: &mut Record, command: Command) -> Result<String, Outcome> {
        let Some(cluster) = self.config.clone() else {
            return Err(refused("there is no configuration yet".to_owned(), "see `crm init`"));
        };
        match command {
            Command::Start { group } => {
                known_group(&cluster, &group)?;
                next.intents.stopped.remove(&group);
                Ok(format!("group {group} may run"))
            }
            Command::Stop { group } => {
                known_group(&cluster, &group)?;
                next.intents.pins.remove(&group);
                next.intents.stopped.insert(group.clone());
                Ok(format!("group {group} is to stop and stay down"))
            }
            Command::Restart { group } => {
                known_group(&cluster, &group)?;
                if next.intents.stopped.contains(&group) {
                    return Err(refused(
                        format!("group {group} is stopped by an operator"),
                        &format!("`crm start {group}` starts it"),
                    ));
                }
                if let Some(nodes) = next.failures.get_mut(&group) {
                    nodes.retain(|_, failures| !failures.is_blocked());
                }
                next.failures.retain(|_, nodes| !nodes.is_empty());
                *next.intents.restarts.entry(group.clone()).or_default() += 1;
                Ok(format!("group {group} is to restart where it is"))
            }
            Command::Migrate { group, to } => self.migrate(next, &cluster, group, to),
            Command::Standby { node } => {
                known_node(&cluster, &node)?;
                next.intents.standby.insert(node.clone());
                Ok(format!("node {node} is to run nothing"))
            }
            Command::Online { node } => {
                known_node(&cluster, &node)?;
                next.intents.standby.remove(&node);
                Ok(format!("node {node} may run groups"))
            }
            Command::Maintenance { on, lasts } => {
                next.intents.maintenance = on.then_some(Maintenance { lasts });
                if let Some(coordinator) = self.coordinating_mut() {
                    coordinator.maintenance_since = None;
                }
                Ok(if on {
                    "hands off: nothing is started, stopped, moved or fenced".to_owned()
                } else {
                    "maintenance is over".to_owned()
                })
            }
            Command::Clear { group, node } => {
                let mut cleared = 0;
                for (name, nodes) in &mut next.failures {
                    if group.as_ref().is_none_or(|wanted| wanted == name) {
                        let before = nodes.len();
                        nodes.retain(|on, _| node.as_ref().is_some_and(|wanted| wanted != on));
                        cleared += before - nodes.len();
                    }
                }
                next.failures.retain(|_, nodes| !nodes.is_empty());
                // A migrate that holds against `failback: auto` ends by name only.
                let held = group.as_ref().is_some_and(|group| {
                    let there = next.owner(group) == next.intents.pins.get(group);
                    there && next.intents.pins.remove(group).is_some()
                });
                let and = if held { "; the migrate holds it no longer" } else { "" };
                Ok(format!("{cleared} failures cleared{and}"))
            }
            Command::Ban { group, node, by, reason } => {
                known_group(&cluster, &group)?;
                known_node(&cluster, &node)?;
                may_ban(next, &group, &node, &by)?;
                let reason: String = reason.chars().take(BAN_REASON_MAX).collect();
                // So that no ban is taken for an earlier one of the same words.
                let reason = format!("{reason} (record {})", next.stamp);
                next.bans.entry(group.clone()).or_default().insert(node.clone(), reason);
                Ok(format!("group {group} does not run on {node} until its copy is whole again"))
            }
            Command::LiftBan { group, node, ban } => {
                let now = next.bans.get(&group).and_then(|nodes| nodes.get(&node));
                let overtaken = |now: &&String| **now != ban && R::holds(Rule::LiftNamesItsBan);
                if let Some(newer) = now.filter(overtaken) {
                    return Err(refused(
                        format!("the copy of group {group} on {node} was banned anew: {newer}"),
                        "look at the copy again; what was seen of it is older than this ban",
                    ));
                }
                let lifted = next.bans.get_mut(&group).and_then(|nodes| nodes.remove(&node));
                next.bans.retain(|_, nodes| !nodes.is_empty());
                Ok(match lifted {
                    Some(_) => format!("the copy of group {group} on {node} is whole again"),
                    None => format!("the copy of group {group} on {node} was not banned"),
                })
            }
            Command::PromoteStale { group, node, ban } => {
                self.promote_stale(next, &cluster, (group, node), ban.as_deref())
            }
            Command::ConfirmDead { node } => {
                // One that was removed from the configuration may still own something.
                if !next.grants.values().any(|grant| grant.owner == node) {
                    known_node(&cluster, &node)?;
                }
                self.must_be_silent(&node)?;
                let incarnation = self.peers.get(&node).and_then(|peer| peer.session.live());
                self.prove(&node, incarnation, crate::peer::ProofBy::Operator);
                Ok(format!("node {node} counts as dead by an operator's word"))
            }
            Command::Apply { text, base } => self.apply(next, &cluster, &text, base),
            Command::StopCluster => {
                next.intents.cluster_stopped = true;
                Ok("every group is to stop; the cluster stays down until it is started".to_owned())
            }
            Command::StartCluster => {
                next.intents.cluster_stopped = false;
                Ok("the cluster may run".to_owned())
            }
            Command::Remove { node } => Err(refused(
                format!("node {node} is removed by applying a configuration without it"),
                "delete it from cluster.yaml and run `crm apply`",
            )),
            Command::Leave { node } => {
                known_node(&cluster, &node)?;
                next.intents.leaving.insert(node.clone());
                Ok(format!("node {node} is leaving"))
            }
            Command::Fence { node } => {
                Err(refused(format!("node {node} cannot be fenced here"), ""))
            }
        }
    }

    /// R20: nobody who is heard may hear it, and this node has listened for long enough itself.
    pub(crate) fn must_be_silent(&self, node: &NodeId) -> Result<(), Outcome> {
        let hint = "power it off first, and wait until it is silent";
        let hearer = self.peers.iter().find(|(_, peer)| {
            peer.alive && peer.heartbeat.as_ref().is_some_and(|beat| beat.hears.contains(node))
        });
        if let Some((hearer, _)) = hearer {
            return Err(refused(format!("node {node} is heard by node {hearer}"), hint));
        }
        if self.peers.get(node).is_none_or(|peer| peer.alive) {
            return Err(refused(format!("node {node} is heard"), hint));
        }
        if !self.listened_long_enough() {
            let reason = format!("node {node} has not been listened for long enough");
            return Err(refused(reason, "try again in a moment"));
        }
        Ok(())
    }

    fn migrate(
        &self,
        next: &mut Record,
        cluster: &Cluster,
        group: GroupId,
        to: Option<NodeId>,
    ) -> Result<String, Outcome> {
        known_group(cluster, &group)?;
        if let Some(node) = &to {
            known_node(cluster, node)?;
        }
        if next.intents.stopped.contains(&group) {
            return Err(refused(
                format!("group {group} is stopped by an operator"),
                &format!("`crm start {group}` first"),
            ));
        }
        let owner = next.owner(&group).cloned();
        if to.is_some() && to == owner {
            // Called back before it went, unless this is what holds it there.
            if next.intents.pins.get(&group) != owner.as_ref() {
                next.intents.pins.remove(&group);
            }
            return Ok(format!("group {group} is already there"));
        }
        let choice = self.coordinating().and_then(|c| c.placement.groups.get(&group));
        let verdicts = choice.map(|choice| choice.verdicts.as_slice()).unwrap_or_default();
        let target = match to {
            Some(node) => {
                let verdict = verdicts.iter().find(|verdict| verdict.node == node);
                if let Some(verdict) = verdict
                    && !verdict.possible
                {
                    return Err(refused(
                        format!("group {group} cannot run on node {node}: {}", verdict.reason),
                        &format!("`crm why {group}` shows every node"),
                    ));
                }
                node
            }
            None => {
                let other = verdicts
                    .iter()
                    .find(|verdict| verdict.possible && Some(&verdict.node) != owner.as_ref());
                let Some(other) = other else {
                    return Err(refused(
                        format!("no other node can run group {group}"),
                        &format!("`crm why {group}` shows every node"),
                    ));
                };
                other.node.clone()
            }
        };
        next.intents.pins.insert(group.clone(), target.clone());
        Ok(format!("group {group} is to move to node {target}"))
    }
}

pub(super) fn refused(reason: String, hint: &str) -> Outcome {
    Outcome::Refused { reason, hint: hint.to_owned() }
}

/// Only who serves the data knows what others lack; so two nodes can never ban each other.
fn may_ban(next: &Record, group: &GroupId, node: &NodeId, by: &NodeId) -> Result<(), Outcome> {
    let hint = "only the node that has the group may say whose copy is stale";
    match next.owner(group) {
        Some(owner) if owner == by && by != node => Ok(()),
        Some(owner) => Err(refused(format!("group {group} is {owner}'s, not {by}'s"), hint)),
        None => Err(refused(format!("group {group} is nobody's"), hint)),
    }
}

pub(super) fn known_group(cluster: &Cluster, group: &GroupId) -> Result<(), Outcome> {
    if cluster.group(group).is_some() {
        return Ok(());
    }
    let names: Vec<&str> = cluster.groups.iter().map(|g| g.id.as_str()).collect();
    Err(refused(format!("there is no group {group}"), &format!("groups: {}", names.join(", "))))
}

pub(super) fn known_node(cluster: &Cluster, node: &NodeId) -> Result<(), Outcome> {
    if cluster.node(node).is_some() {
        return Ok(());
    }
    let names: Vec<&str> = cluster.nodes.iter().map(|n| n.id.as_str()).collect();
    Err(refused(format!("there is no node {node}"), &format!("nodes: {}", names.join(", "))))
}
