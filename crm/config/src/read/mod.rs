//! Tree to model, one file a part of the configuration. Everything wrong is noted and reading goes
//! on with a default, so that one look shows all errors of a file.

mod fencing;
mod groups;
mod nodes;
mod resource;
mod section;
mod services;
mod timing;
mod top;
mod value;

pub(crate) use section::Section;
pub(crate) use top::read_cluster;

/// Every key that `cluster.yaml` knows, by the part it belongs to; agents add their parameters.
pub const KEYS: &[(&str, &[&str])] = &[
    ("top", top::KEYS),
    ("node", nodes::KEYS),
    ("heartbeat", timing::KEYS),
    ("device", fencing::KEYS),
    ("witness", top::WITNESS_KEYS),
    ("tiebreak", top::TIEBREAK_KEYS),
    ("group", groups::KEYS),
    ("resource", resource::RESERVED),
    ("timeouts", resource::TIMEOUT_KEYS),
    ("service", services::KEYS),
    ("witness.yaml", crate::witness::KEYS),
    ("cluster of a witness", crate::witness::CLUSTER_KEYS),
];

use crate::diagnostic::Findings;
use crate::places::Places;

/// What every part of the reading carries along.
pub(crate) struct Reader<'f> {
    pub(crate) findings: &'f mut Findings,
    pub(crate) places: Places,
}
