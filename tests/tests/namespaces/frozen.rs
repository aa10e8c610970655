//! A node that does not run for a while, and comes back late.

use super::support::{
    A_WHILE, THREE, TWO, WEB, pids, say, stateless_group, wait_whole, web_group, with_device,
    without_device,
};
use crm_tests::namespaces::{FenceMode, Holding, Laboratory, Options, Probe};
use std::time::{Duration, Instant};

/// How long a thawed node's application may go on answering.
const LIMIT: Duration = Duration::from_secs(1);

/// Freezes who serves until another does, thaws it, and measures. Gives who serves now.
fn freeze_and_thaw(lab: &Laboratory, owner: &str) -> String {
    let server = format!("{WEB}:80");
    let others: Vec<&String> = lab.nodes.keys().filter(|name| *name != owner).collect();
    let outside = lab.probe(&server, Duration::from_millis(5));
    // The client's neighbour table follows the announcements, so it cannot tell what the frozen node
    // would answer: that is asked inside its network too.
    let inside = lab.probe_inside(owner, &server, Duration::from_millis(2));
    inside.wait_for(owner, Instant::now(), Duration::from_secs(5));
    let holding = Holding::start(lab.process_of(owner), WEB.parse().expect("an address"));
    lab.freeze(owner, true);
    let frozen = Instant::now();
    let mut taker = None;
    lab.wait("another one serves", Duration::from_secs(30), |_| {
        taker = others.iter().find_map(|name| Some((*name, first(&outside, name, frozen)?)));
        taker.is_some()
    });
    let (taker, taken) = taker.expect("it was waited for");
    assert!(lab.node(owner).is_up());
    let thawed = Instant::now();
    lab.freeze(owner, false);
    lab.wait("the address is let go", Duration::from_secs(5), |_| {
        holding.gone_for_good(thawed).is_some()
    });
    // The other one answers even there now.
    inside.wait_for(taker, thawed, Duration::from_secs(5));
    lab.beats(taker, A_WHILE);
    let gone = holding.gone_for_good(thawed).expect("it came back");
    assert_eq!(holding.came_back(thawed), 0, "{owner} took it again\n{}", lab.logs());
    let mut last = None;
    for (place, probe) in [("inside", &inside), ("outside", &outside)] {
        let answers = probe.answers().into_iter();
        let late: Vec<Duration> = answers
            .filter(|answer| answer.done > thawed && answer.from.as_deref() == Some(owner))
            .map(|answer| answer.done - thawed)
            .collect();
        // What was asked for before it let go may have been read late.
        let mut from_owner = probe.answers().into_iter();
        let after = from_owner.find(|a| a.at > gone && a.from.as_deref() == Some(owner));
        assert!(
            after.is_none(),
            "asked {place} after it had let go, the thawed node answered: {after:?}\n{}",
            lab.logs()
        );
        assert!(late.iter().all(|after| *after < LIMIT), "{place}: {late:?}\n{}", lab.logs());
        last = last.max(late.into_iter().max());
    }
    say(format!(
        "{} nodes, fencing: none: {owner} frozen, {taker} served after {:?}; both had the address for \
         {:?}, of that {:?} after the thaw; last answer of the thawed node's application: {}",
        lab.nodes.len(),
        taken - frozen,
        gone - taken,
        gone - thawed,
        last.map_or("none".to_owned(), |last| format!("{last:?} after the thaw"))
    ));
    lab.wait_running("web", taker);
    assert!(!lab.node(owner).has_address(WEB), "{}", lab.logs());
    assert!(pids(lab, owner, "lab-web").is_empty(), "{}", lab.logs());
    taker.clone()
}

/// When this node was first heard to answer.
fn first(probe: &Probe, name: &str, since: Instant) -> Option<Instant> {
    let answers = probe.answers().into_iter();
    let mut from = answers.filter(|a| a.at >= since && a.from.as_deref() == Some(name));
    from.next().map(|answer| answer.done)
}

