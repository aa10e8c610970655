//! Planning: turns what placement wants into lawful changes of the record (R11, R14, R18, R19).

use crate::event::Event;
use crate::id::{GroupId, NodeId, Stamp};
use crate::model::{Cluster, Fencing};
use crate::node::Node;
use crate::packet::{Eligibility, FailureKind, GroupPhase, Report};
use crate::peer::Peer;
use crate::place::{NodeSituation, Situation, place};
use crate::quorum::{Weight, weigh};
use crate::record::{Grant, GrantState, Record};
use crate::rules::{Rule, Rules};
use crate::time::Time;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Failures counted per group and node, at most.
const FAILURES_MAX: u32 = 1_000_000;

impl<R: Rules> Node<R> {
    /// Makes the next record from commands, reports and placement, and proposes it if it differs.
    pub(crate) fn plan(&mut self) {
        let (Some(current), Some(cluster)) = (self.stored.record.clone(), self.config.clone())
        else {
            return;
        };
        let Some(epoch) = self.coordinating().map(|coordinator| coordinator.epoch) else { return };
        let mut next = current.successor(epoch);
        let replies = self.carry_out_commands(&mut next);
        let cluster = self.planned_cluster(&current, &next).unwrap_or(cluster);
        self.count_failures(&mut next, &cluster);
        self.forget_what_expired(&mut next, &cluster);
        self.change_voters(&mut next, &cluster);
        self.reconcile_taken(&mut next, &cluster);
        self.change_grants(&mut next, &cluster);
        if !replies.is_empty() || differs(&current, &next) || current.old_voters != current.voters {
            self.propose(next, replies);
        }
    }

    /// The configuration that `next` carries, when a command just changed it.
    fn planned_cluster(&self, current: &Record, next: &Record) -> Option<Arc<Cluster>> {
        if current.config.digest == next.config.digest {
            return None;
        }
        (self.parse)(&next.config.text).ok().map(Arc::new)
    }

    /// Newest report of every member, this node's own included.
    fn reports(&self) -> BTreeMap<&NodeId, &Report> {
        let mut reports: BTreeMap<&NodeId, &Report> = self
            .peers
            .iter()
            .filter_map(|(name, peer)| peer.report.as_ref().map(|report| (name, report)))
            .collect();
        reports.insert(&self.id, &self.report);
        reports
    }

    fn count_failures(&mut self, next: &mut Record, cluster: &Cluster) {
        let mut lines = Vec::new();
        let reports = self.reports();
        for (name, report) in reports {
            let incarnation = if *name == self.id {
                Some(self.incarnation)
            } else {
                self.peers.get(name).and_then(|peer| peer.session.live())
            };
            let Some(incarnation) = incarnation else { continue };
            let counted = match next.failures_counted.get(name) {
                Some((run, number)) if *run == incarnation => *number,
                _ => 0,
            };
            for failure in report.failures.iter().filter(|failure| failure.number > counted) {
                next.failures_counted.insert(name.clone(), (incarnation, failure.number));
                if cluster.group(&failure.group).is_none() {
                    continue;
                }
                let known =
                    next.failures.entry(failure.group.clone()).or_default().entry(name.clone());
                let entry = known.or_default();
                entry.count = (entry.count + 1).min(FAILURES_MAX);
                entry.reason = format!("{}: {}", failure.resource, failure.reason);
                entry.stop_failed |= failure.kind == FailureKind::Stop;
                lines.push((name.clone(), failure.group.clone(), entry.reason.clone()));
            }
        }
        for (node, group, reason) in lines {
            self.event(
                Event::warning(
                    "failure-counted",
                    format!("group {group} failed on node {node}: {reason}"),
                )
                .node(&node)
                .group(&group),
            );
        }
    }

