//! Operators' commands: forwarded to the coordinator, carried out in a record, answered when it is
//! committed (I5).

use crate::Output;
use crate::fencing::Why;
use crate::id::{GroupId, Incarnation, NodeId, RequestId, ResourceId};
use crate::model::{Cluster, Resource};
use crate::node::Node;
use crate::operator::{Command, Outcome};
use crate::packet::Message;
use crate::record::{ConfigText, Maintenance, Record};
use crate::rules::Rules;
use crate::status::Status;
use crate::time::{Span, Time};
use std::collections::{BTreeMap, VecDeque};

/// How long a command waits for a coordinator.
const WAIT: Span = Span::secs(10);
/// How long a status waits for the coordinator's view.
const STATUS_WAIT: Span = Span::millis(500);
/// Answers remembered for repeated requests of other nodes.
const ANSWERED_MAX: usize = 256;
/// What a record keeps of the reason of a ban, in characters.
const BAN_REASON_MAX: usize = 200;
/// Commands of local operators under way, at most.
const WAITING_MAX: usize = 256;
/// How often a forwarded command is repeated.
const RESEND: Span = Span::millis(300);

/// Who asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    Local(RequestId),
    Remote { node: NodeId, incarnation: Incarnation, request: u64 },
}

#[derive(Debug, Default)]
pub(crate) struct Commands {
    waiting: BTreeMap<RequestId, Waiting>,
    statuses: BTreeMap<RequestId, Time>,
    answered: VecDeque<(NodeId, Incarnation, u64, Option<Outcome>)>,
    /// The operator's word that a silent node is dead, for a side without a coordinator (R20).
    pub(crate) word: Option<Word>,
}

/// The operator's word about one silent node: for one candidacy, and not for long.
#[derive(Debug)]
pub(crate) struct Word {
    pub(crate) node: NodeId,
    pub(crate) until: Time,
}

#[derive(Debug)]
struct Waiting {
    command: Command,
    until: Time,
    queued: bool,
    forwarded: bool,
    again: Time,
}

impl Commands {
    pub(crate) fn is_waiting(&self, request: RequestId) -> bool {
        self.waiting.contains_key(&request)
    }

    /// A word about a node that is heard after all, or that was used, holds no longer (R20).
    pub(crate) fn forget_word(&mut self, node: Option<&NodeId>) {
        self.word.take_if(|word| node.is_none_or(|node| word.node == *node));
    }

    pub(crate) fn deadline(&self) -> Option<Time> {
        let commands = self
            .waiting
            .values()
            .filter(|waiting| !waiting.queued)
            .map(|waiting| waiting.again.min(waiting.until));
        commands.chain(self.statuses.values().copied()).min()
    }
}

impl<R: Rules> Node<R> {
    pub(crate) fn on_operator(&mut self, request: RequestId, command: Command) {
        if self.commands.waiting.len() >= WAITING_MAX {
            let reason = format!("{WAITING_MAX} commands are already waiting on this node");
            let hint = "try again when they are done".to_owned();
            self.push(Output::Reply { request, outcome: Outcome::Refused { reason, hint } });
            return;
        }
        if let Command::ConfirmDead { node } = &command
            && self.coordinator().is_none()
            && let Some(refusal) = self.take_word(node)
        {
            self.push(Output::Reply { request, outcome: refusal });
            return;
        }
        let waiting = Waiting {
            command,
            until: self.now + WAIT,
            queued: false,
            forwarded: false,
            again: self.now,
        };
        self.commands.waiting.insert(request, waiting);
    }

    /// R20: bound to a silent node and one candidacy.
    fn take_word(&mut self, node: &NodeId) -> Option<Outcome> {
        match self.peers.get(node) {
            Some(_) if self.must_be_silent(node).is_ok() => {
                self.commands.word = Some(Word { node: node.clone(), until: self.now + WAIT });
                self.stand_at = Some(self.now);
                None
            }
            Some(_) => Some(refused(
                format!("node {node} is heard, or has not been listened for long enough"),
                "power it off first, and wait until it is silent",
            )),
            None => Some(refused(format!("there is no node {node}"), "see `crm status`")),
        }
    }

