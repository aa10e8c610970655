//! A node dies, another one serves.

use super::support::{A_WHILE, THREE, TWO, WEB, bring_back, say, web_group, with_device};
use crm_tests::namespaces::{Laboratory, Options};
use std::time::{Duration, Instant};

fn a_killed_nodes_group_runs_on_the_other(names: &[&str]) {
    let mut lab = Laboratory::new(Options::new(names, 1));
    let config = with_device(&lab, &web_group("web", &names.join(", "), WEB, 80));
    lab.found(&config);
    lab.wait_running("web", "alpha");
    let probe = lab.probe(&format!("{WEB}:80"), Duration::from_millis(5));
    probe.wait_for("alpha", Instant::now(), Duration::from_secs(5));
    let killed = Instant::now();
    lab.power_off("alpha");
    let dead = Instant::now();
    probe.wait_for("beta", killed, Duration::from_secs(20));
    let outage = probe.handover("alpha", "beta", killed).expect("answers before and after");
    say(format!("{} nodes: killed, nobody answered for {outage:?}", names.len()));
    lab.wait_running("web", "beta");
    // Nobody else was shot, and a third node has nothing of it.
    assert!(lab.fenced().is_empty() && !lab.fence_requests().is_empty(), "{}", lab.logs());
    assert!(lab.fence_requests().iter().all(|target| target == "alpha"), "{}", lab.logs());
    for name in names.iter().filter(|name| !["alpha", "beta"].contains(*name)) {
        assert!(!lab.node(name).has_address(WEB));
    }
    // The old owner returns and takes nothing back (HB16).
    bring_back(&mut lab, "alpha");
    lab.wait("alpha could run it", Duration::from_secs(20), |lab| {
        lab.view().is_some_and(|status| {
            let mut verdicts = status.groups.iter().flat_map(|group| &group.verdicts);
            verdicts.any(|verdict| verdict.node.as_str() == "alpha" && verdict.possible)
        })
    });
    lab.beats("beta", A_WHILE);
    assert_eq!(lab.place("web"), Some(("beta".to_owned(), true)));
    assert!(!lab.node("alpha").has_address(WEB));
    let gone = |answer: &&crm_tests::namespaces::Answer| {
        answer.at > dead && answer.from.as_deref() == Some("alpha")
    };
    assert_eq!(probe.answers().iter().find(gone), None, "a dead node answered");
}

#[test]
fn hb15_of_two_nodes_one_is_killed_and_its_group_runs_on_the_other() {
    a_killed_nodes_group_runs_on_the_other(TWO);
}

#[test]
fn hb15_of_three_nodes_one_is_killed_and_its_group_runs_on_another() {
    a_killed_nodes_group_runs_on_the_other(THREE);
}
