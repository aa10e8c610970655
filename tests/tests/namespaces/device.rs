//! A fencing device that is slow, loses requests, acts late, lies, or hits the wrong machine.

use super::support::{A_WHILE, HEARTBEAT, THREE, WEB, say, wait_whole, web_group};
use crm_tests::namespaces::{FenceMode, Laboratory, Options, Rule};
use std::time::{Duration, Instant};

/// Three nodes; web runs on alpha. The majority gives its device `timeout`.
fn found(timeout: &str) -> Laboratory {
    let mut lab = Laboratory::new(Options::new(THREE, 1));
    let config = format!(
        "cluster: lab\n{}{HEARTBEAT}{}groups:\n{}",
        lab.nodes_yaml(),
        lab.fencing_yaml(timeout, "300ms"),
        web_group("web", "alpha, beta, gamma", WEB, 80),
    );
    lab.found(&config);
    lab.wait_running("web", "alpha");
    wait_whole(&lab);
    lab
}

/// Cuts alpha off from both others; clients still reach it.
fn cut_alpha_off(lab: &Laboratory) {
    let both = ["beta", "gamma"].map(|other| Rule::between("alpha", other, 1));
    lab.set_rules(&both.concat());
}

/// The others that have the address.
fn others_hold(lab: &Laboratory) -> bool {
    ["beta", "gamma"].iter().any(|name| lab.node(name).is_up() && lab.node(name).has_address(WEB))
}

/// Waits until another node serves; before alpha is off nobody may.
fn wait_for_takeover(lab: &Laboratory) {
    lab.wait("one of the majority runs web", Duration::from_secs(40), |lab| {
        let held = others_hold(lab);
        // Looked at after the address: what is held then was taken before this.
        assert!(!held || lab.fenced().contains(&"alpha".to_owned()), "two hold it\n{}", lab.logs());
        held && lab.place("web").is_some_and(|(on, running)| on != "alpha" && running)
    });
    assert!(!lab.node("alpha").is_up());
}

#[test]
fn i1_while_a_device_is_slow_nobody_takes_over_and_when_it_has_acted_somebody_does() {
    let lab = found("10s");
    lab.set_fencing(FenceMode::Slow(Duration::from_secs(3)));
    let cut = Instant::now();
    cut_alpha_off(&lab);
    wait_for_takeover(&lab);
    assert!(cut.elapsed() > Duration::from_secs(3));
    assert_eq!(lab.fenced(), ["alpha"]);
    say(format!("a device that takes 3 s: served elsewhere {:?} after the cut", cut.elapsed()));
}

#[test]
fn i1_a_lost_request_moves_nothing_and_is_made_again() {
    let lab = found("1s");
    lab.set_fencing(FenceMode::Lost);
    cut_alpha_off(&lab);
    lab.wait("it was asked twice", Duration::from_secs(40), |lab| {
        assert!(!others_hold(lab), "taken without a proof\n{}", lab.logs());
        lab.fence_requests().len() >= 2
    });
    assert!(lab.node("alpha").is_up() && lab.node("alpha").has_address(WEB));
    lab.set_fencing(FenceMode::Works);
    wait_for_takeover(&lab);
}

/// The asker has given up, the link is whole again, and only then the device acts: an outage, and no harm.
#[test]
fn h27_a_device_that_acts_after_the_asker_gave_up_costs_an_outage_and_no_more() {
    let mut lab = found("1s");
    lab.set_fencing(FenceMode::Slow(Duration::from_secs(6)));
    cut_alpha_off(&lab);
    lab.wait("it was asked", Duration::from_secs(20), |lab| !lab.fence_requests().is_empty());
    lab.set_rules(&[]);
    // Who is asked for from now on is answered at once.
    lab.set_fencing(FenceMode::Works);
    lab.wait("alpha is back before it is hit", Duration::from_secs(5), |lab| {
        assert!(!others_hold(lab), "{}", lab.logs());
        lab.fenced().is_empty() && lab.place("web") == Some(("alpha".to_owned(), true))
    });
    lab.wait("it is hit", Duration::from_secs(20), |lab| {
        let held = others_hold(lab);
        assert!(!held || !lab.fenced().is_empty(), "two hold it\n{}", lab.logs());
        !lab.fenced().is_empty()
    });
    wait_for_takeover(&lab);
    super::support::bring_back(&mut lab, "alpha");
    lab.beats("beta", A_WHILE);
    assert!(!lab.node("alpha").has_address(WEB), "{}", lab.logs());
    assert_eq!(lab.fenced(), ["alpha"], "one late shot, no second\n{}", lab.logs());
}

/// AS3 broken: it says that alpha is off, and alpha runs on. Two hold the address until they hear each other;
/// then the lie is told by name and one of them gives way.
#[test]
fn as3_a_device_that_lies_makes_two_holders_until_the_link_is_back_and_is_told() {
    let lab = found("5s");
    lab.set_fencing(FenceMode::Lies);
    cut_alpha_off(&lab);
    lab.wait("another one took it", Duration::from_secs(30), others_hold);
    assert!(lab.node("alpha").has_address(WEB), "this is what AS3 excludes\n{}", lab.logs());
    let back = Instant::now();
    lab.set_fencing(FenceMode::Works);
    lab.set_rules(&[]);
    lab.wait("the lie is told", Duration::from_secs(20), |lab| {
        ["beta", "gamma"].iter().any(|name| lab.node(name).log().contains("proof-refuted"))
    });
    lab.wait("one holds it", Duration::from_secs(30), |lab| {
        let holds = |name: &&&str| lab.node(name).is_up() && lab.node(name).has_address(WEB);
        THREE.iter().filter(holds).count() == 1
    });
    lab.wait("it runs", Duration::from_secs(30), |lab| lab.place("web").is_some_and(|(_, r)| r));
    say(format!("a device lied: one holder again {:?} after the link was whole", back.elapsed()));
}

/// The wrong machine goes off. Of three, that leaves no majority: nothing moves, two never hold it.
#[test]
fn as3_a_device_that_hits_another_machine_leaves_no_majority_and_moves_nothing() {
    let mut lab = found("5s");
    lab.set_fencing(FenceMode::Misdirected);
    cut_alpha_off(&lab);
    lab.wait("somebody is hit", Duration::from_secs(30), |lab| !lab.fenced().is_empty());
    let hit = lab.fenced()[0].clone();
    assert_ne!(hit, "alpha");
    let until = Instant::now() + Duration::from_secs(3);
    while Instant::now() < until {
        assert!(!others_hold(&lab), "two hold it\n{}", lab.logs());
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(lab.node("alpha").has_address(WEB), "{}", lab.logs());
    lab.set_fencing(FenceMode::Works);
    lab.set_rules(&[]);
    super::support::bring_back(&mut lab, &hit);
    assert_eq!(lab.place("web"), Some(("alpha".to_owned(), true)), "{}", lab.logs());
    assert_eq!(lab.fenced(), [hit], "{}", lab.logs());
}