    pub(crate) fn settle_commands(&mut self) {
        let now = self.now;
        let leads = self.coordinating().is_some_and(|c| c.committed.is_some());
        let leader = self.live_leader().map(|leader| leader.node.clone());
        let mut expired = Vec::new();
        let mut forward = Vec::new();
        let mut queue = Vec::new();
        for (request, waiting) in &mut self.commands.waiting {
            if waiting.queued {
                continue;
            }
            if leads {
                waiting.queued = true;
                queue.push((*request, waiting.command.clone()));
            } else if now >= waiting.until {
                expired.push((*request, waiting.forwarded));
            } else if now >= waiting.again {
                waiting.again = now + RESEND;
                if let Some(leader) = &leader {
                    waiting.forwarded = true;
                    forward.push((leader.clone(), *request, waiting.command.clone()));
                }
            }
        }
        for (request, command) in queue {
            self.queue(Origin::Local(request), command);
        }
        for (leader, request, command) in forward {
            let message = Message::Forward { request: request.0, command: Box::new(command) };
            self.send(&leader, message);
        }
        for (request, forwarded) in expired {
            let outcome = if forwarded {
                let reason = "the coordinator did not answer in time".to_owned();
                Outcome::Unknown { reason }
            } else {
                Outcome::NoQuorum { reason: self.why_no_coordinator() }
            };
            self.answer(&Origin::Local(request), outcome);
        }
        let late: Vec<RequestId> =
            self.commands.statuses.iter().filter(|(_, at)| **at <= now).map(|(r, _)| *r).collect();
        for request in late {
            self.commands.statuses.remove(&request);
            let status = Box::new(self.status(now));
            self.push(Output::Status { request, status });
        }
        if leads && self.coordinating().is_some_and(|c| !c.queue.is_empty() && c.proposal.is_none())
        {
            self.coordinate();
        }
    }

    pub(crate) fn why_no_coordinator(&self) -> String {
        let silent: Vec<&str> =
            self.peers.iter().filter(|(_, p)| !p.alive).map(|(name, _)| name.as_str()).collect();
        if self.stored.record.is_none() {
            return "this node has not joined a cluster yet".to_owned();
        }
        if let Some(fork) = &self.fork {
            return fork.clone();
        }
        if silent.is_empty() {
            return "no coordinator is elected yet".to_owned();
        }
        format!("no quorum: not heard: {}", silent.join(", "))
    }

    fn queue(&mut self, origin: Origin, command: Command) {
        let Some(coordinator) = self.coordinating_mut() else { return };
        if coordinator.queue.len() >= crate::coordinator::QUEUE_MAX {
            let outcome =
                refused("too many commands wait for the coordinator".to_owned(), "try again");
            self.answer(&origin, outcome);
            return;
        }
        coordinator.queue.push_back((origin, command));
    }

    pub(crate) fn answer(&mut self, origin: &Origin, outcome: Outcome) {
        match origin {
            Origin::Local(request) => {
                // A coordinator that stepped down before proposing it: somebody else may do it.
                if let Outcome::NoQuorum { .. } = outcome
                    && let Some(waiting) = self.commands.waiting.get_mut(request)
                    && waiting.queued
                    && self.now < waiting.until
                {
                    waiting.queued = false;
                    return;
                }
                if self.commands.waiting.remove(request).is_some() {
                    self.push(Output::Reply { request: *request, outcome });
                }
            }
            Origin::Remote { node, incarnation, request } => {
                let known = self
                    .commands
                    .answered
                    .iter_mut()
                    .find(|(n, i, r, _)| n == node && i == incarnation && r == request);
                if let Some(known) = known {
                    known.3 = Some(outcome.clone());
                }
                if self.peers.get(node).and_then(|p| p.session.live()) == Some(*incarnation) {
                    self.send(node, Message::ForwardReply { request: *request, outcome });
                }
            }
        }
    }

    pub(crate) fn on_forward(&mut self, from: &NodeId, request: u64, command: Command) {
        let Some(incarnation) = self.peers.get(from).and_then(|p| p.session.live()) else { return };
        let known = self
            .commands
            .answered
            .iter()
            .find(|(n, i, r, _)| n == from && *i == incarnation && *r == request)
            .map(|(_, _, _, outcome)| outcome.clone());
        match known {
            Some(Some(outcome)) => {
                self.send(from, Message::ForwardReply { request, outcome });
                return;
            }
            Some(None) => return,
            None => {}
        }
        if self.coordinating().is_none_or(|c| c.committed.is_none()) {
            let outcome = Outcome::NoQuorum { reason: "this node does not coordinate".to_owned() };
            self.send(from, Message::ForwardReply { request, outcome });
            return;
        }
        if self.commands.answered.len() >= ANSWERED_MAX {
            self.commands.answered.pop_front();
        }
        self.commands.answered.push_back((from.clone(), incarnation, request, None));
        self.queue(Origin::Remote { node: from.clone(), incarnation, request }, command);
    }

