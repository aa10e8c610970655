//! Machines with DRBD that boot: both at once, and one alone whose copy is stale.

use std::time::Instant;

use crm_tests::machines::Machine;

use crate::drbd::{BOTH_GOOD, banned, wait_nobody_banned, wait_writes};
use crate::pair::{LONG, Pair};

/// HB49, HB25, I8: systemd, with DRBD brought up by init.
#[test]
#[ignore = "long: three to eight minutes; tests/run machines-long"]
fn hb49_hb25_i8_init_promotes_nothing_and_stale_data_are_not_served_alone() {
    let mut pair = Pair::replicated();
    for node in [&mut pair.alpha, &mut pair.beta] {
        // A copy that has crashed as Primary is compared as a whole: quickly.
        let quick = "sed -i 's/^  disk {/&\\n    c-plan-ahead 0;\\n    resync-rate 100M;/' /etc/drbd.d/r0.res";
        node.ok(&format!("{quick} && systemctl enable drbd && sync")).unwrap();
    }

    // Both at once.
    let acknowledged = pair.acknowledged();
    pair.alpha.power_cut().unwrap();
    pair.beta.power_cut().unwrap();
    pair.boot_both();
    let served = pair.acknowledged();
    assert!(served >= acknowledged, "{served} of {acknowledged}");
    pair.wait_members();
    let (disk, address) = pair.holders();
    assert_eq!(disk.len(), 1, "the disk is mounted on {disk:?}");
    assert_eq!(disk, address);
    for node in [&mut pair.alpha, &mut pair.beta] {
        let replicas = seconds(node, "systemctl show -P ActiveEnterTimestampMonotonic drbd");
        let daemon = seconds(node, "systemctl show -P ExecMainStartTimestampMonotonic crmd");
        let promoted = promotions(node);
        println!(
            "{}: DRBD was up {replicas:.1} s after the kernel's start, crmd began after {daemon:.1} s, \
             promotions after {promoted:?} s",
            node.name()
        );
        assert!(0.0 < replicas && replicas <= daemon, "DRBD is there before crmd");
        assert_eq!(promoted.is_empty(), disk != [node.name()], "{promoted:?}");
        assert!(promoted.iter().all(|at| *at > daemon), "promoted by init");
    }
    pair.assert_kept(acknowledged);

    // Beta's copy misses what alpha wrote last, and that is committed. (Of a copy that is not good yet DRBD knows that
    // by itself, and does not ask.)
    pair.alpha.until(BOTH_GOOD, LONG).unwrap();
    wait_nobody_banned(&mut pair);
    if disk == ["beta"] {
        pair.alpha.ok("crm migrate --yes web alpha").unwrap();
        pair.wait_served_by("alpha", LONG);
    }
    pair.lab.link(0).cut_both("alpha", "beta");
    wait_writes(&mut pair, "the replication link broke");
    let started = Instant::now();
    while banned(&mut pair.beta) != ["beta"] {
        let late = started.elapsed() > LONG;
        let said = if late { pair.alpha.ok("dmesg | grep drbd").unwrap() } else { String::new() };
        assert!(!late, "beta does not know that its copy is stale\n{said}");
    }
    let acknowledged = pair.acknowledged();
    pair.alpha.power_cut().unwrap();
    pair.beta.power_cut().unwrap();
    pair.lab.link(0).heal();

    // HB25: it boots alone. DRBD's wait for its peer ends by itself; the cluster's does not, and says so.
    pair.beta.power_on().unwrap();
    pair.beta.wait_running().unwrap();
    let told = pair.beta.until("crm status | grep 'crm confirm-dead alpha'", LONG).unwrap();
    println!("alone, without the operator's word:\n{told}");
    println!("{}", pair.beta.run("crm why web").unwrap().text);
    refuses(&mut pair.beta);

    // Even with that word: its data are known to be old.
    pair.beta.ok("crm confirm-dead alpha --i-am-certain alpha").unwrap();
    let told = pair.beta.until("crm status && crm why web | grep -B20 -A20 'stale copy'", LONG);
    println!("alone, with it:\n{}", told.unwrap());
    pair.beta.ok("sleep 5").unwrap();
    refuses(&mut pair.beta);
    let by_hand = pair.beta.run("drbdadm primary r0").unwrap();
    println!("by hand: {} {}", by_hand.code, by_hand.text.trim());
    assert_ne!(by_hand.code, 0, "DRBD promoted stale data: {}", by_hand.text);

    // With the newest data back everything runs on them.
    pair.alpha.power_on().unwrap();
    pair.alpha.wait_running().unwrap();
    pair.wait_served_by("alpha", LONG);
    pair.wait_members();
    pair.beta.until(BOTH_GOOD, LONG).unwrap();
    wait_nobody_banned(&mut pair);
    pair.assert_kept(acknowledged);
}

/// Nothing of the group is there.
fn refuses(node: &mut Machine) {
    assert_eq!(node.ok("drbdadm role r0").unwrap().trim(), "Secondary/Unknown");
    assert!(promotions(node).is_empty());
    let holds = "mountpoint -q /srv/web || ip -4 -o addr show | grep -q ' 10.9.0.100/'";
    assert_ne!(node.run(holds).unwrap().code, 0, "it serves");
}

/// What systemd tells in microseconds since the kernel's start, in seconds.
fn seconds(node: &mut Machine, command: &str) -> f64 {
    node.ok(command).unwrap().trim().parse::<f64>().unwrap() / 1e6
}

/// When this boot's kernel made it Primary, seconds since its start.
fn promotions(node: &mut Machine) -> Vec<f64> {
    let said = node.ok("dmesg | grep 'role( Secondary -> Primary' || true").unwrap();
    let at = |line: &str| line.trim_start_matches('[').split(']').next()?.trim().parse().ok();
    said.lines().map(|line| at(line).unwrap_or_else(|| panic!("no time in {line:?}"))).collect()
}
