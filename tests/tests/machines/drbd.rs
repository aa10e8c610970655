//! Active/passive on real DRBD: each machine has its own disk.

use std::time::{Duration, Instant};

use crm_tests::machines::Machine;

use crate::pair::{LONG, Pair};

const BOTH_GOOD: &str = "[ \"$(drbdadm dstate r0)\" = UpToDate/UpToDate ]";

/// HB15, HB16 on DRBD: the active machine loses its power; every acknowledged line is on the other.
#[test]
fn hb15_hb16_a_replica_takes_over_after_a_power_cut_and_the_other_comes_back_as_its_replica() {
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

    // The replica dies: the service holds its writes back until that is recorded, and goes on.
    pair.beta.power_cut().unwrap();
    wait_writes(&mut pair, "the replica died");
    assert_eq!(banned(&mut pair.alpha), ["beta"]);
}

/// Ten more lines than now are acknowledged.
fn wait_writes(pair: &mut Pair, after: &str) {
    let before = pair.acknowledged();
    let started = Instant::now();
    while pair.acknowledged() <= before + 10 {
        assert!(started.elapsed() < LONG, "{after}: nothing is written any more");
    }
    println!("{after}: ten writes took {:.1} s", started.elapsed().as_secs_f32());
}

/// The nodes whose copy the committed record calls stale.
fn banned(node: &mut Machine) -> Vec<String> {
    let said = node.ok("crm status --json").unwrap();
    let status: serde_json::Value = serde_json::from_str(&said).unwrap();
    let bans = status["groups"][0]["bans"].as_object();
    bans.unwrap_or_else(|| panic!("no bans in {said}")).keys().cloned().collect()
}

/// DRBD's handler asks for that once the resync is over.
fn wait_nobody_banned(pair: &mut Pair) {
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
