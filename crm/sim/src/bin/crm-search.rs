//! `crm-search`: tries every placement of a few faults in small clusters, and says what broke.

use clap::Parser;
use crm_core::rules::Sound;
use crm_sim::assumptions::Assumption;
use crm_sim::broken::Broken;
use crm_sim::mutant::{self, Mutant};
use crm_sim::search::layouts::{self, SEARCHED};
use crm_sim::search::{Bounds, Cost, Found, Menu, Path, STORIES, Story, explore, replay};
use crm_sim::trace::Trace;
use std::collections::BTreeSet;
use std::io::Write;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Searches small clusters of the real core for a broken promise.
#[derive(Parser, Debug)]
#[command(version, about)]
struct Arguments {
    /// Only these layouts, with commas.
    #[arg(long)]
    layout: Option<String>,
    /// Only these stories, with commas.
    #[arg(long)]
    story: Option<String>,
    /// Faults on one path, beside what the story itself does.
    #[arg(long, default_value_t = 1)]
    twists: u8,
    /// Both lengths of every fault, and packets held back.
    #[arg(long)]
    full: bool,
    /// Different states of one search, at most.
    #[arg(long, default_value_t = 50_000_000)]
    states: u64,
    /// Leave out so many of the first faults: goes on where a bounded search ended.
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// Try what breaks an assumption, too: as1 (a store is restored to an older copy), as2 (a virtual machine is paused).
    #[arg(long)]
    without: Option<String>,
    /// Seconds of one search, at most.
    #[arg(long)]
    seconds: Option<u64>,
    /// Searches at the same time.
    #[arg(long, default_value_t = 2)]
    workers: usize,
    /// Break this rule of the core on purpose.
    #[arg(long)]
    broken: Option<String>,
    /// Remember in this file what is done, and leave out what was done before.
    #[arg(long)]
    done: Option<std::path::PathBuf>,
    /// Print no trace of a broken promise.
    #[arg(long)]
    brief: bool,
    /// Print what each kind of fault cost.
    #[arg(long)]
    costs: bool,
    /// List layouts and stories.
    #[arg(long)]
    list: bool,
}

/// One search: a layout and a story.
type Job = (crm_sim::layouts::Layout, Story);

fn main() -> ExitCode {
    match work(&Arguments::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("crm-search: {error}");
            ExitCode::from(2)
        }
    }
}

fn work(arguments: &Arguments) -> Result<bool, String> {
    if arguments.list {
        for layout in SEARCHED {
            println!("{:<24} {}", layout.name, layout.about);
        }
        for (name, _) in STORIES {
            println!("{name}");
        }
        return Ok(true);
    }
    let jobs = jobs(arguments)?;
    let broken =
        match arguments.broken.as_deref() {
            None => None,
            Some(name) => Some(Broken::find(name).ok_or_else(|| {
                format!("no rule is called `{name}`\nhint: crm-sim --list-broken")
            })?),
        };
    let breaks = match arguments.without.as_deref().map(|name| (name, Assumption::find(name))) {
        None => None,
        Some((_, Some(breaks @ (Assumption::Disk | Assumption::Clock)))) => Some(breaks),
        Some((name, _)) => {
            return Err(format!("`{name}` is not searched without; expected as1 or as2"));
        }
    };
    let bounds = Bounds {
        twists: arguments.twists,
        menu: if arguments.full { Menu::Full } else { Menu::Short },
        states_max: arguments.states,
        lasts: arguments.seconds.map(Duration::from_secs),
        from: arguments.from,
        breaks,
    };
    let done = Done::read(arguments)?;
    let (next, failed, errors) = (AtomicUsize::new(0), AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..arguments.workers.clamp(1, 64) {
            scope.spawn(|| {
                while let Some(job) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let name = title(job, arguments);
                    if done.has(&name) {
                        continue;
                    }
                    let search = || one(job, bounds, arguments, broken.is_some());
                    let outcome = match broken {
                        Some(broken) => mutant::without(broken.rules, search),
                        None => search(),
                    };
                    match outcome {
                        Ok((line, text, kept)) => {
                            println!("{name} {line}");
                            print!("{text}");
                            if !kept {
                                failed.fetch_add(1, Ordering::Relaxed);
                            }
                            done.add(&name, &line);
                        }
                        Err(error) => {
                            let mut errors = errors.lock().unwrap_or_else(|e| e.into_inner());
                            errors.push(format!("{name}: {error}"));
                        }
                    }
                }
            });
        }
    });
    let errors = errors.into_inner().unwrap_or_else(|e| e.into_inner());
    match errors.first() {
        Some(error) => Err(error.clone()),
        None => Ok(failed.into_inner() == 0),
    }
}

