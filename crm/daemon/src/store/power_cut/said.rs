//! What a node has said, and what its disk must therefore still know.

use crm_core::id::{Epoch, NodeId, Stamp};
use crm_core::record::Stored;
use crm_sim::diary::Claim;

/// The most that was said so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Said {
    epoch: Epoch,
    /// For whom it voted in that epoch.
    vote: Option<NodeId>,
    stamp: Stamp,
    writes: u64,
}

/// A promise that a start breaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Broken {
    /// The file is there and cannot be believed.
    Refused(String),
    /// Nothing is there.
    Forgotten,
    OlderEpoch,
    /// It could vote for somebody else in an epoch in which it has voted.
    VotesTwice,
    OlderRecord,
    /// It would be taken for a store that was rolled back.
    FewerWrites,
    /// The daemon could not begin anew.
    CannotGoOn(String),
}

impl Said {
    /// # Errors
    /// It contradicts what was said before.
    pub(super) fn hears(&mut self, claim: &Claim) -> Result<(), Broken> {
        if claim.epoch > self.epoch {
            self.epoch = claim.epoch;
            self.vote = None;
        }
        if claim.epoch == self.epoch && claim.vote.is_some() {
            if self.vote.is_some() && self.vote != claim.vote {
                return Err(Broken::VotesTwice);
            }
            self.vote = claim.vote.clone();
        }
        self.stamp = self.stamp.max(claim.stamp);
        self.writes = self.writes.max(claim.writes);
        Ok(())
    }

    /// What a daemon tells of itself once its store is proved.
    pub(super) fn hears_all_of(&mut self, stored: &Stored) -> Result<(), Broken> {
        self.hears(&Claim {
            what: "its store",
            epoch: stored.epoch,
            vote: stored.vote.clone(),
            stamp: stored.stamp(),
            writes: stored.writes,
        })
    }

    /// # Errors
    /// What a daemon that found this could say, and must not.
    pub(super) fn allows(&self, found: &Result<Option<Stored>, String>) -> Result<(), Broken> {
        let stored = match found {
            Err(problem) => return Err(Broken::Refused(problem.clone())),
            Ok(None) if *self == Said::default() => return Ok(()),
            Ok(None) => return Err(Broken::Forgotten),
            Ok(Some(stored)) => stored,
        };
        if stored.epoch < self.epoch {
            return Err(Broken::OlderEpoch);
        }
        if stored.epoch == self.epoch && self.vote.is_some() && stored.vote != self.vote {
            return Err(Broken::VotesTwice);
        }
        if stored.stamp() < self.stamp {
            return Err(Broken::OlderRecord);
        }
        if stored.writes < self.writes { Err(Broken::FewerWrites) } else { Ok(()) }
    }
}
