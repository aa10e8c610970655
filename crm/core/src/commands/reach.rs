//! A new configuration counts for the coordinator's own links from the moment it is proposed: who can be reached by
//! the present one only never hears of it.

use crate::id::NodeId;
use crate::model::Cluster;

/// What a new configuration would cut off.
pub(super) enum CutOff {
    Everybody,
    Node(NodeId),
}

/// Every node keeps the port, and one of its addresses under the same number.
pub(super) fn cut_off(before: &Cluster, after: &Cluster) -> Option<CutOff> {
    if before.timing.port != after.timing.port {
        return Some(CutOff::Everybody);
    }
    let kept = before.nodes.iter().filter_map(|old| Some((old, after.node(&old.id)?)));
    let mut lost = kept
        .filter(|(old, new)| !old.links.iter().zip(&new.links).any(|(old, new)| old == new))
        .map(|(old, _)| old.id.clone());
    lost.next().map(CutOff::Node)
}
