//! The voter's and follower's side: accepting records (R3, R9), obeying committed ones (R10),
//! and noticing that two histories have parted (H35).

use crate::event::Event;
use crate::id::{Epoch, NodeId, Stamp};
use crate::model::{Cluster, Group};
use crate::node::{Leader, Node, Obeyed};
use crate::packet::Message;
use crate::persist::After;
use crate::plan::retired;
use crate::record::{HISTORY_MAX, Record};
use crate::rules::{Rule, Rules};
use std::sync::Arc;

impl<R: Rules> Node<R> {
    /// R9: a record of the sender's own epoch, which is mine or higher.
    pub(crate) fn on_propose(&mut self, from: &NodeId, epoch: Epoch, mut record: Record) {
        if epoch < self.stored.epoch {
            let epoch = self.durable.epoch;
            self.send(from, Message::Behind { epoch });
            return;
        }
        if self.fork.is_some() || (self.coordinating().is_some() && epoch == self.stored.epoch) {
            return;
        }
        if record.config.text.is_empty() {
            let own = self.record().map(|own| own.config.clone()).unwrap_or_default();
            if own.digest != record.config.digest {
                self.send(from, Message::ConfigWanted { stamp: record.stamp });
                return;
            }
            record.config = own;
        }
        if record.stamp == self.stamp() && epoch == self.stored.epoch {
            if self.durable.stamp == record.stamp && self.durable.epoch == epoch {
                let store = self.stored.store;
                self.send(from, Message::Accepted { epoch, stamp: record.stamp, store });
            }
            return;
        }
        let newer = if R::holds(Rule::StampHasEpoch) && R::holds(Rule::Restamp) {
            record.stamp > self.stamp()
        } else {
            record.stamp.version > self.stamp().version || epoch > self.stored.epoch
        };
        if !newer {
            return;
        }
        if let Some(mine) = self.parted_from(&record) {
            self.found_fork(from, mine, record.stamp);
            return;
        }
        if epoch > self.stored.epoch {
            self.adopt_epoch(epoch);
        }
        if matches!(self.role, crate::election::Role::Candidate(_)) {
            self.role = crate::election::Role::Follower;
        }
        self.drop_asking();
        let stamp = record.stamp;
        let new_config = self.record().is_none_or(|own| own.config.digest != record.config.digest);
        self.stored.record = Some(record);
        if new_config {
            self.use_newest_config();
        }
        self.joining = false;
        self.wants_stale = true;
        self.stand_at = Some(self.now + self.timing.deadtime + self.timing.election);
        self.persist(After::Accepted { to: from.clone(), epoch, stamp });
        if !R::holds(Rule::ObeyCommittedOnly) {
            self.committed_hint = Some((epoch, stamp));
        }
    }

    /// R10: the notice is addressed to this incarnation (the session saw to that).
    pub(crate) fn on_committed(&mut self, from: &NodeId, epoch: Epoch, stamp: Stamp) {
        if epoch < self.stored.epoch {
            let epoch = self.durable.epoch;
            self.send(from, Message::Behind { epoch });
            return;
        }
        if self.coordinating().is_none() {
            // Who commits leads: the report about this record goes there at once.
            let report_seen = self.leader.as_ref().map_or(0, |leader| leader.report_seen);
            self.leader = Some(Leader { node: from.clone(), epoch, heard: self.now, report_seen });
            self.stand_at = None;
        }
        self.committed_hint = Some((epoch, stamp));
        self.obey_if_committed();
    }

    /// Obeys the newest record once it is both durable here and known to be committed. A node
    /// never obeys an older one: what it holds newer will be committed or replaced soon.
    pub(crate) fn obey_if_committed(&mut self) {
        let Some((epoch, stamp)) = self.committed_hint else { return };
        if epoch != self.durable.epoch
            || epoch != self.stored.epoch
            || stamp != self.durable.stamp
            || stamp != self.stamp()
            || self.obeyed.as_ref().is_some_and(|obeyed| obeyed.record.stamp == stamp)
        {
            return;
        }
        self.obey();
    }

