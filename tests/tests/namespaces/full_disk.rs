//! A full disk is the commonest fault of all, and none of the cluster's business.

use super::support::{TWO, WEB, wait_whole, web_group, with_device};
use crm_tests::namespaces::{Laboratory, Options};
use std::time::Duration;

/// What is on the disks already is written over: votes and records need no room that is not there.
#[test]
fn as1_i5_with_every_disk_full_a_group_moves_as_it_is_told_and_is_taken_over() {
    // There was never room to reserve what a longer record would need.
    moved_and_taken_over("128k", |_, _| {});
}

/// Longer by a hundred blocks: they were reserved while there was room.
#[test]
fn as1_i5_with_every_disk_full_a_longer_configuration_is_applied() {
    moved_and_taken_over("4m", |lab, config| {
        let longer = format!("{config}\n{}", "# for what comes\n".repeat(12_000));
        let file = lab.directory.join("longer.yaml");
        std::fs::write(&file, longer).expect("written");
        lab.node("alpha").crm(&["apply", "--yes", &file.display().to_string()]);
        lab.node("beta").crm(&["migrate", "web", "beta"]);
        lab.wait_running("web", "beta");
        lab.node("beta").crm(&["migrate", "web", "alpha"]);
        lab.wait_running("web", "alpha");
    });
}

/// On disks of this `size`; `besides` is what else is done when they are full.
fn moved_and_taken_over(size: &str, besides: fn(&Laboratory, &str)) {
    let mut lab = Laboratory::new(Options::new(TWO, 1));
    let size = format!("size={size}");
    for node in lab.nodes.values() {
        let state = node.disk.join("state").display().to_string();
        let small = ["-t", "tmpfs", "-o", &size, "tmpfs", &state];
        assert_eq!(node.run("mount", &small).code, 0);
    }
    let config = with_device(&lab, &web_group("web", "alpha, beta", WEB, 80));
    lab.found(&config);
    lab.wait_running("web", "alpha");
    wait_whole(&lab);
    for node in lab.nodes.values() {
        let fill = "cat /dev/zero >$CRM_STATE/fill; echo x >$CRM_STATE/more";
        assert_ne!(node.run("sh", &["-c", fill]).code, 0, "there is room left");
    }
    let pids = |lab: &Laboratory| ["alpha", "beta"].map(|name| lab.node(name).daemon_pid());
    let daemons = pids(&lab);
    for (to, by) in [("beta", "alpha"), ("alpha", "alpha"), ("beta", "beta"), ("alpha", "beta")] {
        lab.node(by).crm(&["migrate", "web", to]);
        lab.wait_running("web", to);
    }
    lab.node("alpha").crm(&["maintenance", "on"]);
    lab.node("alpha").crm(&["maintenance", "off"]);
    besides(&lab, &config);
    assert_eq!(pids(&lab), daemons, "a daemon ended: {}", lab.logs());
    assert_eq!(lab.fence_requests(), Vec::<String>::new());
    lab.power_off("alpha");
    lab.wait("beta has taken it over", Duration::from_secs(30), |lab| {
        lab.place("web").is_some_and(|(node, running)| node == "beta" && running)
    });
    assert_eq!(lab.node("beta").daemon_pid(), daemons[1], "{}", lab.logs());
}
