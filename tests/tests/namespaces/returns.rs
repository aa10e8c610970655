//! Machines that come back with an old record: at once, alone, one after the other.

use super::support::{TWO, WEB, pids, say, wait_whole, web_group};
use crm_tests::namespaces::{Laboratory, Options, Rule};
use std::time::{Duration, Instant};

const MAIL: &str = "10.77.0.101";
/// Longer than deadtime, delay and device together: what must not happen would have.
const A_WHILE: Duration = Duration::from_millis(3000);

fn found() -> Laboratory {
    let mut lab = Laboratory::new(Options::new(TWO, 1));
    let groups =
        web_group("web", "alpha, beta", WEB, 80) + &web_group("mail", "beta, alpha", MAIL, 80);
    let config = format!(
        "cluster: lab\n{}heartbeat: {{keepalive: 100ms, warntime: 400ms, deadtime: 1s, initdead: 3s, \
         rejoin_after: 500ms}}\n{}groups:\n{groups}",
        lab.nodes_yaml(),
        lab.fencing_yaml("5s", "500ms"),
    );
    lab.found(&config);
    lab.wait_running("web", "alpha");
    lab
}

fn boot(lab: &mut Laboratory, node: &str) {
    lab.power_on(node);
    lab.node_mut(node).start_daemon(&[]);
}

/// A node that boots alone runs nothing, decides nothing and shoots nobody.
fn expect_idle(lab: &Laboratory, node: &str) {
    let (asked, until) = (lab.fence_requests().len(), Instant::now() + A_WHILE);
    while Instant::now() < until {
        assert!(!lab.node(node).has_address(WEB), "{}", lab.logs());
        assert!(pids(lab, node, "lab-web").is_empty(), "{}", lab.logs());
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(!lab.node(node).status().quorum, "{}", lab.logs());
    assert_eq!(lab.fence_requests().len(), asked, "it shot\n{}", lab.logs());
    let done = lab.node(node).run("crm", &["start", "mail", "--no-wait"]);
    assert_eq!(done.code, 5, "{}{}", done.stdout, done.stderr);
}

fn expect_stopped_by_word(lab: &Laboratory) {
    let status = lab.view().expect("a quorum");
    let mail = status.groups.iter().find(|group| group.id.as_str() == "mail").expect("mail");
    assert!(mail.stopped_by_operator, "an acknowledged stop is lost\n{}", lab.logs());
    for node in TWO {
        assert!(!lab.node(node).has_address(MAIL), "{}", lab.logs());
    }
}

#[test]
fn h6_h7_who_was_shot_and_boots_at_once_with_an_old_record_takes_nothing() {
    let mut lab = found();
    lab.set_rules(&Rule::between("alpha", "beta", 1));
    lab.wait("one is shot", Duration::from_secs(20), |lab| !lab.fenced().is_empty());
    let dead = lab.fenced()[0].clone();
    let survivor = if dead == "alpha" { "beta" } else { "alpha" };
    boot(&mut lab, &dead);
    lab.wait_running("web", survivor);
    // Newer than what the one that came back has on its disk.
    lab.node(survivor).crm(&["stop", "mail"]);
    expect_idle(&lab, &dead);
    lab.set_rules(&[]);
    wait_whole(&lab);
    expect_stopped_by_word(&lab);
    assert_eq!(lab.place("web"), Some((survivor.to_owned(), true)), "{}", lab.logs());
    assert_eq!(lab.fenced(), [dead], "{}", lab.logs());
}

/// Faster than the deadtime: nobody ever called it dead, and it starts what is still its own, in order.
#[test]
fn starts_after_who_boots_within_the_deadtime_starts_its_groups_again_in_order() {
    let mut lab = Laboratory::new(Options::new(TWO, 1));
    let front = format!(
        "  front:\n    runs_with: [web]\n    starts_after: [web]\n    resources:\n      - vip: {MAIL}/24\n"
    );
    let config = super::support::with_device(&lab, &(web_group("web", "alpha", WEB, 80) + &front))
        .replace("deadtime: 1s", "deadtime: 8s")
        .replace("initdead: 5s", "initdead: 10s");
    lab.found(&config);
    lab.wait_running("front", "alpha");
    let before = lab.node("alpha").log().len();
    lab.power_off("alpha");
    boot(&mut lab, "alpha");
    lab.wait_running("front", "alpha");
    assert_eq!(lab.place("web"), Some(("alpha".to_owned(), true)));
    assert!(lab.fenced().is_empty() && lab.fence_requests().is_empty(), "{}", lab.logs());
    let log = lab.node("alpha").log().split_off(before);
    let at = |what: &str| log.find(what).unwrap_or_else(|| panic!("{what}\n{log}"));
    assert!(at("group web runs here") < at("group front is starting here"), "{log}");
}

/// Of two that died one after the other, only the second knows what was decided last.
#[test]
fn r16_both_die_and_come_back_in_either_order_and_what_was_acknowledged_holds() {
    let mut lab = found();
    for last_first in [false, true] {
        let began = Instant::now();
        lab.node("alpha").crm(&["start", "mail"]);
        lab.wait("mail runs", Duration::from_secs(20), |lab| {
            lab.place("mail").is_some_and(|(_, r)| r)
        });
        lab.power_off("beta");
        lab.wait_running("web", "alpha");
        lab.wait_running("mail", "alpha");
        lab.node("alpha").crm(&["stop", "mail"]);
        lab.power_off("alpha");
        if last_first {
            boot(&mut lab, "alpha");
            // The last standing goes on alone, after it has made sure of the other.
            lab.wait_running("web", "alpha");
            boot(&mut lab, "beta");
        } else {
            boot(&mut lab, "beta");
            expect_idle(&lab, "beta");
            boot(&mut lab, "alpha");
        }
        wait_whole(&lab);
        lab.wait("web runs", Duration::from_secs(30), |lab| {
            lab.place("web").is_some_and(|(_, r)| r)
        });
        expect_stopped_by_word(&lab);
        let first = if last_first { "the last standing" } else { "the one that died first" };
        say(format!("both died; {first} came back first: whole again after {:?}", began.elapsed()));
    }
    assert!(lab.fenced().is_empty(), "nobody that was up was shot: {:?}", lab.fenced());
}

/// Neither knows more than the other: whoever is first waits for the second.
#[test]
fn r16_both_die_at_once_and_the_first_that_is_back_waits_for_the_other() {
    for (first, second) in [("alpha", "beta"), ("beta", "alpha")] {
        let mut lab = found();
        lab.power_off("alpha");
        lab.power_off("beta");
        boot(&mut lab, first);
        expect_idle(&lab, first);
        boot(&mut lab, second);
        wait_whole(&lab);
        for group in ["web", "mail"] {
            lab.wait("it runs again", Duration::from_secs(30), |lab| {
                lab.place(group).is_some_and(|(_, running)| running)
            });
        }
        assert!(lab.fenced().is_empty(), "{}", lab.logs());
    }
}
