//! A changed definition of a group: what needs a restart is restarted, with all that stands on it;
//! what does not is taken at once.

use super::group::{GroupRun, ResourceRun};
use crate::model::{Group, Resource};
use crate::time::Time;
use std::sync::Arc;

/// Takes a definition that is in force now.
pub(super) fn redefine(group: &mut GroupRun, spec: &Group, now: Time) {
    group.removed = false;
    if *group.spec == *spec {
        group.next_spec = None;
        return;
    }
    let spec = Arc::new(spec.clone());
    let same = group
        .resources
        .iter()
        .zip(&spec.resources)
        .take_while(|(run, new)| runs_alike(&run.spec, new))
        .count();
    if same == group.resources.len() && same == spec.resources.len() {
        for (run, new) in group.resources.iter_mut().zip(&spec.resources) {
            run.spec = Arc::new(new.clone());
        }
        group.spec = spec;
        group.next_spec = None;
        return;
    }
    if group.is_stopped(true) {
        take(group, &spec, now);
        return;
    }
    group.stop_from = Some(group.stop_from.map_or(same, |from| from.min(same)));
    group.next_spec = Some(spec);
}

/// Whether a running resource may go on under the other definition.
fn runs_alike(old: &Resource, new: &Resource) -> bool {
    old.id == new.id && old.agent == new.agent && old.params == new.params && old.args == new.args
}

/// Replaces everything: nothing of the old definition runs.
pub(super) fn take(group: &mut GroupRun, spec: &Arc<Group>, now: Time) {
    take_tail(group, spec, 0, now);
}

/// Replaces the resources from `from` on, which are stopped; those before are the same.
pub(super) fn take_tail(group: &mut GroupRun, spec: &Arc<Group>, from: usize, now: Time) {
    group.resources.truncate(from);
    for (run, new) in group.resources.iter_mut().zip(&spec.resources) {
        run.spec = Arc::new(new.clone());
    }
    for new in spec.resources.iter().skip(group.resources.len()) {
        group.resources.push(ResourceRun::new(new, now));
    }
    group.spec = spec.clone();
    group.stop_from = None;
    group.failed = None;
}
