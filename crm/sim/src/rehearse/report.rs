//! What a rehearsal found, summed up for people and for programs.

use super::subject::start_time;
use super::{Assumption, Case, End, Fault, GroupOutcome, Subject, Token, Trial, assumed};
use crate::clock::Micros;
use crm_config::budget;
use serde::Serialize;
use std::collections::BTreeMap;

/// Everything that [`super::verify`] found out.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    pub cluster: String,
    /// No promise broke and no group with data was held twice, under the assumptions.
    pub kept: bool,
    /// What the runs take for granted.
    pub assumed: Vec<String>,
    pub budgets: Vec<Budget>,
    /// Single faults, one row for each group that something happened to.
    pub rows: Vec<Row>,
    /// Single faults under which every group served all the time.
    pub harmless: Vec<String>,
    pub singles: Coverage,
    pub pairs: Coverage,
    /// What the pairs did to each group, those that break no assumption.
    pub tallies: Vec<Tally>,
    pub worst: Vec<Worst>,
    /// Groups that did not come up even without a fault.
    pub never_up: Vec<String>,
    pub runs: u64,
    pub simulated_s: u64,
}

/// How much of what could be tried was tried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Coverage {
    pub covered: usize,
    pub all: usize,
    /// Runs that this took.
    pub runs: u64,
}

/// The failover budget of a group beside what was measured when its node died.
#[derive(Clone, Debug, Serialize)]
pub struct Budget {
    pub group: String,
    /// As `crm check` prints it.
    pub words: String,
    /// What its starts take on top, as assumed.
    pub start_s: (f64, f64),
    /// From the death of its node to its first start elsewhere.
    pub until_start_s: Option<(f64, f64)>,
    /// From the death of its node until it served again.
    pub down_s: Option<(f64, f64)>,
    /// The longest that the budget allows until the start.
    pub at_worst_s: Option<f64>,
}

/// What one fault does to one group.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    pub fault: String,
    pub id: String,
    /// The assumption that the fault breaks; what happens then is shown and not judged.
    pub breaks: Option<&'static str>,
    pub group: String,
    /// How often it ended in which way, the most frequent first.
    pub ends: Vec<(String, u64)>,
    /// Shortest, median and longest outage; `None` is one that lasted until the repair.
    pub down_s: [Option<f64>; 3],
    /// Longest time for which two nodes held it.
    pub both_s: f64,
    pub operator: Operator,
    /// The run with the longest outage.
    pub token: String,
}

/// Whether people are needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Operator {
    No,
    /// No other node can run it: it waits for the repair.
    Repair,
    /// It waits for the repair, or for the word of an operator.
    RepairOrWord,
    /// Even after the repair it waits for `crm clear`.
    Clear,
}

/// What pairs of faults did to a group.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Tally {
    pub group: String,
    pub runs: u64,
    pub served: u64,
    pub waited: u64,
    pub operator: u64,
    pub lost: u64,
    pub held_twice: u64,
    pub longest_down_s: f64,
    pub longest_both_s: f64,
}

/// A run that is worth a look.
#[derive(Clone, Debug, Serialize)]
pub struct Worst {
    pub why: String,
    /// It counts against the configuration.
    pub failed: bool,
    pub faults: String,
    pub breaks: Option<&'static str>,
    pub token: String,
    #[serde(skip)]
    pub(super) rank: (bool, u8, Micros),
}

/// Takes trials in, gives a report out.
pub(super) struct Ledger<'a> {
    subject: &'a Subject,
    singles: BTreeMap<usize, Vec<(GroupOutcomes, Token)>>,
    tallies: Vec<Tally>,
    worst: Vec<Worst>,
    never_up: Vec<bool>,
    failed: bool,
    runs: u64,
    simulated: Micros,
}

type GroupOutcomes = Vec<GroupOutcome>;

