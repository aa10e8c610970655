//! A service with roles: an agent that runs on several nodes and holds a role on each.

use super::{AgentRef, Timeouts};
use crate::id::{NodeId, ServiceId};
use crate::time::Span;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A PostgreSQL pair, a Data Guard pair, a DRBD resource seen as roles.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Service {
    pub id: ServiceId,
    pub agent: AgentRef,
    pub params: BTreeMap<String, String>,
    /// Where it may run; all nodes if empty.
    pub nodes: Vec<NodeId>,
    pub kind: ServiceKind,
    pub timeouts: Timeouts,
    pub interval: Span,
    /// A candidate for promotion may lag this far behind, in bytes.
    pub max_lag_bytes: Option<u64>,
    /// ... and in time.
    pub max_lag_age: Option<Span>,
}

/// Who decides which node holds which role.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ServiceKind {
    /// The cluster promotes and demotes.
    Managed,
    /// Somebody else does; the cluster reports the role and lets addresses follow it.
    Observed,
}
