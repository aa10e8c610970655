//! Who votes from the next record on (R14, R18, R19).

use crate::event::Event;
use crate::id::{NodeId, StoreId};
use crate::model::{Cluster, WITNESS};
use crate::node::Node;
use crate::packet::Heartbeat;
use crate::quorum::{Weight, weigh};
use crate::record::Record;
use crate::rules::{Rule, Rules};
use crate::time::Time;
use std::collections::BTreeSet;

impl<R: Rules> Node<R> {
    /// R19: V shrinks in a tie for those that were fenced, and for a clean leaver of two.
    /// R18: a node that is configured to vote, follows, and is stable, votes: one at a time.
    pub(super) fn change_voters(&mut self, next: &mut Record, cluster: &Cluster) {
        let proved = self.proved();
        // Who is proved dead was heard a moment ago, and is off.
        let heard = self.peers.iter().filter(|(_, peer)| peer.alive && !peer.is_proved_dead());
        let mut present: BTreeSet<NodeId> = heard.map(|(name, _)| name.clone()).collect();
        present.insert(self.id.clone());
        let tied = |record: &Record| {
            matches!(weigh::<R>(record, &present, &BTreeSet::new(), false), Weight::Tie(_))
        };
        let dead: Vec<NodeId> =
            next.voters.keys().filter(|voter| proved.contains(*voter)).cloned().collect();
        let may = tied(next) || !R::holds(Rule::VotesStay);
        if !dead.is_empty() && may && self.tie_authority() {
            for node in dead {
                next.voters.remove(&node);
            }
            return;
        }
        if next.voters.len() == 2 {
            let leaver =
                next.voters.keys().find(|voter| self.has_left(next, voter, &present)).cloned();
            if let Some(leaver) = leaver {
                next.voters.remove(&leaver);
                return;
            }
        }
        if let Some((node, why)) = self.voter_to_drop(next, cluster, &present) {
            self.event(
                Event::info(
                    "voter-dropped",
                    format!("node {node} votes no longer from the next record on: {why}"),
                )
                .node(&node),
            );
            next.voters.remove(&node);
            return;
        }
        let mut look_again: Option<Time> = None;
        let mut added = None;
        for (name, peer) in &self.peers {
            let Some(beat) = &peer.heartbeat else { continue };
            let wants = cluster.is_voter(name)
                && next.voters.get(name) != Some(&beat.store)
                && !next.voters.contains_key(name)
                && !next.intents.leaving.contains(name);
            let doubted = peer.forked || peer.rolled_back;
            if !wants || !peer.alive || peer.is_proved_dead() || doubted {
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

    /// R19, H28: a voter that the configuration does not list as one, or whose store is gone because
    /// the node of that name came back with another (H22). One at a time, and only where those who
    /// are heard can commit it.
    fn voter_to_drop(
        &self,
        next: &Record,
        cluster: &Cluster,
        present: &BTreeSet<NodeId>,
    ) -> Option<(NodeId, &'static str)> {
        if next.voters != next.old_voters {
            return None;
        }
        let dropped =
            next.voters.iter().filter(|(name, _)| **name != self.id).find_map(|(name, store)| {
                if !cluster.is_voter(name) {
                    return Some((name, "the configuration does not let it vote"));
                }
                let peer = self.peers.get(name).filter(|peer| peer.alive && !peer.forked)?;
                if peer.rolled_back {
                    return Some((name, "it came back with an older disk"));
                }
                let other = peer.heartbeat.as_ref().is_some_and(|beat| beat.store != *store);
                other.then_some((name, "it came back with another disk"))
            });
        let (name, why) = dropped?;
        let mut without = next.clone();
        without.voters.remove(name);
        let decide: BTreeSet<NodeId> = present
            .iter()
            .filter(|node| {
                // Its old store does not acknowledge anything any more, or nobody may count on it (H20).
                **node != *name || !why.ends_with("disk")
            })
            .cloned()
            .collect();
        let weight = weigh::<R>(&without, &decide, &self.proved(), self.tie_authority());
        (weight == Weight::Decisive).then(|| (name.clone(), why))
    }

    /// R14: asked to leave, and reported under the present record that nothing of it runs. Who stays must be able to
    /// lead: a witness alone never does (R4), so beside it the leaver keeps its vote for the time it is back.
    fn has_left(&self, record: &Record, node: &NodeId, present: &BTreeSet<NodeId>) -> bool {
        record.intents.leaving.contains(node)
            && !record.grants.values().any(|grant| grant.owner == *node)
            && self.reports().get(node).is_some_and(|report| {
                report.leaving && report.groups.values().all(|group| group.phase.is_stopped())
            })
            && record.voters.iter().any(|(other, store)| {
                other != node
                    && other.as_str() != WITNESS
                    && present.contains(other)
                    && (*other == self.id || self.has_the_record(other, *store))
            })
    }

    /// The newest record is on the disk that votes: a proof can commit one that makes a node a voter, and that
    /// node never had it. Left alone it could not stand, for it does not know of its vote (R4).
    fn has_the_record(&self, name: &NodeId, store: StoreId) -> bool {
        self.peers.get(name).is_some_and(|peer| {
            let has = |beat: &Heartbeat| beat.store == store && beat.stamp == self.stamp();
            !peer.forked && !peer.rolled_back && peer.heartbeat.as_ref().is_some_and(has)
        })
    }
}
