//! The product on two machines, as its users run it: installed from the package, booted by systemd.

use crm_tests::machines::power::Request;

use crate::pair::{LONG, Pair};

fn only(name: &str) -> (Vec<String>, Vec<String>) {
    (vec![name.to_owned()], vec![name.to_owned()])
}

/// HB15, HB49: power, not a clean stop.
#[test]
fn hb15_a_node_without_power_is_taken_over_and_a_double_power_cycle_is_survived() {
    let mut pair = Pair::serving();
    assert_eq!(pair.holders(), only("alpha"));

    // An upgrade replaces the daemon and nothing else.
    // The oldest of each: what they fork has their words until it runs something else.
    let processes = "pgrep -of '[h]ttpd -f -p 80'; pgrep -of '[s]rv/web/writer'";
    let daemon = "systemctl show --property MainPID crmd";
    let (before, old) = (pair.alpha.ok(processes).unwrap(), pair.alpha.ok(daemon).unwrap());
    assert!(!before.is_empty());
    pair.upgrade_alpha();
    pair.alpha
        .until(
            &format!("systemctl is-active crmd && [ \"$({daemon})\" != '{}' ]", old.trim()),
            LONG,
        )
        .unwrap();
    pair.wait_members();
    assert_eq!(pair.alpha.ok(processes).unwrap(), before, "the upgrade restarted something");
    assert_eq!(pair.lab.power().requests(), [], "the upgrade made somebody shoot");

    // Alpha loses its power; beta has it switched off for certain, and only then goes on.
    let acknowledged = pair.acknowledged();
    pair.alpha.power_cut().unwrap();
    let outage = pair.wait_served_by("beta", LONG);
    println!("power cut to service on the other: {:.1} s", outage.as_secs_f32());
    let shot = Request { from: "beta".into(), action: "off".into(), target: "alpha".into() };
    assert!(pair.lab.power().requests().contains(&shot), "{:?}", pair.lab.power().requests());
    pair.assert_kept(acknowledged);

    // It comes back, and takes nothing: failback is manual.
    pair.alpha.power_on().unwrap();
    pair.alpha.wait_running().unwrap();
    pair.wait_members();
    assert_eq!(pair.holders(), only("beta"));

    // A node that left on the operator's word is not started again behind his back, and nobody shoots it.
    let shots = pair.lab.power().requests().len();
    pair.alpha.ok("crm leave").unwrap();
    pair.alpha.until("[ \"$(systemctl is-active crmd)\" = inactive ]", LONG).unwrap();
    pair.wait_served_by("beta", LONG);
    pair.alpha.ok("systemctl start crmd").unwrap();
    pair.wait_members();
    assert_eq!(pair.lab.power().requests().len(), shots, "{:?}", pair.lab.power().requests());

    // Both at once; whoever comes up first, exactly one serves, and nothing acknowledged is lost.
    let acknowledged = pair.acknowledged();
    pair.alpha.power_cut().unwrap();
    pair.beta.power_cut().unwrap();
    pair.boot_both();
    let served = pair.acknowledged();
    assert!(served >= acknowledged);
    pair.wait_members();
    let (disk, address) = pair.holders();
    assert_eq!(disk.len(), 1, "the disk is mounted on {disk:?}");
    assert_eq!(disk, address);
    pair.assert_kept(acknowledged);

    // A reboot is not a failure: the groups move in order and nobody is shot.
    let (from, to) = if disk == ["alpha"] { ("alpha", "beta") } else { ("beta", "alpha") };
    let shots = pair.lab.power().requests().len();
    let acknowledged = pair.acknowledged();
    let node = if from == "alpha" { &mut pair.alpha } else { &mut pair.beta };
    node.qmp().unwrap().forget_events().unwrap();
    node.spawn("systemctl reboot").unwrap();
    node.wait_reset(LONG).unwrap();
    let outage = pair.wait_served_by(to, LONG);
    println!(
        "after the reboot of {from} the service was on {to} {:.1} s later",
        outage.as_secs_f32()
    );
    pair.assert_kept(acknowledged);
    assert_eq!(pair.lab.power().requests().len(), shots, "{:?}", pair.lab.power().requests());
}
