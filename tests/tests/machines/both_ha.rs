//! Two databases on two machines that back each other up, each on a volume of its own (docs/layouts/databases.yaml), under
//! load.

use std::time::{Duration, Instant};

use crm_tests::machines::Specification;
use crm_tests::machines::power::Request;

use crate::layout;
use crate::light::{LONG, Light, Parts, SERVICE};
use crate::shop::{self, Shop};

/// The groups of the layout: db1 goes home by itself, db2 by the operator's word only.
const GROUPS: [(Shop, &str, &str); 2] = [
    (Shop { name: "db1", volume: "/data1", address: SERVICE, port: 3306 }, "alpha", "auto"),
    (Shop { name: "db2", volume: "/data2", address: "10.9.0.102", port: 3307 }, "beta", "manual"),
];

const HEARTBEAT: &str =
    "keepalive: 500ms, warntime: 2s, deadtime: 6s, initdead: 30s, rejoin_after: 1s";
const DEVICE: &str = "10s";

/// HB14, HB15, HB16, I1, I8. `CRM_ROUNDS` rounds (ten unless given): one machine after the other loses its power and
/// comes back. Before them the operator moves a database, and every link between the two is cut.
#[test]
#[ignore = "long: ten to thirty minutes; tests/run machines-long"]
fn hb14_hb15_hb16_i8_two_databases_back_each_other_up_round_after_round() {
    let rounds: usize = std::env::var("CRM_ROUNDS").map_or(10, |text| text.parse().unwrap());
    let client = &Specification::light("client").with_memory(192);
    let configuration = &layout::databases(HEARTBEAT, DEVICE);
    let parts = Parts { nodes: 2, memory: 448, volumes: 2, disk: 112, client, configuration };
    let mut light = Light::new(&parts, shop::fill);
    let started = Instant::now();
    // It started where there was a quorum first.
    light.node("alpha").ok("crm migrate --yes db2 beta || crm status").unwrap();
    for (shop, home, _) in &GROUPS {
        wait_at(&mut light, shop, home);
        shop.open(&mut light.client);
        shop.wait_rows(&mut light.client, 5);
    }
    println!("both serve at home: {:.1} s", started.elapsed().as_secs_f32());

    for target in ["alpha", "beta"] {
        migrate(&mut light, &GROUPS[1].0, target);
    }
    cut_all_links(&mut light);
    for round in 0..rounds {
        let (dead, survivor) = [("alpha", "beta"), ("beta", "alpha")][round % 2];
        let began = Instant::now();
        let shots = light.lab.power().requests().len();
        let before = GROUPS.map(|(shop, ..)| shop.rows(&mut light.client));
        light.node(dead).power_cut().unwrap();
        let outages = wait_both(&mut light, before, began, survivor);
        println!("round {}: {dead} lost its power, {survivor} runs both; {outages}", round + 1);
        let asked = light.lab.power().requests()[shots..].to_vec();
        assert!(asked.iter().all(|request| request.target == dead), "{asked:?}");
        return_home(&mut light, dead, survivor);
        println!("round {} took {:.0} s", round + 1, began.elapsed().as_secs_f32());
    }
}

/// Waits until the volume of `shop` is mounted on `node`, the address is there, and neither is on the other.
fn wait_at(light: &mut Light, shop: &Shop, node: &str) {
    let Shop { name, volume, address, .. } = shop;
    let holds = format!("mountpoint -q {volume} && ip -4 -o addr show | grep -q ' {address}/'");
    light.node(node).until(&holds, LONG).unwrap();
    assert_eq!(holders(light, shop), [node], "{name}");
}

/// Who has anything of the group, asked of the kernels.
fn holders(light: &mut Light, shop: &Shop) -> Vec<String> {
    let Shop { volume, address, .. } = shop;
    let holds = format!("mountpoint -q {volume} || ip -4 -o addr show | grep -q ' {address}/'");
    let on = light.nodes.iter_mut().filter(|node| node.is_on());
    let held =
        on.filter_map(|node| (node.run(&holds).unwrap().code == 0).then(|| node.name().to_owned()));
    held.collect()
}