    pub(crate) fn on_forward_reply(&mut self, from: &NodeId, request: u64, outcome: Outcome) {
        let _ = from;
        let request = RequestId(request);
        if matches!(outcome, Outcome::NoQuorum { .. }) {
            return; // asked the wrong node: it is repeated until its time is over
        }
        self.answer(&Origin::Local(request), outcome);
    }

    pub(crate) fn on_status_wanted(&mut self, request: RequestId) {
        let leader = self.live_leader().map(|leader| leader.node.clone());
        match leader {
            Some(leader) if self.coordinating().is_none() => {
                self.commands.statuses.insert(request, self.now + STATUS_WAIT);
                self.send(&leader, Message::StatusWanted { request: request.0 });
            }
            _ => {
                let status = Box::new(self.status(self.now));
                self.push(Output::Status { request, status });
            }
        }
    }

    pub(crate) fn on_remote_status_wanted(&mut self, from: &NodeId, request: u64) {
        let status = Box::new(self.status(self.now));
        self.send(from, Message::StatusReply { request, status });
    }

    pub(crate) fn on_status_reply(&mut self, request: u64, status: Box<Status>) {
        let request = RequestId(request);
        if self.commands.statuses.remove(&request).is_some() {
            let status = Box::new(self.merge_local(*status));
            self.push(Output::Status { request, status });
        }
    }

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
                let reason = reason.chars().take(BAN_REASON_MAX).collect();
                next.bans.entry(group.clone()).or_default().insert(node.clone(), reason);
                Ok(format!("group {group} does not run on {node} until its copy is whole again"))
            }
            Command::LiftBan { group, node } => {
                let lifted = next.bans.get_mut(&group).and_then(|nodes| nodes.remove(&node));
                next.bans.retain(|_, nodes| !nodes.is_empty());
                Ok(match lifted {
                    Some(_) => format!("the copy of group {group} on {node} is whole again"),
                    None => format!("the copy of group {group} on {node} was not banned"),
                })
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
    fn must_be_silent(&self, node: &NodeId) -> Result<(), Outcome> {
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

    fn apply(
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
        if let Some((resource, from, to)) = moved_resource(cluster, &parsed, next) {
            return Err(refused(
                format!(
                    "resource {resource} would move from group {from} to group {to} while {from} may run"
                ),
                &format!("`crm stop {from}`, apply, then `crm start {from}`"),
            ));
        }
        next.config = new;
        Ok("the configuration is in force".to_owned())
    }
}

/// A resource that leaves a group with an owner and turns up in another one: two nodes could run it.
fn moved_resource(
    before: &Cluster,
    after: &Cluster,
    record: &Record,
) -> Option<(ResourceId, GroupId, GroupId)> {
    let owned = before.groups.iter().filter(|group| record.grants.contains_key(&group.id));
    owned.filter_map(|old| Some((old, after.group(&old.id)?))).find_map(|(old, new)| {
        let left = |r: &&Resource| !new.resources.iter().any(|other| other.is_same_thing(r));
        old.resources.iter().filter(left).find_map(|resource| {
            let mut others = after.groups.iter().filter(|group| group.id != old.id);
            others
                .find(|group| group.resources.iter().any(|other| other.is_same_thing(resource)))
                .map(|group| (resource.id.clone(), old.id.clone(), group.id.clone()))
        })
    })
}

fn refused(reason: String, hint: &str) -> Outcome {
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

fn known_group(cluster: &Cluster, group: &GroupId) -> Result<(), Outcome> {
    if cluster.group(group).is_some() {
        return Ok(());
    }
    let names: Vec<&str> = cluster.groups.iter().map(|g| g.id.as_str()).collect();
    Err(refused(format!("there is no group {group}"), &format!("groups: {}", names.join(", "))))
}

fn known_node(cluster: &Cluster, node: &NodeId) -> Result<(), Outcome> {
    if cluster.node(node).is_some() {
        return Ok(());
    }
    let names: Vec<&str> = cluster.nodes.iter().map(|n| n.id.as_str()).collect();
    Err(refused(format!("there is no node {node}"), &format!("nodes: {}", names.join(", "))))
}
