//! One seed, from its plan to its verdict.

use crate::ghost::Violation;
use crate::plan::Plan;
use crate::trace::Trace;
use crate::world::{Figures, World};
use crm_core::rules::Rules;

/// What became of a plan.
#[derive(Clone, Debug)]
pub struct Verdict {
    pub violation: Option<Violation>,
    pub figures: Figures,
    /// Digest of everything that happened: the same for the same plan.
    pub digest: u64,
    /// A directed plan was carried out to its end.
    pub led: bool,
    /// The end of the trace, if one was kept.
    pub lines: Vec<String>,
}

/// How much is written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    Nothing,
    Tail,
    Whole,
}

impl Keep {
    pub(crate) fn trace(self) -> Trace {
        match self {
            Keep::Nothing => Trace::silent(),
            Keep::Tail => Trace::tail(),
            Keep::Whole => Trace::whole(),
        }
    }
}

/// Runs a plan to its end, or to the first broken promise.
///
/// # Errors
/// A layout that cannot be parsed.
pub fn run<R: Rules>(plan: &Plan, keep: Keep) -> Result<Verdict, String> {
    Ok(finish(World::<R>::new(plan.clone(), keep.trace())?))
}

/// Runs a world to its end, or to the first broken promise.
pub(crate) fn finish<R: Rules>(mut world: World<R>) -> Verdict {
    while !world.phases.done && world.step() {
        if world.figures.events > EVENTS_MAX {
            let detail = format!("more than {EVENTS_MAX} events in {} s", world.now / 1_000_000);
            world.blame("a_run_ends", detail);
        }
    }
    Verdict {
        violation: world.ghost.violation.take(),
        figures: world.take_figures(),
        digest: world.trace.digest(),
        led: false,
        lines: world.trace.lines(),
    }
}

impl<R: Rules> World<R> {
    fn take_figures(&mut self) -> Figures {
        self.figures.elections = self.ghost.coordinators.len() as u64;
        std::mem::take(&mut self.figures)
    }
}

/// A run that needs more than this is caught in a loop.
const EVENTS_MAX: u64 = 3_000_000;