impl<'a> Ledger<'a> {
    pub(super) fn new(subject: &'a Subject) -> Ledger<'a> {
        let groups = &subject.cluster.groups;
        let tally = |group: &crm_core::model::Group| Tally {
            group: group.id.to_string(),
            ..Tally::default()
        };
        Ledger {
            subject,
            singles: BTreeMap::new(),
            tallies: groups.iter().map(tally).collect(),
            worst: Vec::new(),
            never_up: vec![false; groups.len()],
            failed: false,
            runs: 0,
            simulated: 0,
        }
    }

    /// Takes a trial; `single` is the number of its fault, if it is one alone.
    pub(super) fn take(&mut self, case: &Case, single: Option<usize>, trial: Trial) {
        let subject = self.subject;
        self.runs += 1;
        self.simulated += trial.simulated;
        let breaks = broken_assumption(&case.faults, subject);
        self.judge(case, breaks, &trial);
        for (number, outcome) in trial.groups.iter().enumerate() {
            self.never_up[number] |= outcome.end == End::NeverUp;
            if single.is_none() && breaks.is_none() {
                self.tallies[number].take(outcome);
            }
        }
        if let Some(single) = single {
            let token = Token::of(case, subject);
            self.singles.entry(single).or_default().push((trial.groups, token));
        }
    }

    /// Whether a run counts against the configuration, and whether it is worth a look.
    fn judge(&mut self, case: &Case, breaks: Option<Assumption>, trial: &Trial) {
        let mut add = |failed: bool, kind: u8, size: Micros, why: String| {
            let failed = failed && breaks.is_none();
            self.failed |= failed;
            self.worst.push(Worst {
                why,
                failed,
                faults: case.words(self.subject),
                breaks: breaks.map(Assumption::name),
                token: Token::of(case, self.subject).to_string(),
                rank: (!failed, kind, Micros::MAX - size),
            });
        };
        for broken in &trial.broken {
            let promise = broken.invariant.replace('_', " ");
            add(true, 0, 0, format!("a promise breaks: {promise}"));
        }
        for (group, outcome) in self.subject.cluster.groups.iter().zip(&trial.groups) {
            let GroupOutcome { end, down, both, .. } = *outcome;
            if both > 0 {
                let data = if group.is_stateless() { "" } else { ", with its data" };
                let held = super::subject::span(both);
                let why = format!("two nodes hold {}{data}, for {held}", group.id);
                add(!group.is_stateless(), 1, both, why);
            }
            match (end, down) {
                (End::Operator, _) => {
                    add(false, 2, 0, format!("{} waits for `crm clear`", group.id));
                }
                (End::Waited, _) => {
                    add(false, 3, 0, format!("{} waits until the repair", group.id));
                }
                (_, Some(down)) if down > 0 => {
                    let why = format!("{} is down for {}", group.id, super::subject::span(down));
                    add(false, 4, down, why);
                }
                _ => {}
            }
        }
        // Only the worst are shown; not every run needs to be remembered.
        if self.worst.len() > 4 * KEPT_MAX {
            self.weed();
        }
    }

    /// Keeps the worst few of each sort.
    fn weed(&mut self) {
        self.worst.sort_by(|a, b| a.rank.cmp(&b.rank).then_with(|| a.token.cmp(&b.token)));
        let mut kept: BTreeMap<(bool, u8, bool), usize> = BTreeMap::new();
        self.worst.retain(|worst| {
            let sort = (worst.failed, worst.rank.1, worst.breaks.is_some());
            let count = kept.entry(sort).or_default();
            *count += 1;
            *count <= SHOWN_OF_A_SORT
        });
    }

    pub(super) fn report(mut self, faults: &[Fault], singles: Coverage, pairs: Coverage) -> Report {
        self.weed();
        let subject = self.subject;
        let groups = &subject.cluster.groups;
        let mut rows = Vec::new();
        let mut harmless = Vec::new();
        for (number, trials) in &self.singles {
            let fault = &faults[*number];
            let before = rows.len();
            for (at, group) in groups.iter().enumerate() {
                rows.extend(row(subject, fault, group.id.as_str(), at, trials));
            }
            if rows.len() == before {
                harmless.push(fault.words(&subject.cluster));
            }
        }
        let never_up = groups.iter().zip(&self.never_up).filter(|(_, never)| **never);
        Report {
            cluster: subject.cluster.name.clone(),
            kept: !self.failed,
            assumed: taken_for_granted(subject),
            budgets: self.budgets(faults),
            rows,
            harmless,
            singles,
            pairs,
            tallies: self.tallies,
            worst: self.worst,
            never_up: never_up.map(|(group, _)| group.id.to_string()).collect(),
            runs: self.runs,
            simulated_s: self.simulated / 1_000_000,
        }
    }

    fn budgets(&self, faults: &[Fault]) -> Vec<Budget> {
        let cluster = &self.subject.cluster;
        let deaths = |at: usize| {
            let of_nodes = self
                .singles
                .iter()
                .filter(|(number, _)| matches!(faults.get(**number), Some(Fault::Dies { .. })));
            let outcomes = of_nodes.flat_map(|(_, trials)| trials).map(move |(all, _)| all[at]);
            outcomes.filter(|outcome| matches!(outcome.end, End::Moved { .. }))
        };
        let range = |times: Vec<Micros>| {
            let (low, high) = (times.iter().min()?, times.iter().max()?);
            Some((seconds(*low), seconds(*high)))
        };
        budget(cluster)
            .into_iter()
            .zip(&cluster.groups)
            .enumerate()
            .map(|(at, (budget, group))| {
                let (low, high) = start_time(group);
                Budget {
                    group: group.id.to_string(),
                    words: budget.to_string(),
                    start_s: (seconds(low), seconds(high)),
                    until_start_s: range(deaths(at).filter_map(|o| o.until_start).collect()),
                    down_s: range(deaths(at).filter_map(|o| o.down).collect()),
                    at_worst_s: budget.at_worst.map(|span| seconds(span.as_micros())),
                }
            })
            .collect()
    }
}

/// The first assumption that one of the faults breaks.
pub(super) fn broken_assumption(faults: &[Fault], subject: &Subject) -> Option<Assumption> {
    faults.iter().find_map(|fault| fault.breaks(&subject.cluster))
}

impl Tally {
    fn take(&mut self, outcome: &GroupOutcome) {
        self.runs += 1;
        let count = match outcome.end {
            End::Untouched | End::Restarted | End::Moved { .. } => &mut self.served,
            End::Waited | End::NeverUp => &mut self.waited,
            End::Operator => &mut self.operator,
            End::Lost => &mut self.lost,
        };
        *count += 1;
        self.held_twice += u64::from(outcome.both > 0);
        self.longest_down_s = self.longest_down_s.max(seconds(outcome.down.unwrap_or_default()));
        self.longest_both_s = self.longest_both_s.max(seconds(outcome.both));
    }
}

fn row(
    subject: &Subject,
    fault: &Fault,
    group: &str,
    at: usize,
    trials: &[(GroupOutcomes, Token)],
) -> Option<Row> {
    let cluster = &subject.cluster;
    let outcomes = || trials.iter().map(|(all, token)| (all[at], token));
    if outcomes().all(|(outcome, _)| outcome.end == End::Untouched && outcome.both == 0) {
        return None;
    }
    let mut counts: BTreeMap<End, u64> = BTreeMap::new();
    outcomes().for_each(|(outcome, _)| *counts.entry(outcome.end).or_default() += 1);
    let mut ends: Vec<(End, u64)> = counts.into_iter().collect();
    ends.sort_by_key(|(end, count)| (std::cmp::Reverse(*count), *end));
    let operator = ends.iter().map(|(end, _)| match end {
        End::Waited | End::NeverUp if can_move(subject, at, fault) => Operator::RepairOrWord,
        End::Waited | End::NeverUp => Operator::Repair,
        End::Operator | End::Lost => Operator::Clear,
        _ => Operator::No,
    });
    let words = |end: &End| match end {
        End::Untouched => "stays".to_owned(),
        End::Restarted => "starts again in place".to_owned(),
        End::Moved { to } => {
            format!("moves to {}", cluster.nodes.get(*to).map_or("?", |node| node.id.as_str()))
        }
        End::Waited => "waits for the repair".to_owned(),
        End::Operator => "waits for `crm clear`".to_owned(),
        End::Lost => "NEVER RUNS AGAIN".to_owned(),
        End::NeverUp => "does not run even before".to_owned(),
    };
    // Those that lasted until the repair are the longest.
    let length = |outcome: &GroupOutcome| outcome.down.unwrap_or(Micros::MAX);
    let mut downs: Vec<Option<Micros>> = outcomes().map(|(outcome, _)| outcome.down).collect();
    downs.sort_by_key(|down| down.unwrap_or(Micros::MAX));
    let of = |index: usize| downs.get(index).copied().flatten().map(seconds);
    let worst = outcomes().max_by_key(|(outcome, _)| (outcome.both, length(outcome)));
    Some(Row {
        fault: fault.words(cluster),
        id: fault.id(cluster),
        breaks: fault.breaks(cluster).map(Assumption::name),
        group: group.to_owned(),
        operator: operator.max().unwrap_or(Operator::No),
        ends: ends.iter().map(|(end, count)| (words(end), *count)).collect(),
        down_s: [of(0), of(downs.len() / 2), of(downs.len().saturating_sub(1))],
        both_s: seconds(outcomes().map(|(outcome, _)| outcome.both).max().unwrap_or_default()),
        token: worst.map(|(_, token)| token.to_string()).unwrap_or_default(),
    })
}

/// Whether an operator's word could bring the group up elsewhere while the fault lasts.
fn can_move(subject: &Subject, at: usize, fault: &Fault) -> bool {
    let nowhere = matches!(fault, Fault::Blackout | Fault::StartsNowhere { .. });
    !nowhere && subject.cluster.groups.get(at).is_some_and(|group| subject.can_move(group))
}

fn taken_for_granted(subject: &Subject) -> Vec<String> {
    let mut all = vec![
        assumed(),
        "machines boot in 4 to 60 s; a device answers in 0.2 to 2.5 s unless it is the fault"
            .to_owned(),
        "our own agents' resources are seen to die at once, others at the next status".to_owned(),
        "the wall clock is read by nothing here, so its steps are no fault".to_owned(),
    ];
    if subject.cluster.groups.iter().any(|group| group.follow.is_some()) {
        all.push("no agent has roles yet: groups that follow one stay down".to_owned());
    }
    all
}

fn seconds(time: Micros) -> f64 {
    (time / 1_000) as f64 / 1_000.0
}

const KEPT_MAX: usize = 200;
/// Runs of one sort that are worth a look.
const SHOWN_OF_A_SORT: usize = 3;
