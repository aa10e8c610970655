//! A disk that neither writes nor fails (a path that is lost, a controller that retries for ever).
//!
//! The heartbeats of its node go on, so nobody would stand for election against a coordinator that can
//! commit nothing, and nobody would take over from an owner that can obey nothing. Such a coordinator lets
//! another one lead, and in the end such a node counts as one whose write failed (AS1): its daemon ends,
//! and the others see silence and do what silence asks for.

use crate::event::Event;
use crate::model::Cluster;
use crate::node::{Node, whole};
use crate::rules::{Rule, Rules};
use crate::time::{Span, Time};

/// A write that takes longer is told of: a healthy disk needs milliseconds, a very busy one a second.
const SLOW: Span = Span::secs(5);

/// A write that takes longer has failed. Longer than what a kernel grants one command (30 s on most
/// systems), short enough that the failover is one.
pub(crate) const STUCK: Span = Span::secs(40);

/// Where every disk is slow, it does no good to lead in turns.
const GIVES_WAY_AGAIN: Span = Span::secs(60);

impl<R: Rules> Node<R> {
    /// Tells of a write that takes long, and ends the daemon when it takes too long.
    pub(crate) fn watch_store(&mut self) {
        let Some(waits) = self.store_waits() else { return };
        if waits >= STUCK && R::holds(Rule::StuckDiskFails) {
            self.halt(
                format!(
                    "the store has not answered for {}: its disk hangs. Until it answers this \
                     node votes for nothing and starts nothing. The kernel's log names the disk",
                    whole(waits)
                ),
                true,
            );
            return;
        }
        if waits >= SLOW && !self.store_slow {
            self.store_slow = true;
            self.event(Event::warning("store-slow", slow(waits)));
        }
        // Leases are renewed for those who have the newest record, which is still here (H8).
        if self.coordinating().is_some()
            && waits >= self.leads_on_for()
            && self.store_gave_way.is_none_or(|at| self.now.since(at) >= GIVES_WAY_AGAIN)
            && self.another_can_lead(self.durable.stamp)
        {
            self.store_gave_way = Some(self.now);
            self.step_down("its store does not answer, and another node can lead");
            self.stand_at = Some(self.now + STUCK);
        }
    }

    /// How long a coordinator waits for its own disk before another one is to lead: where watchdogs count, early
    /// enough for an election before the leases end that it does not renew meanwhile.
    fn leads_on_for(&self) -> Span {
        let counted = |cluster: &Cluster| cluster.nodes.iter().any(|node| node.watchdog.is_some());
        match self.config.as_deref().is_some_and(counted) {
            true => SLOW.min(Span(self.timing.lease.0 / 4)),
            false => SLOW,
        }
    }

    /// The store answered.
    pub(crate) fn store_answers(&mut self, waited: Span) {
        if self.store_slow && self.writing.is_empty() {
            self.store_slow = false;
            let text = format!("the store answers again, after {}", whole(waited));
            self.event(Event::info("store-answers", text));
        }
    }

    /// This node did not run for a while: how long the disk took meanwhile is not known. How long it took before is.
    pub(crate) fn store_after_stall(&mut self, now: Time, gap: Span) {
        for pending in &mut self.writing {
            pending.given = now.min(pending.given + gap);
        }
    }

    pub(crate) fn store_deadline(&self) -> Option<Time> {
        let given = self.writing.front()?.given;
        let leads_on = self.coordinating().map(|_| self.leads_on_for());
        let after = [Some(SLOW), Some(STUCK), leads_on].into_iter().flatten();
        after.map(|span| given + span).filter(|due| *due > self.now).min()
    }

    /// For `crm status`.
    pub(crate) fn store_warning(&self) -> Option<String> {
        self.store_waits().filter(|_| self.store_slow).map(slow)
    }

    /// How long the oldest write has been under way.
    fn store_waits(&self) -> Option<Span> {
        self.writing.front().map(|pending| self.now.since(pending.given))
    }
}

fn slow(waits: Span) -> String {
    format!(
        "the store has not answered for {}: until it does this node votes for nothing, commits \
         nothing and obeys nothing new; after {STUCK} its daemon ends. The kernel's log says what its disk does",
        whole(waits)
    )
}
