//! What a cluster lacks until everything runs, and how an operator would repair it.

use crm_core::packet::GroupPhase;
use crm_core::status::{NodeState, Status};

/// What is not well yet, and the command that an operator would give.
pub(crate) fn lacking(status: &Status) -> Option<(String, Option<Vec<String>>)> {
    let words = |words: &[&str]| Some(words.iter().map(ToString::to_string).collect());
    if status.maintenance.is_some() {
        return Some(("the end of maintenance".to_owned(), words(&["maintenance", "off"])));
    }
    for node in &status.nodes {
        let name = node.id.as_str();
        if node.standby {
            return Some((format!("{name} online"), words(&["online", name, "--no-wait"])));
        }
        if node.state != NodeState::Online || !node.voter || node.obeyed != Some(status.stamp) {
            return Some((format!("{name}: {:?}, voter {}", node.state, node.voter), None));
        }
    }
    for group in &status.groups {
        let name = group.id.as_str();
        if group.stopped_by_operator {
            return Some((format!("{name} started"), words(&["start", name, "--no-wait"])));
        }
        if !group.failures.is_empty() || !group.bans.is_empty() || group.pinned_to.is_some() {
            return Some((format!("{name} without failures"), words(&["clear", name])));
        }
        if group.phase != GroupPhase::Running || group.ending || group.owner.is_none() {
            return Some((format!("{name} running: {}", group.reason), None));
        }
    }
    None
}
