//! Many seeds over many layouts, on a few threads; each world stays on one.

use crate::assumptions::Assumption;
use crate::directed::Course;
use crate::ghost::Violation;
use crate::layouts::Layout;
use crate::mutant::{Mutant, without};
use crate::plan::{Plan, Profile};
use crate::run::{Keep, Verdict, run};
use crate::shrink::shrink;
use crate::world::Figures;
use crm_core::rules::{Rule, Sound};
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

/// How to run and shrink plans: by the product's rules, or with one of them broken.
#[derive(Clone, Copy)]
pub struct Runner {
    /// The broken rules and their name; `None` for the product.
    pub broken: Option<(&'static str, &'static [Rule])>,
}

impl Runner {
    /// The product: every rule holds.
    #[must_use]
    pub fn sound() -> Runner {
        Runner { broken: None }
    }

    /// # Errors
    /// A plan whose layout cannot be parsed.
    pub fn run(&self, plan: &Plan, keep: Keep) -> Result<Verdict, String> {
        match self.broken {
            None => run::<Sound>(plan, keep),
            Some((_, rules)) => without(rules, || run::<Mutant>(plan, keep)),
        }
    }

    /// # Errors
    /// A course whose layout cannot be parsed.
    pub fn direct(&self, course: Course, seed: u64, keep: Keep) -> Result<(Plan, Verdict), String> {
        match self.broken {
            None => course.run::<Sound>(seed, keep),
            Some((_, rules)) => without(rules, || course.run::<Mutant>(seed, keep)),
        }
    }

    /// # Errors
    /// As [`Runner::run`].
    pub fn shrink(&self, plan: &Plan, invariant: &str) -> Result<(Plan, u32), String> {
        match self.broken {
            None => shrink::<Sound>(plan, invariant),
            Some((_, rules)) => without(rules, || shrink::<Mutant>(plan, invariant)),
        }
    }
}

/// What to run.
#[derive(Clone, Debug)]
pub struct Campaign {
    pub layouts: Vec<Layout>,
    pub profile: Option<Profile>,
    pub from: u64,
    pub seeds: u64,
    pub workers: usize,
    pub keep_going: bool,
    /// The assumption that does not hold.
    pub breaks: Option<Assumption>,
    /// No run begins after this moment.
    pub until: Option<Instant>,
}

/// A seed that broke a promise.
#[derive(Clone, Debug)]
pub struct Failure {
    pub plan: Plan,
    pub violation: Violation,
    /// The profile was asked for, not drawn.
    pub profile: Option<Profile>,
}

/// What it all amounted to.
#[derive(Clone, Debug, Default)]
pub struct Totals {
    pub runs: u64,
    pub figures: Figures,
    pub failures: Vec<Failure>,
    /// Failures by invariant.
    pub violations: BTreeMap<&'static str, u64>,
}

/// Runs everything; with failures, in order of their seeds.
///
/// # Errors
/// A layout that cannot be parsed.
pub fn campaign(order: &Campaign, runner: &Runner) -> Result<Totals, String> {
    let next = AtomicU64::new(0);
    let stop = AtomicBool::new(false);
    let totals = Mutex::new((Totals::default(), None));
    let count = order.seeds.saturating_mul(order.layouts.len() as u64);
    std::thread::scope(|scope| {
        for _ in 0..order.workers {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= count || order.until.is_some_and(|until| Instant::now() >= until) {
                        return;
                    }
                    let layouts = order.layouts.len() as u64;
                    let Some(layout) = order.layouts.get((number % layouts) as usize) else {
                        return;
                    };
                    let plan = Plan::draw(order.from + number / layouts, *layout, order.profile);
                    let plan = match order.breaks {
                        None => plan,
                        Some(assumption) => plan.lacking(assumption),
                    };
                    let verdict = runner.run(&plan, Keep::Nothing);
                    let failed = verdict.as_ref().map_or(true, |v| v.violation.is_some());
                    if failed && !order.keep_going {
                        stop.store(true, Ordering::Relaxed);
                    }
                    if let Ok(mut totals) = totals.lock() {
                        totals
                            .0
                            .take(order, plan, verdict)
                            .unwrap_or_else(|error| totals.1 = Some(error));
                    }
                }
            });
        }
    });
    let (mut totals, error) = totals.into_inner().map_err(|_| "a worker died".to_owned())?;
    totals.failures.sort_by_key(|failure| (failure.plan.seed, failure.plan.layout.name));
    error.map_or(Ok(totals), Err)
}

impl Totals {
    fn take(
        &mut self,
        order: &Campaign,
        plan: Plan,
        verdict: Result<Verdict, String>,
    ) -> Result<(), String> {
        let verdict = verdict?;
        self.runs += 1;
        self.figures.add(verdict.figures);
        if let Some(violation) = verdict.violation {
            *self.violations.entry(violation.invariant).or_default() += 1;
            self.failures.push(Failure { plan, violation, profile: order.profile });
        }
        Ok(())
    }
}
