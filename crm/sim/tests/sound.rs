//! The product's own rules keep every promise, on every layout; and the same seed is the same run.

use crm_core::rules::Sound;
use crm_sim::campaign::{Campaign, Runner, campaign};
use crm_sim::layouts::{self, LAYOUTS};
use crm_sim::plan::Plan;
use crm_sim::report;
use crm_sim::{Keep, run};
use std::time::{Duration, Instant};

#[test]
fn every_promise_is_kept_on_every_layout() {
    let runner = Runner::sound();
    let order = Campaign {
        layouts: LAYOUTS.to_vec(),
        profile: None,
        from: 0,
        seeds: SEEDS,
        workers: 2,
        keep_going: false,
        breaks: None,
        until: None,
    };
    let totals = campaign(&order, &runner).unwrap();
    if let Some(failure) = totals.failures.first() {
        panic!("{}", report::failure(failure, &runner, true).unwrap());
    }
    // A campaign in which nothing happens proves nothing.
    assert!(totals.figures.moves > 10 && totals.figures.fences > 10, "{:?}", totals.figures);
    assert!(totals.figures.acknowledged > 100, "{:?}", totals.figures);
    // I4: every run healed, and it is known how long that took.
    assert_eq!(totals.figures.healed.values().sum::<u64>(), totals.runs);
    assert!(totals.figures.survived.values().sum::<u64>() > 0, "{:?}", totals.figures);
}

/// As many voters as there may be.
#[test]
fn every_promise_is_kept_with_seven_voters() {
    let plan = Plan::draw(0, layouts::find("seven").unwrap(), None);
    let verdict = Runner::sound().run(&plan, Keep::Nothing).unwrap();
    assert_eq!(verdict.violation, None);
    assert!(verdict.figures.commits > 0, "{:?}", verdict.figures);
}

#[test]
fn a_campaign_begins_no_run_after_its_time() {
    let order = Campaign {
        layouts: LAYOUTS.to_vec(),
        profile: None,
        from: 0,
        seeds: u64::MAX,
        workers: 2,
        keep_going: false,
        breaks: None,
        until: Some(Instant::now() + Duration::from_millis(500)),
    };
    let totals = campaign(&order, &Runner::sound()).unwrap();
    assert!(totals.runs > 0, "not even one run");
    assert_eq!(totals.failures.len(), 0);
}

#[test]
fn the_same_seed_is_the_same_run() {
    for (seed, layout) in [(1, "pair"), (2, "trio"), (3, "five"), (4, "pair-stateless")] {
        let plan = Plan::draw(seed, layouts::find(layout).unwrap(), None);
        let first = run::<Sound>(&plan, Keep::Whole).unwrap();
        let second = run::<Sound>(&plan, Keep::Whole).unwrap();
        assert_eq!(first.lines, second.lines);
        assert_eq!((first.digest, first.figures.events), (second.digest, second.figures.events));
        let other = Plan::draw(seed + 100, layouts::find(layout).unwrap(), None);
        assert_ne!(run::<Sound>(&other, Keep::Nothing).unwrap().digest, first.digest);
    }
}

/// Seeds on each layout; the nightly run takes thousands.
const SEEDS: u64 = 8;
