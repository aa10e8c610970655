//! The search: from one world, every placement of up to so many twists at every event, states that
//! were met before left out. Depth first, so that only as many worlds are kept as there are twists.

use super::same::digest;
use super::twist::{Menu, Twist, apply, choices};
use crate::assumptions::Assumption;
use crate::clock::{Micros, SECOND};
use crate::ghost::Violation;
use crate::world::World;
use crm_core::rules::Rules;
use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasherDefault, Hasher};
use std::time::{Duration, Instant};

/// How far a search goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Twists on one path, beside what the story itself does.
    pub twists: u8,
    pub menu: Menu,
    /// Different states, at most; what is left is not looked at.
    pub states_max: u64,
    /// Wall time, at most.
    pub lasts: Option<Duration>,
    /// So many of the first twists are left out: an earlier search followed them.
    pub from: u64,
    /// Twists that break this assumption are tried, too: a disk (AS1) or a clock (AS2).
    pub breaks: Option<Assumption>,
}

/// What a search amounted to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Different states.
    pub states: u64,
    /// Events that were carried out.
    pub events: u64,
    /// Twists that were tried.
    pub branches: u64,
    /// Runs that ended in a state met before.
    pub met: u64,
    /// Runs that ended in a cluster in which nothing changes any more.
    pub settled: u64,
    /// Nothing within the bounds was left out.
    pub exhausted: bool,
    /// So many of the first twists of a path, in their order, were followed to the end with every later one, or
    /// left out.
    pub until: u64,
    /// Events of the story itself.
    pub length: u64,
    /// What each kind of twist cost.
    pub costs: BTreeMap<&'static str, Cost>,
}

/// What the runs after one kind of twist amounted to, those after a later twist left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    pub branches: u64,
    /// Of them, those that led at once into a state met before.
    pub known: u64,
    pub events: u64,
}

/// A path to a broken promise: at which event which twist.
pub type Path = Vec<(u64, Twist)>;

/// Searches from `world` on. The path to the first broken promise, if there is one.
pub fn explore<R: Rules>(world: World<R>, bounds: Bounds) -> (Found, Option<(Path, Violation)>) {
    let mut search = Search {
        bounds,
        until: bounds.lasts.map(|lasts| Instant::now() + lasts),
        seen: HashMap::default(),
        found: Found { exhausted: true, ..Found::default() },
        walks: 0,
        firsts: 0,
        path: Vec::new(),
    };
    let broken = search.walk(world, bounds.twists);
    search.found.states = search.seen.len() as u64;
    (search.found, broken.map(|violation| (search.path, violation)))
}

/// Carries out a path again, and goes on until the world has settled or a promise breaks.
pub fn replay<R: Rules>(world: &mut World<R>, path: &[(u64, Twist)]) -> Option<Violation> {
    let mut last = world.now;
    let mut left = path.iter().enumerate().peekable();
    loop {
        while let Some((number, (at, twist))) = left.peek() {
            if *at != world.figures.events {
                break;
            }
            let line = format!("{twist:?}");
            world.trace.line(world.now, "*", "twist", format_args!("{line}"));
            apply(world, *twist, path.len() - number - 1);
            last = world.now;
            left.next();
        }
        if let Some(violation) = &world.ghost.violation {
            return Some(violation.clone());
        }
        if world.now > last + SETTLES {
            return complaint(world);
        }
        if !world.step() && world.ghost.violation.is_none() {
            return None;
        }
    }
}

/// States are digests already.
#[derive(Default)]
struct Spread(u64);

impl Hasher for Spread {
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.0 = self.0 << 8 | u64::from(*byte));
    }
    fn write_u64(&mut self, digest: u64) {
        self.0 = digest;
    }
    fn finish(&self) -> u64 {
        self.0
    }
}

struct Search {
    bounds: Bounds,
    until: Option<Instant>,
    /// How many twists were left when a state was met, plus one, and on which walk.
    seen: HashMap<u64, (u8, u32), BuildHasherDefault<Spread>>,
    found: Found,
    walks: u32,
    /// First twists met so far.
    firsts: u64,
    path: Path,
}

