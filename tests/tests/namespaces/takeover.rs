//! A node dies, another one serves.

use super::support::{WEB, web_group, with_device};
use crm_tests::namespaces::{Laboratory, Options};
use std::time::{Duration, Instant};

#[test]
fn hb15_a_killed_node_is_fenced_and_its_group_runs_on_the_other() {
    let mut lab = Laboratory::new(Options::new(&["alpha", "beta"], 1));
    let config = with_device(&lab, &web_group("web", "alpha, beta", WEB, 80));
    lab.found(&config);
    lab.wait_running("web", "alpha");
    let probe = lab.probe(&format!("{WEB}:80"), Duration::from_millis(5));
    probe.wait_for("alpha", Instant::now(), Duration::from_secs(5));
    let killed = Instant::now();
    lab.power_off("alpha");
    probe.wait_for("beta", killed, Duration::from_secs(20));
    println!("outage {:?}", probe.outage_around(killed));
    lab.wait_running("web", "beta");
    assert!(lab.fenced().is_empty() || lab.fenced() == ["alpha"], "{:?}", lab.fenced());
    // The old owner returns and takes nothing back (HB16).
    lab.power_on("alpha");
    lab.node_mut("alpha").start_daemon(&[]);
    lab.wait("alpha votes again", Duration::from_secs(20), |lab| {
        lab.view().is_some_and(|s| {
            s.nodes.iter().all(|n| n.voter && n.state == crm_core::status::NodeState::Online)
        })
    });
    assert_eq!(lab.place("web"), Some(("beta".to_owned(), true)));
    assert!(!lab.node("alpha").has_address(WEB));
}
