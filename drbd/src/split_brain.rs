//! Split brain: both sides have been written to apart from each other.
//!
//! DRBD finds it when the two meet again, and tells it once, to a program it calls on each side; then
//! one side stands alone, and the other may merely wait for it. The generation identifiers of both
//! sides prove it at any later time.

use std::fmt;

use crate::generation::{Generation, Relation};
use crate::state::{Amount, Connection, Resource, Role};
use crate::tracker::{Change, What};

/// What is known of one side.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// The node.
    pub node: &'a str,
    /// DRBD's state there.
    pub resource: &'a Resource,
    /// The identifiers of its data, if they were asked for; of each volume that was.
    pub generations: &'a [(u32, Generation)],
    /// DRBD has called `split-brain` there since it was last connected.
    pub told: bool,
}

/// What the views add up to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing speaks for it.
    None,
    /// It cannot be told from here; why, and what to look at.
    Possible(String),
    /// Both sides were written to.
    Proved(Evidence),
}

/// What an operator needs to choose the side whose changes are given up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// How it is known.
    pub because: String,
    /// Each side that is known.
    pub sides: Vec<Side>,
}

/// One side of a split brain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Side {
    /// The node.
    pub node: String,
    /// It is Primary now: it serves this data.
    pub is_primary: bool,
    /// It was Primary at some time since the sides parted.
    pub was_primary: bool,
    /// What it has written since, KiB, as far as its bitmap tells.
    pub written_kib: Option<u64>,
}

/// Looks at this side, and at the other one if it could be asked.
#[must_use]
pub fn recognise(here: &View<'_>, there: Option<&View<'_>>) -> Verdict {
    let views: Vec<&View<'_>> = std::iter::once(here).chain(there).collect();
    let sides = || views.iter().map(|view| view.side()).collect();
    let proved =
        |because: &str| Verdict::Proved(Evidence { because: because.to_owned(), sides: sides() });
    let relations = there.map(|there| relations(here, there)).unwrap_or_default();
    if relations.contains(&Relation::Parted) {
        return proved("the identifiers of the data have parted");
    }
    // Copies of which one holds all of the other were not both written to, whatever was said once.
    if relations.iter().any(|relation| *relation != Relation::Fresh) {
        return match relations.contains(&Relation::Unrelated) {
            true => Verdict::Possible("the two copies have nothing in common".to_owned()),
            false => Verdict::None,
        };
    }
    if let Some(view) = views.iter().find(|view| view.told && !view.is_connected()) {
        return proved(&format!("DRBD found it on {}", view.node));
    }
    if let Some(there) = there
        && !here.is_connected()
        && !there.is_connected()
        && [here, there].iter().all(|view| view.resource.role == Role::Primary)
    {
        return proved("both are Primary and not connected");
    }
    match views.iter().find(|view| view.resource.stands_alone() && view.has_volumes()) {
        Some(view) => Verdict::Possible(format!(
            "{} stands alone: either somebody disconnected it, or DRBD found a split brain; the \
             identifiers of both sides (`drbdadm get-gi`) tell which",
            view.node
        )),
        None => Verdict::None,
    }
}

/// Whether DRBD's last word on a split brain still stands after a change: `None` if it says nothing.
#[must_use]
pub fn told_by(change: &Change) -> Option<bool> {
    match &change.what {
        What::HelperCalled { helper } if helper == "split-brain" => Some(true),
        What::Connection { to: Connection::Connected, .. } => None,
        What::Replication { to, .. } if !to.is_unknown() && to.word() != "Off" => Some(false),
        _ => None,
    }
}

fn relations(here: &View<'_>, there: &View<'_>) -> Vec<Relation> {
    let other = |volume: u32| there.generations.iter().find(|(number, _)| *number == volume);
    let pairs = here.generations.iter().filter_map(|(volume, own)| Some((own, &other(*volume)?.1)));
    pairs.map(|(own, other)| own.relation(other)).collect()
}

impl View<'_> {
    fn is_connected(&self) -> bool {
        self.resource.peers.values().any(|peer| peer.connection == Connection::Connected)
    }

    fn has_volumes(&self) -> bool {
        !self.resource.volumes.is_empty()
    }

    fn side(&self) -> Side {
        Side {
            node: self.node.to_owned(),
            is_primary: self.resource.role == Role::Primary,
            was_primary: self.resource.role == Role::Primary
                || self.generations.iter().any(|(_, one)| one.bitmap != 0),
            written_kib: self.resource.out_of_sync_kib(),
        }
    }
}

impl fmt::Display for Side {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let role = match (self.is_primary, self.was_primary) {
            (true, _) => "is Primary",
            (false, true) => "was Primary",
            (false, false) => "was not Primary as far as is known",
        };
        write!(out, "{} {role}", self.node)?;
        match self.written_kib {
            Some(kib) => write!(out, ", {} changed since they parted", Amount(kib)),
            None => out.write_str(", how much changed is not known"),
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Verdict::None => out.write_str("no sign of a split brain"),
            Verdict::Possible(why) => write!(out, "perhaps a split brain: {why}"),
            Verdict::Proved(evidence) => {
                write!(out, "split brain: {}", evidence.because)?;
                evidence.sides.iter().try_for_each(|side| write!(out, "; {side}"))
            }
        }
    }
}
