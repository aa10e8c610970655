//! Which run of a peer's daemon is live, and which of its packets are new (H29, H14, I9).
//!
//! A packet of an unknown incarnation changes nothing; it is answered by a Hello that echoes it.
//! The incarnation becomes live only when it echoes mine *and* has seen a packet that I sent after
//! I first met it, so nothing recorded earlier can make it live or bring an old one back.

use crate::id::{Incarnation, LinkId};
use crate::rules::{Rule, Rules};
use crate::same::hash_by;
use std::collections::VecDeque;
use std::marker::PhantomData;

/// Incarnations of one peer that wait for their echo, at most.
const PENDING_MAX: usize = 4;
/// Width of the replay window, in packets.
const WINDOW_BITS: u64 = 1024;

/// What a packet is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Verdict {
    /// Of the live incarnation, new, and addressed to mine.
    Fresh,
    /// Proves a new incarnation of the peer, which is live from now on.
    Switched,
    /// Of an incarnation that has to prove itself: answer it.
    Answer,
    /// Seen before, or too old to tell.
    Replay,
    /// Of the live incarnation but not addressed to my present one.
    Misaddressed,
}

#[derive(Clone, Debug)]
pub(crate) struct Session<R: Rules> {
    live: Option<Run>,
    pending: VecDeque<(Run, u64)>,
    rules: PhantomData<R>,
}

#[derive(Clone, Debug)]
struct Run {
    incarnation: Incarnation,
    window: Window,
    /// What each link brought: what is sent on every link comes once from each.
    by_link: Vec<(LinkId, Window)>,
}

impl<R: Rules> Session<R> {
    pub(crate) fn new() -> Session<R> {
        Session { live: None, pending: VecDeque::new(), rules: PhantomData }
    }

    pub(crate) fn live(&self) -> Option<Incarnation> {
        self.live.as_ref().map(|run| run.incarnation)
    }

    /// Highest packet number seen of an incarnation, live or pending; 0 for others.
    pub(crate) fn seen(&self, incarnation: Incarnation) -> u64 {
        self.live
            .iter()
            .chain(self.pending.iter().map(|(run, _)| run))
            .find(|run| run.incarnation == incarnation)
            .map_or(0, |run| run.window.highest)
    }

    /// Whether this link brought a packet of this number before; it has brought it from now on. False
    /// for an incarnation that is neither live nor pending.
    pub(crate) fn repeats(&mut self, link: LinkId, incarnation: Incarnation, number: u64) -> bool {
        let known = self.live.iter_mut().chain(self.pending.iter_mut().map(|(run, _)| run));
        let Some(run) = known.into_iter().find(|run| run.incarnation == incarnation) else {
            return false;
        };
        let window = match run.by_link.iter().position(|(brought, _)| *brought == link) {
            Some(at) => run.by_link.get_mut(at),
            None => {
                run.by_link.push((link, Window::default()));
                run.by_link.last_mut()
            }
        };
        window.is_some_and(|(_, window)| !window.take(number))
    }

    /// Judges a packet. `mine` is my incarnation, `next_number` the number of the next packet that
    /// I shall send to this peer; `echo` and `seen` are the packet's.
    pub(crate) fn judge(
        &mut self,
        mine: Incarnation,
        next_number: u64,
        incarnation: Incarnation,
        number: u64,
        echo: Option<Incarnation>,
        seen: u64,
    ) -> Verdict {
        let addressed = echo == Some(mine);
        if let Some(live) = &mut self.live
            && live.incarnation == incarnation
        {
            if !addressed {
                return Verdict::Misaddressed;
            }
            return if live.window.take(number) || !R::holds(Rule::ReplayIsRefused) {
                Verdict::Fresh
            } else {
                Verdict::Replay
            };
        }
        let met = self.pending.iter().position(|(run, _)| run.incarnation == incarnation);
        let Some(at) = met else {
            if !R::holds(Rule::ReplayIsRefused) && addressed {
                self.live = Some(Run::new(incarnation, number));
                return Verdict::Switched;
            }
            if self.pending.len() == PENDING_MAX {
                self.pending.pop_front();
            }
            self.pending.push_back((Run::new(incarnation, number), next_number));
            return Verdict::Answer;
        };
        let Some((run, mark)) = self.pending.get_mut(at) else { return Verdict::Answer };
        if !run.window.take(number) {
            return Verdict::Replay;
        }
        if addressed && seen >= *mark {
            self.live = self.pending.remove(at).map(|(run, _)| run);
            // Who was met before may be an earlier run, whose packets are still under way: it too has to
            // see something that is sent from now on.
            self.pending.iter_mut().for_each(|(_, mark)| *mark = next_number);
            return Verdict::Switched;
        }
        Verdict::Answer
    }
}

// The numbers of packets only tell old ones from new ones.
hash_by!(Run: incarnation);

impl<R: Rules> std::hash::Hash for Session<R> {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.live.hash(state);
        self.pending.iter().for_each(|(run, _)| run.hash(state));
    }
}

impl Run {
    fn new(incarnation: Incarnation, number: u64) -> Run {
        let mut window = Window::default();
        window.take(number);
        Run { incarnation, window, by_link: Vec::new() }
    }
}

/// Numbers already taken, as a sliding bitmap below the highest one.
#[derive(Clone, Debug, Default)]
struct Window {
    highest: u64,
    bits: [u64; (WINDOW_BITS / 64) as usize],
    started: bool,
}

