//! The status: what this node can say of itself and of the cluster.

use crate::election::Role;
use crate::event::Event;
use crate::id::{Digest, NodeId};
use crate::model::{Fencing, NodeSpec, WITNESS};
use crate::node::Node;
use crate::packet::GroupPhase;
use crate::record::{Grant, GrantState};
use crate::rules::Rules;
use crate::status::{GroupStatus, NodeState, NodeStatus, Status};
use crate::time::Time;
use std::collections::{BTreeMap, BTreeSet};

impl<R: Rules> Node<R> {
    /// This node's own view; complete if it coordinates.
    #[must_use]
    pub fn status(&self, now: Time) -> Status {
        let now = now.max(self.now);
        let leads = self.coordinating().is_some_and(|c| c.committed.is_some());
        let record = self.record();
        let mut status = Status {
            cluster: self.config.as_ref().map(|c| c.name.clone()).unwrap_or_default(),
            node: Some(self.id.clone()),
            incarnation: self.incarnation,
            complete: leads,
            quorum: leads || self.live_leader().is_some(),
            coordinator: if leads { Some(self.id.clone()) } else { self.coordinator() },
            epoch: self.durable.epoch,
            stamp: self.durable.stamp,
            obeyed: self.obeyed.as_ref().map(|o| o.record.stamp).unwrap_or_default(),
            config: record.map(|r| r.config.digest).unwrap_or_default(),
            draft_differs: self.draft.differs,
            protection: self.protection(),
            warnings: Vec::new(),
            maintenance: record.and_then(|r| r.intents.maintenance).map(|m| match m.lasts {
                Some(lasts) => format!("on, ends {lasts} after it began"),
                None => "on".to_owned(),
            }),
            cluster_stopped: record.is_some_and(|r| r.intents.cluster_stopped),
            nodes: self.node_statuses(now),
            witness: self.witness_status(now),
            groups: self.group_statuses(),
            services: Vec::new(),
        };
        status.warnings = self.warnings(&status);
        status
    }

    /// The coordinator's view with what only this node knows: its links and its draft.
    pub(crate) fn merge_local(&self, mut status: Status) -> Status {
        let local = self.status(self.now);
        status.draft_differs = local.draft_differs;
        for node in status.nodes.iter_mut().chain(&mut status.witness) {
            node.links = local
                .nodes
                .iter()
                .chain(&local.witness)
                .find(|other| other.id == node.id)
                .map(|other| other.links.clone())
                .unwrap_or_default();
        }
        for group in &mut status.groups {
            if let Some(own) = local.groups.iter().find(|own| own.id == group.id)
                && own.owner.as_ref() == Some(&self.id)
            {
                group.resources.clone_from(&own.resources);
            }
        }
        for warning in local.warnings {
            if !status.warnings.contains(&warning) {
                status.warnings.push(warning);
            }
        }
        status.node = local.node;
        status.incarnation = local.incarnation;
        status.obeyed = local.obeyed;
        status.stamp = local.stamp;
        status
    }

    fn node_statuses(&self, now: Time) -> Vec<NodeStatus> {
        let Some(cluster) = &self.config else { return Vec::new() };
        let record = self.record();
        let mut nodes: Vec<NodeStatus> = Vec::new();
        // An owner that the configuration no longer has is still somebody's concern.
        let owners = record.iter().flat_map(|record| record.grants.values());
        let removed: BTreeSet<&NodeId> = owners
            .map(|grant| &grant.owner)
            .filter(|owner| cluster.node(owner).is_none())
            .collect();
        let removed: Vec<NodeSpec> = removed
            .into_iter()
            .map(|id| NodeSpec { id: id.clone(), links: vec![], voter: false, watchdog: None })
            .collect();
        for spec in cluster.nodes.iter().chain(&removed) {
            nodes.push(self.node_status(spec, now));
        }
        nodes
    }

