//! What this node knows of another: its session, its links, when it was heard, what it said.

use crate::id::{Incarnation, LinkId, NodeId, StoreId};
use crate::link::Link;
use crate::packet::{Heartbeat, Report};
use crate::rules::Rules;
use crate::same::hash_by;
use crate::session::Session;
use crate::time::{Span, Time};

#[derive(Clone, Debug)]
pub(crate) struct Peer<R: Rules> {
    pub(crate) session: Session<R>,
    pub(crate) links: Vec<Link>,
    /// Last packet that proved both directions, on any link.
    pub(crate) heard: Option<Time>,
    /// The detector's verdict: heard within the deadtime.
    pub(crate) alive: bool,
    pub(crate) late: bool,
    /// Since when it has been alive without a break.
    pub(crate) alive_since: Time,
    /// Since when its present run is live.
    pub(crate) run_since: Time,
    /// Of the live incarnation only.
    pub(crate) heartbeat: Option<Heartbeat>,
    pub(crate) report: Option<Report>,
    pub(crate) proof: Option<Proof>,
    /// The proof of an earlier epoch. It decides nothing; if it was a lie, that is still told.
    pub(crate) past_proof: Option<Proof>,
    /// When that heartbeat came.
    pub(crate) heartbeat_at: Time,
    /// When the newest heartbeat came for which this node renewed its lease, in any
    /// coordinatorship: the lease counts from before that (H9). At first the moment from which it is
    /// known: it may have been known before, and renewed.
    pub(crate) renewed: Time,
    /// Incarnation to which this coordinatorship has sent authority (R12).
    pub(crate) authority_to: Option<Incarnation>,
    /// Whether both sides' histories were found to have parted (H35).
    pub(crate) forked: bool,
    /// Store and highest write counter that it ever told (H20); outlives its runs.
    pub(crate) writes: Option<(StoreId, u64)>,
    /// That counter went back: its disk was restored, and it may have forgotten how it voted (H20).
    pub(crate) rolled_back: bool,
    /// Its protocol version was refused and said so once.
    pub(crate) version_refused: bool,
    /// When the newest record was last sent to it.
    pub(crate) proposed_at: Option<Time>,
}

/// A proof that an incarnation of a peer is dead, good for one epoch (R12).
#[derive(Clone, Debug)]
pub(crate) struct Proof {
    pub(crate) incarnation: Option<Incarnation>,
    /// Packets that saw this number of mine were sent after the proof.
    pub(crate) mark: u64,
    pub(crate) by: ProofBy,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum ProofBy {
    Device,
    Operator,
}

impl<R: Rules> Peer<R> {
    pub(crate) fn new(now: Time, links: usize) -> Peer<R> {
        Peer {
            session: Session::new(),
            links: vec![Link::default(); links],
            heard: None,
            alive: false,
            late: false,
            alive_since: now,
            run_since: now,
            heartbeat: None,
            report: None,
            proof: None,
            past_proof: None,
            heartbeat_at: now,
            renewed: now,
            authority_to: None,
            forked: false,
            writes: None,
            rolled_back: false,
            version_refused: false,
            proposed_at: None,
        }
    }

    /// A fresh packet came: the path works in both directions.
    /// Returns whether the peer counted as silent until now.
    pub(crate) fn hear(&mut self, now: Time, link: LinkId) -> bool {
        if let Some(link) = self.links.get_mut(usize::from(link.0)) {
            link.hear(now);
        }
        self.heard = Some(now);
        self.late = false;
        let silent = !self.alive;
        if silent {
            self.alive = true;
            self.alive_since = now;
        }
        silent
    }

    /// The peer's daemon restarted: what the old run said is void.
    pub(crate) fn forget_run(&mut self, now: Time) {
        self.heartbeat = None;
        self.report = None;
        self.alive_since = now;
        self.run_since = now;
        for link in &mut self.links {
            link.forget_run();
        }
    }

    /// H20: what it says of its store, in the order in which it said it. Returns whether this shows,
    /// for the first time, that the store is older than it was. Another store is another voter (R18).
    pub(crate) fn note_writes(&mut self, store: StoreId, writes: u64) -> bool {
        // Nothing of this run is on its disk yet.
        if writes == 0 {
            return false;
        }
        let before = self.writes.replace((store, writes)).filter(|(known, _)| *known == store);
        let Some((_, highest)) = before else {
            self.rolled_back = false;
            return false;
        };
        self.writes = Some((store, highest.max(writes)));
        writes < highest && !std::mem::replace(&mut self.rolled_back, true)
    }

    pub(crate) fn silent_for(&self, now: Time) -> Option<Span> {
        self.heard.map(|heard| now.since(heard))
    }

    /// When silence turns into a verdict, if it goes on.
    pub(crate) fn dead_at(&self, deadtime: Span) -> Option<Time> {
        if self.alive { self.heard.map(|heard| heard + deadtime) } else { None }
    }

    /// When silence is worth a warning.
    pub(crate) fn late_at(&self, warntime: Span) -> Option<Time> {
        if self.alive && !self.late { self.heard.map(|heard| heard + warntime) } else { None }
    }

    /// Whether a device or the operator has proved the present run dead.
    pub(crate) fn is_proved_dead(&self) -> bool {
        self.proof.is_some()
    }
}

hash_by!(Proof: incarnation by);

/// Without the moments that are only counted back from: those depend on the configuration
/// ([`crate::same`]).
impl<R: Rules> std::hash::Hash for Peer<R> {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        (&self.session, &self.links, self.heard, self.alive).hash(state);
        (&self.heartbeat, &self.report, &self.proof, self.heartbeat_at).hash(state);
        (self.authority_to, self.forked, self.rolled_back).hash(state);
    }
}

/// Names of peers and what is known of them, in a fixed order.
pub(crate) type Peers<R> = std::collections::BTreeMap<NodeId, Peer<R>>;
