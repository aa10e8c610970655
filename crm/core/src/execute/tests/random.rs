//! Random wishes, definitions, maintenance, restarts and agents, with what was promised checked
//! after every step. What runs is known by the definition it was started with, so a stop by
//! another definition stops nothing.

use super::script::cluster;
use crate::execute::{ExecuteInput, ExecuteOutput, Executor, Want};
use crate::id::{GroupId, OpId};
use crate::operation::{Action, OpOutcome, OpResult, Operation};
use crate::packet::GroupPhase;
use crate::rules::{Rule, Rules, Sound};
use crate::status::ResourcePhase;
use crate::time::{Span, Time};
use std::collections::{BTreeMap, BTreeSet};

const DEFINITIONS: [&str; 5] = [
    "g: a b c / h: x* y=ignore",
    "g: a b#2 c / h: x* y",
    "g: a c / h: x#3* y=move z",
    "g: a b c d=block",
    "g: b a / h: y x*",
];

struct World<R: Rules> {
    executor: Executor<R>,
    now: Time,
    random: u64,
    open: BTreeMap<OpId, Operation>,
    running: BTreeSet<String>,
    trace: Vec<String>,
}

/// What an operation is about: the thing itself, whoever calls it what.
fn thing(op: &Operation) -> String {
    format!("{}/{}{:?}", op.group, op.resource, op.spec.params)
}

impl<R: Rules> World<R> {
    fn below(&mut self, bound: u64) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random % bound
    }

    fn drain(&mut self) {
        while let Some(output) = self.executor.poll_output() {
            match output {
                ExecuteOutput::Run(op) => {
                    self.trace.push(format!("{}: {:?} {}", op.op, op.action, thing(&op)));
                    let same = |o: &Operation| o.group == op.group && o.resource == op.resource;
                    assert!(!self.open.values().any(same), "two operations: {:?}", self.trace);
                    self.in_order(&op);
                    self.open.insert(op.op, *op);
                }
                ExecuteOutput::Cancel { op } => {
                    self.trace.push(format!("cancel {op}"));
                    let stop = self.open.get(&op).map(|open| open.action) == Some(Action::Stop);
                    assert!(!stop, "a stop is cut off: {:?}", self.trace);
                    assert!(self.open.contains_key(&op), "not open: {:?}", self.trace);
                    if self.below(2) == 0 {
                        self.end(op, OpOutcome::Cancelled);
                    }
                }
                ExecuteOutput::Unwatch { .. } | ExecuteOutput::Event(_) => {}
            }
        }
        for (id, report) in self.executor.reports() {
            let mut things = self.running.iter();
            let runs = things.any(|thing| thing.starts_with(&format!("{id}/")));
            let open = self.open.values().any(|o| o.group == id && o.action != Action::Status);
            let proved = !report.phase.is_stopped() || !(runs || open);
            assert!(proved, "{id} called {:?}: {:?} {:?}", report.phase, self.running, self.trace);
        }
    }

    /// I2, by what the executor itself believes.
    fn in_order(&self, op: &Operation) {
        let resources = self.executor.resources(&op.group);
        let at = resources.iter().position(|r| r.id == op.resource).unwrap_or(0);
        let (before, after) = (&resources[..at], &resources[at + 1..]);
        match op.action {
            Action::Start => {
                for r in before {
                    let up = matches!(r.phase, ResourcePhase::Running | ResourcePhase::Failed);
                    assert!(up, "{} starts over {r:?}: {:?}", op.resource, self.trace);
                }
                let stopped = after.iter().all(|r| r.phase == ResourcePhase::Stopped);
                assert!(stopped, "{} starts under {after:?}: {:?}", op.resource, self.trace);
            }
            Action::Stop => {
                let stopped = after.iter().all(|r| r.phase == ResourcePhase::Stopped);
                assert!(stopped, "{} stops under {after:?}: {:?}", op.resource, self.trace);
            }
            _ => {}
        }
    }

    fn end(&mut self, id: OpId, outcome: OpOutcome) {
        let Some(op) = self.open.remove(&id) else { return };
        let thing = thing(&op);
        let well = outcome == OpOutcome::Done;
        let outcome = match op.action {
            Action::Start if well || self.below(2) == 0 => {
                // A start that failed may have started it all the same.
                self.running.insert(thing.clone());
                outcome
            }
            Action::Stop if well => {
                self.running.remove(&thing);
                outcome
            }
            Action::Status if well && !self.running.contains(&thing) => OpOutcome::NotRunning,
            _ => outcome,
        };
        self.trace.push(format!("{id}: {thing} {:?}: {outcome:?}", op.action));
        let input = ExecuteInput::Finished { op: id, result: OpResult::of(outcome) };
        self.executor.handle(self.now, input);
        self.drain();
    }

    /// Everything behaves; time passes until nothing more can be due.
    fn calm(&mut self) {
        let end = self.now + Span::secs(90);
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

    fn stir(&mut self, definitions: &mut usize) {
        let pause = Span::millis(self.below(3_000));
        self.now += pause;
        self.executor.wake(self.now);
        self.drain();
        match self.below(16) {
            0..3 => {
                let groups = ["g", "h"].map(GroupId::new);
                let wants = [Want::Run, Want::Run, Want::Stop, Want::Hold];
                let wants = groups.map(|group| (group, wants[self.below(4) as usize]));
                self.trace.push(format!("{wants:?}"));
                self.executor.want(self.now, &wants.into_iter().collect());
            }
            3 => {
                *definitions = self.below(DEFINITIONS.len() as u64) as usize;
                self.trace.push(DEFINITIONS[*definitions].to_owned());
                self.executor.configure(self.now, &cluster(DEFINITIONS[*definitions]));
            }
            4 => {
                let on = self.below(3) == 0;
                self.trace.push(format!("maintenance {on}"));
                self.executor.maintenance(self.now, on);
            }
            5 => {
                let counter = self.now.0 / 20_000_000;
                self.executor.restarts(self.now, &[("g".into(), counter)].into());
            }
            6 => {
                // Something dies by itself; the kernel tells of it, or does not.
                let nth = self.below(8) as usize;
                if let Some(dead) = self.running.iter().nth(nth).cloned() {
                    self.running.remove(&dead);
                    let (group, rest) = dead.split_once('/').unwrap_or_default();
                    let resource = rest.split('{').next().unwrap_or_default().into();
                    let what = String::new();
                    if self.below(2) == 0 {
                        let input = ExecuteInput::Changed { group: group.into(), resource, what };
                        self.executor.handle(self.now, input);
                    }
                }
            }
            7 => self.executor.clear(self.now, None),
            _ => {
                let nth = self.below(4) as usize;
                if let Some(id) = self.open.keys().nth(nth).copied() {
                    let outcome = match self.below(12) {
                        0 => OpOutcome::Failed { code: 1 },
                        1 => OpOutcome::TimedOut,
                        _ => OpOutcome::Done,
                    };
                    self.end(id, outcome);
                }
            }
        }
        self.drain();
    }
}

