//! A database on DRBD (docs/layouts/database.yaml) loses its machine: every acknowledged row is on the other, and where
//! the time went.

use std::collections::BTreeMap;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use crm_tests::machines::{Machine, Specification};

use crate::layout;
use crate::light::{Light, Parts, SERVICE};
use crate::shop::{self, Shop};

/// With two nodes, the one that hosts less waits in a tie for a quarter longer than the device may take.
const HEARTBEAT: &str = "keepalive: 200ms, warntime: 1s, deadtime: 2s, initdead: 20s";
const DEVICE: &str = "4s";

/// Looks every 20 ms which step of the start is done, and notes when.
const WATCHER: &str = "import os, time
steps = {'promoted': ('/proc/drbd', b'ro:Primary'), 'mounted': ('/proc/self/mounts', b' /data1 '),
         'recovered': ('/proc/net/unix', b'/data1/mysql/mysqld.sock'), 'address': ('/proc/net/fib_trie', b'10.9.0.100')}
steps = {step: (os.open(file, os.O_RDONLY), text) for step, (file, text) in steps.items()}
out = open('/run/steps', 'w')
while steps:
    for step, (file, text) in list(steps.items()):
        if text in os.pread(file, 65536, 0):
            out.write('%s %.3f\\n' % (step, time.time()))
            out.flush()
            del steps[step]
    time.sleep(0.02)
";

/// HB15, HB41, I8 on DRBD with a database and the agent `mysql`.
#[test]
fn hb15_i8_a_database_on_drbd_loses_its_machine_and_no_acknowledged_row() {
    let client = &Specification::light("client").with_memory(192);
    let configuration = &layout::database(HEARTBEAT, DEVICE);
    let parts = Parts { nodes: 2, memory: 320, volumes: 1, disk: 80, client, configuration };
    let mut light = Light::new(&parts, shop::fill);
    let db = Shop { name: "db", volume: "/data1", address: SERVICE, port: 3306 };
    // DRBD would notice by itself after half a minute, rows under way or not: what ends the connection is the proof.
    for node in &mut light.nodes {
        let patient = "sed -i -e 's/ping-int 1;/ping-int 60;/' -e 's/timeout 20;/timeout 290;/' \
            -e 's/connect-int 2;/connect-int 30;/' -e 's/ping-timeout 10;/ping-timeout 300;/' /etc/drbd.d/r0.res";
        node.ok(&format!("{patient} && drbdadm adjust r0")).unwrap();
    }
    db.open(&mut light.client);
    db.wait_rows(&mut light.client, 10);

    light.node("beta").ok(&format!("cat >/root/watcher <<'END'\n{WATCHER}\nEND")).unwrap();
    light.node("beta").spawn("exec python3 /root/watcher").unwrap();
    let ahead = clock_ahead(light.node("beta"));
    let before = db.rows(&mut light.client);
    light.node("alpha").power_cut().unwrap();
    let cut = now() + ahead;
    db.wait_rows(&mut light.client, before + 10);

    let beta = light.node("beta");
    let mut at = steps(&beta.ok("cat /run/steps").unwrap());
    let log = beta.ok("cat /var/log/crmd.log").unwrap();
    for (step, kind) in
        [("detected", "peer-lost"), ("proved dead", "fenced"), ("decided", "decided")]
    {
        at.insert(step.to_owned(), logged(&log, kind));
    }
    println!("power cut to address: {:.2} s, of which", at["address"] - cut);
    let mut last = cut;
    let order =
        ["detected", "proved dead", "decided", "promoted", "mounted", "recovered", "address"];
    for step in order {
        println!("  {step:12} {:6.2} s", at[step] - last);
        // HB39: each step waits for the one before it.
        assert!(at[step] >= last, "{step} came too early: {at:?}");
        last = at[step];
    }
    println!("proof to mounted: {:.2} s", at["mounted"] - at["proved dead"]);
    let kernel = beta.ok("dmesg | grep 'conn('").unwrap();
    assert!(kernel.contains("Connected -> Disconnecting"), "DRBD noticed by itself:\n{kernel}");

    let kept = db.assert_kept(&mut light.client);
    println!("{kept} rows were acknowledged, all are there");

    // The survivor listens: alpha comes back as its copy, and takes nothing.
    light.back("alpha");
    light.wait_whole();
    assert_eq!(light.node("alpha").ok("drbdadm role r0").unwrap().trim(), "Secondary/Primary");
}

/// Seconds since 1970.
fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64()
}

/// How far the machine's clock is ahead of this one's, seconds: by the quickest of a few answers.
fn clock_ahead(machine: &mut Machine) -> f64 {
    let ask = |_| {
        let asked = now();
        let said: f64 = machine.ok("date +%s.%N").unwrap().trim().parse().unwrap();
        let answered = now();
        (answered - asked, said - (asked + answered) / 2.0)
    };
    let answers = (0..5).map(ask);
    answers.min_by(|one, other| one.0.total_cmp(&other.0)).unwrap().1
}

fn steps(text: &str) -> BTreeMap<String, f64> {
    let line = |line: &str| {
        let (step, at) = line.split_once(' ').unwrap();
        (step.to_owned(), at.parse().unwrap())
    };
    text.lines().map(line).collect()
}

/// When the daemon last said something of this kind, seconds since 1970. The lines begin with the time in UTC.
fn logged(log: &str, kind: &str) -> f64 {
    let marked = format!("kind=\"{kind}\"");
    let line = log.lines().rev().find(|line| line.contains(&marked));
    let line = line.unwrap_or_else(|| panic!("nothing of the kind {kind} in\n{log}"));
    let stamp = line.split('Z').next().unwrap();
    let said = Command::new("date").args(["-u", "+%s.%N", "-d", &format!("{stamp}Z")]).output();
    String::from_utf8(said.unwrap().stdout).unwrap().trim().parse().unwrap()
}
