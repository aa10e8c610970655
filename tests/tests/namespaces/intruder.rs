//! Strangers on the network, and keys that change.

use super::support::{WEB, web_group, with_device};
use crm_tests::namespaces::{Laboratory, Options};
use std::time::Duration;

/// Sends bad datagrams to the heartbeat port from inside a node's network.
const FLOOD: &str = r#"
import random, socket, sys
target, count = sys.argv[1], int(sys.argv[2])
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
random.seed(7)
import time
for n in range(count):
    s.sendto(random.randbytes(random.randint(0, 1300)), (target, 694))
    if n % 200 == 0: time.sleep(0.01)
"#;

fn missed(lab: &Laboratory, node: &str) -> u64 {
    let status = lab.node(node).status();
    status.nodes.iter().flat_map(|n| &n.links).map(|link| link.missed).sum()
}

#[test]
fn hb4_i9_strangers_are_counted_and_change_nothing() {
    let mut lab = Laboratory::new(Options::new(&["alpha", "beta"], 1));
    let config = with_device(&lab, &web_group("web", "alpha, beta", WEB, 80));
    lab.found(&config);
    lab.wait_running("web", "alpha");
    let before = lab.node("alpha").status();
    let done = lab.node("beta").run("python3", &["-c", FLOOD, &lab.address("alpha", 0), "20000"]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    let after = lab.node("alpha").status();
    assert_eq!((before.epoch, &before.coordinator), (after.epoch, &after.coordinator));
    assert_eq!(lab.place("web"), Some(("alpha".to_owned(), true)));
    assert!(lab.fenced().is_empty(), "{}", lab.logs());
    let counters = lab.node("alpha").crm(&["status", "--links"]);
    println!("{counters}");
    assert!(counters.contains("refused datagrams"), "{counters}");
}

#[test]
fn keys_rotate_on_a_live_cluster_without_a_lost_heartbeat() {
    let mut lab = Laboratory::new(Options::new(&["alpha", "beta"], 1));
    let config = with_device(&lab, &web_group("web", "alpha, beta", WEB, 80));
    lab.found(&config);
    lab.wait_running("web", "alpha");
    let before = missed(&lab, "alpha") + missed(&lab, "beta");
    let settle = || std::thread::sleep(Duration::from_millis(2500));
    lab.node("alpha").crm(&["keygen", "--add"]);
    std::fs::copy(lab.node("alpha").etc("authkeys"), lab.node("beta").etc("authkeys"))
        .expect("copy");
    settle();
    for step in [["keygen", "--send-with", "2"], ["keygen", "--drop", "1"]] {
        for node in ["alpha", "beta"] {
            lab.node(node).crm(&step);
        }
        settle();
    }
    let status = lab.node("alpha").status();
    assert!(status.quorum && status.nodes.iter().all(|n| n.voter), "{}", lab.logs());
    let after = missed(&lab, "alpha") + missed(&lab, "beta");
    assert_eq!(before, after, "heartbeats were lost\n{}", lab.logs());
    assert!(!lab.logs().contains("peer-lost"), "{}", lab.logs());
}
