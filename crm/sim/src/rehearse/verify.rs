//! Runs every single fault, then as many pairs as time allows.

use super::report::{Coverage, Ledger};
use super::{Case, Fault, Report, Subject, Trial, every, try_once};
use crate::random::Random;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// How much to run.
#[derive(Clone, Copy, Debug)]
pub struct Order {
    /// Tries of each single fault; their seeds are counted from `from`.
    pub tries: u64,
    pub from: u64,
    /// At most so many pairs; `None`: all of them, again and again, until the time is over.
    pub pairs: Option<usize>,
    /// Wall clock for everything; `None`: all that was ordered.
    pub time: Option<Duration>,
    pub workers: usize,
}

/// How far a rehearsal is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    pub pairs: bool,
    pub done: usize,
    pub all: usize,
}

/// Runs a configuration through its faults. The report is the same for the same order, unless time
/// cuts it short.
///
/// # Errors
/// A configuration that the parser refuses.
pub fn verify(
    subject: &Subject,
    order: &Order,
    progress: &(dyn Fn(Progress) + Sync),
) -> Result<Report, String> {
    let began = Instant::now();
    let deadline = order.time.map(|time| began + time);
    // The first try of each fault may take all the time, further ones leave some for the pairs.
    let further = order.time.filter(|_| order.pairs != Some(0));
    let further = further.map(|time| began + time * 3 / 5).or(deadline);
    let faults = every::single(subject);
    let mut ledger = Ledger::new(subject);
    let mut singles = Coverage { all: faults.len(), ..Coverage::default() };
    for round in 0..order.tries.max(1) {
        let seed = order.from + round;
        let cases: Vec<Case> =
            faults.iter().map(|fault| Case { faults: vec![fault.clone()], seed }).collect();
        let until = if round == 0 { deadline } else { further };
        let all = faults.len() * order.tries.max(1) as usize;
        let before = round as usize * faults.len();
        let say = |done| progress(Progress { pairs: false, done: before + done, all });
        let trials = run_all(subject, &cases, until, order.workers, &say)?;
        let done = take(&mut ledger, &cases, trials, true);
        singles.runs += done as u64;
        singles.covered = singles.covered.max(done);
        if done < cases.len() {
            break;
        }
    }
    let pairs = run_pairs(subject, order, &faults, deadline, &mut ledger, progress)?;
    Ok(ledger.report(&faults, singles, pairs))
}

fn run_pairs(
    subject: &Subject,
    order: &Order,
    faults: &[Fault],
    deadline: Option<Instant>,
    ledger: &mut Ledger<'_>,
    progress: &(dyn Fn(Progress) + Sync),
) -> Result<Coverage, String> {
    let count = faults.len();
    let mut numbers: Vec<(usize, usize)> =
        (0..count).flat_map(|a| (a + 1..count).map(move |b| (a, b))).collect();
    let mut coverage = Coverage { all: numbers.len(), ..Coverage::default() };
    let mut random = Random::new(order.from).fork("pairs");
    for at in (1..numbers.len()).rev() {
        numbers.swap(at, random.index(at + 1));
    }
    let wanted = order.pairs.unwrap_or(numbers.len()).min(numbers.len());
    numbers.truncate(wanted);
    let mut seed = order.from;
    while !numbers.is_empty() && deadline.is_none_or(|deadline| Instant::now() < deadline) {
        let pair = |(a, b): &(usize, usize)| Case {
            faults: vec![faults[*a].clone(), faults[*b].clone()],
            seed,
        };
        let cases: Vec<Case> = numbers.iter().map(pair).collect();
        let say = |done| progress(Progress { pairs: true, done, all: wanted });
        let trials = run_all(subject, &cases, deadline, order.workers, &say)?;
        let done = take(ledger, &cases, trials, false);
        coverage.runs += done as u64;
        coverage.covered = coverage.covered.max(done);
        if order.pairs.is_some() || deadline.is_none() {
            break;
        }
        seed += 1;
    }
    Ok(coverage)
}

/// Gives the trials to the ledger in their order; returns how many there are.
fn take(
    ledger: &mut Ledger<'_>,
    cases: &[Case],
    trials: Vec<Option<Trial>>,
    single: bool,
) -> usize {
    let mut done = 0;
    for (number, (case, trial)) in cases.iter().zip(trials).enumerate() {
        if let Some(trial) = trial {
            done += 1;
            ledger.take(case, single.then_some(number), trial);
        }
    }
    done
}

/// Runs cases side by side until the time is over; those that were not begun are `None`.
fn run_all(
    subject: &Subject,
    cases: &[Case],
    until: Option<Instant>,
    workers: usize,
    say: &(dyn Fn(usize) + Sync),
) -> Result<Vec<Option<Trial>>, String> {
    let next = AtomicUsize::new(0);
    let done = AtomicUsize::new(0);
    let results: Mutex<Vec<(usize, Result<Trial, String>)>> = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..workers.clamp(1, 64).min(cases.len().max(1)) {
            scope.spawn(|| {
                while until.is_none_or(|until| Instant::now() < until) {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    let Some(case) = cases.get(number) else { return };
                    let trial = try_once(subject, case, false);
                    say(done.fetch_add(1, Ordering::Relaxed) + 1);
                    if let Ok(mut results) = results.lock() {
                        results.push((number, trial));
                    }
                }
            });
        }
    });
    let mut trials: Vec<Option<Trial>> = cases.iter().map(|_| None).collect();
    for (number, trial) in results.into_inner().unwrap_or_default() {
        trials[number] = Some(trial?);
    }
    Ok(trials)
}
