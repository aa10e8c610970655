//! What must hold between the parts of a configuration, once all of them are read.

mod agents;
mod clash;
mod fence_agents;
mod here;
mod nodes;
mod order;
mod ports;
mod protection;
mod references;
mod timing;

pub use here::{Here, MeasuredGap, StartedAtBoot};
pub(crate) use timing::DAEMON_RESTART;

use crate::agents::AgentCatalog;
use crate::diagnostic::Findings;
use crate::places::Places;
use crm_core::model::Cluster;

/// What every rule looks at.
pub(crate) struct Rulebook<'a> {
    cluster: &'a Cluster,
    places: &'a Places,
    findings: &'a mut Findings,
}

/// Judges `cluster`; `agents` only sharpens the judgement of agents and parameters.
pub(crate) fn judge(
    cluster: &Cluster,
    places: &Places,
    agents: &dyn AgentCatalog,
    here: &Here,
    findings: &mut Findings,
) {
    let mut rules = Rulebook { cluster, places, findings };
    rules.nodes();
    rules.timing();
    rules.references();
    rules.order();
    rules.clashes();
    rules.ports();
    rules.agents(agents);
    rules.fence_agents(agents);
    // What it promises makes sense only for a configuration that stands.
    if !rules.findings.has_errors() {
        rules.protection();
        rules.here(here);
    }
}
