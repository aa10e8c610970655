//! `crm-sim`: runs clusters from seeds, and says which promise broke.

use clap::Parser;
use crm_sim::assumptions::{ASSUMPTIONS, Assumption};
use crm_sim::broken::{self, Broken};
use crm_sim::campaign::{Campaign, Runner, Totals, campaign};
use crm_sim::directed::{COURSES, Course};
use crm_sim::layouts::{self, LARGE, LAYOUTS, Layout};
use crm_sim::ledger::Ledger;
use crm_sim::plan::{PROFILES, Plan, Profile};
use crm_sim::report;
use crm_sim::run::Keep;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// Runs whole clusters on virtual time and checks every promise after every event.
#[derive(Parser, Debug)]
#[command(version, about)]
struct Arguments {
    /// How many seeds to run on each layout.
    #[arg(long, default_value_t = 100)]
    seeds: u64,
    /// Instead of --seeds: one seed after the other on every layout, for so many seconds.
    #[arg(long, value_name = "SECONDS", conflicts_with_all = ["seeds", "directed", "ledger", "trace"])]
    time: Option<u64>,
    /// The first seed.
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// Only this layout; several with commas.
    #[arg(long)]
    layout: Option<String>,
    /// Only faults of this profile; otherwise the seed picks one.
    #[arg(long)]
    profile: Option<String>,
    /// Only this directed plan, which follows the trace of one hole (see --list-directed).
    #[arg(long, conflicts_with_all = ["layout", "profile", "without", "ledger"])]
    directed: Option<String>,
    /// Break this rule of the core on purpose (see --list-broken).
    #[arg(long)]
    broken: Option<String>,
    /// Let this assumption not hold (as1 to as6), to see what then happens.
    #[arg(long, value_name = "ASSUMPTION")]
    without: Option<String>,
    /// Go on where this file says, and add what was run to it.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["from", "broken", "without", "trace"])]
    ledger: Option<PathBuf>,
    /// How the ledger names what runs: a commit.
    #[arg(long, default_value = "unknown", requires = "ledger")]
    build: String,
    /// Print the whole trace of this seed (needs --layout).
    #[arg(long, value_name = "SEED")]
    trace: Option<u64>,
    /// Do not make failing plans smaller.
    #[arg(long)]
    no_shrink: bool,
    /// Go on after a violation, and count.
    #[arg(long)]
    keep_going: bool,
    /// Seeds at the same time.
    #[arg(long, default_value_t = 2)]
    workers: usize,
    /// Print the figures as JSON.
    #[arg(long)]
    json: bool,
    /// List the rules that can be broken, and the promise that catches each.
    #[arg(long)]
    list_broken: bool,
    /// List the directed plans.
    #[arg(long)]
    list_directed: bool,
    /// List the layouts.
    #[arg(long)]
    list_layouts: bool,
}

fn main() -> ExitCode {
    match work(&Arguments::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("crm-sim: {error}");
            ExitCode::from(2)
        }
    }
}

fn work(arguments: &Arguments) -> Result<bool, String> {
    if arguments.list_broken {
        for rule in broken::all() {
            println!("{:<24} {:<24} {}", rule.name, rule.told(), rule.caught_by.join(", "));
        }
        return Ok(true);
    }
    if arguments.list_layouts {
        for layout in LAYOUTS.iter().chain(LARGE) {
            println!("{:<16} {}", layout.name, layout.about);
        }
        return Ok(true);
    }
    if arguments.list_directed {
        for (name, _, layout) in COURSES {
            println!("{name:<24} {layout}");
        }
        return Ok(true);
    }
    let profile = arguments.profile.as_deref().map(profile).transpose()?;
    let runner = match arguments.broken.as_deref() {
        None => Runner::sound(),
        Some(name) => Broken::find(name)
            .map(|rule| rule.runner())
            .ok_or_else(|| format!("no rule is called `{name}`\nhint: crm-sim --list-broken"))?,
    };
    if let Some(name) = arguments.directed.as_deref() {
        return directed(arguments, &runner, name);
    }
    let breaks = arguments.without.as_deref().map(assumption).transpose()?;
    if let Some(seed) = arguments.trace {
        let layouts = chosen(arguments)?;
        let [layout] = layouts[..] else {
            return Err("--trace needs one layout\nhint: add --layout NAME".to_owned());
        };
        let plan = Plan::draw(seed, layout, profile);
        let plan = match breaks {
            None => plan,
            Some(assumption) => plan.lacking(assumption),
        };
        let verdict = runner.run(&plan, Keep::Whole)?;
        print!("{}", report::whole(&plan, &verdict));
        return Ok(verdict.violation.is_none());
    }
    let began = Instant::now();
    let order = Campaign {
        layouts: chosen(arguments)?,
        profile,
        from: arguments.from,
        seeds: arguments.time.map_or(arguments.seeds, |_| u64::MAX),
        workers: arguments.workers.clamp(1, 64),
        keep_going: arguments.keep_going,
        breaks,
        until: arguments.time.map(|seconds| began + Duration::from_secs(seconds.min(TIME_MAX))),
    };
    if let Some(path) = &arguments.ledger {
        return pieces(arguments, order, &runner, path);
    }
    let totals = campaign(&order, &runner)?;
    for failure in totals.failures.iter().take(SHOWN_MAX) {
        println!("{}", report::failure(failure, &runner, !arguments.no_shrink)?);
    }
    print_figures(arguments, &totals, began.elapsed().as_secs_f64());
    Ok(totals.failures.is_empty())
}