fn rehearse<R: Rules>(seed: u64) {
    let mut world = World::<R> {
        executor: Executor::new(),
        now: Time(1_000_000_000),
        random: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1,
        open: BTreeMap::new(),
        running: BTreeSet::new(),
        trace: Vec::new(),
    };
    // A daemon that restarts finds something running.
    for found in ["g/a{}", "g/b{}", "g/c{}", "h/x{}", "h/y{}"] {
        if world.below(2) == 0 {
            world.running.insert(found.to_owned());
        }
    }
    let mut definition = 0;
    world.executor.configure(world.now, &cluster(DEFINITIONS[0]));
    world.drain();
    for _ in 0..120 {
        world.stir(&mut definition);
    }
    let want = if seed.is_multiple_of(3) { Want::Stop } else { Want::Run };
    let wants = ["g", "h"].map(|group| (GroupId::new(group), want));
    world.executor.maintenance(world.now, false);
    world.drain();
    world.calm();
    world.executor.want(world.now, &wants.clone().into_iter().collect());
    world.executor.clear(world.now, None);
    world.drain();
    world.calm();
    let reports = world.executor.reports();
    let configured = cluster(DEFINITIONS[definition]);
    assert_eq!(reports.len(), configured.groups.len(), "what is removed is forgotten");
    let mut expected = BTreeSet::new();
    for group in &configured.groups {
        let phase = reports[&group.id].phase;
        let good = if want == Want::Run { GroupPhase::Running } else { GroupPhase::Stopped };
        assert_eq!(phase, good, "seed {seed}: {} {:?}", group.id, world.trace);
        for resource in group.resources.iter().filter(|_| want == Want::Run) {
            expected.insert(format!("{}/{}{:?}", group.id, resource.id, resource.params));
        }
    }
    assert_eq!(world.running, expected, "seed {seed}: {:?}", world.trace);
    assert_eq!(want == Want::Stop, world.executor.everything_stopped());
}

#[test]
fn i2_h15_hold_in_random_runs_and_the_goal_is_reached() {
    for seed in 1..400 {
        rehearse::<Sound>(seed);
    }
}

#[test]
#[should_panic(expected = "called")]
fn h15_random_runs_catch_a_group_that_is_called_stopped_too_early() {
    #[derive(Clone, Debug, Default)]
    struct Broken;
    impl Rules for Broken {
        fn holds(rule: Rule) -> bool {
            rule != Rule::OpenOperationRuns
        }
    }
    (1..600).for_each(rehearse::<Broken>);
}

#[test]
#[should_panic(expected = " starts ")]
fn i2_random_runs_catch_a_start_out_of_order() {
    #[derive(Clone, Debug, Default)]
    struct Broken;
    impl Rules for Broken {
        fn holds(rule: Rule) -> bool {
            rule != Rule::StartInOrder
        }
    }
    (1..600).for_each(rehearse::<Broken>);
}
