//! What a daemon costs while nothing happens, everything watched and looked at.

use crate::scene::{self, SLOW};
use crate::table::Table;
use crm_tests::namespaces::{Laboratory, Options};
use std::net::UdpSocket;
use std::time::Duration;

/// Longer than the ten seconds between two looks of the safety net.
const FOR: Duration = Duration::from_secs(60);
const CPU_GOAL: f64 = 0.09;
const RSS_GOAL_MB: f64 = 12.0;
const PSS_GOAL_MB: f64 = 8.0;

pub(crate) fn measure(_rounds: usize, table: &mut Table) {
    // As in life: nothing more is logged than usual.
    let mut lab = Laboratory::new(Options::new(&["alpha", "beta"], 1));
    let point = lab.directory.join("mounted");
    std::fs::create_dir_all(&point).expect("a mount point");
    let groups = scene::web_group("web", "alpha, beta").replace(
        "    resources:\n",
        &format!(
            "    resources:\n      - filesystem: {{device: tmpfs, at: {}}}\n",
            point.display()
        ),
    );
    let config = scene::configuration(&lab, SLOW, "300ms", &groups);
    lab.found(&config);
    scene::wait_until_well(&lab, "web");
    std::thread::sleep(Duration::from_secs(2));
    let nodes = ["alpha", "beta"];
    let read = |node: &str, file: &str| {
        let pid = lab.node(node).daemon_pid().expect("a daemon");
        lab.node(node).run("sh", &["-c", &format!("cat /proc/{pid}/{file}")]).stdout
    };
    let before: Vec<(f64, f64)> = nodes.iter().map(|node| cpu_seconds(|f| read(node, f))).collect();
    let bare = bare_loop(FOR);
    let after: Vec<(f64, f64)> = nodes.iter().map(|node| cpu_seconds(|f| read(node, f))).collect();
    let minutes = FOR.as_secs_f64() / 60.0;
    for ((node, before), after) in
        ["runs a group of 3", "runs nothing"].iter().zip(&before).zip(&after)
    {
        let own = (after.0 - before.0) / minutes;
        let agents = (after.1 - before.1) / minutes;
        table.values(
            &format!("idle CPU, node that {node}"),
            &[own + agents],
            "s/min",
            Some(CPU_GOAL),
        );
        table.values("  of that, its agents' looks", &[agents], "s/min", None);
    }
    table.values(
        "  a bare loop of as many datagrams, for comparison",
        &[bare / minutes],
        "s/min",
        None,
    );
    let megabytes = |text: &str, name: &str| -> f64 {
        let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
        let kib: f64 =
            line.split_whitespace().next().and_then(|n| n.parse().ok()).unwrap_or(f64::NAN);
        kib / 1024.0
    };
    let rss: Vec<f64> =
        nodes.iter().map(|node| megabytes(&read(node, "status"), "VmRSS:")).collect();
    let pss: Vec<f64> =
        nodes.iter().map(|node| megabytes(&read(node, "smaps_rollup"), "Pss:")).collect();
    let private: Vec<f64> =
        nodes.iter().map(|node| megabytes(&read(node, "status"), "RssAnon:")).collect();
    table.values("RSS of crmd", &rss, "MiB", Some(RSS_GOAL_MB));
    table.values("PSS of crmd (two here share one program)", &pss, "MiB", Some(PSS_GOAL_MB));
    table.values("  of that, its own memory (anonymous)", &private, "MiB", None);
}

/// Of the daemon's threads, and of its children that have ended.
fn cpu_seconds(read: impl Fn(&str) -> String) -> (f64, f64) {
    // Nanoseconds on a processor, by thread; ticks of a hundredth for the children.
    let own: f64 = read("task/*/schedstat")
        .lines()
        .filter_map(|line| line.split_whitespace().next()?.parse::<f64>().ok())
        .sum();
    let stat = read("stat");
    let fields: Vec<&str> =
        stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let children: f64 =
        fields.get(13..15).unwrap_or_default().iter().filter_map(|f| f.parse::<f64>().ok()).sum();
    (own / 1e9, children / 100.0)
}

/// What a program costs that does nothing but send and receive a datagram as often as a node of two
/// does: the part that no daemon can save, on this machine as busy as it is.
fn bare_loop(time: Duration) -> f64 {
    let work = move || -> std::io::Result<f64> {
        crate::urgent::this_thread();
        let socket = UdpSocket::bind("127.0.0.1:0")?;
        let own = socket.local_addr()?;
        let mut datagram = [0; 180];
        let end = std::time::Instant::now() + time;
        while std::time::Instant::now() < end {
            std::thread::sleep(Duration::from_millis(100));
            socket.send_to(&datagram, own)?;
            std::thread::sleep(Duration::from_millis(100));
            socket.recv_from(&mut datagram)?;
        }
        let stat = std::fs::read_to_string("/proc/thread-self/schedstat")?;
        Ok(stat.split_whitespace().next().and_then(|n| n.parse().ok()).unwrap_or(f64::NAN) / 1e9)
    };
    let thread = std::thread::spawn(work);
    thread.join().ok().and_then(Result::ok).unwrap_or(f64::NAN)
}