    /// The witness, where there is one: a voter like any other, with one link of all its paths.
    fn witness_status(&self, now: Time) -> Option<NodeStatus> {
        let address = self.config.as_ref()?.witness.as_ref()?.address.clone();
        let id = NodeId::new(WITNESS);
        let spec = NodeSpec { id, links: vec![address], voter: true, watchdog: None };
        Some(self.node_status(&spec, now))
    }

    fn node_status(&self, spec: &NodeSpec, now: Time) -> NodeStatus {
        let record = self.record();
        let intents = record.map(|r| &r.intents);
        let peer = self.peers.get(&spec.id);
        let state = if spec.id == self.id {
            if self.obeyed.is_some() { NodeState::Online } else { NodeState::Joining }
        } else {
            match peer {
                Some(peer) if peer.is_proved_dead() => NodeState::Dead,
                Some(peer) if peer.alive => {
                    let obeys = peer
                        .heartbeat
                        .as_ref()
                        .is_some_and(|beat| beat.obeyed != Default::default());
                    if obeys { NodeState::Online } else { NodeState::Joining }
                }
                Some(_) if intents.is_some_and(|i| i.leaving.contains(&spec.id)) => NodeState::Left,
                Some(peer) if peer.heard.is_some() => NodeState::Lost,
                _ => NodeState::Unseen,
            }
        };
        let links = peer.map_or_else(Vec::new, |peer| {
            peer.links
                .iter()
                .zip(&spec.links)
                .enumerate()
                .map(|(number, (link, address))| {
                    let number = u8::try_from(number).unwrap_or(u8::MAX);
                    link.status(now, number, address, self.timing.deadtime, self.timing.keepalive)
                })
                .collect()
        });
        NodeStatus {
            id: spec.id.clone(),
            state,
            // Of the committed record: one that is only proposed may still be lost.
            voter: self
                .obeyed
                .as_ref()
                .map(|obeyed| obeyed.record.as_ref())
                .or(record)
                .is_some_and(|r| match r.voters.get(&spec.id) {
                    // With another disk it is another voter (R18).
                    Some(store) => spec.id != self.id || *store == self.stored.store,
                    None => false,
                }),
            armed: spec
                .watchdog
                .is_some()
                .then(|| record.is_some_and(|r| r.armed.contains_key(&spec.id))),
            standby: intents.is_some_and(|i| i.standby.contains(&spec.id)),
            leaving: intents.is_some_and(|i| i.leaving.contains(&spec.id)),
            silent_for: peer.filter(|p| !p.alive).and_then(|p| p.silent_for(now)),
            incarnation: if spec.id == self.id {
                Some(self.incarnation)
            } else {
                peer.and_then(|p| p.session.live())
            },
            obeyed: if spec.id == self.id {
                self.obeyed.as_ref().map(|o| o.record.stamp)
            } else {
                peer.and_then(|p| p.heartbeat.as_ref()).map(|beat| beat.obeyed)
            },
            fencing: self.fences.last.get(&spec.id).cloned(),
            links,
        }
    }

    fn group_statuses(&self) -> Vec<GroupStatus> {
        let (Some(cluster), Some(record)) = (&self.config, self.record()) else {
            return Vec::new();
        };
        cluster.groups.iter().map(|spec| self.group_status(&spec.id, record)).collect()
    }

