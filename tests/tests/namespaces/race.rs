//! Two nodes, a device for each, and nothing between them any more: both want to shoot.

use super::support::{TWO, WEB, say, wait_whole, web_group};
use crm_tests::namespaces::{FenceMode, Laboratory, Options, Rule};
use std::time::{Duration, Instant};

const MAIL: &str = "10.77.0.101";
const LINKS: u8 = 2;
/// Longer than what any shot of the one that comes back would need: deadtime, delay, device.
const SECOND_ROUND: Duration = Duration::from_millis(3500);

/// Where the two groups are in each round: one hosts all, each hosts one, the other hosts all.
const PLACES: [(&str, &str); 4] =
    [("alpha", "alpha"), ("alpha", "beta"), ("beta", "beta"), ("beta", "alpha")];

fn found() -> Laboratory {
    let mut lab = Laboratory::new(Options::new(TWO, LINKS));
    let groups = web_group("web", "alpha, beta", WEB, 80) + &web_group("mail", "beta", MAIL, 80);
    let config = format!(
        "cluster: lab\n{}heartbeat: {{keepalive: 100ms, warntime: 400ms, deadtime: 1s, initdead: 5s, \
         rejoin_after: 500ms}}\n{}groups:\n{groups}",
        lab.nodes_yaml(),
        lab.fencing_yaml("5s", "2s"),
    );
    lab.found(&config);
    lab
}

fn other(node: &str) -> &'static str {
    if node == "alpha" { "beta" } else { "alpha" }
}

/// One cut: who won, and from the cut until it ran both groups.
fn round(lab: &mut Laboratory, number: usize) -> (&'static str, Duration) {
    let (web, mail) = PLACES[number % PLACES.len()];
    for (group, node) in [("web", web), ("mail", mail)] {
        if lab.place(group).is_none_or(|(on, _)| on != node) {
            lab.node(node).crm(&["migrate", group, node]);
        }
        lab.wait_running(group, node);
    }
    wait_whole(lab);
    // Within the delay, as `fencing_delay` asks for.
    let quick = number % 3 != 2;
    lab.set_fencing(if quick {
        FenceMode::Works
    } else {
        FenceMode::Slow(Duration::from_millis(300))
    });
    let before = lab.fenced().len();
    let cuts = Rule::between("alpha", "beta", LINKS);
    if number % 2 == 1 {
        // One way first: the two lose each other at different times.
        let first: Vec<Rule> = cuts.iter().step_by(2).cloned().collect();
        lab.set_rules(&first);
        std::thread::sleep(Duration::from_millis(u64::try_from(number % 7).unwrap_or(0) * 60));
    }
    lab.set_rules(&cuts);
    let cut = Instant::now();
    lab.wait("one of them is shot", Duration::from_secs(30), |lab| lab.fenced().len() > before);
    let dead = other(other(&lab.fenced()[before]));
    let survivor = other(dead);
    lab.wait("the other one runs all", Duration::from_secs(30), |lab| {
        lab.node(survivor).try_status().is_some_and(|status| {
            status.quorum
                && status.groups.iter().all(|group| {
                    group.owner.as_ref().is_some_and(|owner| owner.as_str() == survivor)
                        && group.phase == crm_core::packet::GroupPhase::Running
                })
        })
    });
    let took = cut.elapsed();
    let expect_one = |lab: &Laboratory, when: &str| {
        assert_eq!(lab.fenced().len(), before + 1, "round {number}, {when}\n{}", lab.logs());
        assert!(lab.node(survivor).is_up(), "round {number}, {when}");
    };
    expect_one(lab, "after the takeover");
    let asked = lab.fence_requests().len();
    // It boots at once, with the record of before, and still hears nobody.
    lab.power_on(dead);
    lab.node_mut(dead).start_daemon(&[]);
    let until = Instant::now() + SECOND_ROUND;
    while Instant::now() < until {
        expect_one(lab, "while the one that came back is alone");
        std::thread::sleep(Duration::from_millis(50));
    }
    let own = lab.node(dead).status();
    assert!(
        !own.quorum
            && own.groups.iter().all(|g| g.owner.as_ref().is_none_or(|o| o.as_str() != dead)
                || g.phase != crm_core::packet::GroupPhase::Running),
        "{own:?}"
    );
    assert!(!lab.node(dead).has_address(WEB) && !lab.node(dead).has_address(MAIL));
    assert_eq!(lab.fence_requests().len(), asked, "a second round was asked for\n{}", lab.logs());
    lab.set_rules(&[]);
    wait_whole(lab);
    expect_one(lab, "after the link was whole again");
    (survivor, took)
}

/// Ten rounds, or as many as `CRM_RACE_ROUNDS` says, in two laboratories at a time.
#[test]
fn p40_of_two_nodes_behind_a_cut_exactly_one_survives_and_the_other_boots_without_a_second_round() {
    let rounds = std::env::var("CRM_RACE_ROUNDS").ok().and_then(|n| n.parse().ok()).unwrap_or(10);
    let half = |first: usize| {
        std::thread::spawn(move || {
            let mut lab = found();
            (first..rounds).step_by(2).map(|number| round(&mut lab, number)).collect::<Vec<_>>()
        })
    };
    let halves = [half(0), half(1)];
    let mut all = Vec::new();
    for half in halves {
        all.extend(half.join().unwrap_or_else(|cause| std::panic::resume_unwind(cause)));
    }
    assert_eq!(all.len(), rounds);
    let of_alpha = all.iter().filter(|(survivor, _)| *survivor == "alpha").count();
    let mut times: Vec<Duration> = all.iter().map(|(_, took)| *took).collect();
    times.sort();
    say(format!(
        "{rounds} cuts, one survivor each: alpha {of_alpha} times, beta {}; no second round; from the cut \
         until it ran all: median {:?} ({:?} to {:?})",
        rounds - of_alpha,
        times[times.len() / 2],
        times[0],
        times[times.len() - 1]
    ));
}
