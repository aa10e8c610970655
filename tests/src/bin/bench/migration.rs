//! A planned move of an address: how long nobody has it, and whether two ever have.

use crate::echo::Echo;
use crate::scene::{self, ADDRESS, PORT, SLOW};
use crate::table::Table;
use crate::timeline::{self, Timeline};
use crate::watch::{Change, Watch};
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

const GOAL: Duration = Duration::from_millis(10);

pub(crate) fn measure(rounds: usize, table: &mut Table) {
    for nodes in [&["alpha", "beta"][..], &["alpha", "beta", "gamma"]] {
        moves(rounds, table, nodes);
    }
}

fn moves(rounds: usize, table: &mut Table, nodes: &[&str]) {
    let mut lab = scene::laboratory(nodes);
    let groups = format!(
        "  address:\n    prefer: [alpha, beta]\n    resources:\n      - vip: {ADDRESS}/24\n"
    );
    let config = scene::configuration(&lab, SLOW, "300ms", &groups);
    lab.found(&config);
    let _servers: Vec<scene::Server> = nodes.iter().map(|node| scene::serve(&lab, node)).collect();
    let ip: Ipv4Addr = ADDRESS.parse().expect("an address");
    let echo = Echo::start(lab.client_process(), SocketAddr::from((ip, PORT)));
    let watches: BTreeMap<String, Watch> = nodes
        .iter()
        .map(|node| ((*node).to_owned(), Watch::address(lab.process_of(node), ip)))
        .collect();
    let mut owner = scene::wait_until_well(&lab, "address");
    let first = owner.clone();
    let begun = Instant::now();
    let (mut gaps, mut unheld, mut commands) = (Vec::new(), Vec::new(), Vec::new());
    let mut timeline = Timeline::default();
    for _ in 0..rounds {
        let to = nodes.iter().find(|node| **node != owner).expect("another node").to_string();
        let (from_watch, to_watch) = (&watches[&owner], &watches[&to]);
        std::thread::sleep(Duration::from_millis(137));
        echo.clear();
        let asked = Instant::now();
        lab.node(&to).crm(&["migrate", "address", &to]);
        commands.push(asked.elapsed());
        let gone = from_watch.wait(asked, false);
        let there = to_watch.wait(asked, true);
        let answered = echo.wait("the address", |answer| answer.from == to).at;
        let last = echo.last_before(answered, |answer| answer.from == owner);
        let last = last.map_or(asked, |answer| answer.at);
        gaps.push(answered - last);
        unheld.push(there.saturating_duration_since(gone));
        let mut writes = BTreeMap::new();
        let lines = timeline::lines(&lab, asked);
        let mut moments: Vec<(String, Duration)> = lines
            .iter()
            .filter_map(|line| {
                let who = match &line.node {
                    node if *node == owner => "old owner",
                    node if *node == to => "new owner",
                    _ => "third node",
                };
                Some((format!("{who}: {}", timeline::moment(line, &mut writes)?), line.at))
            })
            .collect();
        moments.push(("THE ADDRESS IS GONE from the old owner".to_owned(), gone - asked));
        moments.push(("THE ADDRESS IS THERE on the new owner".to_owned(), there - asked));
        moments.push(("the address answers".to_owned(), answered - asked));
        moments.push(("last answer of the old owner".to_owned(), last - asked));
        timeline.round(moments);
        owner = to;
        scene::wait_until_well(&lab, "address");
    }
    let about = format!("{} nodes", nodes.len());
    table.times(&format!("planned move, no answer for, {about}"), &gaps, Some(GOAL));
    table.times(&format!("planned move, nobody has the address, {about}"), &unheld, None);
    table.times(&format!("`crm migrate` from call to return, {about}"), &commands, None);
    let changes: BTreeMap<&str, Vec<Change>> =
        watches.iter().map(|(node, watch)| (node.as_str(), watch.changes())).collect();
    let twice = both(&changes, &first, begun);
    table.times(
        &format!("planned moves, two owners at once, sum, {about}"),
        &[twice],
        Some(Duration::ZERO),
    );
    table.text(timeline.table(&format!("Planned move, {about}")));
}

/// How long two nodes had it, all in all.
fn both(changes: &BTreeMap<&str, Vec<Change>>, first: &str, begun: Instant) -> Duration {
    let mut all: Vec<(Instant, &str, bool)> = vec![(begun, first, true)];
    for (node, changes) in changes {
        let later = changes.iter().filter(|(at, _)| *at > begun);
        all.extend(later.map(|(at, there)| (*at, *node, *there)));
    }
    all.sort();
    let mut holders: std::collections::BTreeSet<&str> = Default::default();
    let (mut twice, mut since) = (Duration::ZERO, begun);
    for (at, node, there) in all {
        if holders.len() > 1 {
            twice += at - since;
        }
        since = at;
        if there {
            holders.insert(node)
        } else {
            holders.remove(node)
        };
    }
    twice
}
