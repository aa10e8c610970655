//! The commands that rehearse a configuration.

use clap::Args as ClapArgs;
use std::path::PathBuf;
use std::time::Duration;

#[derive(Debug, ClapArgs)]
pub(crate) struct Verify {
    /// The file [default: cluster.yaml in the configuration directory]
    #[arg(value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
    /// How long to go on with pairs of faults, such as 30s or 10m
    #[arg(long, value_name = "TIME", default_value = "1m", value_parser = time)]
    pub(crate) time: Duration,
    /// Tries of each single fault
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    pub(crate) seeds: u64,
    /// The first seed; the same one gives the same runs
    #[arg(long, value_name = "SEED", default_value_t = 1, value_parser = clap::value_parser!(u64).range(..=u64::MAX / 2))]
    pub(crate) from: u64,
    /// Run so many pairs of faults, once each, and take the time that this needs
    #[arg(long, value_name = "N", conflicts_with = "time")]
    pub(crate) pairs: Option<usize>,
    /// Runs at the same time [default: one for each processor]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(crate) workers: Option<u16>,
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Replay {
    /// A run as `crm verify` names it
    #[arg(value_name = "TOKEN")]
    pub(crate) token: String,
    /// The file that was verified [default: cluster.yaml in the configuration directory]
    #[arg(value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
    /// Do not wait for Enter
    #[arg(long)]
    pub(crate) all: bool,
    /// Show the packets and the writes too
    #[arg(long)]
    pub(crate) packets: bool,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Simulate {
    /// The file [default: cluster.yaml in the configuration directory]
    #[arg(value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
    /// What happens, counted from when the cluster is up: "10s crash alpha; 1m boot alpha", or @FILE
    #[arg(long, value_name = "EVENTS")]
    pub(crate) events: String,
    /// The luck of the run; the same seed is the same story
    #[arg(long, value_name = "SEED", default_value_t = 1)]
    pub(crate) seed: u64,
    /// How long the story lasts [default: until nothing more is to be expected]
    #[arg(long = "for", value_name = "TIME", value_parser = time)]
    pub(crate) lasts: Option<Duration>,
    /// Show the packets and the writes too
    #[arg(long)]
    pub(crate) packets: bool,
}

/// A time as the configuration writes it; a day at most.
fn time(text: &str) -> Result<Duration, String> {
    let span = crm_config::parse_duration(text)
        .map_err(|_| "expected a time such as 30s or 10m".to_owned())?;
    let duration = Duration::from_micros(span.as_micros());
    if duration > Duration::from_secs(24 * 3600) {
        return Err("expected at most 24h".to_owned());
    }
    Ok(duration)
}
