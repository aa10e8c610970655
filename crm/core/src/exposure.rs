//! What protects the cluster now, and what the next loss would cost: for the status.

use crate::id::NodeId;
use crate::model::Fencing;
use crate::node::{Node, whole};
use crate::rules::Rules;
use crate::status::{NodeState, Status};

impl<R: Rules> Node<R> {
    /// Whether every node runs under an armed watchdog, and enough vote to count its time (R13, H4).
    pub(crate) fn watchdogs_protect(&self) -> bool {
        let (Some(cluster), Some(record)) = (&self.config, self.record()) else { return false };
        record.voters.len() >= 3
            && cluster.nodes.iter().all(|node| record.armed.contains_key(&node.id))
    }

    /// One line: what proves a silent node dead.
    pub(crate) fn protection(&self) -> String {
        let Some(cluster) = &self.config else { return String::new() };
        let text = match &cluster.fencing {
            Fencing::None if self.watchdogs_protect() => {
                "armed watchdogs and a quorum: a silent node's groups move when its watchdog has reset it"
            }
            Fencing::None if cluster.nodes.iter().any(|node| node.watchdog.is_some()) => {
                "none yet: watchdogs are configured, but not armed on every node with three votes behind them; \
                 only groups that say so move on silence"
            }
            Fencing::None => {
                "none: nothing proves a silent node dead; only groups that say so move on silence"
            }
            Fencing::Devices { .. } => {
                "fencing device: a silent node's groups move when the device has proved it dead"
            }
        };
        text.to_owned()
    }

    /// A witness that is silent moves nothing; what it leaves exposed is told all the same.
    pub(crate) fn witness_warning(&self, status: &Status) -> Option<String> {
        let witness = status.witness.as_ref().filter(|_| !self.is_witness())?;
        let spec = self.config.as_ref()?.witness.as_ref()?;
        let (me, address) = (&self.id, &spec.address);
        let heard = matches!(witness.state, NodeState::Online | NodeState::Joining);
        let beat = self.peers.get(&witness.id).and_then(|peer| peer.heartbeat.as_ref());
        if heard && beat.is_some_and(|beat| !beat.hears.contains(me)) {
            return Some(format!(
                "the witness at {address} does not hear node {me}, which hears it: {}",
                self.exposed()
            ));
        }
        if heard && witness.voter {
            return None;
        }
        if heard {
            return Some(format!("the witness at {address} does not vote yet: {}", self.exposed()));
        }
        let since = match witness.silent_for {
            Some(silent) => format!("has not heard the witness at {address} for {}", whole(silent)),
            None => format!("has never heard the witness at {address}"),
        };
        Some(format!(
            "node {me} {since}: {}; `crm witness status` there tells more",
            self.exposed()
        ))
    }

    /// R18: where nobody leads for it, a voter that is heard and has lost its vote with its disk. Heard, it cannot be proved
    /// dead; of two, the other one goes on only by that.
    pub(crate) fn votes_lost_with_disks(&self) -> Vec<String> {
        let Some(record) = self.record() else { return Vec::new() };
        let devices = self.config.as_ref().is_some_and(|cluster| cluster.fencing != Fencing::None);
        let lost = record.voters.iter().filter(|(name, store)| {
            let peer = self.peers.get(*name).filter(|peer| peer.alive);
            let beat = peer.and_then(|peer| peer.heartbeat.as_ref());
            beat.is_some_and(|beat| beat.store != **store)
        });
        let told = |name: &NodeId| {
            let way = match (record.voters.len(), devices) {
                (2, true) => {
                    "; switch that machine off until it is called proved dead here, then on again"
                        .to_owned()
                }
                (2, false) => format!(
                    "; switch that machine off, say `crm confirm-dead {name}` when it is called lost here, then switch it on again"
                ),
                _ => String::new(),
            };
            format!(
                "node {name} is back with another disk than the one that votes, and nobody leads without that vote{way}"
            )
        };
        lost.map(|(name, _)| told(name)).collect()
    }

    /// How many voters may still fall silent before nobody has a quorum.
    fn exposed(&self) -> String {
        let Some(record) = self.record() else { return "nobody votes yet".to_owned() };
        // A vote that does not reach this node is none, and so is one of somebody who does not hear it.
        let heard = |voter: &&NodeId| {
            let peer = self.peers.get(*voter).filter(|peer| peer.alive);
            let beat = peer.and_then(|peer| peer.heartbeat.as_ref());
            **voter == self.id || beat.is_some_and(|beat| beat.hears.contains(&self.id))
        };
        let votes = record.voters.keys().filter(heard).count();
        match votes.checked_sub(record.voters.len() / 2 + 1) {
            None => "there is no quorum without it".to_owned(),
            Some(0) => "nothing moves for that, but if one more vote is lost nothing is taken over"
                .to_owned(),
            Some(spare) => format!("{spare} more votes may be lost before there is no quorum"),
        }
    }
}

/// H20: of a voter whose write counter went back.
pub(crate) fn restored(voter: &NodeId) -> String {
    format!(
        "node {voter} came back with an older state than it had, from a backup or a snapshot: it may have \
         forgotten how it voted, so its vote counts no more; move its state away, so that it comes back \
         as a new voter"
    )
}
