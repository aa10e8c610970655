//! From what placement wants to the grants of the next record, one lawful step at a time (R11).

use super::proof::MayRun;
use super::retired;
use crate::event::Event;
use crate::id::{GroupId, Incarnation, NodeId, Stamp};
use crate::model::Cluster;
use crate::node::Node;
use crate::packet::{Eligibility, GroupPhase};
use crate::peer::Peer;
use crate::place::{NodeSituation, Situation, place};
use crate::record::{Grant, GrantState, Record};
use crate::rules::{Rule, Rules};
use std::collections::BTreeMap;

impl<R: Rules> Node<R> {
    fn situation_of(&self, name: &NodeId, peer: &Peer<R>, record: &Record) -> NodeSituation {
        if peer.is_proved_dead() || self.is_proved_reset(name) {
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

    pub(super) fn change_grants(&mut self, next: &mut Record, cluster: &Cluster) {
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
        // An owner that the configuration no longer has: its groups end there in order.
        for owner in next.grants.values().map(|grant| &grant.owner) {
            if !nodes.contains_key(owner) {
                let situation = self
                    .peers
                    .get(owner)
                    .map_or(NodeSituation::Lost, |peer| self.situation_of(owner, peer, next));
                nodes.insert(owner.clone(), situation);
            }
        }
        let may_run = self.may_run(&nodes, cluster);
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
            retired: &next.retired,
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
                        && !may_run.elsewhere_but(group, &node, &node)
                        && !retired::may_run_elsewhere(cluster, group, next)
                    {
                        decided
                            .push((group.clone(), format!("granted to {node}: {}", choice.reason)));
                        let held = Grant { deaths: self.deaths(), ..Grant::held(node, stamp) };
                        next.grants.insert(group.clone(), held);
                    }
                }
                Some(grant) => {
                    // Whoever starts after it stops first; a proof that it is off needs no order.
                    let in_turn = choice.stops_after.is_none()
                        || self.owner_is_proved_off(next, cluster, group, grant).is_some();
                    let word = if in_turn {
                        self.change_grant(
                            next,
                            cluster,
                            group,
                            grant,
                            wanted,
                            choice.wait,
                            &nodes,
                            &may_run,
                        )
                    } else {
                        None
                    };
                    if let Some(word) = word {
                        decided.push((group.clone(), format!("{word}: {}", choice.reason)));
                    }
                }
            }
            if choice.pin_finished.is_some() {
                next.intents.pins.remove(group);
            }
        }
        // Groups that the configuration no longer has end like any other, and like the others not
        // during maintenance.
        let hands_off = next.intents.maintenance.is_some();
        let gone: Vec<GroupId> = next
            .grants
            .keys()
            .filter(|group| cluster.group(group).is_none() && !hands_off)
            .cloned()
            .collect();
        for group in gone {
            let Some(grant) = next.grants.get(&group).cloned() else { continue };
            // As above. Who is proved dead has no say again while it owns something.
            let in_turn = grant.state != GrantState::Held
                || !self.stops_later(next, cluster, &group, &nodes)
                || self.owner_is_proved_off(next, cluster, &group, &grant).is_some();
            if in_turn {
                self.change_grant(next, cluster, &group, &grant, None, false, &nodes, &may_run);
            }
        }
        for (group, text) in &decided {
            self.event(Event::info("decided", format!("group {group} {text}")).group(group));
        }
        let initdead = (self.started + self.timing.initdead).max(self.now + self.timing.keepalive);
        let awaits = nodes.values().any(|situation| *situation == NodeSituation::Awaited);
        self.plan_again_at(awaits.then_some(initdead));
        self.plan_again_when_reset(next);
        let decided: Vec<(GroupId, String)> = decided
            .into_iter()
            .map(|(group, text)| {
                let evidence = self.evidence(&group);
                (group, format!("record {stamp}: {text} [{evidence}]"))
            })
            .collect();
        if let Some(coordinator) = self.coordinating_mut() {
            coordinator.placement = placement;
            for (group, text) in decided {
                coordinator.decided(&group, text);
            }
        }
    }

    /// Whether another dropped group that starts after this one is still to stop, before it. As for groups in the
    /// configuration, nobody waits for a silent owner or a failed stop; one that has not looked yet may run it.
    fn stops_later(
        &self,
        next: &Record,
        cluster: &Cluster,
        group: &GroupId,
        nodes: &BTreeMap<NodeId, NodeSituation>,
    ) -> bool {
        let reports = self.reports();
        let dropped = next.retired.iter().filter(|(other, _)| cluster.group(other).is_none());
        let mut after = dropped.filter(|(_, spec)| spec.starts_after.contains(group));
        after.any(|(other, _)| {
            let Some(owner) = next.owner(other) else { return false };
            let heard =
                matches!(nodes.get(owner), Some(NodeSituation::Online | NodeSituation::Joining));
            let report = reports.get(owner).and_then(|report| report.groups.get(other));
            heard
                && report.is_none_or(|report| {
                    !report.phase.is_stopped() && report.phase != GroupPhase::StopFailed
                })
        })
    }

    /// The runs that are proved dead now, and by a device or the operator: silence and T_out say
    /// nothing of a machine that only looks dead (H25).
    fn deaths(&self) -> BTreeMap<NodeId, Incarnation> {
        let proofs = self.peers.iter().filter_map(|(name, peer)| {
            let run = peer.proof.as_ref()?.incarnation?;
            (peer.session.live() == Some(run)).then(|| (name.clone(), run))
        });
        proofs.collect()
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
        may_run: &MayRun,
    ) -> Option<String> {
        let owner = &grant.owner;
        let stamp = next.stamp;
        let free = self.owner_is_proved_off(next, cluster, group, grant);
        let goes_to = |node: &NodeId| {
            !wait
                && nodes.get(node) == Some(&NodeSituation::Online)
                && !may_run.elsewhere_but(group, node, owner)
        };
        if wanted.as_ref() == Some(owner) {
            // Ending and wanted back: only after its stop is proved (R11).
            if grant.state == GrantState::Ending && free.is_some() && goes_to(owner) {
                next.grants.insert(group.clone(), Grant::held(owner.clone(), stamp));
                return Some(format!("given back to {owner}"));
            }
            return None;
        }
        if let Some(proof) = free {
            return match wanted.filter(|node| goes_to(node)) {
                Some(node) => {
                    let text = format!("moved from {owner} to {node}, {proof}");
                    let held = Grant { deaths: self.deaths(), ..Grant::held(node, stamp) };
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
            next.grants.insert(group.clone(), Grant::held(node, stamp));
            return Some(format!("taken from {owner} before its stop"));
        }
        let reachable =
            matches!(nodes.get(owner), Some(NodeSituation::Online | NodeSituation::Joining));
        if grant.state == GrantState::Held && reachable {
            next.grants.insert(
                group.clone(),
                Grant { state: GrantState::Ending, ..Grant::held(owner.clone(), stamp) },
            );
            return Some(format!("ends on {owner}"));
        }
        None
    }
}