impl Search {
    /// Follows what happens by itself, and branches off at every event.
    fn walk<R: Rules>(&mut self, mut world: World<R>, left: u8) -> Option<Violation> {
        self.walks += 1;
        let (me, began) = (self.walks, world.now);
        let mut before = None;
        loop {
            if let Some(violation) = world.ghost.violation.take() {
                return Some(violation);
            }
            if self.is_over() {
                return None;
            }
            let state = digest(&world, self.bounds.breaks);
            // What happened was void by then.
            if before.replace(state) == Some(state) {
                self.found.events += 1;
                if !world.step() {
                    return world.ghost.violation.take();
                }
                continue;
            }
            match self.seen.get_mut(&state) {
                Some((known, walk)) if *known > left => {
                    if *walk != me {
                        self.found.met += 1;
                        return None;
                    }
                    // Round and round, or nothing moves any more.
                    self.found.settled += 1;
                    return self.complaint(&world);
                }
                Some(known) => *known = (left + 1, me),
                None => {
                    self.seen.insert(state, (left + 1, me));
                }
            }
            if world.now > began + SETTLES {
                self.found.settled += 1;
                return self.complaint(&world);
            }
            let outermost = left == self.bounds.twists;
            if left > 0 {
                for twist in choices(&world, self.bounds.menu, self.bounds.breaks) {
                    if outermost {
                        self.firsts += 1;
                        if self.firsts <= self.bounds.from {
                            continue;
                        }
                    }
                    let mut other = world.clone();
                    self.path.push((world.figures.events, twist));
                    self.found.branches += 1;
                    let before = self.found.events;
                    apply(&mut other, twist, usize::from(left - 1));
                    let broken = self.walk(other, left - 1);
                    if left == 1 {
                        let events = self.found.events - before;
                        let cost = self.found.costs.entry(twist.name()).or_default();
                        cost.branches += 1;
                        cost.known += u64::from(events == 0);
                        cost.events += events;
                    }
                    if broken.is_some() {
                        return broken;
                    }
                    self.path.pop();
                    if outermost && self.found.exhausted {
                        self.found.until = self.firsts;
                    }
                }
            }
            self.found.length += u64::from(outermost);
            self.found.events += 1;
            if !world.step() && world.ghost.violation.is_none() {
                return None;
            }
        }
    }

    /// A restored voter of two leaves no majority without it: that one waits for a person (H20).
    fn complaint<R: Rules>(&self, world: &World<R>) -> Option<Violation> {
        let waits = self.bounds.breaks == Some(Assumption::Disk) && world.machines.len() < 3;
        if waits { None } else { complaint(world) }
    }

    /// Whether a bound was reached; once it was, every walk ends.
    fn is_over(&mut self) -> bool {
        if self.found.exhausted {
            let full = self.seen.len() as u64 >= self.bounds.states_max;
            let look = self.found.events.is_multiple_of(64);
            let late = look && self.until.is_some_and(|until| Instant::now() >= until);
            self.found.exhausted = !(full || late);
        }
        !self.found.exhausted
    }
}

/// I4, where nothing moves any more: every group runs unless somebody or a failure forbids it.
fn complaint<R: Rules>(world: &World<R>) -> Option<Violation> {
    let (_, record) = world.newest_committed()?;
    let intents = &record.intents;
    let forbidden = intents.cluster_stopped
        || !intents.stopped.is_empty()
        || !intents.standby.is_empty()
        || !record.failures.is_empty()
        // Of histories that have parted a person decides which to keep (H35).
        || world.ghost.lost.is_some();
    if forbidden {
        return None;
    }
    world.lacking().map(|detail| Violation {
        invariant: "every_group_that_can_run_runs_within_bounds",
        detail,
        at: world.now,
    })
}

/// After the last twist a cluster has come to rest by then.
const SETTLES: Micros = 120 * SECOND;