    /// Makes the newest record the one that this node obeys.
    pub(crate) fn obey(&mut self) {
        let (Some(record), Some(cluster)) = (self.stored.record.clone(), self.config.clone())
        else {
            return;
        };
        if self.misread.is_some() {
            return;
        }
        let first = self.obeyed.is_none();
        let voters = |record: &Record| (record.voters.clone(), record.old_voters.clone());
        if self.obeyed.as_ref().is_some_and(|obeyed| voters(&obeyed.record) != voters(&record)) {
            // Whose vote is gone for good, and who is not configured, is a stranger from now on (R19).
            self.keep_configured_peers();
        }
        let new_config = self.obeyed.as_ref().is_none_or(|obeyed| {
            obeyed.record.config.digest != record.config.digest
                || obeyed.record.retired != record.retired
                || (!record.retired.is_empty()
                    && !obeyed.record.grants.keys().eq(record.grants.keys()))
        });
        self.stored.committed = Some((record.stamp, record.fingerprint()));
        // Tie authority: a live coordinator told this incarnation a committed record in which it
        // votes (R6, H6).
        if record.voters.get(&self.id) == Some(&self.stored.store) {
            self.joined = true;
        }
        let was_removed = self.obeyed.as_ref().is_some_and(|obeyed| obeyed.removed);
        let removed = self.is_removed();
        if removed && !was_removed {
            self.tell_of_removal();
        } else if first {
            let text = if self.is_witness() {
                format!("this witness stores record {} and follows who leads", record.stamp)
            } else {
                format!("this node obeys record {} and may be given groups", record.stamp)
            };
            self.event(Event::info("obeying", text));
        }
        self.silence.settle(&self.id, &record);
        let known = self.known_groups(&cluster);
        self.obeyed = Some(Obeyed { record: Arc::new(record), cluster, removed });
        if new_config {
            self.bound_lease();
            self.executor.configure(self.now, &known);
        }
        self.executor_touched = true;
        self.wants_stale = true;
    }

    /// The groups that this node's executor must know: those of the configuration, and those that it
    /// dropped before their stop was proved. A witness knows none. A new group that has what an old one may still run is none
    /// of its business before that is over: by the new name a mount would be stopped under what the old group still
    /// stops (I2).
    pub(crate) fn known_groups(&self, cluster: &Arc<Cluster>) -> Arc<Cluster> {
        if self.is_witness() {
            return Arc::new(Cluster { groups: Vec::new(), ..Cluster::clone(cluster) });
        }
        match self.record() {
            Some(record) => with_retired(&without_heirs(cluster, record), record),
            None => cluster.clone(),
        }
    }

    /// A run of the daemon begins: what may run here is looked at before anybody grants anything (R17). What a
    /// group has no longer is then stopped as if this run had known it when the group was changed.
    pub(crate) fn look_at_what_runs(&mut self) {
        let Some(cluster) = self.config.clone() else { return };
        let known = self.known_groups(&cluster);
        if let Some(record) = &self.stored.record {
            let before = with_leftovers(&known, record);
            self.executor.configure(self.now, &before);
        }
        self.executor.configure(self.now, &known);
    }

    /// H35: the committed record of mine that is not in the past of this one.
    pub(crate) fn parted_from(&self, record: &Record) -> Option<Stamp> {
        let committed = self.stored.committed.filter(|_| R::holds(Rule::HistoriesStayApart))?;
        (!record.descends_from(committed)).then_some(committed.0)
    }

    /// H35: a committed record of mine is not in the other's past. Neither side is merged.
    pub(crate) fn found_fork(&mut self, other: &NodeId, mine: Stamp, theirs: Stamp) {
        if let Some(peer) = self.peers.get_mut(other) {
            peer.forked = true;
        }
        let reason = format!(
            "this node and node {other} have parted histories: record {mine} is committed here and is not in the past of their {theirs}; neither is merged. Decide whose changes to keep, then empty the state directory of the other node and join it anew"
        );
        if self.fork.is_none() {
            self.event(Event::error("fork", reason.clone()).node(other));
        }
        self.fork = Some(reason);
        self.step_down("the histories have parted");
        self.wants_stale = true;
    }
}

/// The configuration without the groups that wait for the end of what another one may still run of theirs.
fn without_heirs(cluster: &Arc<Cluster>, record: &Record) -> Arc<Cluster> {
    let waits = |group: &Group| {
        !record.grants.contains_key(&group.id)
            && retired::may_run_elsewhere(cluster, &group.id, record)
    };
    if record.retired.is_empty() || !cluster.groups.iter().any(waits) {
        return cluster.clone();
    }
    let groups = cluster.groups.iter().filter(|group| !waits(group)).cloned().collect();
    Arc::new(Cluster { groups, ..Cluster::clone(cluster) })
}

fn with_retired(cluster: &Arc<Cluster>, record: &Record) -> Arc<Cluster> {
    let dropped = record.retired.values().filter(|group| cluster.group(&group.id).is_none());
    let dropped: Vec<_> = dropped.cloned().collect();
    if dropped.is_empty() {
        return cluster.clone();
    }
    let mut cluster = Cluster::clone(cluster);
    cluster.groups.extend(dropped);
    Arc::new(cluster)
}

/// The same with all that a run of the daemon before this one may have left of earlier definitions.
fn with_leftovers(cluster: &Arc<Cluster>, record: &Record) -> Arc<Cluster> {
    let mut cluster = Cluster::clone(cluster);
    for group in &mut cluster.groups {
        if let Some(old) = record.retired.get(&group.id) {
            *group = old.followed_by(group);
        }
    }
    Arc::new(cluster)
}

/// I10: bounds what a record remembers.
pub(crate) fn bound_history<R: Rules>(record: &mut Record) {
    if R::holds(Rule::HistoryIsBounded) {
        while record.history.len() > HISTORY_MAX {
            record.history.pop_front();
        }
    }
}
