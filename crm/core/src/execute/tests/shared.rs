//! Random runs of a group whose definitions share things: `a#1`, `a#2` and `c` are one mount, with other options and under
//! another name, and `b` lies on it. What runs is known by the thing, so a stop by any definition stops it for all.

use super::script::cluster;
use crate::execute::{ExecuteInput, ExecuteOutput, Executor, Want};
use crate::id::{GroupId, OpId};
use crate::operation::{Action, OpOutcome, OpResult, Operation};
use crate::packet::GroupPhase;
use crate::rules::Sound;
use crate::time::{Span, Time};
use std::collections::BTreeMap;

/// What is in force, one at a time.
const SINGLE: [&str; 4] = ["g: a#1 b", "g: a#2 b", "g: c b", "g: z c b"];
/// What a daemon that restarts in the middle of changes looks for, and a dropped group is stopped by.
const UNIONS: [&str; 4] = ["g: a#1 a#2 b", "g: a#2 a#1 c b", "g: c a#2 b", "g: a#1 z c b"];

struct World {
    executor: Executor<Sound>,
    now: Time,
    random: u64,
    /// With what a look at it saw as it began.
    open: BTreeMap<OpId, (Operation, bool)>,
    mount: bool,
    above: bool,
    other: bool,
    trace: Vec<String>,
}

impl World {
    fn below(&mut self, bound: u64) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random % bound
    }

    fn thing(&mut self, op: &Operation) -> &mut bool {
        match op.resource.as_str() {
            "b" => &mut self.above,
            "z" => &mut self.other,
            _ => &mut self.mount,
        }
    }

    fn drain(&mut self) {
        while let Some(output) = self.executor.poll_output() {
            match output {
                ExecuteOutput::Run(op) => {
                    let name = format!("{}{:?}", op.resource, op.spec.params);
                    self.trace.push(format!("{}: {:?} {name}", op.op, op.action));
                    let resource = op.resource.as_str();
                    // I2, by what is so.
                    if op.action == Action::Start && resource == "b" {
                        assert!(self.mount, "{name} starts on nothing: {:#?}", self.trace);
                    }
                    if op.action == Action::Stop && resource != "b" && resource != "z" {
                        assert!(!self.above, "{name} stops under b: {:#?}", self.trace);
                    }
                    let seen = *self.thing(&op);
                    self.open.insert(op.op, (*op, seen));
                }
                ExecuteOutput::Cancel { op } => {
                    self.trace.push(format!("cancel {op}"));
                    if self.below(2) == 0 {
                        self.end(op, OpOutcome::Cancelled);
                    }
                }
                ExecuteOutput::Unwatch { .. } | ExecuteOutput::Event(_) => {}
            }
        }
    }

    fn end(&mut self, id: OpId, outcome: OpOutcome) {
        let Some((op, seen)) = self.open.remove(&id) else { return };
        let begun = self.below(2) == 0;
        let well = outcome == OpOutcome::Done;
        let thing = self.thing(&op);
        let outcome = match op.action {
            Action::Start if well => {
                *thing = true;
                outcome
            }
            Action::Stop if well => {
                *thing = false;
                outcome
            }
            Action::Status if well && !(if begun { seen } else { *thing }) => OpOutcome::NotRunning,
            _ => outcome,
        };
        self.trace.push(format!("{id}: {} {:?}: {outcome:?}", op.resource, op.action));
        let input = ExecuteInput::Finished { op: id, result: OpResult::of(outcome) };
        self.executor.handle(self.now, input);
        self.drain();
    }

    /// One of the calls that are open ends, and maybe was cut off in it.
    fn end_one(&mut self) {
        let nth = self.below(3) as usize;
        if let Some(id) = self.open.keys().nth(nth).copied() {
            self.end(id, OpOutcome::Done);
        }
    }

    fn define(&mut self, definition: &str) {
        self.trace.push(definition.to_owned());
        self.executor.configure(self.now, &cluster(definition));
        self.drain();
    }

    fn want(&mut self, want: Want) {
        self.trace.push(format!("{want:?}"));
        self.executor.want(self.now, &[(GroupId::new("g"), want)].into());
        self.drain();
    }

    fn calm(&mut self) {
        let end = self.now + Span::secs(60);
        while self.now < end {
            if let Some(id) = self.open.keys().next().copied() {
                self.now += Span::millis(1);
                self.end(id, OpOutcome::Done);
            } else {
                self.now += Span::secs(1);
                self.executor.wake(self.now);
                self.drain();
            }
        }
    }
}

/// The kernel's word that the mount is gone, or there, reaches those who watch it.
fn hint(world: &mut World) {
    for resource in ["a", "c"] {
        let (group, resource, what) = ("g".into(), resource.into(), String::new());
        world.executor.handle(world.now, ExecuteInput::Changed { group, resource, what });
        world.drain();
    }
}

fn rehearse(seed: u64) {
    let mut world = World {
        executor: Executor::new(),
        now: Time(1_000_000_000),
        random: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1,
        open: BTreeMap::new(),
        mount: false,
        above: false,
        other: false,
        trace: Vec::new(),
    };
    world.mount = world.below(4) > 0;
    world.above = world.mount && world.below(2) == 0;
    let first = world.below(4) as usize;
    world.define(UNIONS[first]);
    // Nothing is started by a union: it is what is to be stopped.
    let mut union = true;
    for _ in 0..80 {
        let pause = Span::millis(world.below(2_000));
        world.now += pause;
        world.executor.wake(world.now);
        world.drain();
        match world.below(12) {
            0 | 1 => {
                let single = world.below(4) as usize;
                world.define(SINGLE[single]);
                union = false;
            }
            2 if world.below(3) == 0 => {
                let want = [Want::Stop, Want::Hold][world.below(2) as usize];
                world.want(want);
                let several = world.below(4) as usize;
                world.define(UNIONS[several]);
                union = true;
            }
            3 | 4 => {
                let wants = [Want::Run, Want::Run, Want::Hold, Want::Stop];
                let want = wants[world.below(4) as usize];
                world.want(if union && want == Want::Run { Want::Hold } else { want });
            }
            5 => {
                let on = world.below(3) == 0;
                world.trace.push(format!("maintenance {on}"));
                world.executor.maintenance(world.now, on);
                world.drain();
            }
            6 => hint(&mut world),
            _ => world.end_one(),
        }
    }
    world.executor.maintenance(world.now, false);
    world.drain();
    let last = world.below(4) as usize;
    world.define(SINGLE[last]);
    world.want(Want::Run);
    world.executor.clear(world.now, None);
    world.drain();
    world.calm();
    let phase = world.executor.phase(&GroupId::new("g"));
    let runs = world.mount && world.above;
    assert!(phase == GroupPhase::Running && runs, "seed {seed}: {phase:?} {:#?}", world.trace);
}

#[test]
fn i2_holds_in_random_changes_between_definitions_of_one_thing() {
    (1..3000).for_each(rehearse);
}
