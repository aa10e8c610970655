//! One run: the cluster comes up, one fault or two strike, they are repaired, and an operator helps
//! where that is needed.

use super::watch::Watch;
use super::{Case, Fault, Subject, pace, strike};
use crate::clock::{MILLI, Micros, SECOND};
use crate::ghost::Violation;
use crate::plan::{Begin, Plan, Profile};
use crate::queue::Seat;
use crate::random::Random;
use crate::trace::{Entry, Trace};
use crate::world::World;
use crm_core::operation::Action;
use crm_core::rules::Sound;

/// How a group ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum End {
    /// It served all the time, where it was.
    Untouched,
    /// It was down for a while, and serves where it was.
    Restarted,
    Moved {
        to: Seat,
    },
    /// It served again only after the fault was repaired.
    Waited,
    /// It served again only after an operator had cleared its failures.
    Operator,
    /// It never served again, though everything was repaired and cleared: I4 is broken.
    Lost,
    /// It did not come up even before the fault.
    NeverUp,
}

/// What a run did to one group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupOutcome {
    pub end: End,
    /// How long it was down, until it served again by itself; `None` if it did not.
    pub down: Option<Micros>,
    /// How long two nodes held it.
    pub both: Micros,
    /// From the fault until it began to start again, where it did by itself.
    pub until_start: Option<Micros>,
}

/// What became of a case.
#[derive(Clone, Debug)]
pub struct Trial {
    /// In the order of the configuration.
    pub groups: Vec<GroupOutcome>,
    /// Promises that broke, each once.
    pub broken: Vec<Violation>,
    /// When the first fault struck.
    pub struck_at: Micros,
    pub simulated: Micros,
    /// Everything that happened, if that was wanted.
    pub entries: Vec<Entry>,
    /// The same for the same case.
    pub digest: u64,
}

/// Runs a case.
///
/// # Errors
/// A configuration that the parser refuses.
pub fn try_once(subject: &Subject, case: &Case, traced: bool) -> Result<Trial, String> {
    let mut random = case.random(subject);
    let mut stage = Stage::open(subject, random.next(), traced)?;
    stage.warm_up();
    let up: Vec<Option<Seat>> = stage.watch.groups.iter().map(|notes| notes.on).collect();
    let first = stage.world.now + random.below(2 * SECOND);
    let gap = gap(subject, &mut random);
    let mut faults: Vec<_> = case.faults.iter().collect();
    if faults.len() == 2 && random.chance(500) {
        faults.swap(0, 1);
    }
    for (number, fault) in faults.into_iter().enumerate() {
        stage.until(first + gap * number as u64);
        stage.until_idle(fault);
        strike::strike(&mut stage.world, subject, number, fault, &mut random);
        stage.look();
    }
    stage.settle(subject.quiet, subject.longest);
    let broken_off = stage.world.now;
    let during = stage.watch.clone();
    strike::lift(&mut stage.world);
    stage.settle_healed();
    let repaired = stage.watch.clone();
    if !stage.is_well(&up) && strike::clear(&mut stage.world) {
        stage.settle_healed();
    }
    let groups = (0..up.len())
        .map(|number| {
            let (then, later) = (&during.groups[number], &repaired.groups[number]);
            let last = &stage.watch.groups[number];
            let Some(home) = up[number] else {
                let both = last.both_until(stage.world.now);
                return GroupOutcome { end: End::NeverUp, down: None, both, until_start: None };
            };
            let warm = stage.warm[number];
            let down = then.down_until(broken_off) - warm;
            let end = match (then.on, later.on, last.on) {
                (Some(seat), _, _) if seat != home => End::Moved { to: seat },
                (Some(_), _, _) if down == 0 => End::Untouched,
                (Some(_), _, _) => End::Restarted,
                (None, Some(_), _) => End::Waited,
                (None, None, Some(_)) => End::Operator,
                (None, None, None) => End::Lost,
            };
            // What served again by itself, and then failed for good when all was repaired.
            let end = match (end, later.on, last.on) {
                (End::Lost | End::Operator | End::Waited, _, _) | (_, Some(_), _) => end,
                (_, None, Some(_)) => End::Operator,
                (_, None, None) => End::Lost,
            };
            let served = matches!(end, End::Untouched | End::Restarted | End::Moved { .. });
            let until_start = then.starting_at.map(|at| at.saturating_sub(first));
            GroupOutcome {
                end,
                down: served.then(|| later.down - warm),
                both: last.both_until(stage.world.now),
                until_start: until_start.filter(|_| served && down > 0),
            }
        })
        .collect::<Vec<_>>();
    if let Some(number) = groups.iter().position(|outcome| outcome.end == End::Lost) {
        let group = stage.world.cluster.groups[number].id.clone();
        let detail = format!("group {group} does not run again: {}", stage.world.scene(&group));
        stage.note("every_group_that_can_run_runs_again", detail);
    }
    Ok(Trial {
        groups,
        broken: stage.broken,
        struck_at: first,
        simulated: stage.world.now,
        digest: stage.world.trace.digest(),
        entries: stage.world.trace.take(),
    })
}

