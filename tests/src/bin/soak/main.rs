//! Three nodes with real daemons, random faults, fencing and operators for hours, with periods of quiet between them in
//! which everything must be well, silent and of constant size. What is forbidden is looked for by `lab-probe`.
//!
//!     soak [--minutes N] [--seed N] [--short] [--out DIR]
//!
//! Ends by itself, at the latest when its time and one healing are over; what it started ends with it, whatever ends it.
//! `DIR` keeps a line a minute (`log`), the figures so far (`summary.json`), what the probe saw (`probe.log`) and, after a
//! failure, the nodes' logs.

mod chance;
mod faults;
mod host;
mod judgement;
mod life;
mod operators;
mod outside;
mod scene;
mod story;
mod summary;
mod wellness;

use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// What was asked for.
pub(crate) struct Plan {
    pub(crate) time: Duration,
    pub(crate) seed: u64,
    /// Minutes instead of hours: shorter deadtime, storms and quiet.
    pub(crate) short: bool,
    pub(crate) out: PathBuf,
}

static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// Whether the run is to end early.
pub(crate) fn interrupted() -> bool {
    INTERRUPTED.load(Ordering::Relaxed)
}

fn main() -> ExitCode {
    let Some(plan) = plan() else {
        eprintln!("usage: soak [--minutes N] [--seed N] [--short] [--out DIR]");
        return ExitCode::from(2);
    };
    if let Err(error) = until_interrupted().and_then(|()| std::fs::create_dir_all(&plan.out)) {
        eprintln!("soak: {}: {error}", plan.out.display());
        return ExitCode::FAILURE;
    }
    if story::run(&plan) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn plan() -> Option<Plan> {
    let mut plan = Plan {
        time: Duration::from_secs(2 * 3600),
        seed: 1,
        short: false,
        out: std::env::temp_dir().join(format!("crm-soak-{}", std::process::id())),
    };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        match word.as_str() {
            "--minutes" => {
                let minutes: f64 = words.next()?.parse().ok()?;
                plan.time = Duration::try_from_secs_f64(minutes * 60.0).ok()?;
            }
            "--seed" => plan.seed = words.next()?.parse().ok()?,
            "--out" => plan.out = PathBuf::from(words.next()?),
            "--short" => plan.short = true,
            _ => return None,
        }
    }
    Some(plan)
}

#[allow(unsafe_code)]
fn until_interrupted() -> std::io::Result<()> {
    extern "C" fn note(_: nix::libc::c_int) {
        INTERRUPTED.store(true, Ordering::Relaxed);
    }
    let action = SigAction::new(SigHandler::Handler(note), SaFlags::SA_RESTART, SigSet::empty());
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        // SAFETY: the handler stores one atomic flag.
        unsafe { sigaction(signal, &action) }?;
    }
    Ok(())
}
