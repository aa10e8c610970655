//! What an idle daemon costs (I10): no growth, no log, little work.

mod support;

use crm_core::packet::GroupPhase;
use crm_core::status::{NodeState, Status};
use std::fs;
use std::time::Duration;
use support::Machine;

/// Resident memory in KiB, processor time in clock ticks, open descriptors.
fn cost(pid: i32) -> (u64, u64, usize) {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("status");
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("VmRSS");
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("stat");
    let fields: Vec<&str> =
        stat.rsplit_once(')').map_or(Vec::new(), |(_, rest)| rest.split_whitespace().collect());
    let ticks = |place: usize| fields[place].parse::<u64>().expect("number");
    let descriptors = fs::read_dir(format!("/proc/{pid}/fd")).expect("fd").count();
    let resident = resident.trim().trim_end_matches(" kB").parse().expect("number");
    (resident, ticks(11) + ticks(12), descriptors)
}

#[test]
fn i10_an_idle_pair_neither_grows_nor_talks() {
    let seconds: u64 =
        std::env::var("CRM_IDLE_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(5);
    let (mut alpha, mut beta) = Machine::pair("  g: {resources: [ocf:test:on]}");
    for machine in [&mut alpha, &mut beta] {
        machine.agent("on", "case $1 in monitor) [ -e $P/../on ] || exit 7;; start) touch $P/../on;; stop) rm -f $P/../on;; esac");
        machine.start();
    }
    // All that a start says: beta is let vote some seconds after it was first heard.
    let done = |s: &Status| {
        s.nodes.len() == 2
            && s.nodes
                .iter()
                .all(|n| n.voter && n.state == NodeState::Online && n.obeyed == Some(s.stamp))
            && s.groups[0].phase == GroupPhase::Running
    };
    alpha.wait_for("both vote", done);
    beta.wait_for("both vote", done);
    // Its last lines may be on their way to the log.
    std::thread::sleep(Duration::from_millis(500));
    let (lines, before) = (alpha.log().lines().count(), cost(alpha.pid()));
    std::thread::sleep(Duration::from_secs(seconds));
    let after = cost(alpha.pid());
    println!(
        "resident {} KiB, {} ms of processor time in {seconds} s, {} descriptors",
        after.0,
        (after.1 - before.1) * 10,
        after.2
    );
    assert_eq!(
        alpha.log().lines().count(),
        lines,
        "a steady cluster logs nothing\n{}",
        alpha.log()
    );
    assert_eq!(after.2, before.2, "descriptors");
    assert!(after.0 < before.0 + 512, "memory grew from {} to {} KiB", before.0, after.0);
    assert!(after.1 - before.1 < seconds * 20, "more than a fifth of a processor");
}
