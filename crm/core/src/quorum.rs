//! When a set of voters decides (docs/rules.md; R5, R6, R8, H10).

use crate::id::NodeId;
use crate::record::{Record, Voters};
use crate::rules::{Rule, Rules};
use std::collections::BTreeSet;

/// How far a set of voters reaches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Weight {
    Decisive,
    /// Exactly half somewhere: these voters would have to be proved dead by a device or the
    /// operator.
    Tie(BTreeSet<NodeId>),
    Minority,
}

/// Weighs `present` under both voter sets of the record. `proved` are the nodes that a device or
/// the operator proved dead in this candidacy or coordinatorship; lease proofs are never in it
/// (H4). `authority`: this node may decide a tie (H6).
pub(crate) fn weigh<R: Rules>(
    record: &Record,
    present: &BTreeSet<NodeId>,
    proved: &BTreeSet<NodeId>,
    authority: bool,
) -> Weight {
    let mut missing = BTreeSet::new();
    let old = if R::holds(Rule::JointVoters) { &record.old_voters } else { &record.voters };
    for electorate in [&record.voters, old] {
        let have = electorate.keys().filter(|voter| present.contains(*voter)).count();
        match (have * 2).cmp(&electorate.len()) {
            std::cmp::Ordering::Greater => {}
            std::cmp::Ordering::Equal if !electorate.is_empty() => {
                missing.extend(absent(electorate, present));
            }
            _ => return Weight::Minority,
        }
    }
    if missing.is_empty() || (authority && missing.is_subset(proved)) {
        Weight::Decisive
    } else {
        Weight::Tie(missing.difference(proved).cloned().collect())
    }
}

fn absent<'a>(
    electorate: &'a Voters,
    present: &'a BTreeSet<NodeId>,
) -> impl Iterator<Item = NodeId> + 'a {
    electorate.keys().filter(|voter| !present.contains(*voter)).cloned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::StoreId;
    use crate::rules::Sound;

    fn set(names: &str) -> BTreeSet<NodeId> {
        names.split_whitespace().map(NodeId::new).collect()
    }

    fn voters(names: &str) -> Voters {
        set(names).into_iter().map(|n| (n, StoreId(1))).collect()
    }

    /// Each row: V | Vold | present | proved | authority → weight.
    #[test]
    fn voters_are_weighed_under_both_sets() {
        let table = [
            ("a b c | a b c | a b |  | -", "decisive"),
            ("a b c | a b c | a |  | -", "minority"),
            ("a b | a b | a |  | -", "tie b"),
            ("a b | a b | a | b | yes", "decisive"),
            // H6: without authority a proof decides nothing.
            ("a b | a b | a | b | -", "tie "),
            // H10: after a tie the old set still asks for the fence.
            ("a | a b | a |  | yes", "tie b"),
            ("a | a b | a | b | yes", "decisive"),
            ("a | a | a |  | -", "decisive"),
            ("a b c | a b | a c |  | -", "tie b"),
            ("a b c d | a b c d | a b | c | yes", "tie d"),
            (" |  | a |  | yes", "minority"),
        ];
        for (row, want) in table {
            let c: Vec<&str> = row.split('|').map(str::trim).collect();
            let record =
                Record { voters: voters(c[0]), old_voters: voters(c[1]), ..Record::default() };
            let got = match weigh::<Sound>(&record, &set(c[2]), &set(c[3]), c[4] == "yes") {
                Weight::Decisive => "decisive".to_owned(),
                Weight::Minority => "minority".to_owned(),
                Weight::Tie(missing) => {
                    let names: Vec<&str> = missing.iter().map(NodeId::as_str).collect();
                    format!("tie {}", names.join(" "))
                }
            };
            assert_eq!(got, want, "{row}");
        }
    }
}