/// A world with its onlooker.
pub(super) struct Stage {
    pub(super) world: World<Sound>,
    pub(super) watch: Watch,
    pub(super) broken: Vec<Violation>,
    quiet: Micros,
    longest: Micros,
    /// How long each group had been down when everything was up for the first time.
    warm: Vec<Micros>,
}

impl Stage {
    pub(super) fn open(subject: &Subject, seed: u64, traced: bool) -> Result<Stage, String> {
        let plan = Plan {
            seed,
            layout: subject.layout,
            profile: Profile::Calm,
            faults: Vec::new(),
            acts: Vec::new(),
            heals: NEVER,
            begin: Begin::Founded,
            breaks: None,
            last_blow: None,
        };
        let trace = if traced { Trace::whole() } else { Trace::silent() };
        let mut world = World::<Sound>::new(plan, trace)?;
        for machine in &mut world.machines {
            machine.agents.pace = Some(pace::pace);
        }
        let groups = subject.cluster.groups.len();
        Ok(Stage {
            world,
            watch: Watch::new(groups),
            broken: Vec::new(),
            quiet: subject.quiet,
            longest: subject.longest,
            warm: vec![0; groups],
        })
    }

    /// Boots, until every group runs or nothing more is to be expected.
    pub(super) fn warm_up(&mut self) {
        self.until_quiet(self.quiet, self.longest, |stage| {
            stage.watch.all_up() && stage.everybody_votes()
        });
        self.until(self.world.now + SETTLED);
        let now = self.world.now;
        self.warm = self.watch.groups.iter().map(|notes| notes.down_until(now)).collect();
    }

    /// Lets time pass.
    pub(super) fn until(&mut self, until: Micros) {
        while self.world.queue.next_at().is_some_and(|at| at <= until) && self.step() {}
        self.world.now = self.world.now.max(until);
    }

    /// What is being looked at cannot die at the same moment: waits a little for its open calls.
    fn until_idle(&mut self, fault: &Fault) {
        let Some(group) = fault.group() else { return };
        for _ in 0..50 {
            let machines = self.world.machines.iter().filter(|machine| machine.powered);
            let mut calls = machines.flat_map(|machine| machine.agents.children().values());
            if !calls.any(|call| &call.key.0 == group) {
                return;
            }
            self.until(self.world.now + 100 * MILLI);
        }
    }

    /// Until nothing has moved for `quiet`, or for `longest` at most.
    pub(super) fn settle(&mut self, quiet: Micros, longest: Micros) {
        self.until_quiet(quiet, longest, |_| false);
    }

    /// After a repair: a cluster that is whole again needs no long look.
    fn settle_healed(&mut self) {
        self.until(self.world.now + 3 * SECOND);
        self.until_quiet(self.quiet, self.longest, |stage| {
            stage.watch.all_up() && stage.everybody_votes()
        });
        self.settle(SETTLED, self.longest);
    }