    /// Failures expire, maintenance ends, a leaver that came back has come back.
    fn forget_what_expired(&mut self, next: &mut Record, cluster: &Cluster) {
        let now = self.now;
        let proved = self.proved();
        let back: Vec<NodeId> = next
            .intents
            .leaving
            .iter()
            .filter(|name| self.reports().get(name).is_some_and(|report| !report.leaving))
            .filter(|name| {
                **name == self.id || self.peers.get(*name).is_some_and(|peer| peer.alive)
            })
            .cloned()
            .collect();
        for name in back {
            next.intents.leaving.remove(&name);
        }
        let Some(coordinator) = self.coordinating_mut() else { return };
        let mut look_again: Option<Time> = None;
        let present: BTreeSet<(GroupId, NodeId)> = next
            .failures
            .iter()
            .flat_map(|(group, nodes)| nodes.keys().map(|node| (group.clone(), node.clone())))
            .collect();
        coordinator.failing_since.retain(|key, _| present.contains(key));
        for (group, node) in present {
            let Some(spec) = cluster.group(&group) else {
                next.failures.remove(&group);
                continue;
            };
            let since =
                *coordinator.failing_since.entry((group.clone(), node.clone())).or_insert(now);
            let expires = since + spec.failure_expiry;
            let Some(nodes) = next.failures.get_mut(&group) else { continue };
            let Some(failures) = nodes.get_mut(&node) else { continue };
            if proved.contains(&node) {
                // A machine that was off runs nothing: its failed stop is settled.
                failures.stop_failed = false;
            }
            if now >= expires && !failures.stop_failed {
                nodes.remove(&node);
                coordinator.failing_since.remove(&(group.clone(), node));
            } else if now < expires {
                look_again = Some(look_again.map_or(expires, |at| at.min(expires)));
            }
            if nodes.is_empty() {
                next.failures.remove(&group);
            }
        }
        match next.intents.maintenance {
            Some(maintenance) => {
                let since = *coordinator.maintenance_since.get_or_insert(now);
                if let Some(lasts) = maintenance.lasts {
                    let ends = since + lasts;
                    if now >= ends {
                        next.intents.maintenance = None;
                        coordinator.maintenance_since = None;
                    } else {
                        look_again = Some(look_again.map_or(ends, |at| at.min(ends)));
                    }
                }
            }
            None => coordinator.maintenance_since = None,
        }
        next.intents.pins.retain(|group, _| cluster.group(group).is_some());
        next.intents.stopped.retain(|group| cluster.group(group).is_some());
        next.intents.restarts.retain(|group, _| cluster.group(group).is_some());
        self.plan_again_at(look_again);
    }

    /// R19: V shrinks in a tie for those that were fenced, and for a clean leaver of two.
    /// R18: a node that is configured to vote, follows, and is stable, votes: one at a time.
    fn change_voters(&mut self, next: &mut Record, cluster: &Cluster) {
        let proved = self.proved();
        let mut present: BTreeSet<NodeId> =
            self.peers.iter().filter(|(_, p)| p.alive).map(|(name, _)| name.clone()).collect();
        present.insert(self.id.clone());
        let tied = |record: &Record| {
            matches!(weigh::<R>(record, &present, &BTreeSet::new(), false), Weight::Tie(_))
        };
        let dead: Vec<NodeId> =
            next.voters.keys().filter(|voter| proved.contains(*voter)).cloned().collect();
        if !dead.is_empty() && tied(next) && self.tie_authority() {
            for node in dead {
                next.voters.remove(&node);
            }
            return;
        }
        if next.voters.len() == 2 {
            let leaver = next.voters.keys().find(|voter| self.has_left(next, voter)).cloned();
            if let Some(leaver) = leaver {
                next.voters.remove(&leaver);
                return;
            }
        }
        let mut look_again: Option<Time> = None;
        let mut added = None;
        for (name, peer) in &self.peers {
            let Some(beat) = &peer.heartbeat else { continue };
            let wants = cluster.is_voter(name)
                && next.voters.get(name) != Some(&beat.store)
                && !next.voters.contains_key(name)
                && !next.intents.leaving.contains(name);
            if !wants || !peer.alive || peer.is_proved_dead() || peer.forked {
                continue;
            }
            let follows = self.coordinating().and_then(|c| c.committed).is_some_and(|committed| {
                beat.obeyed == committed
                    && beat.stamp == committed
                    && beat.epoch == self.stored.epoch
            });
            let clean = peer.report.as_ref().is_some_and(|report| {
                report.groups.iter().all(|(group, state)| {
                    state.phase.is_stopped() || next.owner(group) == Some(name)
                })
            });
            let stable_at = peer.alive_since + self.timing.rejoin_after;
            if self.now < stable_at {
                look_again = Some(look_again.map_or(stable_at, |at| at.min(stable_at)));
            } else if follows && clean {
                added = Some((name.clone(), beat.store));
                break;
            }
        }
        self.plan_again_at(look_again);
        if let Some((name, store)) = added {
            self.event(
                Event::info("voter-added", format!("node {name} votes from the next record on"))
                    .node(&name),
            );
            next.voters.insert(name, store);
        }
    }

