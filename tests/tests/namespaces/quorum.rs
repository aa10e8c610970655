//! Cut links and majorities.

use super::support::{A_WHILE, THREE, TWO, WEB, decisions, pids, say, web_group, with_device};
use crm_tests::namespaces::{FenceMode, Laboratory, Options};
use std::time::{Duration, Instant};

const MAIL: &str = "10.77.0.101";
const NEWS: &str = "10.77.0.102";

/// The minority keeps what it runs and starts nothing, though it prefers and could run all of it; it
/// shoots nobody, and changes nothing for an operator.
#[test]
fn h30_the_majority_fences_who_is_cut_off_and_serves_and_the_minority_starts_nothing() {
    let mut lab = Laboratory::new(Options::new(THREE, 1));
    let groups = web_group("web", "alpha, beta, gamma", WEB, 80)
        + &web_group("mail", "beta, alpha", MAIL, 80)
        + &web_group("news", "gamma, alpha", NEWS, 80);
    let config = with_device(&lab, &groups);
    lab.found(&config);
    for (group, node) in [("web", "alpha"), ("mail", "beta"), ("news", "gamma")] {
        if lab.place(group).is_none_or(|(on, _)| on != node) {
            lab.node("alpha").crm(&["migrate", group, node]);
        }
        lab.wait_running(group, node);
    }
    let servers = pids(&lab, "alpha", "lab-web");
    assert_eq!(servers.len(), 1);
    lab.set_fencing(FenceMode::Fails);
    lab.isolate("alpha", 0, true);
    lab.wait("alpha has no quorum", Duration::from_secs(20), |lab| {
        lab.node("alpha").try_status().is_some_and(|status| !status.quorum)
    });
    lab.wait("the majority has tried to shoot it", Duration::from_secs(20), |lab| {
        lab.fence_requests().len() >= 2 && lab.node("beta").status().quorum
    });
    // The majority acts: an operator may move what is its own.
    lab.node("beta").crm(&["stop", "news"]);
    lab.node("beta").crm(&["start", "news"]);
    // The minority does not: it says that it cannot.
    std::thread::scope(|scope| {
        let lab = &lab;
        for args in
            [["migrate", "mail", "alpha"].as_slice(), &["stop", "web"], &["standby", "beta"]]
        {
            scope.spawn(move || {
                let done = lab.node("alpha").run("crm", args);
                assert_eq!(done.code, 5, "{args:?}: {}{}", done.stdout, done.stderr);
            });
        }
    });
    lab.beats("beta", A_WHILE);
    for address in [MAIL, NEWS] {
        assert!(!lab.node("alpha").has_address(address), "{}", lab.logs());
    }
    assert_eq!(pids(&lab, "alpha", "lab-web"), servers, "{}", lab.logs());
    assert!(lab.node("alpha").has_address(WEB), "what cannot be taken goes on\n{}", lab.logs());
    for name in ["beta", "gamma"] {
        assert!(!lab.node(name).has_address(WEB), "taken without a proof\n{}", lab.logs());
    }
    assert!(lab.fence_requests().iter().all(|target| target == "alpha"), "{}", lab.logs());
    let proved = Instant::now();
    lab.set_fencing(FenceMode::Works);
    lab.wait("one of the majority runs web", Duration::from_secs(60), |lab| {
        lab.place("web").is_some_and(|(on, running)| on != "alpha" && running)
    });
    say(format!("the majority served {:?} after its device worked again", proved.elapsed()));
    assert_eq!(lab.fenced(), ["alpha"], "{}", lab.logs());
    assert!(!lab.node("alpha").is_up());
    assert!(["beta", "gamma"].iter().any(|name| lab.node(name).has_address(WEB)));
}

#[test]
fn h30_who_is_cut_off_is_fenced_at_once_where_the_device_works() {
    let mut lab = Laboratory::new(Options::new(THREE, 1));
    let config = with_device(&lab, &web_group("web", "alpha, beta, gamma", WEB, 80));
    lab.found(&config);
    lab.wait_running("web", "alpha");
    let probe = lab.probe(&format!("{WEB}:80"), Duration::from_millis(5));
    probe.wait_for("alpha", Instant::now(), Duration::from_secs(5));
    let cut = Instant::now();
    lab.cable("alpha", 0, false);
    lab.wait("one of the majority runs web", Duration::from_secs(30), |lab| {
        lab.place("web").is_some_and(|(on, running)| on != "alpha" && running)
    });
    let owner = lab.place("web").map(|(on, _)| on).unwrap_or_default();
    probe.wait_for(&owner, cut, Duration::from_secs(10));
    let outage = probe.handover("alpha", &owner, cut).expect("answers before and after");
    say(format!("cut off from two others, fenced, served by one of them after {outage:?}"));
    assert_eq!(lab.fenced(), ["alpha"], "the majority shot nobody\n{}", lab.logs());
    assert!(!lab.node("alpha").is_up());
}

fn one_silent_link_moves_nothing(names: &[&str]) {
    let mut lab = Laboratory::new(Options::new(names, 2));
    let config = with_device(&lab, &web_group("web", &names.join(", "), WEB, 80));
    lab.found(&config);
    lab.wait_running("web", "alpha");
    super::support::wait_whole(&lab);
    super::support::rest(&lab);
    let servers = pids(&lab, "alpha", "lab-web");
    let before = decisions(&lab.node("alpha").status());
    lab.cable("beta", 1, false);
    let silent = |lab: &Laboratory, node: &str, peer: &str| {
        let said = lab.node(node).crm(&["status"]);
        said.contains(&format!("link 1 to node {peer} ({}) is silent", lab.address(peer, 1)))
    };
    for name in names.iter().filter(|name| **name != "beta") {
        lab.wait("both ends tell of the silent link", Duration::from_secs(20), |lab| {
            silent(lab, name, "beta") && silent(lab, "beta", name)
        });
    }
    lab.beats("beta", A_WHILE);
    assert_eq!(decisions(&lab.node("alpha").status()), before, "{}", lab.logs());
    lab.cable("beta", 1, true);
    for name in names.iter().filter(|name| **name != "beta") {
        lab.wait("the warning goes", Duration::from_secs(20), |lab| {
            !silent(lab, name, "beta") && !silent(lab, "beta", name)
        });
    }
    assert_eq!(decisions(&lab.node("alpha").status()), before, "{}", lab.logs());
    assert_eq!(pids(&lab, "alpha", "lab-web"), servers);
    assert!(lab.fence_requests().is_empty());
}

#[test]
fn of_two_nodes_one_silent_link_of_two_moves_nothing_and_is_told() {
    one_silent_link_moves_nothing(TWO);
}

#[test]
fn of_three_nodes_one_silent_link_of_two_moves_nothing_and_is_told() {
    one_silent_link_moves_nothing(THREE);
}
