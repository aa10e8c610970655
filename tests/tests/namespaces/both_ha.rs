//! Two nodes that back each other up.

use super::support::{HEARTBEAT, web_group, with_device};
use crm_core::status::NodeState;
use crm_tests::namespaces::{Laboratory, Options};
use std::time::Duration;

const ONE: &str = "10.77.0.101";
const TWO: &str = "10.77.0.102";

fn all_online(lab: &Laboratory) -> bool {
    lab.view().is_some_and(|s| s.nodes.iter().all(|n| n.voter && n.state == NodeState::Online))
}

#[test]
fn hb14_each_runs_its_own_hb15_either_takes_both_hb16_only_policy_sends_back() {
    let mut lab = Laboratory::new(Options::new(&["alpha", "beta"], 1));
    let manual = web_group("one", "alpha, beta", ONE, 80);
    let auto = web_group("two", "beta, alpha", TWO, 80)
        .replace("    prefer", "    failback: auto\n    prefer");
    let config = with_device(&lab, &(manual + &auto));
    assert!(config.contains(HEARTBEAT));
    lab.found(&config);
    // The second node joined after its group had started on the first: policy brings it home.
    lab.wait_running("one", "alpha");
    lab.wait_running("two", "beta");
    for (dead, survivor) in [("alpha", "beta"), ("beta", "alpha")] {
        lab.power_off(dead);
        lab.wait_running("one", survivor);
        lab.wait_running("two", survivor);
        lab.power_on(dead);
        lab.node_mut(dead).start_daemon(&[]);
        lab.wait("both vote again", Duration::from_secs(30), all_online);
        // Automatic failback goes home, manual stays where it is.
        lab.wait_running("two", "beta");
        assert_eq!(lab.place("one"), Some((survivor.to_owned(), true)), "{}", lab.logs());
    }
    assert!(lab.node("beta").has_address(TWO) && !lab.node("alpha").has_address(TWO));
}