    /// R14: asked to leave, and reported under the present record that nothing of it runs.
    fn has_left(&self, record: &Record, node: &NodeId) -> bool {
        record.intents.leaving.contains(node)
            && !record.grants.values().any(|grant| grant.owner == *node)
            && self.reports().get(node).is_some_and(|report| {
                report.leaving && report.groups.values().all(|group| group.phase.is_stopped())
            })
            && record.voters.keys().any(|other| {
                other != node
                    && (*other == self.id || self.peers.get(other).is_some_and(|peer| peer.alive))
            })
    }

    fn situation_of(&self, name: &NodeId, peer: &Peer<R>, record: &Record) -> NodeSituation {
        if peer.is_proved_dead() {
            return NodeSituation::Gone;
        }
        let fresh = self.now.since(self.started) < self.timing.initdead;
        let owns = record.grants.values().any(|grant| grant.owner == *name);
        if peer.alive {
            // A report names the record that it was made under, and comes at once.
            let obeys = peer.report.as_ref().is_some_and(|report| {
                report.obeyed.epoch == self.stored.epoch && report.obeyed != Stamp::default()
            });
            if obeys && !peer.forked {
                return NodeSituation::Online;
            }
            let just_elected = self
                .coordinating()
                .is_some_and(|c| self.now.since(c.elected) < self.timing.deadtime);
            let soon = (fresh || just_elected) && !owns && !peer.forked;
            return if soon { NodeSituation::Awaited } else { NodeSituation::Joining };
        }
        if peer.heard.is_none() && fresh && !owns {
            NodeSituation::Awaited
        } else {
            NodeSituation::Lost
        }
    }

