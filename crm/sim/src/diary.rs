//! What a machine's daemon asked its disk for and what it said meanwhile, in order: a real store is
//! given the same, and has its power cut at every step.

use crate::queue::Seat;
use crm_core::id::{Epoch, NodeId, Stamp, WriteId};
use crm_core::packet::{Message, Packet};
use crm_core::record::Stored;

/// One thing that a daemon did with its store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// A daemon starts, and finds this.
    Starts(Box<Stored>),
    Writes(WriteId, Box<Stored>),
    /// Everything up to this write is on the disk, and the daemon knows.
    Synced(WriteId),
    /// It says something that its disk must not forget.
    Says(Claim),
}

/// What others may rely on from now on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// In which kind of message.
    pub what: &'static str,
    pub epoch: Epoch,
    /// For whom it votes in this epoch, if it says so.
    pub vote: Option<NodeId>,
    /// It has this record, or a newer one.
    pub stamp: Stamp,
    /// Its store was written this often.
    pub writes: u64,
}

/// Kept by a world that is asked to.
#[derive(Clone, Debug, Default)]
pub struct Diary(Option<Vec<(Seat, Entry)>>);

impl Diary {
    /// From now on everything is written down.
    pub fn open(&mut self) {
        self.0.get_or_insert_default();
    }

    /// What was written down of one machine.
    #[must_use]
    pub fn of(&self, seat: Seat) -> Vec<Entry> {
        let all = self.0.iter().flatten();
        all.filter(|(at, _)| *at == seat).map(|(_, entry)| entry.clone()).collect()
    }

    pub(crate) fn note(&mut self, seat: Seat, entry: impl FnOnce() -> Entry) {
        if let Some(entries) = &mut self.0 {
            entries.push((seat, entry()));
        }
    }

    pub(crate) fn says(&mut self, seat: Seat, own: &NodeId, packet: &Packet) {
        if let Some(entries) = &mut self.0
            && let Some(claim) = claim(own, packet)
        {
            entries.push((seat, Entry::Says(claim)));
        }
    }
}

fn claim(own: &NodeId, packet: &Packet) -> Option<Claim> {
    let claim = |what, epoch: &Epoch, vote: Option<&NodeId>, stamp: Stamp| Claim {
        what,
        epoch: *epoch,
        vote: vote.cloned(),
        stamp,
        writes: 0,
    };
    Some(match &packet.message {
        Message::Heartbeat(beat) => {
            Claim { writes: beat.writes, ..claim("heartbeat", &beat.epoch, None, beat.stamp) }
        }
        Message::VoteRequest { epoch } => {
            claim("request for votes", epoch, Some(own), Stamp::default())
        }
        // Its record is what the candidate may take over, and may be ahead of the disk: nobody counts
        // it as persisted here.
        Message::Vote { epoch, .. } => claim("vote", epoch, Some(&packet.to), Stamp::default()),
        Message::Propose { epoch, record } => claim("proposal", epoch, Some(own), record.stamp),
        Message::Accepted { epoch, stamp, .. } => claim("acknowledgement", epoch, None, *stamp),
        Message::Committed { epoch, stamp } => claim("commit", epoch, Some(own), *stamp),
        _ => return None,
    })
}
