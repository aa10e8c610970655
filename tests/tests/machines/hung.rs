//! A machine with the Primary of a DRBD pair stands still and goes on, when another one serves already: what it had
//! still to write reaches nobody's disk but its own. With softdog and no device; with devices.

use crate::light::Light;
use crate::watchdog::{DEVICES, apply, freeze, serving, shot};

/// Tries to write when it sees that the machine stood still.
const LATE_WRITER: &str = "
while :; do
    read -r before rest </proc/uptime
    sleep 0.05
    read -r after rest </proc/uptime
    [ $((${after%.*} - ${before%.*})) -lt 5 ] || break
done
n=0
while [ $n -lt 50 ]; do
    n=$((n + 1))
    echo \"LATE-WRITE $n\" >/srv/web/late.$n && sync /srv/web/late.$n
    sleep 0.05
done
";

/// H16, H17, I1, I5, I8: no acknowledged line is lost, no late one is found.
#[test]
#[ignore = "long: four minutes; tests/run machines-long"]
fn h17_i1_i5_what_a_hung_primary_writes_late_reaches_no_other_disk() {
    let mut light = serving();
    // The softdog resets it as soon as it goes on.
    late_writer(&mut light, "alpha");
    freeze(&mut light, "alpha", "beta");
    assert_nothing_late(&mut light, "alpha", "beta");

    apply(&mut light, DEVICES);
    shot(&mut light, "the machine stands still", "beta", "alpha", |node| node.freeze().unwrap());
    light.back("beta");
    light.wait_whole();
    let acknowledged = light.acknowledged();
    light.assert_kept(acknowledged);
}

fn late_writer(light: &mut Light, owner: &str) {
    let node = light.node(owner);
    node.ok(&format!("cat >/run/late <<'LATE'\n{LATE_WRITER}\nLATE")).unwrap();
    node.spawn("exec sh /run/late").unwrap();
}

/// Looks at the disks themselves, from outside: nothing that `from` wrote after `to` had begun is on the disk of `to`.
fn assert_nothing_late(light: &mut Light, from: &str, to: &str) {
    let text = light.client.ok(&crate::light::fetch("lines")).unwrap();
    let last = text.lines().rev().find(|line| line.ends_with(from));
    let last: u64 = last.map_or(0, |line| line.split(' ').next().unwrap().parse().unwrap());
    let mut found = Vec::new();
    for name in [from, to] {
        let bytes = std::fs::read(light.lab.directory().join(format!("{name}-0.disk"))).unwrap();
        let late = |n: u64| format!("\n{n} {from}\n");
        let lines = (last + 1..last + 50).filter(|n| contains(&bytes, late(*n).as_bytes())).count();
        found.push((lines, contains(&bytes, b"LATE-WRITE ")));
    }
    println!(
        "on the disks after line {last} of {from}: its own has {} more and a late file: {}; that of {to} {} and {}",
        found[0].0, found[0].1, found[1].0, found[1].1
    );
    assert_eq!(found[1], (0, false), "what {from} wrote late is on the disk of {to}");
}

fn contains(bytes: &[u8], what: &[u8]) -> bool {
    bytes.windows(what.len()).any(|window| window == what)
}
