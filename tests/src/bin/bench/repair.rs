//! A fault in what runs, until it is repaired in place.

use crate::echo::Echo;
use crate::scene::{self, ADDRESS, SERVICE_PORT, SLOW};
use crate::table::Table;
use crate::timeline::{self, Timeline};
use crate::watch::Watch;
use crm_tests::namespaces::Laboratory;
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

const ADDRESS_GOAL: Duration = Duration::from_millis(20);
const MOUNT_GOAL: Duration = Duration::from_millis(50);
const PROCESS_GOAL: Duration = Duration::from_millis(50);
/// A repair counts against the group's limit; enough of them must be allowed.
const RESTARTS: usize = 1000;

pub(crate) fn measure(rounds: usize, table: &mut Table) {
    let mut lab = scene::laboratory(&["alpha", "beta"]);
    let point = lab.directory.join("mounted");
    std::fs::create_dir_all(&point).expect("a mount point");
    let mount = point.display().to_string();
    let groups = format!(
        "  address:\n    prefer: [alpha]\n    restarts: {RESTARTS}\n    resources:\n      - vip: {ADDRESS}/24\n\
         \x20 mount:\n    prefer: [alpha]\n    restarts: {RESTARTS}\n    resources:\n      - filesystem: {{device: tmpfs, at: {mount}}}\n\
         \x20 process:\n    prefer: [alpha]\n    restarts: {RESTARTS}\n    resources:\n      - process: {{command: \"{} 0.0.0.0:{SERVICE_PORT}\", ready_tcp: \"127.0.0.1:{SERVICE_PORT}\"}}\n",
        scene::server().display(),
    );
    let config = scene::configuration(&lab, SLOW, "300ms", &groups);
    lab.found(&config);
    for group in ["address", "mount", "process"] {
        lab.wait_running(group, "alpha");
    }
    let ip: Ipv4Addr = ADDRESS.parse().expect("an address");
    let alpha = lab.process_of("alpha");

    let watch = Watch::address(alpha, ip);
    let (mut times, mut timeline) = (Vec::new(), Timeline::default());
    for _ in 0..rounds {
        let begun = Instant::now();
        lab.node("alpha").run("ip", &["addr", "del", &format!("{ADDRESS}/24"), "dev", "eth0"]);
        let gone = watch.wait(begun, false);
        let back = watch.wait(gone, true);
        times.push(back - gone);
        settle(&lab, "address");
        trace(&lab, gone, back, &mut timeline);
    }
    table.times("address removed -> there again", &times, Some(ADDRESS_GOAL));
    table.text(timeline.table("Repair of an address"));
    drop(watch);

    let watch = Watch::mount(alpha, &mount);
    let (mut times, mut timeline) = (Vec::new(), Timeline::default());
    for _ in 0..rounds {
        let begun = Instant::now();
        lab.node("alpha").run("umount", &[&mount]);
        let gone = watch.wait(begun, false);
        let back = watch.wait(gone, true);
        times.push(back - gone);
        settle(&lab, "mount");
        trace(&lab, gone, back, &mut timeline);
    }
    table.times("mount undone -> there again", &times, Some(MOUNT_GOAL));
    table.text(timeline.table("Repair of a mount"));
    drop(watch);

    let echo = Echo::start(lab.client_process(), SocketAddr::from(([10, 77, 0, 1], SERVICE_PORT)));
    let (mut times, mut timeline) = (Vec::new(), Timeline::default());
    for _ in 0..rounds {
        echo.clear();
        let pid = echo.wait("the service", |_| true).pid;
        let killed = Instant::now();
        lab.node("alpha").run("kill", &["-9", &pid]);
        let back = echo.wait("the service again", |a| a.at > killed && a.pid != pid).at;
        let gone = echo.last_before(back, |answer| answer.pid == pid).map_or(killed, |a| a.at);
        times.push(back - gone);
        settle(&lab, "process");
        trace(&lab, gone, back, &mut timeline);
    }
    table.times("process killed -> answers again", &times, Some(PROCESS_GOAL));
    table.text(timeline.table("Repair of a process"));
    drop(echo);
    drop(lab);
}

fn settle(lab: &Laboratory, group: &str) {
    lab.wait_running(group, "alpha");
    // What looks again after a repair has looked.
    std::thread::sleep(Duration::from_millis(150));
}

fn trace(lab: &Laboratory, gone: Instant, back: Instant, timeline: &mut Timeline) {
    let mut writes = BTreeMap::new();
    let lines = timeline::lines(lab, gone);
    let mut moments: Vec<(String, Duration)> = lines
        .iter()
        .filter(|line| line.node == "alpha" && line.at < back - gone + Duration::from_millis(30))
        .filter_map(|line| Some((timeline::moment(line, &mut writes)?, line.at)))
        .collect();
    moments.push(("REPAIRED".to_owned(), back - gone));
    timeline.round(moments);
}
