//! How much rehearsal a second of work gives.

use crate::table::Table;
use crm_sim::campaign::{Campaign, Runner, campaign};
use crm_sim::layouts::LAYOUTS;
use std::time::Instant;

/// Seeds on each layout in one round: some seconds of work.
const SEEDS: u64 = 6;
const ROUNDS: u64 = 3;

pub(crate) fn measure(_rounds: usize, table: &mut Table) {
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    let (mut hours, mut events) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let plan = Campaign {
            layouts: LAYOUTS.to_vec(),
            profile: None,
            from: round * SEEDS,
            seeds: SEEDS,
            workers,
            keep_going: true,
            breaks: None,
            until: None,
        };
        let begun = Instant::now();
        let totals = campaign(&plan, &Runner::sound());
        let took = begun.elapsed().as_secs_f64();
        let totals = match totals {
            Ok(totals) => totals,
            Err(error) => panic!("the simulator: {error}"),
        };
        hours.push(totals.figures.simulated as f64 / 3.6e9 / took);
        events.push(totals.figures.events as f64 / took / 1000.0);
    }
    table.values(&format!("simulated cluster-hours, {workers} workers"), &hours, "h/s", None);
    table.values("  events checked", &events, "1000/s", None);
}