    fn until_quiet(&mut self, quiet: Micros, longest: Micros, enough: impl Fn(&Stage) -> bool) {
        let since = self.world.now;
        let mut looked = since;
        loop {
            let next = self.watch.moved_at.max(since) + quiet;
            let mut limit = next.min(since + longest);
            if self.world.now + SECOND >= limit && self.is_busy() {
                // A call that hangs ends with its timeout.
                self.watch.moved_at = self.world.now;
                limit = (self.world.now + quiet).min(since + longest);
            }
            if self.world.queue.next_at().is_none_or(|at| at > limit) || !self.step() {
                self.world.now = self.world.now.max(limit);
                return;
            }
            if self.world.now >= looked + 100 * MILLI {
                looked = self.world.now;
                if enough(self) {
                    return;
                }
            }
        }
    }

    fn step(&mut self) -> bool {
        if self.world.figures.events > EVENTS_MAX {
            let detail = format!("more than {EVENTS_MAX} events");
            self.note("a_run_ends", detail);
            return false;
        }
        let went_on = self.world.step();
        if let Some(violation) = self.world.ghost.violation.take() {
            self.remember(violation);
        }
        self.look();
        went_on
    }

    pub(super) fn look(&mut self) {
        self.watch.look(&mut self.world);
    }

    fn note(&mut self, invariant: &'static str, detail: String) {
        let at = self.world.now;
        self.world.trace.line(at, "*", "VIOLATION", format_args!("{invariant}: {detail}"));
        self.remember(Violation { invariant, detail, at });
    }

    fn remember(&mut self, violation: Violation) {
        if !self.broken.iter().any(|known| known.invariant == violation.invariant) {
            self.broken.push(violation);
        }
    }

    /// Something is under way: a start, a stop, a device at work, a machine that will go on.
    fn is_busy(&self) -> bool {
        let machines = || self.world.machines.iter().filter(|machine| machine.powered);
        if machines().any(|machine| machine.frozen_until.is_some() || machine.pause.is_some()) {
            return true;
        }
        let mut calls = machines().flat_map(|machine| machine.agents.children().values());
        calls.any(|call| call.action != Action::Status) || self.world.devices.are_busy()
    }

    /// Every group that ran before runs.
    fn is_well(&self, up: &[Option<Seat>]) -> bool {
        let pairs = up.iter().zip(&self.watch.groups);
        pairs.into_iter().all(|(before, notes)| before.is_none() || notes.on.is_some())
    }

    fn everybody_votes(&self) -> bool {
        let world = &self.world;
        let voters = world.cluster.nodes.iter().filter(|node| node.voter).count()
            + usize::from(world.plan.layout.witness);
        let all_run = world.machines.iter().all(|machine| machine.daemon.is_some());
        let newest = world.newest_committed();
        let all_vote = newest.is_none_or(|(_, record)| {
            record.voters.len() == voters && record.voters == record.old_voters
        });
        all_run && all_vote
    }
}

/// How long after the first fault the second one comes: while the first is noticed, proved dead,
/// while things start elsewhere, or after all that.
fn gap(subject: &Subject, random: &mut Random) -> Micros {
    let deadtime = subject.cluster.timing.deadtime.as_micros();
    let starts = subject.cluster.groups.iter().map(|group| super::subject::start_time(group).1);
    let starts = starts.max().unwrap_or_default();
    let failover = subject.failover.max(deadtime);
    match random.below(4) {
        0 => random.below(deadtime),
        1 => random.between(deadtime, failover),
        2 => random.between(failover, failover + starts),
        _ => random.between(failover + starts, failover + starts + 30 * SECOND),
    }
}

/// Nothing heals by itself here: [`strike::lift`] does.
const NEVER: Micros = 1 << 60;
/// How long everything must have run to count as settled.
const SETTLED: Micros = 3 * SECOND;
/// A run that needs more than this is caught in a loop.
const EVENTS_MAX: u64 = 20_000_000;