    fn group_status(&self, id: &crate::id::GroupId, record: &crate::record::Record) -> GroupStatus {
        let grant = record.grants.get(id);
        let owner = grant.map(|grant| grant.owner.clone());
        let reported = |node: &NodeId| {
            let report = if *node == self.id {
                Some(&self.report)
            } else {
                self.peers.get(node).and_then(|peer| peer.report.as_ref())
            };
            report.and_then(|report| report.groups.get(id)).cloned()
        };
        let of_owner = owner.as_ref().and_then(&reported);
        let choice = self.coordinating().and_then(|c| c.placement.groups.get(id));
        let mut elsewhere = BTreeMap::new();
        for node in self.peers.keys().chain([&self.id]) {
            if Some(node) == owner.as_ref() || self.was_proved_off(node, grant) {
                continue;
            }
            if let Some(report) = reported(node)
                && !report.phase.is_stopped()
            {
                elsewhere.insert(node.clone(), report.phase);
            }
        }
        let mut reason = choice.map(|choice| choice.reason.clone()).unwrap_or_default();
        let waits = self.config.as_ref().filter(|_| owner.is_none()).and_then(|cluster| {
            crate::plan::retired::waits_for(cluster, cluster.group(id)?, record)
        });
        if let Some((other, on)) = waits {
            reason = format!(
                "it waits until node {on} has stopped what group {other} had of it; if that stop failed: `crm clear {other}`"
            );
        }
        if let Some(removal) = self.removal() {
            reason = removal;
        }
        if let Some(detail) = of_owner.as_ref().and_then(|report| report.reason.clone()) {
            reason = if reason.is_empty() { detail } else { format!("{reason}; {detail}") };
        }
        if reason.is_empty() {
            reason = match &owner {
                Some(owner) => format!("granted to node {owner} by record {}", record.stamp),
                None => self.why_no_coordinator(),
            };
            if self.coordinator().is_none()
                && let Some(words) = self.words_that_help()
            {
                let missing = owner.is_some().then(|| self.why_no_coordinator());
                let parts = [Some(reason), missing, Some(words)];
                reason = parts.into_iter().flatten().collect::<Vec<String>>().join("; ");
            }
        }
        GroupStatus {
            id: id.clone(),
            ending: grant.is_some_and(|grant| grant.state == GrantState::Ending),
            phase: match (&owner, of_owner) {
                (None, _) => GroupPhase::Stopped,
                (Some(_), Some(report)) => report.phase,
                (Some(_), None) => GroupPhase::Unknown,
            },
            owner,
            reason,
            verdicts: choice.map(|choice| choice.verdicts.clone()).unwrap_or_default(),
            stopped_by_operator: record.intents.stopped.contains(id),
            pinned_to: record.intents.pins.get(id).cloned(),
            failures: record
                .failures
                .get(id)
                .into_iter()
                .flatten()
                .map(|(node, failures)| {
                    let text = if failures.is_blocked() {
                        format!("{}; left as it is until `crm clear {id}`", failures.reason)
                    } else {
                        format!("{} times, last: {}", failures.count, failures.reason)
                    };
                    (node.clone(), text)
                })
                .collect(),
            bans: record.bans.get(id).cloned().unwrap_or_default(),
            elsewhere,
            resources: self.executor.resources(id),
            decisions: self
                .coordinating()
                .and_then(|c| c.decisions.get(id))
                .into_iter()
                .flatten()
                .cloned()
                .collect(),
        }
    }

    /// Whether the last report of a node proves nothing any more: it is proved dead, or it is silent
    /// and the group was granted elsewhere since, which with devices takes a proof (R11). That proof
    /// itself is forgotten with its epoch.
    fn was_proved_off(&self, node: &NodeId, grant: Option<&Grant>) -> bool {
        let Some(peer) = self.peers.get(node) else { return false };
        let devices = self.config.as_ref().is_some_and(|cluster| cluster.fencing != Fencing::None);
        let older = peer
            .report
            .as_ref()
            .is_some_and(|report| grant.is_some_and(|grant| report.obeyed < grant.since));
        peer.is_proved_dead() || (devices && !peer.alive && older)
    }

