//! What happens to machines besides dying: their clocks jump, their disks are full, the copy that should help is
//! not whole.

use std::path::Path;
use std::time::Duration;

use crm_tests::machines::{Laboratory, Specification};

use crate::light::{FENCED, LONG, Light, Parts, WRITTEN, fetch};
use crate::watchdog::WRITER;

fn pair() -> Light {
    let fill = |_: &Laboratory, tree: &Path| std::fs::write(tree.join("writer"), WRITER).unwrap();
    let (client, configuration) = (&Specification::bare("client"), &format!("{FENCED}{WRITTEN}"));
    let parts = Parts { nodes: 2, memory: 224, volumes: 1, disk: 24, client, configuration };
    let mut light = Light::new(&parts, fill);
    light.wait_served_by("alpha");
    light
}

/// What the client and the power controller can tell: nobody moved, nobody was shot.
fn assert_calm(light: &mut Light, epoch: u64) {
    light.wait_served_by("alpha");
    let found = light.node("alpha").ok("crm status --json").unwrap();
    let status: serde_json::Value = serde_json::from_str(&found).unwrap();
    assert_eq!(status["epoch"].as_u64(), Some(epoch), "somebody else coordinates: {found}");
    assert_eq!(light.lab.power().requests(), [], "somebody was to be switched off");
}

fn epoch(light: &mut Light) -> u64 {
    let found = light.node("alpha").ok("crm status --json").unwrap();
    let status: serde_json::Value = serde_json::from_str(&found).unwrap();
    status["epoch"].as_u64().unwrap_or_else(|| panic!("no epoch in {found}"))
}

/// Nothing depends on the time of day; and a full disk, real ext4, stops neither votes nor moves.
#[test]
#[ignore = "long: one to three minutes; tests/run machines-long"]
fn i1_as1_clocks_that_jump_and_disks_that_are_full_move_nothing() {
    let mut light = pair();
    light.wait_whole();
    let before = epoch(&mut light);
    for (node, by) in [("alpha", 86_400), ("beta", -86_400), ("alpha", -200_000), ("beta", 1)] {
        let machine = light.node(node);
        let now: i64 = machine.ok("date +%s").unwrap().trim().parse().unwrap();
        machine.ok(&format!("date -s @{}", now + by)).unwrap();
        std::thread::sleep(Duration::from_secs(3));
    }
    assert_calm(&mut light, before);

    let daemons = |light: &mut Light| {
        ["alpha", "beta"].map(|name| light.node(name).ok("pgrep -o -x crmd").unwrap())
    };
    let running = daemons(&mut light);
    for node in ["alpha", "beta"] {
        // As something that logs in circles does: whatever becomes free is filled at once.
        let fill = "(while sleep 0.1; do cat /dev/zero; done >/var/lib/fill 2>/dev/null) &";
        // Mounting makes the directory, which needs room.
        light.node(node).ok("mkdir -p /srv/web").unwrap();
        light.node(node).spawn(fill).unwrap();
        light.node(node).until("! head -c 4096 /dev/zero >/var/lib/more", LONG).unwrap();
    }
    assert_calm(&mut light, before);
    for to in ["beta", "alpha", "beta", "alpha"] {
        light.node("alpha").ok(&format!("crm migrate web {to} --yes")).unwrap();
        light.wait_served_by(to);
    }
    assert_eq!(daemons(&mut light), running, "a daemon has ended");
    assert_eq!(light.lab.power().requests(), []);
    let acknowledged = light.acknowledged();
    light.assert_kept(acknowledged);
}

/// I8, HB21: the good copy's machine dies while the other one has half of a resync, and later none at all.
#[test]
#[ignore = "long: two to four minutes; tests/run machines-long"]
fn hb21_i8_half_a_copy_and_none_are_not_served_when_the_machine_with_the_good_one_dies() {
    let mut light = pair();
    light.node("beta").power_cut().unwrap();
    light.node("alpha").until("crm status | grep -q 'beta .*proved dead'", LONG).unwrap();
    light.node("alpha").ok("head -c 6M /dev/urandom >/srv/web/much && sync").unwrap();
    let slow = "drbdsetup disk-options 0 --c-plan-ahead=0 --resync-rate=100k --c-min-rate=50k";
    light.node("alpha").ok(slow).unwrap();
    light.back("beta");
    light.node("beta").until(slow, LONG).unwrap();
    light.node("beta").until("drbdadm dstate r0 | grep -q ^Inconsistent/", LONG).unwrap();
    let acknowledged = light.acknowledged();
    refuses_alone(&mut light, "Inconsistent");
    light.back("alpha");
    light.wait_served_by("alpha");
    light.assert_kept(acknowledged);
    light.wait_whole();

    let acknowledged = light.acknowledged();
    light.node("beta").unplug_disk(1).unwrap();
    let gone = "echo x >/srv/web/much; sync; drbdadm dstate r0 | grep -q /Diskless";
    light.node("alpha").until(gone, LONG).unwrap();
    let told = light.node("alpha").until("crm status | grep degraded:", LONG).unwrap();
    assert!(told.contains("the peer's copy is Diskless: there is no second good one"), "{told}");
    refuses_alone(&mut light, "Diskless");
    light.back("alpha");
    light.wait_served_by("alpha");
    light.assert_kept(acknowledged);
}

