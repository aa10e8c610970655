//! Cut links and majorities.

use super::support::{WEB, web_group, with_device};
use crm_tests::namespaces::{Laboratory, Options};
use std::time::Duration;

#[test]
fn h30_the_majority_fences_who_is_cut_off_and_serves() {
    let mut lab = Laboratory::new(Options::new(&["alpha", "beta", "gamma"], 1));
    let config = with_device(&lab, &web_group("web", "alpha, beta, gamma", WEB, 80));
    lab.found(&config);
    lab.wait_running("web", "alpha");
    lab.cable("alpha", 0, false);
    lab.wait("one of the majority runs web", Duration::from_secs(30), |lab| {
        ["beta", "gamma"].iter().any(|name| lab.node(name).has_address(WEB))
    });
    assert_eq!(lab.fenced(), ["alpha"], "the minority shot nobody\n{}", lab.logs());
    assert!(!lab.node("alpha").is_up());
}

#[test]
fn one_silent_link_of_two_moves_nothing_and_is_told() {
    let mut lab = Laboratory::new(Options::new(&["alpha", "beta"], 2));
    let config = with_device(&lab, &web_group("web", "alpha, beta", WEB, 80));
    lab.found(&config);
    lab.wait_running("web", "alpha");
    lab.cable("beta", 1, false);
    lab.wait("the status tells of the silent link", Duration::from_secs(20), |lab| {
        lab.node("alpha").status().warnings.iter().any(|w| w.contains("link 1 to node beta"))
    });
    assert_eq!(lab.place("web"), Some(("alpha".to_owned(), true)));
    assert!(lab.fenced().is_empty());
    lab.cable("beta", 1, true);
    lab.wait("the warning goes", Duration::from_secs(20), |lab| {
        !lab.node("alpha").status().warnings.iter().any(|w| w.contains("link 1"))
    });
    assert_eq!(lab.place("web"), Some(("alpha".to_owned(), true)));
}