impl Window {
    /// Takes a number; false if it was taken before or lies below the window.
    fn take(&mut self, number: u64) -> bool {
        if !self.started || number > self.highest {
            let from = if self.started { self.highest + 1 } else { number };
            if number - from >= WINDOW_BITS {
                self.bits = Default::default();
            } else {
                for skipped in from..=number {
                    self.set(skipped, false);
                }
            }
            self.highest = number;
            self.started = true;
            self.set(number, true);
            return true;
        }
        if self.highest - number >= WINDOW_BITS || self.is_set(number) {
            return false;
        }
        self.set(number, true);
        true
    }

    fn is_set(&self, number: u64) -> bool {
        let at = number % WINDOW_BITS;
        self.bits.get((at / 64) as usize).is_some_and(|word| word >> (at % 64) & 1 == 1)
    }

    fn set(&mut self, number: u64, value: bool) {
        let at = number % WINDOW_BITS;
        if let Some(word) = self.bits.get_mut((at / 64) as usize) {
            if value {
                *word |= 1 << (at % 64);
            } else {
                *word &= !(1 << (at % 64));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::Sound;

    const ME: Incarnation = Incarnation(100);
    const A: Incarnation = Incarnation(1);
    const B: Incarnation = Incarnation(2);

    #[test]
    fn two_fresh_daemons_are_live_after_three_packets() {
        let mut s = Session::<Sound>::new();
        assert_eq!(s.judge(ME, 1, A, 1, None, 0), Verdict::Answer);
        assert_eq!(s.judge(ME, 2, A, 2, Some(ME), 1), Verdict::Switched);
        assert_eq!(s.judge(ME, 2, A, 3, Some(ME), 1), Verdict::Fresh);
    }

    /// Three runs in quick succession on a slow network: a late packet of the second does not take the place of
    /// the third, but a later run does.
    #[test]
    fn h29_a_late_packet_of_an_earlier_run_does_not_evict_a_later_one() {
        let c = Incarnation(3);
        let mut s = Session::<Sound>::new();
        assert_eq!(s.judge(ME, 1, A, 1, None, 0), Verdict::Answer);
        assert_eq!(s.judge(ME, 2, B, 1, None, 0), Verdict::Answer);
        assert_eq!(s.judge(ME, 3, B, 2, Some(ME), 2), Verdict::Switched);
        assert_eq!(s.judge(ME, 3, A, 2, Some(ME), 2), Verdict::Answer);
        assert_eq!(s.live(), Some(B));
        assert_eq!(s.judge(ME, 4, c, 1, None, 0), Verdict::Answer);
        assert_eq!(s.judge(ME, 5, c, 2, Some(ME), 4), Verdict::Switched);
    }

    #[test]
    fn i9_a_packet_counts_once() {
        let mut s = Session::<Sound>::new();
        s.judge(ME, 1, A, 1, None, 0);
        s.judge(ME, 2, A, 2, Some(ME), 1);
        assert_eq!(s.judge(ME, 2, A, 5, Some(ME), 1), Verdict::Fresh);
        assert_eq!(s.judge(ME, 2, A, 5, Some(ME), 1), Verdict::Replay);
        assert_eq!(s.judge(ME, 2, A, 4, Some(ME), 1), Verdict::Fresh);
        assert_eq!(s.judge(ME, 2, A, 5000, Some(ME), 1), Verdict::Fresh);
        assert_eq!(s.judge(ME, 2, A, 6, Some(ME), 1), Verdict::Replay);
    }

    #[test]
    fn i9_what_every_link_brings_once_is_no_replay() {
        let mut s = Session::<Sound>::new();
        s.judge(ME, 1, A, 1, None, 0);
        for link in [0, 1] {
            assert!(!s.repeats(LinkId(link), A, 5));
        }
        assert!(s.repeats(LinkId(0), A, 5));
        assert!(!s.repeats(LinkId(0), A, 6));
        assert!(!s.repeats(LinkId(0), B, 6), "nothing is known of that run");
    }

    #[test]
    fn h29_a_replayed_old_incarnation_does_not_evict_the_live_one() {
        let mut s = Session::<Sound>::new();
        s.judge(ME, 1, A, 1, None, 0);
        s.judge(ME, 2, A, 2, Some(ME), 1);
        // The peer restarts as B and proves itself.
        assert_eq!(s.judge(ME, 7, B, 1, None, 0), Verdict::Answer);
        assert_eq!(s.judge(ME, 8, B, 2, Some(ME), 7), Verdict::Switched);
        // Packets of A recorded while it was live echo me, but saw only old numbers of mine.
        for number in 1..20 {
            let verdict = s.judge(ME, 9, A, number, Some(ME), 6);
            assert!(!matches!(verdict, Verdict::Switched | Verdict::Fresh), "{verdict:?}");
        }
        assert_eq!(s.live(), Some(B));
    }

    #[test]
    fn h14_a_packet_to_an_earlier_run_of_mine_is_not_for_me() {
        let mut s = Session::<Sound>::new();
        s.judge(ME, 1, A, 1, None, 0);
        s.judge(ME, 2, A, 2, Some(ME), 1);
        assert_eq!(s.judge(ME, 2, A, 3, Some(Incarnation(99)), 50), Verdict::Misaddressed);
    }

    #[test]
    fn a_flood_of_forged_incarnations_keeps_the_live_one_and_a_bound() {
        let mut s = Session::<Sound>::new();
        s.judge(ME, 1, A, 1, None, 0);
        s.judge(ME, 2, A, 2, Some(ME), 1);
        for forged in 1000..2000 {
            assert_eq!(s.judge(ME, 2, Incarnation(forged), 1, Some(ME), 0), Verdict::Answer);
        }
        assert_eq!(s.live(), Some(A));
        assert_eq!(s.pending.len(), PENDING_MAX);
    }
}
