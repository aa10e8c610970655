//! What is printed: figures, failures, traces.

use crate::campaign::{Failure, Runner, Totals};
use crate::clock::{Micros, SECOND};
use crate::faults::{Act, Fault};
use crate::liveness::{HEAL_MAX, SURVIVE_MAX};
use crate::plan::Plan;
use crate::run::{Keep, Verdict};
use std::collections::BTreeMap;
use std::fmt::Write;

/// The figures of a campaign.
#[must_use]
pub fn figures(totals: &Totals, took: f64) -> String {
    let f = &totals.figures;
    let hours = f.simulated as f64 / 3.6e9;
    let mut text = String::new();
    let faults: Vec<String> = f.faults.iter().map(|(kind, n)| format!("{kind} {n}")).collect();
    let _ = writeln!(text, "seeds run        {}", totals.runs);
    let _ = writeln!(
        text,
        "simulated hours  {hours:.1} ({:.2} an hour of work each second)",
        hours / took
    );
    let _ =
        writeln!(text, "events           {} ({:.0} a second)", f.events, f.events as f64 / took);
    let _ = writeln!(text, "datagrams        {}", f.datagrams);
    let _ = writeln!(
        text,
        "elections        {}, commits {}, moves {}, starts {}, fences {}, acknowledged {}",
        f.elections, f.commits, f.moves, f.starts, f.fences, f.acknowledged
    );
    let _ = writeln!(text, "faults           {}", faults.join(", "));
    let _ = writeln!(text, "healed           {}", healed(totals));
    let _ = writeln!(text, "one more lost    {}", spread(&f.survived, SURVIVE_MAX));
    let _ = writeln!(text, "violations       {}", totals.failures.len());
    for (invariant, count) in &totals.violations {
        let _ = writeln!(text, "  {count:>6} {invariant}");
    }
    text
}

/// How long it took from the last fault until everything ran again.
#[must_use]
pub fn healed(totals: &Totals) -> String {
    spread(&totals.figures.healed, HEAL_MAX)
}

/// How long it took until everything ran again (I4): seconds, and in how many runs.
fn spread(seconds: &BTreeMap<u64, u64>, bound: Micros) -> String {
    let runs: u64 = seconds.values().sum();
    let within = |share: u64| {
        let mut left = (runs * share).div_ceil(100);
        let mut all = seconds.iter();
        all.find_map(|(second, count)| {
            left = left.saturating_sub(*count);
            (left == 0).then_some(*second)
        })
    };
    let (Some(half), Some(most), Some(longest)) = (within(50), within(99), within(100)) else {
        return "in no run".to_owned();
    };
    let bound = bound / SECOND;
    format!(
        "{runs} runs: half within {half} s, 99 % within {most} s, the longest {longest} s (bound {bound} s)"
    )
}

/// The same for programs.
#[must_use]
pub fn json(totals: &Totals, took: f64) -> String {
    let f = &totals.figures;
    serde_json::json!({
        "seeds": totals.runs,
        "simulated_hours": f.simulated as f64 / 3.6e9,
        "events": f.events,
        "datagrams": f.datagrams,
        "elections": f.elections,
        "commits": f.commits,
        "moves": f.moves,
        "starts": f.starts,
        "fences": f.fences,
        "acknowledged": f.acknowledged,
        "seconds": took,
        "faults": f.faults,
        "healed_seconds": f.healed,
        "survived_seconds": f.survived,
        "violations": totals.violations,
        "failures": totals.failures.iter().map(|failure| serde_json::json!({
            "seed": failure.plan.seed,
            "layout": failure.plan.layout.name,
            "profile": failure.plan.profile.name(),
            "invariant": failure.violation.invariant,
            "detail": failure.violation.detail,
        })).collect::<Vec<_>>(),
    })
    .to_string()
}

/// A failing seed: what broke, how to see it again, the smallest plan, the end of its trace.
///
/// # Errors
/// A layout that cannot be parsed.
pub fn failure(failure: &Failure, runner: &Runner, smaller: bool) -> Result<String, String> {
    let plan = &failure.plan;
    let mut text = String::new();
    let _ = writeln!(text, "VIOLATION {}", failure.violation.invariant);
    let _ = writeln!(text, "  {}", failure.violation.detail);
    let broken = runner.broken.map(|(name, _)| format!(" --broken {name}")).unwrap_or_default();
    let profile = failure.profile.map(|p| format!(" --profile {}", p.name())).unwrap_or_default();
    let _ = writeln!(
        text,
        "  replay: crm-sim --layout {} --trace {}{profile}{broken}",
        plan.layout.name, plan.seed
    );
    let (small, tries) =
        if smaller { runner.shrink(plan, failure.violation.invariant)? } else { (plan.clone(), 0) };
    let _ = writeln!(text, "  smallest plan found in {tries} tries:");
    text.push_str(&describe(&small));
    let verdict = runner.run(&small, Keep::Tail)?;
    for line in verdict.lines.iter().rev().take(TAIL).rev() {
        let _ = writeln!(text, "  {line}");
    }
    if let Some(violation) = verdict.violation {
        let _ = writeln!(text, "  {}: {}", violation.invariant, violation.detail);
    }
    Ok(text)
}

/// A whole trace with its plan.
#[must_use]
pub fn whole(plan: &Plan, verdict: &Verdict) -> String {
    let mut text = describe(plan);
    for line in &verdict.lines {
        let _ = writeln!(text, "{line}");
    }
    let _ = match &verdict.violation {
        Some(violation) => {
            writeln!(text, "VIOLATION {}: {}", violation.invariant, violation.detail)
        }
        None => writeln!(text, "every promise was kept"),
    };
    text
}

/// A plan for people.
#[must_use]
pub fn describe(plan: &Plan) -> String {
    let mut text = String::new();
    let _ = writeln!(
        text,
        "  plan: seed {} layout {} profile {} begins {:?}, heals at {:.3}, last blow {:?}",
        plan.seed,
        plan.layout.name,
        plan.profile.name(),
        plan.begin,
        plan.heals as f64 / 1e6,
        plan.last_blow
    );
    for Fault { at, lasts, kind } in &plan.faults {
        let _ = writeln!(
            text,
            "  {:>8.3} for {:>7.3}  {kind:?}",
            *at as f64 / 1e6,
            *lasts as f64 / 1e6
        );
    }
    for Act { at, seat, wish } in &plan.acts {
        let _ = writeln!(text, "  {:>8.3} operator at seat {seat}: {wish:?}", *at as f64 / 1e6);
    }
    text
}

/// Lines of a trace shown with a failure.
const TAIL: usize = 60;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn i4_the_spread_of_healings_names_half_most_and_the_longest() {
        assert_eq!(spread(&BTreeMap::new(), HEAL_MAX), "in no run");
        let seconds = [(3, 50), (7, 49), (40, 1)].into();
        assert_eq!(
            spread(&seconds, HEAL_MAX),
            "100 runs: half within 3 s, 99 % within 7 s, the longest 40 s (bound 180 s)"
        );
    }
}
