//! Measures what a user waits for, on real daemons in namespaces. Needs root and a quiet machine.
//!
//!     cargo run --release -p crm-tests --bin bench [-- ROUNDS]
//!
//! Figures are medians of ROUNDS (default 7); the probe asks every 2 ms, so they are no finer than that.

use crm_tests::namespaces::{Laboratory, Options};
use std::time::{Duration, Instant};

const ADDRESS: &str = "10.77.0.100";

fn main() {
    let rounds = std::env::args().nth(1).and_then(|word| word.parse().ok()).unwrap_or(7);
    println!("medians of {rounds} rounds, milliseconds (least to most)");
    for (deadtime, keepalive) in [(1000, 200), (300, 50)] {
        death(rounds, deadtime, keepalive);
    }
    migration_and_repair(rounds);
    idle();
}

fn configuration(lab: &Laboratory, deadtime: u64, keepalive: u64, group: &str) -> String {
    format!(
        "cluster: bench\n{}heartbeat: {{keepalive: {keepalive}ms, warntime: {}ms, deadtime: {deadtime}ms, initdead: 5s, rejoin_after: 500ms}}\n{}groups:\n{group}",
        lab.nodes_yaml(),
        deadtime * 3 / 4,
        // Three nodes: a majority fences at once, nobody has to wait in a tie.
        lab.fencing_yaml("5s", "0s"),
    )
}

fn web_group() -> String {
    let own = std::env::current_exe().expect("the bench's own path");
    let web = own.with_file_name("lab-web");
    format!(
        "  web:\n    prefer: [alpha, beta, gamma]\n    resources:\n\
         \x20     - vip: {ADDRESS}/24\n\
         \x20     - process: {{command: \"{} 0.0.0.0:80\", ready_tcp: \"{ADDRESS}:80\"}}\n",
        web.display()
    )
}

/// Node death until the address answers again.
fn death(rounds: usize, deadtime: u64, keepalive: u64) {
    let mut outages = Vec::new();
    let mut lab = Laboratory::new(Options::new(&["alpha", "beta", "gamma"], 1));
    let config = configuration(&lab, deadtime, keepalive, &web_group());
    lab.found(&config);
    let probe = lab.probe(&format!("{ADDRESS}:80"), Duration::from_millis(2));
    for _ in 0..rounds {
        let owner = owner(&lab);
        probe.wait_for(&owner, Instant::now(), Duration::from_secs(10));
        let killed = Instant::now();
        lab.power_off(&owner);
        lab.wait("another serves", Duration::from_secs(20), |lab| {
            lab.place("web").is_some_and(|(on, running)| running && on != owner)
        });
        let after = probe.answers().into_iter().find(|a| a.at > killed && a.from.is_some());
        if let Some(answer) = after {
            outages.push(answer.at - killed);
        }
        lab.power_on(&owner);
        lab.node_mut(&owner).start_daemon(&[]);
        lab.wait("it is back", Duration::from_secs(20), |lab| {
            lab.view().is_some_and(|status| {
                status.nodes.iter().all(|n| n.state == crm_core::status::NodeState::Online)
            })
        });
    }
    print("node death -> address answers", &format!("deadtime {deadtime} ms"), outages);
}

fn migration_and_repair(rounds: usize) {
    let mut lab = Laboratory::new(Options::new(&["alpha", "beta", "gamma"], 1));
    let group = format!(
        "  address:\n    prefer: [alpha, beta]\n    resources:\n      - vip: {ADDRESS}/24\n"
    );
    // The server listens everywhere, so that only the address is measured.
    let config = configuration(&lab, 1000, 200, &group);
    lab.found(&config);
    let own = std::env::current_exe().expect("the bench's own path");
    let web = own.with_file_name("lab-web").display().to_string();
    let servers: Vec<_> = ["alpha", "beta", "gamma"]
        .iter()
        .map(|name| lab.node(name).command(&web).arg("0.0.0.0:80").spawn().expect("lab-web"))
        .collect();
    let probe = lab.probe(&format!("{ADDRESS}:80"), Duration::from_millis(1));
    let mut moves = Vec::new();
    let mut repairs = Vec::new();
    for round in 0..rounds {
        let to = if round % 2 == 0 { "beta" } else { "alpha" };
        let before = Instant::now();
        lab.node(to).crm(&["migrate", "address", to]);
        let there = probe.wait_for(to, before, Duration::from_secs(5));
        let last = probe.answers().into_iter().rfind(|a| a.at < there && a.from.is_some());
        if let Some(last) = last {
            moves.push(there - last.at);
        }
        std::thread::sleep(Duration::from_millis(100));
        let node = lab.node(to);
        node.run("ip", &["addr", "del", &format!("{ADDRESS}/24"), "dev", "eth0"]);
        let gone = Instant::now();
        lab.wait("the address is back", Duration::from_secs(5), |lab| {
            lab.node(to).has_address(ADDRESS)
        });
        let back = probe.wait_for(to, gone, Duration::from_secs(5));
        let last = probe.answers().into_iter().rfind(|a| a.at < back && a.from.is_some());
        if let Some(last) = last {
            repairs.push(back - last.at);
        }
        lab.wait_running("address", to);
    }
    for mut server in servers {
        // It may have ended with its node.
        let _ = server.kill();
        let _ = server.wait();
    }
    print("planned move of an address", "", moves);
    print("address removed by hand -> answers", "", repairs);
}

/// What a daemon costs while nothing happens.
fn idle() {
    let mut lab = Laboratory::new(Options::new(&["alpha", "beta"], 1));
    let config = configuration(&lab, 1000, 200, &web_group().replace(", gamma", ""));
    lab.found(&config);
    lab.wait_running("web", "alpha");
    let node = lab.node("alpha");
    let Some(pid) = node.daemon_pid() else { return };
    let read = |file: &str| node.run("cat", &[&format!("/proc/{pid}/{file}")]).stdout;
    let ticks = |stat: String| -> i64 {
        let after = stat.rsplit(')').next().unwrap_or_default().to_owned();
        let fields: Vec<i64> = after.split_whitespace().filter_map(|f| f.parse().ok()).collect();
        // utime, stime and those of ended children; the state is no number, so they shift by one.
        fields.get(10..14).unwrap_or_default().iter().sum()
    };
    let before = ticks(read("stat"));
    std::thread::sleep(Duration::from_secs(30));
    let used = ticks(read("stat")) - before;
    println!(
        "idle, 200 ms heartbeats, everything watched: {:.2} CPU s a minute",
        used as f64 / 100.0 * 2.0
    );
    for line in
        read("status").lines().filter(|l| l.starts_with("VmRSS") || l.starts_with("Threads"))
    {
        println!("{line}");
    }
    for line in read("smaps_rollup").lines().filter(|l| l.starts_with("Pss:")) {
        println!("{line}");
    }
}

fn owner(lab: &Laboratory) -> String {
    lab.wait("the group runs", Duration::from_secs(20), |lab| {
        lab.place("web").is_some_and(|(_, running)| running)
    });
    lab.place("web").map(|(owner, _)| owner).unwrap_or_default()
}

fn print(what: &str, detail: &str, mut times: Vec<Duration>) {
    times.sort_unstable();
    let ms = |time: Option<&Duration>| time.map_or(f64::NAN, |time| time.as_secs_f64() * 1e3);
    println!(
        "{what:38} {detail:16} {:8.1}  ({:.1} to {:.1})",
        ms(times.get(times.len() / 2)),
        ms(times.first()),
        ms(times.last()),
    );
}
