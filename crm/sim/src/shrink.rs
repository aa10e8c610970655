//! Makes a failing plan small: drops faults and commands one by one, then shortens what is left,
//! as long as the same promise is still broken.

use crate::clock::SECOND;
use crate::faults::Kind;
use crate::plan::{Begin, Plan};
use crate::run::{Keep, Verdict, run};
use crm_core::rules::Rules;

/// The smallest plan found that still breaks `invariant`, and how often it was tried.
///
/// # Errors
/// A layout that cannot be parsed.
pub fn shrink<R: Rules>(plan: &Plan, invariant: &str) -> Result<(Plan, u32), String> {
    let mut best = plan.clone();
    let mut tries = 0;
    let mut breaks = |candidate: &Plan| -> Result<bool, String> {
        tries += 1;
        let Verdict { violation, .. } = run::<R>(candidate, Keep::Nothing)?;
        Ok(tries < TRIES_MAX && violation.is_some_and(|v| v.invariant == invariant))
    };
    loop {
        let before = best.clone();
        for number in (0..best.faults.len()).rev() {
            let mut candidate = best.clone();
            candidate.faults.remove(number);
            if breaks(&candidate)? {
                best = candidate;
            }
        }
        for number in (0..best.acts.len()).rev() {
            let mut candidate = best.clone();
            candidate.acts.remove(number);
            if breaks(&candidate)? {
                best = candidate;
            }
        }
        for candidate in simpler(&best) {
            if breaks(&candidate)? {
                best = candidate;
            }
        }
        if best == before {
            return Ok((best, tries));
        }
    }
}

/// The plan with one thing made plainer each.
fn simpler(plan: &Plan) -> Vec<Plan> {
    let mut all = Vec::new();
    if plan.begin != Begin::Founded {
        all.push(Plan { begin: Begin::Founded, ..plan.clone() });
    }
    if plan.last_blow.is_some() {
        all.push(Plan { last_blow: None, ..plan.clone() });
    }
    let last =
        plan.faults.iter().map(|f| f.at + f.lasts).chain(plan.acts.iter().map(|a| a.at)).max();
    let ends = last.unwrap_or(0) + SECOND;
    if ends < plan.heals {
        all.push(Plan { heals: ends, ..plan.clone() });
    }
    for number in 0..plan.faults.len() {
        let mut shorter = plan.clone();
        shorter.faults[number].lasts /= 2;
        all.push(shorter);
        if let Kind::When { skip, .. } = &plan.faults[number].kind
            && *skip > 0
        {
            let mut sooner = plan.clone();
            if let Kind::When { skip, .. } = &mut sooner.faults[number].kind {
                *skip = 0;
            }
            all.push(sooner);
        }
    }
    all
}

/// Runs that a shrink may take.
const TRIES_MAX: u32 = 300;
