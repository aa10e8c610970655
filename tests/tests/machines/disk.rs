//! The disk under the active node is gone: pulled out of the machine, not detached with a command.

use std::path::Path;
use std::time::{Duration, Instant};

use crm_tests::machines::{Laboratory, Specification};

use crate::light::{FENCED, LONG, Light, Parts, WRITTEN};
use crate::watchdog::WRITER;

/// HB27, HB21, I8: it serves through its peer, says so, goes where the good copy is by policy, and does not come back
/// before it has one.
#[test]
#[ignore = "long: one to four minutes; tests/run machines-long"]
fn hb27_i8_a_disk_that_is_pulled_out_is_served_through_the_peer_until_policy_moves_it() {
    let mut light = pair();

    let pulled = Instant::now();
    let before = light.acknowledged();
    light.node("alpha").unplug_disk(1).unwrap();
    light.node("alpha").until("drbdadm dstate r0 | grep -q ^Diskless/", LONG).unwrap();
    let noticed = pulled.elapsed();
    let acknowledged = wait_lines(&mut light, before);
    println!(
        "the disk was pulled out: DRBD let it go after {:.1} s, ten more lines after {:.1} s",
        noticed.as_secs_f32(),
        pulled.elapsed().as_secs_f32()
    );
    let told = light.node("alpha").until("crm status | grep degraded:", LONG).unwrap();
    assert!(told.contains("has lost its disk and is served through the peer"), "{told}");
    println!("crm status: {}", told.trim());
    let told = light.node("alpha").ok("crm drbd status").unwrap();
    assert!(told.contains("its disk is Diskless"), "{told}");
    light.wait_served_by("alpha");
    light.assert_kept(acknowledged);

    // It stays where it was told to stay; by the other policy it goes where the good copy is.
    let why = light.node("alpha").ok("crm why web").unwrap();
    assert!(why.contains("has no good copy any more: its disk is Diskless"), "{why}");
    let moved = Instant::now();
    let text = cluster("move");
    let alpha = light.node("alpha");
    alpha.ok(&format!("cat >/root/cluster.yaml <<'TEXT'\n{text}\nTEXT")).unwrap();
    println!("{}", alpha.ok("crm apply --yes /root/cluster.yaml").unwrap());
    light.wait_served_by("beta");
    println!("moved to the good copy by policy: {:.1} s", moved.elapsed().as_secs_f32());
    // The coordinator remembers why, whichever node that is.
    let told = light.node("alpha").run("crm events").unwrap().text
        + &light.node("beta").run("crm events").unwrap().text;
    let told = told.lines().find(|line| line.contains("it leaves alpha, which has no good copy"));
    println!("{}", told.unwrap_or_else(|| panic!("nobody says why it moved")));
    light.assert_kept(acknowledged);
    let refused = light.node("beta").run("crm migrate --yes web alpha").unwrap();
    println!("back at once: {}", refused.text.trim());
    assert_ne!(refused.code, 0, "{}", refused.text);
    let why = light.node("beta").ok("crm why web").unwrap();
    assert!(why.contains("Diskless"), "{why}");
    light.wait_served_by("beta");

    // With its disk again, it takes what it missed.
    light.node("alpha").power_cut().unwrap();
    // What boots before it is proved dead is switched off once more.
    // Asked of the device, for beta has enough to do.
    let cut = Instant::now();
    while light.lab.power().requests().is_empty() {
        assert!(cut.elapsed() < LONG, "nobody asks to have alpha switched off");
        std::thread::sleep(Duration::from_millis(200));
    }
    light.node("beta").until("sleep 1; crm status | grep -q 'alpha .*proved dead'", LONG).unwrap();
    light.back("alpha");
    light.wait_whole();
    light.wait_served_by("beta");
    let acknowledged = wait_lines(&mut light, acknowledged);
    light.node("beta").ok("crm migrate --yes web alpha").unwrap();
    light.wait_served_by("alpha");
    light.assert_kept(acknowledged);
}

/// HB26: DRBD answers every read with an error when the Primary without a disk loses its peer as well. The machine is not
/// halted for it: the group has failed, and goes where the good copy is.
#[test]
#[ignore = "long: one to three minutes; tests/run machines-long"]
fn hb26_i8_a_primary_that_loses_its_disk_and_then_its_peer_gives_the_group_to_the_good_copy() {
    let mut light = pair();
    light.node("alpha").unplug_disk(1).unwrap();
    light.node("alpha").until("drbdadm dstate r0 | grep -q ^Diskless/", LONG).unwrap();
    let before = light.acknowledged();
    let acknowledged = wait_lines(&mut light, before);

    let cut = Instant::now();
    // DRBD's cable; heartbeats have another one.
    light.lab.link(1).cut_both("alpha", "beta");
    let told = "crm events | grep resource-failed | grep 'no good copy of it can be reached'";
    let told = light.node("alpha").until(told, LONG).unwrap();
    println!("{:.1} s: {}", cut.elapsed().as_secs_f32(), told.trim());
    light.wait_served_by("beta");
    println!("served by the good copy after {:.1} s", cut.elapsed().as_secs_f32());
    light.assert_kept(acknowledged);
    wait_lines(&mut light, acknowledged);
    let roles = light.node("alpha").ok("drbdadm role r0").unwrap();
    assert!(roles.starts_with("Secondary/"), "{roles}");
    assert!(light.lab.power().requests().is_empty(), "nobody had to be switched off");
}

fn pair() -> Light {
    let fill = |_: &Laboratory, tree: &Path| std::fs::write(tree.join("writer"), WRITER).unwrap();
    let (client, configuration) = (&Specification::bare("client"), &cluster("stay"));
    let parts = Parts { nodes: 2, memory: 224, volumes: 1, disk: 12, client, configuration };
    let mut light = Light::new(&parts, fill);
    light.wait_served_by("alpha");
    light
}

/// The configuration with this policy.
fn cluster(on_disk_error: &str) -> String {
    let policy = format!("on_disk_error: {on_disk_error}\n    resources:");
    format!("{FENCED}{}", WRITTEN.replacen("resources:", &policy, 1))
}

/// Waits until ten more lines than `before` are acknowledged.
fn wait_lines(light: &mut Light, before: u64) -> u64 {
    let started = Instant::now();
    loop {
        let now = light.acknowledged();
        if now >= before + 10 {
            return now;
        }
        assert!(started.elapsed() < LONG, "expected {} lines, found {now}", before + 10);
        std::thread::sleep(Duration::from_millis(200));
    }
}