fn title((layout, story): &Job, arguments: &Arguments) -> String {
    let menu = if arguments.full { "full" } else { "short" };
    let without = arguments.without.as_ref().map(|name| format!("without {name} "));
    let without = without.unwrap_or_default();
    format!("{:<22} {:<16} {} {menu:<5} {without}", layout.name, story.name(), arguments.twists)
}

fn one(
    job: &Job,
    bounds: Bounds,
    arguments: &Arguments,
    broken: bool,
) -> Result<(String, String, bool), String> {
    if broken {
        search::<Mutant>(job, bounds, arguments)
    } else {
        search::<Sound>(job, bounds, arguments)
    }
}

fn search<R: crm_core::rules::Rules>(
    (layout, story): &Job,
    bounds: Bounds,
    arguments: &Arguments,
) -> Result<(String, String, bool), String> {
    let began = Instant::now();
    let (found, broken) = explore(story.begin::<R>(*layout, Trace::silent())?, bounds);
    let line = figures(&found, began.elapsed());
    let mut text = if arguments.costs { costs(&found) } else { String::new() };
    let Some((path, violation)) = broken else { return Ok((line, text, true)) };
    text += &format!("  VIOLATION {}: {}\n", violation.invariant, violation.detail);
    let mut world = story.begin::<R>(*layout, Trace::whole())?;
    let before = world.trace.lines().len();
    let again = replay(&mut world, &path);
    text.push_str(&told(&path));
    if !arguments.brief {
        for line in world.trace.lines().into_iter().skip(before) {
            text.push_str(&format!("  {line}\n"));
        }
    }
    if again.as_ref().map(|violation| violation.invariant) != Some(violation.invariant) {
        text.push_str(&format!("  (carried out again, the path ends with {again:?})\n"));
    }
    Ok((line, text, false))
}

fn told(path: &Path) -> String {
    path.iter().map(|(event, twist)| format!("  at event {event}: {twist:?}\n")).collect()
}

fn costs(found: &Found) -> String {
    let line = |(kind, cost): (&&str, &Cost)| {
        let Cost { branches, known, events } = cost;
        format!("  {kind:<14} {branches:>9} faults {known:>9} known at once {events:>10} events\n")
    };
    found.costs.iter().map(line).collect()
}

fn figures(found: &Found, took: Duration) -> String {
    format!(
        "{:>9} states {:>9} events {:>8} faults {:>7} settled {:>7.1} s {}",
        found.states,
        found.events,
        found.branches,
        found.settled,
        took.as_secs_f64(),
        match found.exhausted {
            true => "exhausted".to_owned(),
            false => format!("bounded: the first {} of the first faults", found.until),
        }
    )
}

fn jobs(arguments: &Arguments) -> Result<Vec<Job>, String> {
    let layouts = match arguments.layout.as_deref() {
        None => SEARCHED.to_vec(),
        Some(names) => names
            .split(',')
            .map(|name| layouts::find(name).ok_or_else(|| format!("no layout is called `{name}`")))
            .collect::<Result<_, _>>()?,
    };
    let stories: Vec<Story> = match arguments.story.as_deref() {
        // What a person gave up breaks promises by his word.
        None => STORIES.iter().map(|(_, s)| *s).filter(|s| *s != Story::Parts).collect(),
        Some(names) => names
            .split(',')
            .map(|name| Story::find(name).ok_or_else(|| format!("no story is called `{name}`")))
            .collect::<Result<_, _>>()?,
    };
    let all = stories.iter().flat_map(|story| layouts.iter().map(|layout| (*layout, *story)));
    Ok(all.filter(|(layout, story)| story.suits(layout)).collect())
}

/// The searches that were finished, one a line.
struct Done {
    file: Option<Mutex<std::fs::File>>,
    names: BTreeSet<String>,
}

impl Done {
    fn read(arguments: &Arguments) -> Result<Done, String> {
        let Some(path) = &arguments.done else {
            return Ok(Done { file: None, names: BTreeSet::new() });
        };
        let wrong = |error: std::io::Error| format!("{}: {error}", path.display());
        let mut options = std::fs::OpenOptions::new();
        let file = options.create(true).append(true).open(path).map_err(wrong)?;
        let text = std::fs::read_to_string(path).map_err(wrong)?;
        let names = text.lines().filter_map(|line| line.split_once('|'));
        let names = names.map(|(name, _)| name.trim_end().to_owned()).collect();
        Ok(Done { file: Some(Mutex::new(file)), names })
    }

    fn has(&self, name: &str) -> bool {
        self.names.contains(name.trim_end())
    }

    fn add(&self, name: &str, line: &str) {
        let Some(file) = &self.file else { return };
        let mut file = file.lock().unwrap_or_else(|e| e.into_inner());
        if let Err(error) = writeln!(file, "{name}|{line}") {
            eprintln!("crm-search: what is done could not be written down: {error}");
        }
    }
}