/// Waits until both serve on `survivor` and five more rows of each were acknowledged; how long each took.
fn wait_both(light: &mut Light, before: [u64; 2], fault: Instant, survivor: &str) -> String {
    let mut told = Vec::new();
    let mut served = [false; 2];
    while served != [true; 2] {
        assert!(fault.elapsed() < 2 * LONG, "expected both to be served, found {served:?}");
        for (n, (shop, ..)) in GROUPS.iter().enumerate() {
            if !served[n] && shop.rows(&mut light.client) >= before[n] + 5 {
                served[n] = true;
                let outage = shop.outage(&mut light.client, before[n].max(1));
                told.push(format!("{} stood still for {outage:.1} s", shop.name));
            }
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    for (shop, ..) in &GROUPS {
        wait_at(light, shop, survivor);
        shop.assert_kept(&mut light.client);
    }
    told.join(", ")
}

/// The dead one returns and resyncs what was written meanwhile; its group comes home as the policy says, and only
/// with a good copy (HB16).
fn return_home(light: &mut Light, dead: &str, survivor: &str) {
    let (n, (shop, _, failback)) =
        GROUPS.iter().enumerate().find(|(_, (_, home, _))| *home == dead).unwrap();
    // So much that a resync takes its time.
    let Shop { name, volume, .. } = shop;
    let write = format!("dd if=/dev/urandom of={volume}/written bs=1M count=16 conv=fsync");
    light.node(survivor).ok(&write).unwrap();
    let began = Instant::now();
    light.back(dead);
    light.wait_whole();
    println!("  whole again {:.1} s after power", began.elapsed().as_secs_f32());
    if *failback == "manual" {
        // It had every chance.
        let beats = light.node(survivor).ok("sleep 3; crm status --json").unwrap();
        assert!(!beats.is_empty());
        assert_eq!(holders(light, shop), [survivor], "{name} went home without being told to");
        migrate(light, shop, dead);
    }
    wait_at(light, shop, dead);
    println!("  {name} at home {:.1} s after power", began.elapsed().as_secs_f32());
    // In the kernel's words of this boot: how good was the copy when it became Primary?
    let good = format!(
        "dmesg | awk '/drbd{n}: / {{ if (match($0, / disk\\( [A-Za-z]* -> [A-Za-z]*/)) {{ disk = substr($0, RSTART, RLENGTH); sub(/.* /, \"\", disk) }} \
         if (/role\\( Secondary -> Primary/) {{ print disk; exit }} }}'"
    );
    assert_eq!(light.node(dead).ok(&good).unwrap().trim(), "UpToDate");
    for (shop, ..) in &GROUPS {
        let rows = shop.rows(&mut light.client);
        shop.wait_rows(&mut light.client, rows + 3);
        let kept = shop.assert_kept(&mut light.client);
        println!("  {}: {kept} rows were acknowledged, all are there", shop.name);
        shop.errors(&mut light.client);
    }
}

/// HB50: under load the client sees nothing but that it has to connect again.
fn migrate(light: &mut Light, shop: &Shop, target: &str) {
    shop.errors(&mut light.client);
    let before = shop.rows(&mut light.client);
    let began = Instant::now();
    light.node(target).ok(&format!("crm migrate --yes {} {target}", shop.name)).unwrap();
    wait_at(light, shop, target);
    let after = shop.rows(&mut light.client);
    shop.wait_rows(&mut light.client, after + 1);
    let done = began.elapsed().as_secs_f32();
    let outage = shop.outage(&mut light.client, before.max(1));
    let errors = shop.errors(&mut light.client);
    println!(
        "  {} was moved to {target} by hand in {done:.1} s, of which it stood still for {outage:.1} s; the client was \
         told {errors:?}",
        shop.name
    );
    // Cannot connect, connection lost, server gone, server is shutting down.
    let reconnect =
        ["ERROR 2002 ", "ERROR 2003 ", "ERROR 2006 ", "ERROR 2013 ", "ERROR 1053 ", "ERROR 1927 "];
    for error in errors {
        assert!(reconnect.iter().any(|known| error.starts_with(known)), "{error}");
    }
    shop.assert_kept(&mut light.client);
}

/// I1, I8: every link between the two is cut, each at work: one is shot, the other serves both.
fn cut_all_links(light: &mut Light) {
    let before = GROUPS.map(|(shop, ..)| shop.rows(&mut light.client));
    let shots = light.lab.power().requests().len();
    for link in 0..2 {
        light.lab.link(link).cut_both("alpha", "beta");
    }
    let began = Instant::now();
    while light.nodes.iter().all(crm_tests::machines::Machine::is_on) {
        assert!(began.elapsed() < LONG, "neither was switched off");
        std::thread::sleep(Duration::from_millis(50));
    }
    let off = began.elapsed();
    let alive = |node: &&crm_tests::machines::Machine| node.is_on();
    let survivor = light.nodes.iter().find(alive).map(|node| node.name().to_owned()).unwrap();
    let (survivor, dead) = if survivor == "alpha" { ("alpha", "beta") } else { ("beta", "alpha") };
    let outages = wait_both(light, before, began, survivor);
    println!(
        "every link was cut: {dead} was off after {:.1} s, {survivor} runs both; {outages}",
        off.as_secs_f32()
    );
    let asked: Vec<Request> = light.lab.power().requests()[shots..].to_vec();
    assert!(asked.iter().all(|request| request.target == dead), "two shot: {asked:?}");
    for link in 0..2 {
        light.lab.link(link).heal();
    }
    return_home(light, dead, survivor);
    let parted = "dmesg | grep -i split-brain";
    for node in &mut light.nodes {
        assert_ne!(node.run(parted).unwrap().code, 0, "{} saw a split brain", node.name());
    }
}
