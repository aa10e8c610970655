//! A machine with the Primary of a DRBD pair stands still and goes on, when another one serves already: what it had
//! still to write reaches nobody's disk but its own. With softdog and no device; with devices.

use std::time::Instant;

use crate::light::{LONG, Light};
use crate::watchdog::{DEVICES, apply, freeze, serving, shot, wait_all_armed};

/// Tries to write when it sees that the machine stood still.
const LATE_WRITER: &str = "
while :; do
    read -r before rest </proc/uptime
    sleep 0.05
    read -r after rest </proc/uptime
    echo >/run/late.ready
    [ $((${after%.*} - ${before%.*})) -lt 5 ] || break
done
n=0
while [ $n -lt 50 ]; do
    n=$((n + 1))
    echo $n >>/run/late.tried
    echo \"LATE-WRITE $n\" >/srv/web/late.$n && sync /srv/web/late.$n && echo $n >>/run/late.done
    sleep 0.05
done
";

/// H16, H17, I1, I5, I8: no acknowledged line is lost, no late one is found.
#[test]
#[ignore = "long: four minutes; tests/run machines-long"]
fn h17_i1_i5_what_a_hung_primary_writes_late_reaches_no_other_disk() {
    let mut light = serving();
    // The softdog resets it as soon as it goes on; the one of its next boot will not.
    light.node("alpha").ok(BLUNT).unwrap();
    late_writer(&mut light, "alpha");
    freeze(&mut light, "alpha", "beta");
    assert_nothing_late(&mut light, "alpha", "beta");

    wait_all_armed(&mut light);
    light.node("beta").ok("crm migrate --yes web alpha").unwrap();
    light.wait_served_by("alpha");
    goes_on_unreset(&mut light, "alpha", "beta");

    apply(&mut light, DEVICES);
    shot(&mut light, "the machine stands still", "beta", "alpha", |node| node.freeze().unwrap());
    light.back("beta");
    light.wait_whole();
    let acknowledged = light.acknowledged();
    light.assert_kept(acknowledged);
}

/// From the next boot on the softdog says that it would reset the machine, and does not.
const BLUNT: &str = "echo options softdog soft_noboot=1 >/etc/modprobe.d/softdog.conf && sync";

/// AS4 is broken: no watchdog resets `owner`, and it goes on when `other` serves. Its own promises are void then; DRBD
/// still lets none of its writes through, and acknowledges none.
fn goes_on_unreset(light: &mut Light, owner: &str, other: &str) {
    let acknowledged = light.acknowledged();
    late_writer(light, owner);
    let node = light.node(owner);
    node.qmp().unwrap().forget_events().unwrap();
    node.freeze().unwrap();
    light.wait_served_by(other);
    let node = light.node(owner);
    node.thaw().unwrap();
    let thawed = Instant::now();
    node.until("test -s /run/late.tried", LONG).unwrap();
    let tried = thawed.elapsed();
    node.until("! ip -4 -o addr show | grep -q ' 10.9.0.100/'", LONG).unwrap();
    let released = thawed.elapsed();
    node.until("dmesg | grep -q 'Reboot ignored'", LONG).unwrap();
    let said = node.ok(
        "dmesg | grep -i 'softdog\\|watchdog\\|crm-fence-peer\\|drbd r0:\\|drbd0:' | tail -n 40",
    );
    println!("what the kernel of {owner} said:\n{}", said.unwrap());
    let late = "cat /run/late.tried | wc -l; cat /run/late.done 2>/dev/null | wc -l";
    let late = node.ok(late).unwrap();
    println!(
        "nothing resets the machine that stood still: it tried to write after {:.1} s, gave up the address after \
         {:.1} s; late writes tried and acknowledged: {}",
        tried.as_secs_f32(),
        released.as_secs_f32(),
        late.trim().replace('\n', ", ")
    );
    assert!(late.trim().ends_with("\n0"), "DRBD acknowledged a late write: {late}");
    light.wait_served_by(other);
    light.assert_kept(acknowledged);
    assert_nothing_late(light, owner, other);
    // What it still holds nobody can undo but its power switch.
    light.node(owner).power_cut().unwrap();
    light.back(owner);
    light.wait_whole();
    wait_all_armed(light);
    let acknowledged = light.acknowledged();
    light.assert_kept(acknowledged);
    assert_nothing_late(light, owner, other);
}

fn late_writer(light: &mut Light, owner: &str) {
    let node = light.node(owner);
    node.ok(&format!("cat >/run/late <<'LATE'\n{LATE_WRITER}\nLATE")).unwrap();
    node.spawn("exec sh /run/late").unwrap();
    node.until("test -e /run/late.ready", LONG).unwrap();
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