fn a_thawed_node_stops_answering(names: &[&str]) {
    let mut lab = Laboratory::new(Options::new(names, 1));
    let config = without_device(&lab, &stateless_group("web", &names.join(", "), WEB));
    lab.found(&config);
    lab.wait_running("web", "alpha");
    let mut owner = "alpha".to_owned();
    for _ in 0..3 {
        owner = freeze_and_thaw(&lab, &owner);
        wait_whole(&lab);
    }
}

#[test]
fn h36_of_two_a_thawed_node_stops_answering_for_what_silence_gave_away() {
    a_thawed_node_stops_answering(TWO);
}

#[test]
fn h36_of_three_a_thawed_node_stops_answering_for_what_silence_gave_away() {
    a_thawed_node_stops_answering(THREE);
}

fn with_a_device_nothing_is_left_to_thaw(names: &[&str]) {
    let mut lab = Laboratory::new(Options::new(names, 1));
    let config = with_device(&lab, &web_group("web", &names.join(", "), WEB, 80));
    lab.found(&config);
    lab.wait_running("web", "alpha");
    let probe = lab.probe(&format!("{WEB}:80"), Duration::from_millis(5));
    probe.wait_for("alpha", Instant::now(), Duration::from_secs(5));
    lab.freeze("alpha", true);
    let frozen = Instant::now();
    probe.wait_for("beta", frozen, Duration::from_secs(30));
    let thawed = Instant::now();
    lab.freeze("alpha", false);
    assert_eq!(lab.fenced(), ["alpha"], "{}", lab.logs());
    assert!(!lab.node("alpha").is_up(), "nothing of it is left to thaw");
    lab.wait_running("web", "beta");
    lab.beats("beta", if names.len() > 2 { A_WHILE } else { 0 });
    let late = probe
        .answers()
        .into_iter()
        .filter(|answer| answer.at > frozen && answer.from.as_deref() == Some("alpha"));
    assert_eq!(late.count(), 0, "a frozen and fenced node answered, thawed {:?}", thawed - frozen);
}

#[test]
fn i1_with_a_device_a_frozen_node_of_two_never_thaws_into_holding_anything() {
    with_a_device_nothing_is_left_to_thaw(TWO);
}

#[test]
fn i1_with_a_device_a_frozen_node_of_three_never_thaws_into_holding_anything() {
    with_a_device_nothing_is_left_to_thaw(THREE);
}

fn while_the_device_fails_nobody_takes_over(names: &[&str]) {
    let mut lab = Laboratory::new(Options::new(names, 1));
    let config = with_device(&lab, &web_group("web", &names.join(", "), WEB, 80));
    lab.found(&config);
    lab.wait_running("web", "alpha");
    let server = pids(&lab, "alpha", "lab-web");
    let probe = lab.probe(&format!("{WEB}:80"), Duration::from_millis(5));
    lab.set_fencing(FenceMode::Fails);
    lab.freeze("alpha", true);
    lab.wait("beta has tried twice", Duration::from_secs(30), |lab| {
        lab.fence_requests().len() >= 2
    });
    for name in names.iter().filter(|name| **name != "alpha") {
        assert!(!lab.node(name).has_address(WEB), "{}", lab.logs());
    }
    let thawed = Instant::now();
    lab.freeze("alpha", false);
    probe.wait_for("alpha", thawed, Duration::from_secs(5));
    wait_whole(&lab);
    lab.wait_running("web", "alpha");
    lab.beats("alpha", A_WHILE);
    let by_another =
        probe.answers().into_iter().find(|a| a.from.as_ref().is_some_and(|from| from != "alpha"));
    assert_eq!(by_another, None, "two held it\n{}", lab.logs());
    assert_eq!(pids(&lab, "alpha", "lab-web"), server, "{}", lab.logs());
    assert!(lab.fenced().is_empty());
}

/// P17: no proof, no takeover, and it is tried again.
#[test]
fn i1_while_the_device_fails_of_two_the_thawed_one_goes_on_and_nobody_took_over() {
    while_the_device_fails_nobody_takes_over(TWO);
}

#[test]
fn i1_while_the_device_fails_of_three_the_thawed_one_goes_on_and_nobody_took_over() {
    while_the_device_fails_nobody_takes_over(THREE);
}