    fn change_grants(&mut self, next: &mut Record, cluster: &Cluster) {
        let mut nodes: BTreeMap<NodeId, NodeSituation> = BTreeMap::new();
        for node in &cluster.nodes {
            let situation = if node.id == self.id {
                NodeSituation::Online
            } else {
                self.peers
                    .get(&node.id)
                    .map_or(NodeSituation::Joining, |peer| self.situation_of(&node.id, peer, next))
            };
            nodes.insert(node.id.clone(), situation);
        }
        let reports = self.reports();
        let mut phases = BTreeMap::new();
        for (group, grant) in &next.grants {
            let report = reports.get(&grant.owner).and_then(|report| report.groups.get(group));
            phases.insert(group.clone(), report.map_or(GroupPhase::Unknown, |r| r.phase));
        }
        let mut eligible: BTreeMap<GroupId, BTreeMap<NodeId, Eligibility>> = BTreeMap::new();
        let mut roles: BTreeMap<_, BTreeMap<NodeId, String>> = BTreeMap::new();
        for (name, report) in &reports {
            for (group, word) in &report.eligible {
                eligible.entry(group.clone()).or_default().insert((*name).clone(), word.clone());
            }
            for (service, word) in &report.services {
                if let Some(role) = &word.role {
                    roles.entry(service.clone()).or_default().insert((*name).clone(), role.clone());
                }
            }
        }
        let empty = BTreeMap::new();
        let placement = place(&Situation {
            cluster,
            nodes: &nodes,
            intents: &next.intents,
            failures: &next.failures,
            bans: if R::holds(Rule::BanIsHeeded) { &next.bans } else { &empty },
            grants: &next.grants,
            phases: &phases,
            eligible: &eligible,
            roles: &roles,
        });
        let stamp = next.stamp;
        let mut decided: Vec<(GroupId, String)> = Vec::new();
        for (group, choice) in &placement.groups {
            let wanted = choice.node.clone();
            let before = next.grants.get(group).cloned();
            match &before {
                None => {
                    if let Some(node) = wanted
                        && !choice.wait
                        && nodes.get(&node) == Some(&NodeSituation::Online)
                        && !self.may_run_elsewhere(group, &node, &nodes)
                    {
                        decided
                            .push((group.clone(), format!("granted to {node}: {}", choice.reason)));
                        next.grants.insert(
                            group.clone(),
                            Grant { owner: node, state: GrantState::Held, since: stamp },
                        );
                    }
                }
                Some(grant) => {
                    let word =
                        self.change_grant(next, cluster, group, grant, wanted, choice.wait, &nodes);
                    if let Some(word) = word {
                        decided.push((group.clone(), format!("{word}: {}", choice.reason)));
                    }
                }
            }
            if choice.pin_finished.is_some() {
                next.intents.pins.remove(group);
            }
        }
        // Groups that the configuration no longer has end like any other.
        let gone: Vec<GroupId> =
            next.grants.keys().filter(|group| cluster.group(group).is_none()).cloned().collect();
        for group in gone {
            if let Some(grant) = next.grants.get(&group).cloned() {
                self.change_grant(next, cluster, &group, &grant, None, false, &nodes);
            }
        }
        for (group, text) in &decided {
            self.event(Event::info("decided", format!("group {group} {text}")).group(group));
        }
        let initdead = (self.started + self.timing.initdead).max(self.now + self.timing.keepalive);
        let awaits = nodes.values().any(|situation| *situation == NodeSituation::Awaited);
        self.plan_again_at(awaits.then_some(initdead));
        if let Some(coordinator) = self.coordinating_mut() {
            coordinator.placement = placement;
            for (group, text) in decided {
                coordinator.decided(&group, format!("record {stamp}: {text}"));
            }
        }
    }

    /// R11 for one group that has an owner. Returns what was changed, for `crm why`.
    fn change_grant(
        &self,
        next: &mut Record,
        cluster: &Cluster,
        group: &GroupId,
        grant: &Grant,
        wanted: Option<NodeId>,
        wait: bool,
        nodes: &BTreeMap<NodeId, NodeSituation>,
    ) -> Option<String> {
        let owner = &grant.owner;
        let stamp = next.stamp;
        let free = self.owner_is_proved_off(next, cluster, group, grant);
        let goes_to = |node: &NodeId| {
            !wait
                && nodes.get(node) == Some(&NodeSituation::Online)
                && !self.may_run_elsewhere_but(group, node, owner, nodes)
        };
        if wanted.as_ref() == Some(owner) {
            // Ending and wanted back: only after its stop is proved (R11).
            if grant.state == GrantState::Ending && free.is_some() && goes_to(owner) {
                let held = Grant { owner: owner.clone(), state: GrantState::Held, since: stamp };
                next.grants.insert(group.clone(), held);
                return Some(format!("given back to {owner}"));
            }
            return None;
        }
        if let Some(proof) = free {
            return match wanted.filter(|node| goes_to(node)) {
                Some(node) => {
                    let text = format!("moved from {owner} to {node}, {proof}");
                    let held = Grant { owner: node, state: GrantState::Held, since: stamp };
                    next.grants.insert(group.clone(), held);
                    Some(text)
                }
                None => {
                    next.grants.remove(group);
                    Some(format!("taken from {owner}, {proof}"))
                }
            };
        }
        if !R::holds(Rule::OwnerStays) && grant.state == GrantState::Held {
            next.grants.remove(group);
            return Some(format!("taken from {owner} unproved"));
        }
        if !R::holds(Rule::StopBeforeStart)
            && let Some(node) = wanted
            && nodes.get(&node) == Some(&NodeSituation::Online)
        {
            let held = Grant { owner: node, state: GrantState::Held, since: stamp };
            next.grants.insert(group.clone(), held);
            return Some(format!("taken from {owner} before its stop"));
        }
        let reachable =
            matches!(nodes.get(owner), Some(NodeSituation::Online | NodeSituation::Joining));
        if grant.state == GrantState::Held && reachable {
            next.grants.insert(
                group.clone(),
                Grant { owner: owner.clone(), state: GrantState::Ending, since: stamp },
            );
            return Some(format!("ends on {owner}"));
        }
        None
    }

