//! Planning: turns what placement wants into lawful changes of the record (R11, R14, R18, R19).

mod evidence;
mod failures;
mod grants;
mod proof;
mod reset;
pub(crate) mod retired;
mod voters;

use crate::id::NodeId;
use crate::model::Cluster;
use crate::node::Node;
use crate::packet::Report;
use crate::record::Record;
use crate::rules::Rules;
use std::collections::BTreeMap;
use std::sync::Arc;

impl<R: Rules> Node<R> {
    /// Makes the next record from commands, reports and placement, and proposes it if it differs.
    pub(crate) fn plan(&mut self) {
        let (Some(current), Some(cluster)) = (self.stored.record.clone(), self.config.clone())
        else {
            return;
        };
        let Some(epoch) = self.coordinating().map(|coordinator| coordinator.epoch) else { return };
        let mut next = current.successor(epoch);
        let replies = self.carry_out_commands(&mut next);
        let planned = self.planned_cluster(&current, &next);
        let same = planned.is_none();
        let cluster = match planned {
            Some(planned) => {
                retired::keep(&mut next, &cluster, &planned);
                planned
            }
            None => {
                self.forget_what_ended(&current, &mut next, &cluster);
                cluster
            }
        };
        self.count_failures(&mut next, &cluster);
        self.forget_what_expired(&mut next, &cluster);
        self.note_armed(&mut next, &cluster);
        self.change_voters(&mut next, &cluster);
        self.reconcile_taken(&mut next, &cluster);
        // Who does not understand this configuration says so when it has it, and is given nothing: grants follow a round later.
        if same {
            self.change_grants(&mut next, &cluster);
        }
        let Record { retired, grants, .. } = &mut next;
        retired.retain(|group, _| grants.contains_key(group));
        if !replies.is_empty() || differs(&current, &next) || current.old_voters != current.voters {
            self.propose(next, replies);
        }
    }

    /// The configuration that `next` carries, when a command just changed it.
    fn planned_cluster(&self, current: &Record, next: &Record) -> Option<Arc<Cluster>> {
        if current.config.digest == next.config.digest {
            return None;
        }
        (self.parse)(&next.config.text).ok().map(Arc::new)
    }

    /// Newest report of every member, this node's own included.
    pub(crate) fn reports(&self) -> BTreeMap<&NodeId, &Report> {
        let mut reports: BTreeMap<&NodeId, &Report> = self
            .peers
            .iter()
            .filter_map(|(name, peer)| peer.report.as_ref().map(|report| (name, report)))
            .collect();
        reports.insert(&self.id, &self.report);
        reports
    }
}

/// Whether two records differ in more than their stamps and history.
fn differs(current: &Record, next: &Record) -> bool {
    current.voters != next.voters
        || current.config.digest != next.config.digest
        || current.intents != next.intents
        || current.failures != next.failures
        || current.failures_counted != next.failures_counted
        || current.bans != next.bans
        || current.grants != next.grants
        || current.roles != next.roles
        || current.armed != next.armed
        || current.retired != next.retired
}
