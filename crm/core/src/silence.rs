//! Take-over on silence, for clusters with `fencing: none` (H36): a local, uncommitted grant,
//! only for groups that the configuration exempts by name, reconciled when the nodes meet.

use crate::Output;
use crate::event::Event;
use crate::id::{GroupId, NodeId};
use crate::model::{Cluster, Fencing, Group};
use crate::node::{Node, Obeyed};
use crate::packet::Heartbeat;
use crate::record::{Grant, GrantState, Record};
use crate::rules::{Rule, Rules};
use crate::same::hash_by;
use crate::time::{Span, Time};
use std::collections::BTreeMap;

#[derive(Clone, Debug, Default)]
pub(crate) struct Silence {
    /// Groups taken here while their owner was silent.
    taken: BTreeMap<GroupId, NodeId>,
    /// Groups dropped here because another node says that it took them.
    yielded: BTreeMap<GroupId, NodeId>,
    /// After an own stall, groups that others may have taken are down until somebody who has heard
    /// this node since says that they are not.
    doubt: Option<Doubt>,
    /// The tie-break address was asked during this silence: when, and whether it answered.
    pinged: Option<(Time, bool)>,
}

#[derive(Clone, Copy, Debug, Hash)]
struct Doubt {
    since: Time,
    /// Nobody says anything: it ends.
    until: Time,
}

hash_by!(Silence: taken yielded doubt pinged);

impl Silence {
    pub(crate) fn taken_groups(&self) -> Vec<GroupId> {
        self.taken.keys().cloned().collect()
    }
    /// A committed record that names another owner decides again.
    pub(crate) fn settle(&mut self, me: &NodeId, record: &Record) {
        self.taken.retain(|group, from| record.owner(group) == Some(from));
        self.yielded.retain(|group, _| record.owner(group) == Some(me));
    }
}

impl<R: Rules> Node<R> {
    /// What silence wants of a group here, where it says anything: run what was taken, stop what
    /// was yielded or is in doubt.
    pub(crate) fn silence_wants(&self, group: &Group, cluster: &Cluster) -> Option<bool> {
        let exempt = |obeyed: &Obeyed| obeyed.record.moves_on_silence(group);
        if cluster.fencing != Fencing::None || !self.obeyed.as_ref().is_some_and(exempt) {
            return None;
        }
        // Only while the taker is there: alone again, the record counts.
        if let Some(taker) = self.silence.yielded.get(&group.id)
            && self.peers.get(taker).is_some_and(|peer| peer.alive)
        {
            return Some(false);
        }
        if self.silence.taken.contains_key(&group.id) {
            return Some(true);
        }
        let doubted = self.silence.doubt.is_some_and(|doubt| self.now < doubt.until);
        (doubted && cluster.nodes.len() > 1).then_some(false)
    }

    /// Takes the groups of silent nodes that the configuration lets move on silence. A side with
    /// a quorum does this through its record (see `plan`), so this is for a side without one.
    pub(crate) fn take_on_silence(&mut self) {
        let Some(obeyed) = self.obeyed.clone() else { return };
        let cluster = &obeyed.cluster;
        if cluster.fencing != Fencing::None {
            return;
        }
        if self.silence.doubt.is_some_and(|doubt| self.now >= doubt.until) {
            self.silence.doubt = None;
            self.wants_stale = true;
        }
        // Where a majority may live elsewhere, it decides; only the last one heard takes.
        let alone = self.peers.values().all(|peer| !peer.alive);
        let doubted = self.silence.doubt.is_some();
        let record = &obeyed.record;
        let pair =
            cluster.nodes.len() == 2 && record.voters.len().max(record.old_voters.len()) <= 2;
        let knows = self.misread.is_none();
        if !alone || doubted || !pair || !knows || !self.listened_long_enough() {
            self.silence.pinged = None;
            return;
        }
        let takes: Vec<&Group> = cluster
            .groups
            .iter()
            .filter(|group| record.moves_on_silence(group) && self.may_take(group, record))
            .collect();
        if takes.is_empty() || !self.tie_break_is_reached(cluster.tiebreak_ping.as_deref()) {
            return;
        }
        for group in takes {
            let Some(grant) = obeyed.record.grants.get(&group.id) else { continue };
            self.silence.taken.insert(group.id.clone(), grant.owner.clone());
            self.silence.yielded.remove(&group.id);
            self.wants_stale = true;
            self.event(
                Event::warning(
                    "taken-on-silence",
                    format!(
                        "group {} is started here because node {} is silent; nothing proves that it stopped there (fencing: none)",
                        group.id, grant.owner
                    ),
                )
                .group(&group.id),
            );
        }
    }