    /// Whether the owner is known not to run the group, and how that is known.
    fn owner_is_proved_off(
        &self,
        next: &Record,
        cluster: &Cluster,
        group: &GroupId,
        grant: &Grant,
    ) -> Option<String> {
        let owner = &grant.owner;
        if let Some(peer) = self.peers.get(owner)
            && peer.is_proved_dead()
        {
            return Some(format!("whose death is proved (record {})", next.stamp));
        }
        let report = if *owner == self.id {
            Some(&self.report)
        } else {
            self.peers.get(owner).and_then(|peer| peer.report.as_ref())
        };
        // H13: only a report made under the version that ended the grant, or a later one.
        let reported = report.is_some_and(|report| {
            let bound = report.obeyed >= grant.since || !R::holds(Rule::ReportIsBound);
            let stopped = match report.groups.get(group) {
                Some(state) => state.phase.is_stopped(),
                // Not even known there any more: removed from the configuration and stopped.
                None => cluster.group(group).is_none(),
            };
            bound && stopped
        });
        if grant.state == GrantState::Ending && reported {
            return Some("whose stop is reported".to_owned());
        }
        // H36: silence, where the admin said that it is enough.
        let silent = self.peers.get(owner).is_some_and(|peer| {
            !peer.alive && (peer.heard.is_some() || self.listened_long_enough())
        });
        let waived = cluster.fencing == Fencing::None
            && cluster.group(group).is_some_and(|spec| spec.moves_on_silence());
        if waived && silent {
            return Some(
                "which is silent; the configuration lets this group move on silence".to_owned(),
            );
        }
        None
    }

    fn may_run_elsewhere(
        &self,
        group: &GroupId,
        node: &NodeId,
        nodes: &BTreeMap<NodeId, NodeSituation>,
    ) -> bool {
        self.may_run_elsewhere_but(group, node, node, nodes)
    }

    /// Whether any node that is heard, other than these two, has not reported the group stopped.
    fn may_run_elsewhere_but(
        &self,
        group: &GroupId,
        node: &NodeId,
        owner: &NodeId,
        nodes: &BTreeMap<NodeId, NodeSituation>,
    ) -> bool {
        let reports = self.reports();
        nodes.iter().any(|(other, situation)| {
            if other == node || other == owner || *situation != NodeSituation::Online {
                return false;
            }
            reports.get(other).is_some_and(|report| {
                report.groups.get(group).is_some_and(|state| !state.phase.is_stopped())
            })
        })
    }
}

/// Whether two records differ in more than their stamps and history.
fn differs(current: &Record, next: &Record) -> bool {
    current.voters != next.voters
        || current.config.digest != next.config.digest
        || current.intents != next.intents
        || current.failures != next.failures
        || current.failures_counted != next.failures_counted
        || current.bans != next.bans
        || current.grants != next.grants
        || current.roles != next.roles
        || current.armed != next.armed
}
