//! Node death until its address answers elsewhere.

use crate::echo::Echo;
use crate::scene::{self, ADDRESS, Beat, FAST, PORT, SERVICE_PORT, SLOW};
use crate::table::Table;
use crate::timeline::{self, Timeline};
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

/// What the goal grants beyond the deadtime.
const GOAL: Duration = Duration::from_millis(30);

pub(crate) fn measure(rounds: usize, table: &mut Table) {
    let three = ["alpha", "beta", "gamma"];
    for beat in [SLOW, FAST] {
        death(rounds, table, beat, &three, &[], "3 nodes", Duration::ZERO);
    }
    // The side that hosts more goes first in a tie; here that is the dead one.
    let waits = Duration::from_millis(300);
    for beat in [SLOW, FAST] {
        let pair = ["alpha", "beta"];
        death(rounds, table, beat, &pair, &[], "2 nodes, survivor hosts less", waits);
        let more = ["one", "two"];
        death(rounds, table, beat, &pair, &more, "2 nodes, survivor hosts more", Duration::ZERO);
    }
}

/// `more`: groups without an address that prefer whoever does not have it.
fn death(
    rounds: usize,
    table: &mut Table,
    beat: Beat,
    nodes: &[&str],
    more: &[&str],
    about: &str,
    configured_wait: Duration,
) {
    let mut lab = scene::laboratory(nodes);
    let mut groups = scene::web_group("web", &nodes.join(", "));
    for name in more {
        groups.push_str(&format!(
            "  {name}:\n    prefer: [beta, alpha]\n    resources:\n      - process: {{command: sleep 1000000, settle: 1ms}}\n"
        ));
    }
    // More than the device's own limit, as `crm check` asks for.
    let config = scene::configuration(&lab, beat, "300ms", &groups);
    lab.found(&config);
    let mut servers: BTreeMap<String, scene::Server> =
        nodes.iter().map(|node| ((*node).to_owned(), scene::serve(&lab, node))).collect();
    let asked = |port| SocketAddr::from((ADDRESS.parse::<Ipv4Addr>().expect("an address"), port));
    let address = Echo::start(lab.client_process(), asked(PORT));
    let service = Echo::start(lab.client_process(), asked(SERVICE_PORT));
    let (mut outages, mut services, mut beyond) = (Vec::new(), Vec::new(), Vec::new());
    let mut timeline = Timeline::default();
    for round in 0..rounds {
        let owner = scene::wait_until_well(&lab, "web");
        for name in more {
            // The survivor must host more, whoever that is this time.
            let other = nodes.iter().find(|node| **node != owner).expect("another node");
            if lab.place(name).is_none_or(|(on, _)| on != *other) {
                lab.node(other).crm(&["migrate", name, other]);
            }
        }
        scene::wait_until_well(&lab, "web");
        // Anywhere between two heartbeats.
        std::thread::sleep(Duration::from_millis(
            400 + beat.keepalive * round as u64 / rounds as u64,
        ));
        address.clear();
        service.clear();
        let killed = Instant::now();
        lab.power_off(&owner);
        let answered = address.wait("the address", |answer| answer.from != owner).at;
        let served = service.wait("the service", |answer| answer.from != owner).at;
        outages.push(answered - killed);
        services.push(served - killed);
        beyond.push(
            (answered - killed).as_secs_f64() * 1e3
                - beat.deadtime as f64
                - configured_wait.as_secs_f64() * 1e3,
        );
        std::thread::sleep(Duration::from_millis(50));
        let mut writes = BTreeMap::new();
        let new_owner = address.wait("the address", |answer| answer.from != owner).from;
        let lines = timeline::lines(&lab, killed);
        let moments = lines
            .iter()
            .filter(|line| line.at < served - killed + Duration::from_millis(50))
            .filter_map(|line| {
                let who = if line.node == new_owner { "survivor" } else { "third node" };
                (line.node != owner)
                    .then(|| {
                        Some((format!("{who}: {}", timeline::moment(line, &mut writes)?), line.at))
                    })
                    .flatten()
            });
        let mut moments: Vec<(String, Duration)> = moments.collect();
        moments.push(("the address answers".to_owned(), answered - killed));
        moments.push(("the service answers".to_owned(), served - killed));
        timeline.round(moments);
        lab.power_on(&owner);
        lab.node_mut(&owner).start_daemon(&[]);
        servers.insert(owner.clone(), scene::serve(&lab, &owner));
    }
    let Beat { deadtime, .. } = beat;
    let what = format!("{about}, deadtime {deadtime} ms");
    let goal = Duration::from_millis(deadtime) + GOAL + configured_wait;
    table.times(&format!("death -> address, {what}"), &outages, Some(goal));
    table.times(&format!("death -> service, {what}"), &services, None);
    table.values("  address, beyond deadtime and configured delay", &beyond, "ms", Some(30.0));
    table.text(timeline.table(&format!("Takeover: {what}")));
}
