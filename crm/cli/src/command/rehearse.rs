//! `crm verify`, `crm replay`, `crm simulate`: what a configuration does under faults, before it is
//! used. The real cluster logic on virtual time; nothing here talks to a daemon.

use crate::args::{Place, Replay, Simulate, Verify};
use crate::output::{Failure, Output, read_file, say};
use crm_api::Exit;
use crm_config::Severity;
use crm_sim::rehearse::{self, Moment, Order, Progress, Subject, Token};
use std::io::{self, BufRead, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant};

pub(crate) fn verify(place: &Place, args: &Verify, output: &mut Output) -> Result<Exit, Failure> {
    let subject = subject(place, args.file.as_deref())?;
    let workers = args.workers.map_or_else(processors, usize::from);
    let order = Order {
        tries: args.seeds,
        from: args.from,
        pairs: args.pairs,
        time: args.pairs.is_none().then_some(args.time),
        workers,
    };
    let bar = Bar::new();
    let report = rehearse::verify(&subject, &order, &|progress| bar.show(progress));
    bar.clear();
    let report = report.map_err(Failure::failed)?;
    if args.json {
        output.json(&report)?;
    } else {
        output.text(&rehearse::draw(&report))?;
    }
    Ok(if report.kept { Exit::Done } else { Exit::Failed })
}

pub(crate) fn replay(place: &Place, args: &Replay, output: &mut Output) -> Result<Exit, Failure> {
    let token = Token::parse(&args.token).map_err(|error| Failure::usage(error, ""))?;
    let subject = subject(place, args.file.as_deref())?;
    if token.digest != subject.digest {
        say("note: this is not the very file that the run was found with; it may go another way");
    }
    let case = token.case(&subject).map_err(|error| Failure::refused(error, ""))?;
    let (moments, trial) =
        rehearse::replay(&subject, &case, args.packets).map_err(Failure::failed)?;
    output.line(format!("{}, seed {}", case.words(&subject), case.seed))?;
    let steps = !args.all && output.is_terminal() && io::stdin().is_terminal();
    tell(&moments, steps, output)?;
    for broken in &trial.broken {
        let promise = broken.invariant.replace('_', " ");
        output.line(format!("a promise broke: {promise}: {}", broken.detail))?;
    }
    Ok(Exit::Done)
}

pub(crate) fn simulate(
    place: &Place,
    args: &Simulate,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let events = match args.events.strip_prefix('@') {
        Some(path) => read_file(Path::new(path))?,
        None => args.events.clone(),
    };
    let subject = subject(place, args.file.as_deref())?;
    let lasts = args.lasts.map(|lasts| u64::try_from(lasts.as_micros()).unwrap_or(u64::MAX));
    let told = rehearse::simulate(&subject, &events, args.seed, lasts, args.packets);
    let moments = told.map_err(|error| {
        let (reason, hint) = error.split_once("\nhint: ").unwrap_or((&error, ""));
        Failure::usage(reason, hint)
    })?;
    tell(&moments, false, output)?;
    Ok(Exit::Done)
}

/// The configuration, refused as `crm check` refuses it.
fn subject(place: &Place, file: Option<&Path>) -> Result<Subject, Failure> {
    let path: PathBuf = file.map_or_else(|| place.cluster_file(), Path::to_path_buf);
    let text = read_file(&path)?;
    Subject::new(&text).map_err(|_| {
        let checked = super::check::check(&path, &text);
        let errors = checked.diagnostics.iter().filter(|d| d.severity == Severity::Error);
        let lines: Vec<String> = errors.map(|diagnostic| diagnostic.one_line()).collect();
        let reason = if lines.is_empty() { path.display().to_string() } else { lines.join("\n") };
        Failure::new(Exit::Failed, reason, format!("crm check {} shows each place", path.display()))
    })
}

/// Prints a story; with `steps` it waits for Enter before each weighty moment.
fn tell(moments: &[Moment], steps: bool, output: &mut Output) -> Result<(), Failure> {
    for moment in moments {
        if steps && moment.weighty {
            let _ = write!(io::stderr().lock(), "-- Enter goes on, q ends --");
            let mut line = String::new();
            let read = io::stdin().lock().read_line(&mut line)?;
            if read == 0 || line.trim() == "q" {
                return Ok(());
            }
        }
        output.line(moment)?;
    }
    Ok(())
}

fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// One line on the standard error that says how far it is, where a person looks.
struct Bar {
    terminal: bool,
    shown: Mutex<Option<Instant>>,
    began: Instant,
}

impl Bar {
    fn new() -> Bar {
        let terminal = io::stderr().is_terminal();
        Bar { terminal, shown: Mutex::new(None), began: Instant::now() }
    }

    fn show(&self, progress: Progress) {
        let Ok(mut shown) = self.shown.lock() else { return };
        if !self.terminal || shown.is_some_and(|at| at.elapsed() < BAR_TURN) {
            return;
        }
        *shown = Some(Instant::now());
        let Progress { pairs, done, all } = progress;
        let filled = done.min(all) * BAR_WIDTH / all.max(1);
        let bar = format!("{}{}", "#".repeat(filled), ".".repeat(BAR_WIDTH - filled));
        let what = if pairs { "pairs of faults" } else { "single faults" };
        let seconds = self.began.elapsed().as_secs();
        let _ = write!(io::stderr().lock(), "\r[{bar}] {what}: {done} of {all}, {seconds}s\x1b[K");
    }

    fn clear(&self) {
        if self.terminal {
            let _ = write!(io::stderr().lock(), "\r\x1b[K");
        }
    }
}

const BAR_WIDTH: usize = 30;
const BAR_TURN: Duration = Duration::from_millis(100);
