//! The third vote: created anew, restored, heard by one side only.

use super::cluster::Lab;
use crm_core::id::{NodeId, StoreId};
use crm_core::record::Stored;
use crm_core::time::Span;
use crm_core::{Input, Shutdown};

fn witness() -> NodeId {
    NodeId::new(crm_core::model::WITNESS)
}

fn votes(lab: &Lab, by: &str) -> bool {
    lab.status(by).witness.is_some_and(|witness| witness.voter)
}

fn settled(config: &str) -> Lab {
    let mut lab = Lab::new(config);
    lab.run(Span::secs(6));
    assert_eq!(lab.holders("g"), ["a"], "{}", lab.log.join("\n"));
    assert!(votes(&lab, "a") && votes(&lab, "b"), "{}", lab.log.join("\n"));
    lab
}

/// What was moved by the witness's affairs: nothing.
fn nothing_moved(lab: &Lab) {
    let log = lab.log.join("\n");
    assert_eq!(lab.done, ["start g on a"], "{log}");
    assert!(lab.twice.is_empty() && lab.fenced.is_empty(), "{log}");
}

#[test]
fn r4_a_witness_votes_looks_at_nothing_and_runs_nothing() {
    let lab = settled("none a+ b+ witness | g@a");
    let own = lab.status("witness");
    assert_eq!(own.witness.as_ref().map(|own| own.voter), Some(true));
    assert!(own.groups.iter().all(|group| group.resources.is_empty()), "{own:?}");
    // The laboratory panics when a witness calls an agent.
    nothing_moved(&lab);
}

/// W23.
#[test]
fn r18_a_witness_with_an_empty_disk_is_another_voter_and_nothing_moves() {
    let mut lab = settled("none a+ b+ witness | g@a");
    lab.crash(&witness());
    lab.run(Span::secs(5));
    let said = lab.status("a").warnings.join("\n");
    assert!(said.contains("if one more vote is lost nothing is taken over"), "{said}");
    let machine = lab.machines.get_mut(&witness()).unwrap();
    machine.disk = Stored::new(StoreId(77));
    lab.boot(&witness());
    lab.run(Span::secs(10));
    assert!(votes(&lab, "a") && votes(&lab, "witness"), "{}", lab.log.join("\n"));
    nothing_moved(&lab);
    let warnings = lab.status("a").warnings.join("\n");
    assert!(!warnings.contains("witness"), "{warnings}");
    // The new one decides as the old one did.
    lab.crash(&NodeId::new("a"));
    lab.run(Span::secs(60));
    assert_eq!(lab.holders("g"), ["b"], "{}", lab.log.join("\n"));
}

/// While a node is down nobody can let the new one in; when it is back, it is.
#[test]
fn r18_an_empty_witness_beside_one_node_of_two_waits_for_the_other() {
    let mut lab = settled("none a+ b+ witness | g@a");
    lab.crash(&witness());
    lab.crash(&NodeId::new("b"));
    let machine = lab.machines.get_mut(&witness()).unwrap();
    machine.disk = Stored::new(StoreId(77));
    lab.boot(&witness());
    lab.run(Span::secs(30));
    assert!(!votes(&lab, "witness"), "one of three let it in\n{}", lab.log.join("\n"));
    lab.boot(&NodeId::new("b"));
    lab.run(Span::secs(40));
    assert!(votes(&lab, "witness"), "{}", lab.log.join("\n"));
    assert_eq!(lab.holders("g").len(), 1, "{}", lab.log.join("\n"));
    assert!(lab.twice.is_empty(), "{:?}", lab.twice);
}

