//! Active/passive on real DRBD: each machine has its own disk.

use std::time::{Duration, Instant};

use crm_tests::machines::Machine;

use crate::pair::{LONG, Pair};

/// Both copies are connected and good.
pub(crate) const BOTH_GOOD: &str = "[ \"$(drbdadm dstate r0)\" = UpToDate/UpToDate ]";

/// HB15, HB16, HB27, I8 on DRBD. One test, since most of its time is the setting up.
#[test]
fn hb15_hb16_hb27_i8_a_replicated_pair_loses_power_link_disk_and_unity_but_no_line() {
    let mut pair = Pair::replicated();
    assert_eq!(pair.alpha.ok("drbdadm role r0").unwrap().trim(), "Primary/Secondary");

    // Power, not a clean stop: beta has alpha switched off for certain, promotes, mounts, serves.
    let acknowledged = pair.acknowledged();
    pair.alpha.power_cut().unwrap();
    let outage = pair.wait_served_by("beta", LONG);
    println!("power cut to service on the replica: {:.1} s", outage.as_secs_f32());
    pair.assert_kept(acknowledged);
    assert_eq!(pair.beta.ok("drbdadm role r0").unwrap().trim(), "Primary/Unknown");
    assert_eq!(banned(&mut pair.beta), ["alpha"], "beta recorded whose copy is stale");

    // It comes back, brings its copy up, gets what it missed, and takes nothing: failback is manual.
    let started = Instant::now();
    let told = |what: &str| println!("{what}: {:.1} s", started.elapsed().as_secs_f32());
    pair.alpha.power_on().unwrap();
    pair.alpha.wait_running().unwrap();
    told("power to everything started");
    pair.wait_members();
    told("power to a member again");
    pair.alpha.until(BOTH_GOOD, LONG).unwrap();
    told("power to a good replica again");
    wait_nobody_banned(&mut pair);
    told("power to a replica that may be taken again");
    assert_eq!(pair.alpha.ok("drbdadm role r0").unwrap().trim(), "Secondary/Primary");
    assert_eq!(pair.holders(), (vec!["beta".to_owned()], vec!["beta".to_owned()]));

    // HB50: one command moves it by hand, in order.
    let acknowledged = pair.acknowledged();
    pair.beta.ok("crm migrate --yes web alpha").unwrap();
    pair.wait_served_by("alpha", LONG);
    pair.assert_kept(acknowledged);
    assert_eq!(pair.alpha.ok("drbdadm role r0").unwrap().trim(), "Primary/Secondary");

    // The replication link breaks while both live and hear each other elsewhere: writes go on once it is
    // recorded that beta's copy is stale, and nobody, not even by hand, makes beta Primary.
    pair.lab.link(0).cut_both("alpha", "beta");
    wait_writes(&mut pair, "the replication link broke");
    assert_eq!(banned(&mut pair.alpha), ["beta"]);
    let by_hand = pair.beta.run("drbdadm primary r0").unwrap();
    assert_eq!(by_hand.code, 11, "{}", by_hand.text);
    assert!(by_hand.text.contains("peer is not outdated"), "{}", by_hand.text);
    assert!(pair.beta.ok("crm why web").unwrap().contains("stale copy"), "crm why tells it");
    pair.lab.link(0).heal();
    pair.beta.until(BOTH_GOOD, LONG).unwrap();
    wait_nobody_banned(&mut pair);

    // HB27: the disk under the active node goes away: it serves through its peer, and says so.
    pair.alpha.ok("drbdadm detach --force r0").unwrap();
    wait_writes(&mut pair, "the disk was lost");
    let told = pair.alpha.ok("crm drbd status").unwrap();
    assert!(told.contains("its disk is Diskless"), "{told}");
    assert_eq!(pair.holders(), (vec!["alpha".to_owned()], vec!["alpha".to_owned()]));
    pair.alpha.ok("drbdadm attach r0").unwrap();
    pair.alpha.until(BOTH_GOOD, LONG).unwrap();

    split_and_resolve(&mut pair);

    // The replica dies: the service holds its writes back until that is recorded, and goes on.
    pair.beta.power_cut().unwrap();
    wait_writes(&mut pair, "the replica died");
    assert_eq!(banned(&mut pair.alpha), ["beta"]);
}

/// Somebody forces beta to be Primary behind a broken link and writes there. It is recognised, explained
/// and resolved by the guided command; what beta wrote is kept in a file, what alpha wrote is served.
fn split_and_resolve(pair: &mut Pair) {
    pair.alpha.ok("crm maintenance on").unwrap();
    pair.lab.link(0).cut_both("alpha", "beta");
    wait_writes(pair, "the link broke again");
    let write =
        "yes forced | dd of=/dev/drbd0 bs=4k count=8 seek=1000 iflag=fullblock oflag=direct";
    pair.beta
        .ok(&format!("drbdadm primary --force r0 && {write} && drbdadm secondary r0"))
        .unwrap();
    pair.lab.link(0).heal();
    let apart = "drbdadm cstate r0 | grep -qx StandAlone";
    let started = Instant::now();
    while pair.alpha.run(apart).unwrap().code != 0 && pair.beta.run(apart).unwrap().code != 0 {
        assert!(started.elapsed() < LONG, "DRBD does not notice that the two have parted");
        std::thread::sleep(Duration::from_millis(500));
    }
    let other = pair.alpha.ok("drbdadm get-gi r0").unwrap();
    let other = other.trim();
    let told = pair.beta.ok(&format!("crm drbd status r0 --other {other}")).unwrap();
    assert!(told.contains("split brain: the identifiers of the data have parted"), "{told}");
    println!("{told}");
    let resolve =
        format!("crm drbd resolve r0 --other {other} --keep /root/kept --i-am-certain r0");
    pair.beta.ok(&resolve).unwrap();
    pair.alpha.ok(&format!("if {apart}; then drbdadm connect r0; fi")).unwrap();
    pair.beta.until(BOTH_GOOD, LONG).unwrap();
    pair.beta.ok("grep -qa forced /root/kept").unwrap();
    // Around the kernel's cache, which does not know what DRBD writes below it.
    pair.beta.ok("! dd if=/dev/vdb bs=1M iflag=direct | grep -qa forced").unwrap();
    wait_nobody_banned(pair);
    pair.alpha.ok("crm maintenance off").unwrap();
    let acknowledged = pair.acknowledged();
    pair.assert_kept(acknowledged);
}

/// Ten more lines than now are acknowledged.
pub(crate) fn wait_writes(pair: &mut Pair, after: &str) {
    let before = pair.acknowledged();
    let started = Instant::now();
    while pair.acknowledged() <= before + 10 {
        assert!(started.elapsed() < LONG, "{after}: nothing is written any more");
    }
    println!("{after}: ten writes took {:.1} s", started.elapsed().as_secs_f32());
}

/// The nodes whose copy the committed record calls stale.
pub(crate) fn banned(node: &mut Machine) -> Vec<String> {
    let said = node.ok("crm status --json").unwrap();
    let status: serde_json::Value = serde_json::from_str(&said).unwrap();
    let bans = status["groups"][0]["bans"].as_object();
    bans.unwrap_or_else(|| panic!("no bans in {said}")).keys().cloned().collect()
}

/// DRBD's handler asks for that once the resync is over.
pub(crate) fn wait_nobody_banned(pair: &mut Pair) {
    let started = Instant::now();
    loop {
        let banned = banned(&mut pair.beta);
        if banned.is_empty() {
            return;
        }
        assert!(started.elapsed() < LONG, "the copies on {banned:?} are still called stale");
        std::thread::sleep(Duration::from_millis(500));
    }
}