/// Runs one directed plan from many seeds.
fn directed(arguments: &Arguments, runner: &Runner, name: &str) -> Result<bool, String> {
    let course = Course::find(name).ok_or_else(|| {
        format!("no directed plan is called `{name}`\nhint: crm-sim --list-directed")
    })?;
    if let Some(seed) = arguments.trace {
        let (plan, verdict) = runner.direct(course, seed, Keep::Whole)?;
        print!("{}", report::whole(&plan, &verdict));
        return Ok(verdict.violation.is_none());
    }
    let mut broken: BTreeMap<&str, u64> = BTreeMap::new();
    let mut led = 0;
    for seed in arguments.from..arguments.from + arguments.seeds {
        let (_, verdict) = runner.direct(course, seed, Keep::Nothing)?;
        led += u64::from(verdict.led);
        if let Some(violation) = verdict.violation {
            println!("seed {seed}: {}: {}", violation.invariant, violation.detail);
            *broken.entry(violation.invariant).or_default() += 1;
        }
    }
    println!("{name}: {} seeds, {led} of them led to the end, broken: {broken:?}", arguments.seeds);
    Ok(broken.is_empty())
}

/// Piece by piece, each added to the ledger when it has ended.
fn pieces(
    arguments: &Arguments,
    mut order: Campaign,
    runner: &Runner,
    path: &Path,
) -> Result<bool, String> {
    let mut ledger = Ledger::load(path)?;
    let end = ledger.next_seed + arguments.seeds;
    let mut sound = true;
    while ledger.next_seed < end && (sound || arguments.keep_going) {
        order.from = ledger.next_seed;
        order.seeds = PIECE.min(end - ledger.next_seed);
        // A piece is whole, so that the next one begins where it ended.
        order.keep_going = true;
        let began = Instant::now();
        let totals = campaign(&order, runner)?;
        let wall = began.elapsed().as_secs_f64();
        ledger.add(&arguments.build, order.seeds, order.layouts.len() as u64, &totals, wall);
        ledger.save(path)?;
        for failure in totals.failures.iter().take(SHOWN_MAX) {
            println!("{}", report::failure(failure, runner, !arguments.no_shrink)?);
        }
        sound &= totals.failures.is_empty();
        println!(
            "seeds {} to {}: {} runs so far, {:.0} simulated hours, {} violations ever; healed in {}",
            order.from,
            ledger.next_seed - 1,
            ledger.runs,
            ledger.simulated_hours,
            ledger.violations.values().sum::<u64>(),
            report::healed(&totals)
        );
    }
    Ok(sound)
}

fn print_figures(arguments: &Arguments, totals: &Totals, took: f64) {
    if arguments.json {
        println!("{}", report::json(totals, took));
    } else {
        print!("{}", report::figures(totals, took));
    }
}

fn chosen(arguments: &Arguments) -> Result<Vec<Layout>, String> {
    match arguments.layout.as_deref() {
        None => Ok(LAYOUTS.to_vec()),
        Some(names) => names
            .split(',')
            .map(|name| {
                layouts::find(name).ok_or_else(|| {
                    format!("no layout is called `{name}`\nhint: crm-sim --list-layouts")
                })
            })
            .collect(),
    }
}

fn profile(name: &str) -> Result<Profile, String> {
    Profile::find(name).ok_or_else(|| {
        let known: Vec<&str> = PROFILES.iter().map(|(name, _)| *name).collect();
        format!("no profile is called `{name}`; there are {}", known.join(", "))
    })
}

fn assumption(name: &str) -> Result<Assumption, String> {
    Assumption::find(name).ok_or_else(|| {
        let known: Vec<String> =
            ASSUMPTIONS.iter().map(|(name, _, what)| format!("  {name}  {what}")).collect();
        format!("no assumption is called `{name}`; there are\n{}", known.join("\n"))
    })
}

/// Seeds of one piece of a ledger.
const PIECE: u64 = 100;
/// Longest --time, in seconds.
const TIME_MAX: u64 = 7 * 24 * 3600;
/// Failures that are printed in full.
const SHOWN_MAX: usize = 3;
