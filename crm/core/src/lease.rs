//! Leases (R13): a follower's, from its own send time; the coordinator's, from its quorum.

use crate::id::{Epoch, NodeId};
use crate::node::Node;
use crate::packet::Heartbeat;
use crate::quorum::{Weight, weigh};
use crate::record::Record;
use crate::rules::{Rule, Rules};
use crate::time::{Span, Time};
use std::collections::BTreeSet;

impl<R: Rules> Node<R> {
    /// L in force: a longer one counts once the record that says so is obeyed, a shorter one at
    /// once.
    fn lease_length(&self) -> Span {
        let obeyed = self.obeyed.as_ref().map(|obeyed| obeyed.cluster.timing.lease);
        obeyed.map_or(self.timing.lease, |lease| lease.min(self.timing.lease))
    }

    /// A new configuration is obeyed: what was renewed under a longer L ends sooner.
    pub(crate) fn bound_lease(&mut self) {
        let latest = self.now + self.lease_length();
        self.lease_until = self.lease_until.map(|until| until.min(latest));
    }

    /// The coordinator acknowledged a heartbeat of mine sent at `sent`; `left` is what its own
    /// lease has left, so that a chain of leases is no longer than one (H9).
    pub(crate) fn renew_lease(&mut self, epoch: Epoch, sent: Time, left: Span) {
        // The clock of an earlier run could lie in the future of this one.
        if epoch != self.durable.epoch || epoch != self.stored.epoch || sent > self.now {
            return;
        }
        let left = if R::holds(Rule::LeaseIsNested) { left } else { self.lease_length() };
        let from = if R::holds(Rule::LeaseFromSendTime) { sent } else { self.now };
        let until = from + self.lease_length().min(left);
        if until <= self.now {
            return;
        }
        if self.lease_until.is_none_or(|now_until| now_until <= self.now) {
            self.wants_stale = true;
        }
        self.lease_until = Some(self.lease_until.map_or(until, |before| before.max(until)));
    }

    pub(crate) fn lapse_lease(&mut self) {
        let until = self.lease_until.or_else(|| self.coordinator_lease_until());
        self.watchdog.lease_ended(until.map_or(self.now, |until| until.min(self.now)));
        self.lease_until = None;
        if let Some(coordinator) = self.coordinating_mut() {
            coordinator.acknowledged.clear();
        }
        self.wants_stale = true;
    }

    /// Whether this node holds a lease: the coordinator's while it leads, a follower's else.
    pub(crate) fn lease_holds(&self) -> bool {
        if !R::holds(Rule::LeaseLapses) {
            return true;
        }
        // H16: a run that obeys nothing yet may have one from a coordinatorship that committed nothing;
        // what is committed meanwhile may name an earlier run as armed.
        let Some(obeyed) = &self.obeyed else { return false };
        // While the record that it obeys names an earlier run, silence would prove too much.
        if obeyed.record.armed.get(&self.id).is_some_and(|armed| armed.run != self.incarnation) {
            return false;
        }
        if self.coordinating().is_some() {
            return self.coordinator_lease_left() > Span::ZERO
                && !self.armed_by_another_run(&self.id);
        }
        self.lease_until.is_some_and(|until| until > self.now)
    }

    /// A node answered a heartbeat that this node sent at `sent`.
    pub(crate) fn on_acknowledged_beat(&mut self, from: &NodeId, beat: &Heartbeat, sent: Time) {
        let mine = self.id.clone();
        let now = self.now;
        let epoch = self.stored.epoch;
        let Some(coordinator) = self.coordinating_mut() else { return };
        // Who votes is asked when the lease is computed: a node may become a voter meanwhile.
        if beat.epoch == epoch && beat.coordinator.as_ref() == Some(&mine) && sent <= now {
            let newest = coordinator.acknowledged.entry(from.clone()).or_insert(sent);
            *newest = (*newest).max(sent);
        }
    }

    /// When the coordinator's lease ends: L after a deciding set of voters last heard it.
    pub(crate) fn coordinator_lease_until(&self) -> Option<Time> {
        self.followed_at().map(|time| time + self.lease_length())
    }

    /// The newest moment at which a deciding set of voters is known to have heard this coordinator,
    /// and to have followed it: no other was elected before.
    pub(crate) fn followed_at(&self) -> Option<Time> {
        let coordinator = self.coordinating()?;
        let record = self.record()?;
        let proved = self.proved();
        let authority = self.tie_authority();
        let mut times: Vec<Time> = coordinator.acknowledged.values().copied().collect();
        times.push(self.now);
        times.sort_unstable();
        times.into_iter().rev().find(|time| {
            let mut present: BTreeSet<NodeId> = coordinator
                .acknowledged
                .iter()
                .filter(|(name, acknowledged)| **acknowledged >= *time && self.votes(record, name))
                .map(|(voter, _)| voter.clone())
                .collect();
            present.insert(self.id.clone());
            weigh::<R>(record, &present, &proved, authority) == Weight::Decisive
        })
    }

    /// Whether a peer votes in this record with the store that it has (H22).
    fn votes(&self, record: &Record, name: &NodeId) -> bool {
        let peer = self.peers.get(name);
        if peer.is_some_and(|peer| peer.rolled_back) {
            return false;
        }
        let store = peer.and_then(|peer| peer.heartbeat.as_ref()).map(|beat| beat.store);
        [&record.voters, &record.old_voters].into_iter().any(|voters| {
            voters.get(name).is_some_and(|known| store.is_none_or(|store| store == *known))
        })
    }

    pub(crate) fn coordinator_lease_left(&self) -> Span {
        if !R::holds(Rule::LeaseLapses) {
            return self.lease_length();
        }
        self.coordinator_lease_until().map_or(Span::ZERO, |until| until.since(self.now))
    }
}
