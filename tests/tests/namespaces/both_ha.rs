//! Two nodes that back each other up.

use super::support::{A_WHILE, THREE, TWO, bring_back, say, web_group, with_device};
use crm_tests::namespaces::{Laboratory, Options};
use std::time::{Duration, Instant};

/// Groups, the node each prefers, its backup, its address, and whether it goes home by itself.
const GROUPS: [(&str, &str, &str, &str, bool); 4] = [
    ("one", "alpha", "beta", "10.77.0.101", false),
    ("two", "beta", "alpha", "10.77.0.102", false),
    ("one-auto", "alpha", "beta", "10.77.0.103", true),
    ("two-auto", "beta", "alpha", "10.77.0.104", true),
];

fn configuration(lab: &Laboratory) -> String {
    let group = |(name, home, backup, address, auto)| {
        let text = web_group(name, &format!("{home}, {backup}"), address, 80);
        let policy = if auto { "auto" } else { "manual" };
        text.replace("    prefer", &format!("    failback: {policy}\n    prefer"))
    };
    with_device(lab, &GROUPS.map(group).concat())
}

/// Each group where it is expected, by the cluster's word and by who has its address.
fn expect(lab: &Laboratory, when: &str, place: impl Fn(&str, &'static str, bool) -> &'static str) {
    for (name, home, _, address, auto) in GROUPS {
        let expected = place(name, home, auto);
        assert_eq!(
            lab.place(name),
            Some((expected.to_owned(), true)),
            "{name} {when}\n{}",
            lab.logs()
        );
        for node in lab.nodes.values().filter(|node| node.is_up()) {
            assert_eq!(node.has_address(address), node.name == expected, "{name} {when}");
        }
    }
}

fn each_backs_the_other_up(names: &[&str]) {
    let mut lab = Laboratory::new(Options::new(names, 1));
    let config = configuration(&lab);
    lab.found(&config);
    // The second node joined after its groups had started on the first. One goes home by itself, the
    // other by the operator's word only.
    lab.wait_running("two-auto", "beta");
    lab.node("alpha").crm(&["migrate", "two", "beta"]);
    for (name, home, ..) in GROUPS {
        lab.wait_running(name, home);
    }
    let probes = GROUPS.map(|(_, _, _, address, _)| {
        lab.probe(&format!("{address}:80"), Duration::from_millis(20))
    });
    for (dead, survivor) in [("alpha", "beta"), ("beta", "alpha")] {
        let killed = Instant::now();
        lab.power_off(dead);
        for (probe, (name, ..)) in probes.iter().zip(GROUPS) {
            probe.wait_for(survivor, killed, Duration::from_secs(30));
            lab.wait_running(name, survivor);
        }
        say(format!(
            "{} nodes: {dead} killed, {survivor} ran all four groups after {:?}",
            names.len(),
            killed.elapsed()
        ));
        expect(&lab, "after a death", |_, _, _| survivor);
        bring_back(&mut lab, dead);
        for (name, home, _, _, auto) in GROUPS {
            if auto {
                lab.wait_running(name, home);
            }
        }
        // Those without a policy had the same chance.
        lab.beats(survivor, A_WHILE);
        expect(&lab, "after the return", |_, home, auto| if auto { home } else { survivor });
        let manual = if dead == "alpha" { "one" } else { "two" };
        lab.node(survivor).crm(&["migrate", manual, dead]);
        expect(&lab, "after the operator's word", |_, home, _| home);
    }
    assert!(lab.fenced().is_empty(), "{:?}", lab.fenced());
}

#[test]
fn hb14_hb15_hb16_two_nodes_back_each_other_up_and_only_policy_sends_back() {
    each_backs_the_other_up(TWO);
}

#[test]
fn hb14_hb15_hb16_so_do_two_of_three_nodes() {
    each_backs_the_other_up(THREE);
}
