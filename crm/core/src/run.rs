//! What the obeyed record wants of this node, handed to the executor, and the report about it.

use crate::Output;
use crate::event::Event;
use crate::execute::{ExecuteOutput, Want};
use crate::id::{GroupId, NodeId, ServiceId};
use crate::model::Group;
use crate::node::Node;
use crate::operation::DataWord;
use crate::packet::{GroupPhase, Message, Report, RoleReport};
use crate::record::{GrantState, Record};
use crate::rules::{Rule, Rules};
use std::collections::BTreeMap;

/// Services whose roles are remembered, at most.
const ROLES_MAX: usize = 256;

impl<R: Rules> Node<R> {
    /// Brings the executor up to date and carries its wishes out.
    pub(crate) fn execute(&mut self) {
        let now = self.now;
        if self.lease_until.is_some_and(|until| until <= now) && self.coordinating().is_none() {
            self.lapse_lease();
            let text = if self.is_witness() {
                "no coordinator is heard whose quorum holds"
            } else if self.lease_protects() {
                "no coordinator renews this node's lease: what runs here is stopped, before the watchdog resets the machine"
            } else {
                "no coordinator renews this node's lease: nothing new is started here"
            };
            self.event(Event::warning("lease-lapsed", text));
        }
        if self.executor_touched && (self.shutdown_wants_stop() || self.waits_for_base) {
            // What stops by itself stops in turn, and starts in turn: see what has by now.
            self.wants_stale = true;
        }
        if std::mem::take(&mut self.wants_stale) {
            self.tell_executor();
        }
        if self.executor.deadline().is_some_and(|at| at <= now) {
            self.executor.wake(now);
            self.executor_touched = true;
        }
        while let Some(output) = self.executor.poll_output() {
            self.executor_touched = true;
            let output = match output {
                ExecuteOutput::Run(operation) => Output::Run(operation),
                ExecuteOutput::Cancel { op } => Output::Cancel { op },
                ExecuteOutput::Unwatch { group, resource } => Output::Unwatch { group, resource },
                ExecuteOutput::Event(event) => Output::Event(event.node(&self.id)),
            };
            self.outputs.push_back(output);
        }
        if std::mem::take(&mut self.executor_touched) {
            self.refresh_report();
        }
    }

    /// A service tells which role it holds here, perhaps before the configuration that names it.
    pub(crate) fn on_role(&mut self, service: ServiceId, report: RoleReport) {
        if self.roles.len() >= ROLES_MAX && !self.roles.contains_key(&service) {
            return;
        }
        self.roles.insert(service, report);
        self.wants_stale = true;
        self.executor_touched = true;
    }

    fn configured_roles(&self) -> BTreeMap<ServiceId, RoleReport> {
        let Some(cluster) = &self.config else { return BTreeMap::new() };
        let roles = self.roles.iter().filter(|(service, _)| cluster.service(service).is_some());
        roles.map(|(service, report)| (service.clone(), report.clone())).collect()
    }

    /// I7: a grant may be older than what this node knows of itself. Unknown is never a role.
    fn holds_followed_role(&self, group: &Group) -> bool {
        let Some(follow) = &group.follow else { return true };
        let held = self.roles.get(&follow.service).and_then(|report| report.role.as_ref());
        let fits = |role: &String| *role == follow.role || Some(role) == follow.otherwise.as_ref();
        held.is_some_and(fits) || !R::holds(Rule::RoleIsFollowed)
    }

    /// Whether a group that does not run here starts after one that is granted to this node as well and
    /// does not run yet. Whoever grants sees to the order; but a machine that boots before anybody
    /// called it dead finds all its grants where they were, and has to start everything again.
    fn waits_for_base(&self, group: &Group, record: &Record) -> bool {
        let runs = |id: &GroupId| self.executor.phase(id) == GroupPhase::Running;
        let down =
            matches!(self.executor.phase(&group.id), GroupPhase::Unknown | GroupPhase::Stopped);
        down && group.starts_after.iter().any(|base| {
            let here = record
                .grants
                .get(base)
                .is_some_and(|grant| grant.owner == self.id && grant.state == GrantState::Held);
            here && !runs(base)
        })
    }

