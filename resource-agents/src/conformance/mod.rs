//! Does an agent obey the contract? `crm agents test NAME` runs this; it starts and stops a real
//! resource, so give it parameters of one that nobody uses.

mod call;
mod checks;

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::metadata::MetaData;
use call::Caller;

/// The agent to test.
#[derive(Debug, Clone)]
pub enum Agent {
    /// A program that embeds [`crate::main_from_args`], and the agent's name in it.
    Builtin {
        /// `crm-agent`, or a program that is called like it.
        program: PathBuf,
        /// The agent's name.
        name: String,
    },
    /// Any executable that speaks our contract: `AGENT start|stop|status|validate|meta-data`.
    Executable(PathBuf),
    /// An OCF agent: `AGENT start|stop|monitor|validate-all|meta-data`, with OCF's environment.
    Ocf {
        /// `/usr/lib/ocf`, or another tree.
        root: PathBuf,
        /// The directory below `resource.d`.
        provider: String,
        /// The file's name.
        name: String,
    },
}

/// How to test.
#[derive(Debug, Clone)]
pub struct Options {
    /// Parameters of a resource that may be started and stopped.
    pub parameters: BTreeMap<String, String>,
    /// An empty directory for the agent's state.
    pub state_dir: PathBuf,
    /// The longest that one action may take.
    pub timeout: Duration,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// The agent's description, if it could be read.
    pub meta_data: Option<MetaData>,
    /// Every check, in the order in which it was made.
    pub checks: Vec<Check>,
}

/// One rule of the contract, tried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// The rule, in a few words.
    pub name: String,
    /// Did the agent keep it?
    pub verdict: Verdict,
    /// How long the call took, in milliseconds; 0 if none was made.
    pub took_ms: u64,
}

/// The result of one check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "result", content = "why")]
pub enum Verdict {
    /// It broke the rule: what was expected, what was found.
    Failed(String),
    /// It kept it.
    Passed,
    /// It could not be tried.
    Skipped(String),
}

impl Report {
    /// No check failed.
    pub fn passed(&self) -> bool {
        self.failures().next().is_none()
    }

    /// The checks that failed.
    pub fn failures(&self) -> impl Iterator<Item = &Check> {
        self.checks.iter().filter(|check| matches!(check.verdict, Verdict::Failed(_)))
    }
}

impl fmt::Display for Report {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for check in &self.checks {
            let (word, why) = match &check.verdict {
                Verdict::Failed(why) => ("FAILED ", why.as_str()),
                Verdict::Passed => ("passed ", ""),
                Verdict::Skipped(why) => ("skipped", why.as_str()),
            };
            write!(out, "{word}  {:>6} ms  {}", check.took_ms, check.name)?;
            if !why.is_empty() {
                write!(out, ": {why}")?;
            }
            writeln!(out)?;
        }
        Ok(())
    }
}

/// Runs every check. The resource is stopped before and after.
///
/// Blocks for as long as the agent takes, at most about fifteen times `timeout`: call it from a
/// thread that may wait.
pub fn run(agent: &Agent, options: &Options) -> Report {
    checks::run(&Caller::new(agent, options))
}