/// H24: the machine with the newer copy will not come back, says the operator; and then it does.
#[test]
#[ignore = "long: two to four minutes; tests/run machines-long"]
fn h24_i8_the_older_copy_is_served_on_an_operators_word_and_the_newer_one_is_stale_from_then_on() {
    let mut light = pair();
    let old = light.acknowledged();
    light.node("beta").power_cut().unwrap();
    light.node("alpha").until("crm status | grep -q 'beta .*proved dead'", LONG).unwrap();
    let started = light.acknowledged();
    light
        .client
        .until(&format!("[ \"$({})\" -gt {} ]", fetch("acknowledged"), started + 10), LONG)
        .unwrap();
    light.node("alpha").power_cut().unwrap();
    light.back("beta");
    let beta = light.node("beta");
    beta.until("crm confirm-dead alpha --i-am-certain alpha", LONG).unwrap();
    // What alpha recorded alone, that this copy is stale, beta cannot know; DRBD calls it Consistent.
    beta.until("crm why web | grep 'crm promote --stale'", LONG).unwrap();
    println!("{}", beta.ok("crm promote --stale beta web --i-am-certain web").unwrap());
    light.wait_served_by("beta");
    // What was on this copy when the two parted, and what came since.
    assert_eq!(light.assert_kept(old), 2, "alpha wrote, and beta goes on");

    // Alpha had recorded more than beta knew when it was called dead: it is told apart, and joins as a new voter.
    light.back("alpha");
    let alpha = light.node("alpha");
    alpha.until("crm status | grep -q 'parted histories'", LONG).unwrap();
    let anew = "rm /var/lib/crm/state /var/lib/crm/.state.spare; crm join 10.9.0.2; kill -9 $(pgrep -o -x crmd)";
    alpha.ok(anew).unwrap();
    alpha.until("crm why web | grep 'alpha .*has a stale copy'", LONG).unwrap();
    alpha.until("drbdadm cstate r0 | grep -q StandAlone", LONG).unwrap();
    let other = light.node("beta").ok("drbdadm get-gi r0").unwrap();
    let resolve = format!(
        "crm drbd resolve r0 --other '{}' --keep /root/r0.alpha --i-am-certain r0",
        other.trim()
    );
    println!("{}", light.node("alpha").ok(&resolve).unwrap());
    light.node("beta").run("drbdadm connect r0").unwrap();
    light.wait_whole();
    light.node("beta").ok("crm migrate --yes web alpha").unwrap();
    light.wait_served_by("alpha");
    assert_eq!(light.assert_kept(old), 3);
    let kept = light.node("alpha").ok("stat -c %s /root/r0.alpha").unwrap();
    assert!(kept.trim().parse::<u64>().unwrap() > 0, "what alpha had beyond is kept");
}

/// Alpha, which has the good copy, loses its power; beta goes on without it, serves nothing, and says why.
fn refuses_alone(light: &mut Light, disk: &str) {
    light.node("alpha").power_cut().unwrap();
    let beta = light.node("beta");
    beta.until("crm status | grep -q 'alpha .*proved dead'", LONG).unwrap();
    std::thread::sleep(Duration::from_secs(10));
    let why = beta.ok("crm why web").unwrap();
    println!("{why}");
    assert!(why.contains(disk), "{why}");
    let refused = beta.run("crm promote --stale beta web --i-am-certain web").unwrap();
    println!("{}", refused.text.trim());
    assert_ne!(refused.code, 0, "half of a copy, or none, is not an older one");
    let roles = beta.ok("drbdadm role r0").unwrap();
    assert!(roles.starts_with("Secondary/"), "{roles}");
}