    fn tell_executor(&mut self) {
        let now = self.now;
        let Some(obeyed) = self.obeyed.clone() else {
            // R17: without authority what runs is kept, and nothing is started.
            let wants = match &self.config {
                Some(cluster) if self.shutdown_wants_stop() => self.stop_in_turn(cluster),
                // Whatever is known here, also what only an earlier configuration names.
                _ => self.executor.reports().into_keys().map(|id| (id, Want::Hold)).collect(),
            };
            self.executor.words(BTreeMap::new());
            self.executor.want(now, &wants);
            self.executor_touched = true;
            return;
        };
        let record = &obeyed.record;
        // R10: it obeys its newest persisted record, of its own epoch.
        let newest = record.stamp == self.stamp()
            && record.stamp == self.durable.stamp
            && record.stamp.epoch == self.stored.epoch;
        let may_start =
            (newest || !R::holds(Rule::Restamp)) && self.lease_holds() && self.fork.is_none();
        // R13, H18: without a lease nothing may go on where an armed watchdog stands for the stop;
        // elsewhere nobody can take what runs without ending this machine first.
        let lapsed = self.lease_protects() && !self.lease_holds();
        let ending = self.shutdown_wants_stop();
        let mut wants: BTreeMap<GroupId, Want> = BTreeMap::new();
        self.waits_for_base = false;
        for group in &obeyed.cluster.groups {
            let banned = R::holds(Rule::BanIsHeeded)
                && record.bans.get(&group.id).is_some_and(|nodes| nodes.contains_key(&self.id));
            let want = match record.grants.get(&group.id) {
                Some(grant) if grant.owner == self.id && grant.state == GrantState::Held => {
                    if may_start && !banned && self.holds_followed_role(group) {
                        let waits = self.waits_for_base(group, record);
                        self.waits_for_base |= waits;
                        if waits { Want::Hold } else { Want::Run }
                    } else if lapsed {
                        Want::Stop
                    } else {
                        Want::Hold
                    }
                }
                _ => Want::Stop,
            };
            let want = match self.silence_wants(group, &obeyed.cluster) {
                Some(true) => Want::Run,
                Some(false) => Want::Stop,
                None => want,
            };
            wants.insert(group.id.clone(), want);
        }
        // What the configuration dropped stops when its turn has come, and not as soon as its definition is gone.
        for (id, grant) in &record.grants {
            let dropped = obeyed.cluster.group(id).is_none();
            if dropped && grant.owner == self.id && grant.state == GrantState::Held && !lapsed {
                wants.insert(id.clone(), Want::Hold);
            }
        }
        if ending && lapsed {
            // The watchdog does not wait for an order.
            wants.values_mut().for_each(|want| *want = Want::Stop);
        } else if ending {
            wants = self.stop_in_turn(&obeyed.cluster);
        }
        let told = obeyed.cluster.groups.iter();
        self.executor
            .words(told.map(|group| (group.id.clone(), self.data_word(group, record))).collect());
        // Hands off comes before new wants, hands on after them: in between, old wants would count.
        let maintenance = record.intents.maintenance.is_some();
        if maintenance {
            self.executor.maintenance(now, true);
        }
        self.executor.want(now, &wants);
        self.executor.maintenance(now, maintenance);
        self.executor.restarts(now, &record.intents.restarts);
        if let Some((incarnation, number)) = record.failures_counted.get(&self.id)
            && *incarnation == self.incarnation
        {
            // Counted in a record that this node was away for: what this one does not know was cleared in
            // between. Of what nobody owns nothing is kept, so that says nothing.
            let counted = self.executor.failures().iter().filter(|f| f.number <= *number);
            let kept = |group: &GroupId| {
                obeyed.cluster.group(group).is_some() || record.owner(group).is_some()
            };
            for group in counted.map(|failure| &failure.group).filter(|group| kept(group)) {
                if !self.failures_known.contains(group) {
                    self.failures_known.push(group.clone());
                }
            }
            self.executor.failures_counted(*number);
        }
        self.clear_executor(&record.failures.clone());
        self.executor_touched = true;
    }

