//! From the command line to the loop.

use super::event_loop::{Ears, Witness};
use super::network::Network;
use super::options::WitnessOptions;
use super::seat::Seat;
use super::voter::Place;
use super::{NAME, keys};
use crate::control::{Control, Shared};
use crate::events::EventLog;
use crate::founding::{make_directory, read_limited};
use crate::happening::Tell;
use crate::{clock, lock, logging, random};
use crm_config::WitnessConfig;
use crm_core::event::Event;
use crm_core::id::Incarnation;
use nix::fcntl::Flock;
use nix::unistd::Uid;
use std::cell::{Cell, RefCell};
use std::fs::{DirBuilder, File};
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

/// Runs the witness until it is told to end.
///
/// # Errors
/// Why it did not start or had to end, with the way out. What is wrong with the files of one cluster
/// is no such reason: it is told, and the others are served.
pub fn serve(options: &WitnessOptions) -> Result<(), String> {
    logging::install(options.log)?;
    let config = read(options)?;
    make_directory(&options.state)?;
    DirBuilder::new()
        .recursive(true)
        .mode(0o755)
        .create(&options.run)
        .map_err(|error| format!("{} cannot be made: {error}", options.run.display()))?;
    let lock = lock(&options.state)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(4)
        .build()
        .map_err(|error| format!("the event loop cannot be made: {error}"))?;
    let local = tokio::task::LocalSet::new();
    let ended = local.block_on(&runtime, run(options, &config));
    drop(lock);
    ended
}

/// The configuration.
fn read(options: &WitnessOptions) -> Result<WitnessConfig, String> {
    let file = options.config_file();
    let text = read_limited(&file)
        .map_err(|error| format!("{error}\nhint: `crm witness --help` shows one to start from"))?;
    let checked = crm_config::check_witness(&file.display().to_string(), &text);
    checked.config.ok_or_else(|| {
        let lines: Vec<String> =
            checked.diagnostics.iter().map(crm_config::Diagnostic::one_line).collect();
        lines.join("\n")
    })
}

/// What is wrong with the files of the clusters, each in one text; for `crm witness check`.
#[must_use]
pub fn check_files(options: &WitnessOptions, config: &WitnessConfig) -> Vec<String> {
    let mut problems = Vec::new();
    for cluster in &config.clusters {
        let file = options.authkeys(&cluster.name, cluster.authkeys.as_deref());
        if let Err(problem) = crate::keys::load(&file) {
            let (reason, _) = problem.split_once("\nhint: ").unwrap_or((&problem, ""));
            problems.push(format!("cluster {}: {reason}", cluster.name));
        }
    }
    problems
}

/// Two witnesses on one store would vote twice.
fn lock(state: &Path) -> Result<Flock<File>, String> {
    let hint = "one serves all clusters of a machine; `systemctl status crm-witness` shows it";
    // No cluster can have this name.
    lock::hold(&state.join(".lock"), "another witness", hint)
}

async fn run(options: &WitnessOptions, config: &WitnessConfig) -> Result<(), String> {
    let now = clock::now();
    let (tell, inbox) = Tell::channel();
    let events = Rc::new(RefCell::new(EventLog::new()));
    let shared = Rc::new(Shared {
        tell: tell.clone(),
        events: events.clone(),
        operators: RefCell::new(Arc::from([])),
        own_uid: Uid::effective(),
        connections: Cell::new(0),
        followers: Cell::new(0),
    });
    let control = Control::serve(&options.socket(), shared)?;
    let places: Vec<Place> = config
        .clusters
        .iter()
        .map(|cluster| Place {
            cluster: cluster.name.clone(),
            authkeys: options.authkeys(&cluster.name, cluster.authkeys.as_deref()),
            state: options.state_of(&cluster.name),
            port: config.port,
        })
        .collect();
    let files = places.iter().map(|place| place.authkeys.clone()).collect();
    let keys = keys::watch(files).map_err(|error| format!("no thread can be made: {error}"))?;
    let incarnation = Incarnation(random::bits()?);
    let text = format!("{NAME} starts for {} clusters", places.len());
    events.borrow_mut().record(Event::info("started", text));
    let mut witness = Witness {
        seats: places.into_iter().map(|place| Seat::new(now, place)).collect(),
        network: Network::new(now, tell.clone(), &config.listen, config.port),
        events,
        run: incarnation,
        started: now,
    };
    let ended = witness.run(Ears { tell, inbox, keys }).await;
    drop(control);
    ended
}
