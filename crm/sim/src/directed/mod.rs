//! Directed plans: one for each rule that drawn plans do not need. Where a drawn plan strikes at
//! drawn moments, a directed one follows the trace of one hole: it waits for the moment and does
//! the one thing that the rule is there for. The seed spreads every time, every delay and every
//! disk, and whatever happens stays within AS1 to AS6 (but for `slow-wake`, where the clock does not), so
//! that the sound rules must pass.
//!
//! What it did is written into the world's plan as ordinary faults, and printed with the trace.

mod alone;
mod authority;
mod bans;
mod chain;
mod course;
mod driver;
mod feeding;
mod forks;
mod layouts;
mod proofs;
mod reports;
mod stall;

pub use course::{COURSES, Course};

use crate::clock::{Micros, SECOND};
use crate::layouts::Layout;
use crate::plan::{Begin, Plan, Profile};
use crate::queue::Happening;
use crate::random::Random;
use crate::run::{Keep, Verdict, finish};
use crate::world::World;
use crm_core::rules::Rules;
use driver::Driver;

impl Course {
    /// Where it happens.
    ///
    /// # Errors
    /// No layout of that name.
    pub fn layout(self) -> Result<Layout, String> {
        let name = self.layout_name();
        layouts::find(name)
            .or_else(|| crate::layouts::find(name))
            .ok_or_else(|| format!("no layout is called `{name}`"))
    }

    /// Lets it happen, then heals everything, and asks for what every healed cluster must do.
    ///
    /// # Errors
    /// A layout that cannot be parsed.
    pub fn run<R: Rules>(self, seed: u64, keep: Keep) -> Result<(Plan, Verdict), String> {
        let plan = Plan {
            seed,
            layout: self.layout()?,
            profile: Profile::Mixed,
            faults: Vec::new(),
            acts: Vec::new(),
            heals: NEVER,
            begin: Begin::Founded,
            last_blow: None,
            breaks: None,
        };
        let dice = Random::new(seed).fork("directed").fork(self.name());
        let mut driver = Driver { world: World::<R>::new(plan, keep.trace())?, dice };
        let led = self.drive(&mut driver);
        let mut world = driver.world;
        let end = if led.is_some() { "the course is run" } else { "the course ends here" };
        world.trace.line(world.now, "*", "directed", format_args!("{end}"));
        world.plan.heals = world.now;
        world.queue.push(world.now, Happening::Heals);
        let plan = world.plan.clone();
        Ok((plan, Verdict { led: led.is_some(), ..finish(world) }))
    }
}

/// The course itself says when everything heals.
const NEVER: Micros = 100_000 * SECOND;