    /// What the agents of a group may be told of its data (I8). The record is a committed one, and named
    /// this very run as the owner; the deaths in the grant are as old as the grant, so nothing that needs
    /// it was given to anybody since, and a run that is heard again, or a later one, is dead no more.
    fn data_word(&self, group: &Group, record: &Record) -> DataWord {
        let banned = record.bans.get(&group.id);
        let is_banned = |node: &NodeId| banned.is_some_and(|nodes| nodes.contains_key(node));
        let nodes = self.config.iter().flat_map(|cluster| &cluster.nodes).map(|node| &node.id);
        let mut others = nodes
            .filter(|node| **node != self.id)
            .filter(|node| !group.only_preferred || group.prefer.contains(*node))
            .peekable();
        let freshest = !is_banned(&self.id) && others.peek().is_some() && others.all(is_banned);
        let held = record
            .grants
            .get(&group.id)
            .filter(|grant| grant.owner == self.id && grant.state == GrantState::Held);
        let deaths = held.into_iter().flat_map(|grant| &grant.deaths);
        let peers_dead = deaths.filter(|(node, run)| {
            let peer = self.peers.get(*node);
            peer.is_some_and(|peer| !peer.alive && peer.session.live() == Some(**run))
        });
        DataWord { freshest, peers_dead: peers_dead.map(|(node, _)| node.clone()).collect() }
    }

    /// A failure that the record no longer knows was cleared or has expired: try again.
    fn clear_executor(
        &mut self,
        failures: &BTreeMap<GroupId, BTreeMap<NodeId, crate::record::Failures>>,
    ) {
        let now = self.now;
        let known: Vec<GroupId> = failures
            .iter()
            .filter(|(_, nodes)| nodes.contains_key(&self.id))
            .map(|(group, _)| group.clone())
            .collect();
        let cleared: Vec<GroupId> =
            self.failures_known.iter().filter(|group| !known.contains(group)).cloned().collect();
        for group in cleared {
            self.executor.clear(now, Some(&group));
        }
        self.failures_known = known;
    }

    /// Makes a new report when anything in it changed, and sends it at once.
    fn refresh_report(&mut self) {
        // Who does not understand the newest record says that it obeys none, as a run would that begins now: it is given
        // nothing new, and nothing that it says counts for a stop.
        let obeyed = self.obeyed.as_ref().filter(|_| self.misread.is_none());
        let report = Report {
            obeyed: obeyed.map(|o| o.record.stamp).unwrap_or_default(),
            number: self.report.number,
            groups: self.executor.reports(),
            services: self.configured_roles(),
            armed: self.armed_times(),
            leaving: matches!(self.shutdown, Some((crate::Shutdown::Leave, _))),
            eligible: self.executor.eligibility(),
            failures: self.executor.failures().to_vec(),
        };
        if report == self.report {
            return;
        }
        self.report = Report { number: report.number + 1, ..report };
        self.coordinator_dirty();
        self.send_report();
        if self.coordinating().is_some() {
            // The coordinator's own report is evidence like any other; look at it now.
            self.coordinate();
        }
    }

    fn send_report(&mut self) {
        if let Some(leader) = self.live_leader().map(|leader| leader.node.clone()) {
            let report = Box::new(self.report.clone());
            self.send(&leader, Message::Report(report));
        }
    }

    pub(crate) fn resend_report(&mut self) {
        let lacks =
            self.live_leader().is_some_and(|leader| leader.report_seen < self.report.number);
        if lacks {
            self.send_report();
        }
    }

    pub(crate) fn on_report(&mut self, from: &NodeId, report: Report) {
        let Some(peer) = self.peers.get_mut(from) else { return };
        let newer = peer.report.as_ref().is_none_or(|last| last.number < report.number);
        if newer {
            // R13: what a longer L once gave ends by the new times only since it obeys those.
            if peer.report.as_ref().is_none_or(|last| last.armed != report.armed) {
                peer.renewed = self.now;
            }
            peer.report = Some(report);
            self.coordinator_dirty();
        }
    }
}
