//! `crm-config`: the text of `cluster.yaml` to the model that the core works with.
//!
//! The same text means the same on every node and at every time: nothing here asks the machine.
//! Everything wrong is reported at its place: what was expected, what was found, what to do.

// No panic on any input.
#![cfg_attr(not(test), warn(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod agents;
mod budget;
mod change;
mod diagnostic;
mod draft;
mod duration;
mod nearest;
mod places;
mod read;
mod rules;
mod source;
mod tree;
mod witness;

pub use agents::{
    AgentCatalog, AgentFacts, FenceAgent, FenceParameter, NoCatalog, OWN_AGENTS, OwnAgent,
    own_agent,
};
pub use budget::{GroupBudget, Protection, budget};
pub use change::{Change, Effect, describe_change};
pub use diagnostic::{DIAGNOSTICS_MAX, Diagnostic, Diagnostics, Severity};
pub use draft::{DraftError, DraftProtection, add_node, draft};
pub use duration::parse_duration;
pub use read::KEYS;
pub use rules::{Here, MeasuredGap, StartedAtBoot};
pub use source::{DEPTH_MAX, NODES_MAX, SCALAR_BYTES_MAX, TEXT_BYTES_MAX};
pub use witness::{CLUSTERS_MAX, CheckedWitness, WitnessConfig, WitnessedCluster, check_witness};

use crm_core::model::Cluster;
use diagnostic::Findings;

/// The name that stands for the text where no file was named.
pub const FILE_NAME: &str = "cluster.yaml";

/// What `crm check` has to say.
#[derive(Clone, Debug)]
pub struct Checked {
    /// The model, if no error forbids it.
    pub cluster: Option<Cluster>,
    /// Errors and warnings, in the order of the text.
    pub diagnostics: Vec<Diagnostic>,
}

/// Turns a configuration into the model, every default filled in.
///
/// # Errors
/// Everything that forbids it, and the warnings besides.
pub fn parse(text: &str) -> Result<Cluster, Diagnostics> {
    let checked = check(FILE_NAME, text, &NoCatalog);
    checked.cluster.ok_or(Diagnostics(checked.diagnostics))
}

/// Reads a configuration as [`parse`] does and tells all there is to say about it; `agents` knows
/// what is installed here. `file_name` is for the messages.
#[must_use]
pub fn check(file_name: &str, text: &str, agents: &dyn AgentCatalog) -> Checked {
    check_here(file_name, text, agents, &Here::default())
}

/// [`check`], with what this machine has measured besides.
#[must_use]
pub fn check_here(file_name: &str, text: &str, agents: &dyn AgentCatalog, here: &Here) -> Checked {
    let mut findings = Findings::new(file_name, text);
    let read =
        source::read(text, &mut findings).and_then(|tree| read::read_cluster(&tree, &mut findings));
    let cluster = match read {
        Some((cluster, places)) => {
            rules::judge(&cluster, &places, agents, here, &mut findings);
            Some(cluster).filter(|_| !findings.has_errors())
        }
        None => None,
    };
    Checked { cluster, diagnostics: findings.finish() }
}

/// [`parse`] for the core: a [`crm_core::model::ParseConfig`].
///
/// # Errors
/// The first error in one line, and how many more there are.
pub fn parse_for_core(text: &str) -> Result<Cluster, String> {
    parse(text).map_err(|diagnostics| diagnostics.one_line())
}
