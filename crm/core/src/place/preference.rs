//! `prefer`, then file order; without `prefer`, the node that hosts the fewest groups.

use super::unit::Unit;

/// How much a unit likes a node: lower is better, equal means that it does not care.
pub(super) fn rank(unit: &Unit, node: usize) -> usize {
    if unit.prefer.is_empty() {
        return 0;
    }
    unit.prefer.iter().position(|preferred| *preferred == node).unwrap_or(unit.prefer.len() + node)
}

/// The best of the candidates: rank, then fewest groups hosted, then file order.
pub(super) fn best(unit: &Unit, candidates: &[bool], hosts: &[usize]) -> Option<usize> {
    (0..candidates.len())
        .filter(|node| candidates[*node])
        .min_by_key(|node| (rank(unit, *node), hosts[*node], *node))
}

/// The best candidate among the preferred nodes that is liked better than `present`: where
/// `failback: auto` leads.
pub(super) fn better_than(unit: &Unit, present: usize, candidates: &[bool]) -> Option<usize> {
    unit.prefer.iter().copied().take_while(|node| *node != present).find(|node| candidates[*node])
}