    fn may_take(&self, group: &Group, record: &Record) -> bool {
        let intents = &record.intents;
        let down = intents.stopped.contains(&group.id)
            || intents.cluster_stopped
            || intents.maintenance.is_some()
            || intents.standby.contains(&self.id);
        let banned = R::holds(Rule::BanIsHeeded)
            && record.bans.get(&group.id).is_some_and(|nodes| nodes.contains_key(&self.id));
        let held = record
            .grants
            .get(&group.id)
            .is_some_and(|grant| grant.owner != self.id && grant.state == GrantState::Held);
        let liked = !group.only_preferred || group.prefer.contains(&self.id);
        let again = self.silence.taken.contains_key(&group.id);
        held && liked && !(banned || down || again)
    }

    /// H36: where a tie-break address is set, the side that reaches it takes; the other may be the
    /// one whose cable is out. Asked again as long as the silence lasts.
    fn tie_break_is_reached(&mut self, address: Option<&str>) -> bool {
        let Some(address) = address else { return true };
        match self.silence.pinged {
            Some((_, true)) => true,
            Some((at, false)) if self.now.since(at) < self.timing.deadtime => false,
            _ => {
                self.silence.pinged = Some((self.now, false));
                self.push(Output::Ping { address: address.to_owned() });
                false
            }
        }
    }

    pub(crate) fn on_silence_pinged(&mut self, answered: bool) {
        if let Some((_, known)) = &mut self.silence.pinged {
            *known |= answered;
        }
    }

    /// A node that did not run may have lost such groups: it drops them until it has listened.
    pub(crate) fn silence_after_stall(&mut self, now: Time, gap: Span) {
        if gap + self.timing.keepalive * 2 >= self.timing.deadtime {
            self.silence.doubt = Some(Doubt { since: now, until: now + self.timing.deadtime });
        }
    }

    /// The other side says what it took: the newer holder keeps it.
    pub(crate) fn on_taken(&mut self, from: &NodeId, beat: &Heartbeat) {
        let Some(obeyed) = &self.obeyed else { return };
        if obeyed.cluster.fencing != Fencing::None {
            return;
        }
        let mut lost = Vec::new();
        for group in &beat.taken {
            let mine = obeyed.record.owner(group) == Some(&self.id)
                && !self.silence.taken.contains_key(group);
            if mine && self.silence.yielded.insert(group.clone(), from.clone()).is_none() {
                lost.push(group.clone());
            }
        }
        // A yield lasts only while the other still says that it took the group, or may obey a
        // record that gives it the group and that is on its way here.
        if beat.obeyed <= obeyed.record.stamp {
            let before = self.silence.yielded.len();
            self.silence.yielded.retain(|group, to| to != from || beat.taken.contains(group));
            self.wants_stale |= before != self.silence.yielded.len();
        }
        // What was sent before its sender heard this node again says nothing of what came since. Of
        // two nodes the other one takes; of more, those with a quorum do, by a record.
        let mine = obeyed.record.stamp;
        let fresh = self
            .silence
            .doubt
            .is_some_and(|doubt| beat.heard.is_some_and(|(sent, _)| sent >= doubt.since));
        let nothing_newer = beat.epoch <= self.durable.epoch && beat.stamp <= mine;
        let decides = obeyed.cluster.nodes.len() == 2
            || beat
                .leading
                .as_ref()
                .is_some_and(|leading| leading.lease_holds && leading.committed == Some(mine));
        if fresh && nothing_newer && decides && beat.taken.is_empty() {
            self.silence.doubt = None;
            self.wants_stale = true;
        }
        for group in lost {
            self.wants_stale = true;
            self.event(
                Event::warning(
                    "yielded",
                    format!("group {group} is stopped here: node {from} took it while this node was silent"),
                )
                .group(&group),
            );
        }
    }

    /// What was taken on silence becomes a grant like any other: the newer holder keeps it.
    pub(crate) fn reconcile_taken(&self, next: &mut Record, cluster: &Cluster) {
        if cluster.fencing != Fencing::None {
            return;
        }
        let stamp = next.stamp;
        let mut taken: Vec<(GroupId, NodeId)> =
            self.silence.taken.keys().map(|group| (group.clone(), self.id.clone())).collect();
        for (name, peer) in self.peers.iter().filter(|(_, peer)| peer.alive) {
            let Some(beat) = &peer.heartbeat else { continue };
            // What was decided later than what the taker obeyed has settled it already.
            let open = beat.taken.iter().filter(|group| {
                next.grants.get(*group).is_some_and(|grant| grant.since <= beat.obeyed)
            });
            taken.extend(open.map(|group| (group.clone(), name.clone())));
        }
        for (group, node) in taken {
            let exempt = cluster.group(&group).is_some_and(|spec| next.moves_on_silence(spec));
            if exempt && next.owner(&group).is_some_and(|owner| *owner != node) {
                next.grants.insert(group, Grant::held(node, stamp));
            }
        }
    }
}