    fn warnings(&self, status: &Status) -> Vec<String> {
        let mut warnings = Vec::new();
        if let Some(fork) = &self.fork {
            warnings.push(fork.clone());
        }
        warnings.extend(self.misread.clone());
        warnings.extend(self.store_warning());
        if let Some(removal) = self.removal() {
            warnings.push(format!("{removal}; {}", Self::way_back()));
        } else if let Some(passed_by) = self.passed_by() {
            warnings.push(format!(
                "{passed_by}; decide whose changes to keep, stop crmd on the other side, empty its state directory and join it anew"
            ));
        } else if !status.quorum {
            let doing = match &self.role {
                Role::Candidate(_) => " (standing for election)",
                Role::Asking(_) => " (asking for votes)",
                _ => "",
            };
            warnings.push(format!("{}{doing}", self.why_no_coordinator()));
            warnings.extend(self.votes_lost_with_disks());
            let waiting: Vec<&str> = self
                .record()
                .into_iter()
                .flat_map(|r| r.voters.keys())
                .filter(|v| self.peers.get(*v).is_some_and(|p| !p.alive))
                .map(NodeId::as_str)
                .collect();
            if !waiting.is_empty() && !self.tie_authority() {
                let words = self.words_that_help().map(|words| format!("; {words}"));
                warnings.push(format!(
                    "this node started without hearing {}, which may hold newer data; it waits{}",
                    waiting.join(", "),
                    words.unwrap_or_default(),
                ));
            } else if let Some(words) = self.words_that_help() {
                warnings.push(format!("nothing proves who is silent dead; {words}"));
            }
        }
        for group in &status.groups {
            if group.phase == GroupPhase::StopFailed {
                warnings.push(format!(
                    "group {} is blocked: a stop failed ({}); after repair: `crm clear {}`",
                    group.id, group.reason, group.id
                ));
            }
        }
        for node in &status.nodes {
            if node.state == NodeState::Lost {
                warnings.push(format!("node {} is lost, which does not prove it dead", node.id));
            }
            if let Some(last) = node.fencing.as_ref().filter(|last| last.starts_with("failed")) {
                warnings.push(format!("fencing of node {} {last}", node.id));
            }
            for link in node.links.iter().filter(|link| !link.up) {
                if node.state == NodeState::Online {
                    warnings.push(format!(
                        "link {} to node {} ({}) is silent",
                        link.link, node.id, link.address
                    ));
                }
            }
        }
        let restored = self.peers.iter().filter(|(_, peer)| peer.rolled_back);
        warnings.extend(restored.map(|(name, _)| crate::exposure::restored(name)));
        warnings.extend(self.witness_warning(status));
        if self.draft.differs.is_some() {
            warnings.push(
                "cluster.yaml on this node differs from the configuration in force; nothing acts on it until `crm apply`".to_owned(),
            );
        }
        if let Some(cluster) = &self.config
            && cluster.fencing == Fencing::None
            && cluster.nodes.len() > 1
            && !self.watchdogs_protect()
        {
            warnings.push("fencing: none; nothing proves a silent node dead".to_owned());
        }
        warnings
    }

    pub(crate) fn on_draft(&mut self, digest: Option<Digest>) {
        let differed = self.draft.differs.is_some();
        self.draft = Draft { seen: digest, follows: false, differs: None };
        self.judge_draft();
        if self.draft.differs.is_some() && !differed {
            self.event(Event::warning(
                "draft",
                "cluster.yaml on this node differs from the configuration in force; `crm apply` commits it, nothing else acts on it",
            ));
        }
    }

    /// After the file or the configuration in force has changed.
    pub(crate) fn judge_draft(&mut self) {
        let in_force = self.record().map(|record| record.config.digest);
        let (Some(seen), Some(in_force)) = (self.draft.seen, in_force) else { return };
        if seen == in_force {
            self.draft = Draft { seen: Some(seen), follows: true, differs: None };
        } else if !self.draft.follows {
            self.draft.differs = Some(seen);
        }
    }
}

/// The configuration file on this node, as far as it was told.
#[derive(Clone, Copy, Debug, Hash, Default)]
pub(crate) struct Draft {
    seen: Option<Digest>,
    /// It was what is in force, so the shell rewrites it when that changes.
    follows: bool,
    pub(crate) differs: Option<Digest>,
}
