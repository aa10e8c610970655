//! A disk that neither writes nor fails (a path that is lost, a controller that retries for ever).
//!
//! The heartbeats of its node go on, so nobody would stand for election against a coordinator that can
//! commit nothing, and nobody would take over from an owner that can obey nothing. Such a node counts
//! as one whose write failed (AS1): its daemon ends, and the others see silence and do what silence asks for.

use crate::event::Event;
use crate::node::{Node, whole};
use crate::rules::{Rule, Rules};
use crate::time::{Span, Time};

/// A write that takes longer is told of: a healthy disk needs milliseconds, a very busy one a second.
const SLOW: Span = Span::secs(5);

/// A write that takes longer has failed. Longer than what a kernel grants one command (30 s on most
/// systems), short enough that the failover is one.
pub(crate) const STUCK: Span = Span::secs(40);

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
        } else if waits >= SLOW && !self.store_slow {
            self.store_slow = true;
            self.event(Event::warning("store-slow", slow(waits)));
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

    /// This node did not run for a while: how long the disk took meanwhile is not known.
    pub(crate) fn store_after_stall(&mut self, now: Time) {
        for pending in &mut self.writing {
            pending.given = now;
        }
    }

    pub(crate) fn store_deadline(&self) -> Option<Time> {
        let given = self.writing.front()?.given;
        let due = given + if self.store_slow { STUCK } else { SLOW };
        (due > self.now).then_some(due)
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
