//! The protocol's rules on a few nodes, single-stepped. The simulator goes wide; this goes deep.

mod cluster;

use cluster::Lab;
use crm_core::time::Span;

#[test]
fn r5_three_nodes_elect_one_coordinator() {
    let mut lab = Lab::new("device a b c");
    lab.run(Span::secs(3));
    assert_eq!(lab.coordinators().len(), 1, "{:#?}", lab.log);
    assert!(!lab.coordinators().contains("-"), "{:#?}", lab.log);
}

#[test]
fn r16_one_of_two_that_boots_alone_waits() {
    let mut lab = Lab::new("device a b");
    lab.crash(&"b".into());
    lab.run(Span::secs(20));
    assert_eq!(lab.coordinators(), ["-".to_owned()].into(), "{:#?}", lab.log);
    assert!(lab.fenced.is_empty(), "a booted node must not shoot");
    let warnings = lab.status("a").warnings.join("\n");
    assert!(warnings.contains("crm confirm-dead b"), "{warnings}");
}

#[test]
fn r6_the_survivor_of_two_fences_and_goes_on() {
    let mut lab = Lab::new("device a b");
    lab.run(Span::secs(3));
    assert_eq!(lab.coordinators().len(), 1);
    for dead in ["a", "b"] {
        let mut lab = Lab::new("device a b");
        lab.run(Span::secs(3));
        lab.crash(&dead.into());
        lab.run(Span::secs(8));
        let survivor = if dead == "a" { "b" } else { "a" };
        assert_eq!(lab.coordinators(), [survivor.to_owned()].into(), "{:#?}", lab.log);
        assert_eq!(lab.fenced, [dead.into()]);
        assert_eq!(lab.status(survivor).nodes.iter().filter(|n| n.voter).count(), 1);
        // R18: it returns, follows, and votes again.
        lab.boot(&dead.into());
        lab.run(Span::secs(8));
        assert_eq!(
            lab.status(survivor).nodes.iter().filter(|n| n.voter).count(),
            2,
            "{:#?}",
            lab.log
        );
        assert_eq!(lab.coordinators(), [survivor.to_owned()].into(), "{:#?}", lab.log);
    }
}

#[test]
fn h26_a_cut_in_two_ends_with_one_survivor() {
    let mut lab = Lab::new("device a b");
    lab.run(Span::secs(3));
    lab.cut("a", "b");
    lab.run(Span::secs(8));
    assert_eq!(lab.fenced.len(), 1, "{:#?}", lab.log);
    let alive = lab.machines.values().filter(|m| m.node.is_some()).count();
    assert_eq!(alive, 1);
}

#[test]
fn h30_a_minority_of_three_never_shoots() {
    let mut lab = Lab::new("device a b c");
    lab.run(Span::secs(3));
    lab.cut("a", "b");
    lab.cut("a", "c");
    lab.run(Span::secs(10));
    assert!(
        !lab.fenced.contains(&"b".into()) && !lab.fenced.contains(&"c".into()),
        "{:?}",
        lab.fenced
    );
}
