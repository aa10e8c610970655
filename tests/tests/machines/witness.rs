//! A pair with softdog and a witness, no device: the witness runs as its unit on a machine that systemd boots.

use std::path::Path;
use std::time::Instant;

use crm_tests::machines::package::Package;
use crm_tests::machines::{Laboratory, Machine, Specification};

use crate::light::{LONG, Light, Parts, WRITTEN};
use crate::watchdog::{WRITER, freeze, hang, times, wait_all_armed};

/// The witness is the fourth machine: the client is the third.
const CLUSTER: &str = "cluster: shop
nodes:
  alpha: {links: [10.9.0.1, 10.9.1.1], watchdog: /dev/watchdog}
  beta: {links: [10.9.0.2, 10.9.1.2], watchdog: /dev/watchdog}
witness: 10.9.0.4
fencing: none
";

/// H4, H16, H17, I1, R13: a pair without a device is as safe as three with watchdogs.
#[test]
#[ignore = "long: two to six minutes; tests/run machines-long"]
fn h4_i1_of_a_pair_with_softdog_the_witness_decides_and_boots_as_its_unit() {
    let fill = |_: &Laboratory, tree: &Path| std::fs::write(tree.join("writer"), WRITER).unwrap();
    let (client, configuration) =
        (&Specification::bare("client"), &format!("{CLUSTER}{}{WRITTEN}", times()));
    let parts = Parts { nodes: 2, memory: 224, volumes: 1, disk: 12, client, configuration };
    let mut light = Light::new(&parts, fill);
    let package = Package::built(&light.lab).unwrap();
    let parts = Specification::debian("witness").with_shared_disk(package.disk());
    let mut witness = light.lab.machine(&parts).unwrap();
    witness.power_on().unwrap();
    witness.wait_running().unwrap();
    package.install(&mut witness, "/dev/vdb").unwrap();
    let keys = light.node("alpha").ok("cat /etc/crm/authkeys").unwrap();
    let set_up = "mkdir -p /etc/crm/witness && cd /etc/crm/witness && umask 077";
    let files = format!(
        "printf '%s' '{keys}' >shop.authkeys && printf 'clusters:\\n  shop: {{}}\\n' >witness.yaml"
    );
    let run = "crm witness check && systemctl enable --now crm-witness && sync";
    println!("{}", witness.ok(&format!("{set_up} && {files} && {run}")).unwrap());
    wait_witness(&mut light, true);
    light.wait_served_by("alpha");
    wait_all_armed(&mut light);
    println!("{}", light.node("alpha").ok("crm status").unwrap());

    // It loses its power and boots: nothing moves, and its vote counts again.
    let before = light.acknowledged();
    witness.power_cut().unwrap();
    wait_witness(&mut light, false);
    let booted = Instant::now();
    witness.power_on().unwrap();
    witness.wait_running().unwrap();
    witness.until("crm witness status", LONG).unwrap();
    wait_witness(&mut light, true);
    println!("the witness votes {:.1} s after its power", booted.elapsed().as_secs_f32());
    light.wait_served_by("alpha");
    assert!(light.acknowledged() > before);
    assert_eq!(light.assert_kept(before), 1, "nothing moved");

    let stop = "kill -STOP $(pidof crmd)";
    hang(&mut light, "the daemon is stopped", "alpha", Some("beta"), stop);
    freeze(&mut light, "beta", "alpha");
    wait_unit(&mut witness);
}

/// Waits until both nodes hear the witness and count its vote, or do not hear it.
fn wait_witness(light: &mut Light, heard: bool) {
    for node in &mut light.nodes {
        let started = Instant::now();
        loop {
            let said = node.run("crm status --json").unwrap().text;
            let status: serde_json::Value = serde_json::from_str(&said).unwrap_or_default();
            let witness = &status["witness"];
            let online = witness["state"] == "online" && witness["voter"] == true;
            if status["quorum"] == true && online == heard {
                break;
            }
            let late = started.elapsed() > LONG;
            assert!(!late, "{}: expected the witness {heard}, found {said}", node.name());
        }
    }
}

/// The unit runs, and never had to be started again.
fn wait_unit(witness: &mut Machine) {
    witness.ok("systemctl is-active crm-witness").unwrap();
    assert_eq!(witness.ok("systemctl show -P NRestarts crm-witness").unwrap().trim(), "0");
    println!("{}", witness.ok("crm witness status").unwrap());
}