/// H20: whoever heard the counter of its store before does not count its vote again, and says so.
#[test]
fn h20_a_restored_witness_loses_its_vote_until_it_is_created_anew() {
    let mut lab = settled("none a+ b+ witness | g@a");
    let old = Stored { writes: 1, ..lab.machines[&witness()].disk.clone() };
    lab.crash(&witness());
    lab.run(Span::millis(1500));
    lab.machines.get_mut(&witness()).unwrap().disk = old;
    lab.boot(&witness());
    lab.run(Span::secs(20));
    assert!(!votes(&lab, "a"), "{}", lab.log.join("\n"));
    let said = lab.status("a").warnings.join("\n");
    assert!(said.contains("node witness came back with an older state"), "{said}");
    nothing_moved(&lab);
    lab.crash(&witness());
    lab.machines.get_mut(&witness()).unwrap().disk = Stored::new(StoreId(78));
    lab.boot(&witness());
    lab.run(Span::secs(10));
    assert!(votes(&lab, "a") && votes(&lab, "witness"), "{}", lab.log.join("\n"));
    nothing_moved(&lab);
}

/// W23. A crash is no restoring: what was told was on the disk.
#[test]
fn h20_a_voter_that_loses_power_again_and_again_keeps_its_vote() {
    let mut lab = settled("none a+ b+ witness | g@a");
    for round in 0..20 {
        lab.crash(&witness());
        lab.run(Span::millis(700 + 31 * round));
        lab.boot(&witness());
        lab.run(Span::millis(1700 + 13 * round));
    }
    lab.run(Span::secs(5));
    assert!(votes(&lab, "a"), "{}", lab.log.join("\n"));
    assert!(!lab.log.join("\n").contains("older state"), "{}", lab.log.join("\n"));
    nothing_moved(&lab);
}

/// A path that works in one direction only is told by the side that is not heard.
#[test]
fn a_node_that_the_witness_does_not_hear_says_so() {
    let mut lab = settled("none a+ b+ witness | g@a");
    lab.cut.insert((NodeId::new("b"), witness()));
    lab.run(Span::secs(3));
    let said = lab.status("b").warnings.join("\n");
    assert!(said.contains("does not hear node b, which hears it"), "{said}");
    nothing_moved(&lab);
}

/// Only beta and the witness vote, alpha being down: beta that leaves must not leave all votes to the witness, which
/// never leads. When both are back somebody does.
#[test]
fn r14_who_leaves_a_witness_alone_keeps_its_vote() {
    let mut lab = settled("device a b witness | g@a");
    lab.crash(&witness());
    lab.machines.get_mut(&witness()).unwrap().disk = Stored::new(StoreId(77));
    lab.boot(&witness());
    lab.run(Span::millis(600));
    assert!(!votes(&lab, "a"), "{}", lab.log.join("\n"));
    lab.crash(&witness());
    lab.run(Span::secs(3));
    lab.crash(&"a".into());
    lab.run(Span::secs(15));
    lab.boot(&witness());
    lab.run(Span::secs(10));
    assert!(votes(&lab, "b") && lab.holders("g") == ["b"], "{}", lab.log.join("\n"));
    lab.handle(&"b".into(), Input::Shutdown { how: Shutdown::Leave });
    lab.run(Span::secs(5));
    assert!(lab.machines[&"b".into()].node.is_none(), "it left\n{}", lab.log.join("\n"));
    let kept = lab.machines[&witness()].disk.record.clone().unwrap().voters;
    assert!(kept.contains_key(&NodeId::new("b")), "{kept:?}");
    lab.boot(&"a".into());
    lab.run(Span::secs(5));
    lab.boot(&"b".into());
    lab.run(Span::secs(30));
    assert_eq!(lab.holders("g").len(), 1, "{}", lab.log.join("\n"));
    assert!(lab.twice.is_empty(), "{:?}", lab.twice);
}

/// It has no device, and no proof about it can decide anything.
#[test]
fn h31_a_witness_is_shot_by_nobody_and_its_silence_decides_nothing() {
    let mut lab = settled("device a b witness | g@a");
    lab.crash(&witness());
    lab.run(Span::secs(60));
    nothing_moved(&lab);
    // Alone with a dead witness, the survivor is one of three: it shoots nobody and waits.
    lab.crash(&NodeId::new("a"));
    lab.run(Span::secs(60));
    nothing_moved(&lab);
    assert_eq!(lab.coordinators(), ["-".to_owned()].into(), "{}", lab.log.join("\n"));
}
