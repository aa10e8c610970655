//! `vip` against the real kernel: a link to a neighbour in a network namespace of its own.

mod common;

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use common::{Resource, isolated, tool, wait_for};

/// A machine at the other end of `eth0`: 10.9.0.2 and 2001:db8:9::2, where we are `::1`.
struct Neighbour {
    process: Child,
}

impl Neighbour {
    fn new() -> Neighbour {
        let process = Command::new("unshare")
            .args(["--net", "--", "sleep", "600"])
            .stdout(Stdio::null())
            .spawn()
            .expect("unshare");
        let neighbour = Neighbour { process };
        let own = std::fs::read_link("/proc/self/ns/net").expect("own namespace");
        let pid = neighbour.process.id();
        wait_for("the neighbour's namespace", || {
            std::fs::read_link(format!("/proc/{pid}/ns/net")).is_ok_and(|other| other != own)
        });
        tool("ip link set lo up");
        tool(&format!("ip link add eth0 type veth peer name eth0 netns {pid}"));
        // Up first: an address that is given before has no multicast route.
        tool("ip link set eth0 up");
        neighbour.tool("ip link set lo up");
        neighbour.tool("ip link set eth0 up");
        tool("ip address add 10.9.0.1/24 dev eth0");
        tool("ip address add 2001:db8:9::1/64 dev eth0 nodad");
        neighbour.tool("ip address add 10.9.0.2/24 dev eth0");
        neighbour.tool("ip address add 2001:db8:9::2/64 dev eth0 nodad");
        wait_for("carrier", || tool("ip link show eth0").contains("LOWER_UP"));
        neighbour
    }

    #[track_caller]
    fn tool(&self, words: &str) -> String {
        tool(&format!("nsenter -t {} -n {words}", self.process.id()))
    }
}

impl Drop for Neighbour {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The hardware address in what `ip -o link show` printed.
fn mac(text: &str) -> String {
    let mut words = text.split_whitespace().skip_while(|word| *word != "link/ether");
    words.nth(1).expect("a hardware address").to_owned()
}

fn addresses() -> String {
    tool("ip -o address")
}

fn vip(directory: &Path, address: &str) -> Resource {
    Resource::new("vip", directory, &[("address", address)])
}

#[test]
fn starts_stops_and_tells_for_both_families() {
    isolated("starts_stops_and_tells_for_both_families", |directory| {
        let _neighbour = Neighbour::new();
        for (address, expected) in [
            ("10.9.0.170", "10.9.0.170/24"),
            ("10.9.0.171/32", "10.9.0.171/32"),
            ("2001:db8:9::aa", "2001:db8:9::aa/64"),
        ] {
            let vip = vip(directory, address);
            vip.run("validate").ok();
            vip.run("status").code(7).because("is on no interface");
            vip.run("stop").ok();
            let started = vip.run("start").ok();
            let plain = expected.split('/').next().expect("address");
            assert!(started.has_line(&format!("watch address {plain}")), "{started:#?}");
            assert!(started.has_line("watch carrier eth0"), "{started:#?}");
            assert!(addresses().contains(expected), "{}", addresses());
            vip.run("start").ok();
            vip.run("status").ok();
            vip.run("stop").ok();
            assert!(!addresses().contains(expected), "{}", addresses());
            vip.run("stop").ok();
            vip.run("status").code(7);
        }
        let left = addresses();
        assert!(left.contains("10.9.0.1/24") && left.contains("2001:db8:9::1/64"), "{left}");
    });
}

#[test]
fn an_ipv6_address_is_usable_at_once() {
    isolated("an_ipv6_address_is_usable_at_once", |directory| {
        let _neighbour = Neighbour::new();
        vip(directory, "2001:db8:9::aa").run("start").ok();
        let line = addresses();
        let line = line.lines().find(|line| line.contains("2001:db8:9::aa")).expect("added");
        assert!(!line.contains("tentative") && line.contains("nodad"), "{line}");
    });
}

#[test]
fn an_address_that_another_machine_holds_is_not_taken() {
    isolated("an_address_that_another_machine_holds_is_not_taken", |directory| {
        let neighbour = Neighbour::new();
        for (address, plain) in [("10.9.0.2", "10.9.0.2"), ("2001:db8:9::2/64", "2001:db8:9::2")] {
            // A generous wait: this is about the outcome, not about how fast this machine is.
            let vip = vip(directory, address).with("dad_wait", "2s");
            let answer = vip.run("start").code(1).because("is in use");
            let mac = mac(&neighbour.tool("ip -o link show eth0"));
            assert!(answer.reason().contains(&mac), "{answer:#?} {mac}");
            assert!(!addresses().contains(&format!(" {plain}/")), "{}", addresses());
            vip.with("dad", "false").run("start").ok();
        }
    });
}

#[test]
fn o20_neighbours_are_told_at_once_and_after_five_seconds() {
    isolated("o20_neighbours_are_told_at_once_and_after_five_seconds", |directory| {
        let neighbour = Neighbour::new();
        let ips = ["10.9.0.170", "2001:db8:9::aa"];
        // The neighbour is made to believe that the addresses are elsewhere.
        let forget = || {
            for ip in ips {
                let old = "lladdr 02:00:00:00:00:99 dev eth0 nud reachable";
                neighbour.tool(&format!("ip neigh replace {ip} {old}"));
            }
        };
        let mac = mac(&tool("ip -o link show eth0"));
        let knows = |ip: &str| neighbour.tool(&format!("ip neigh show {ip}")).contains(&mac);
        // One after the other: the first repeat comes a second after the burst, seen or not.
        for (resource, ip) in ["four", "six"].into_iter().zip(ips) {
            forget();
            assert!(!knows(ip));
            let began = Instant::now();
            vip(&directory.join(resource), ip).run("start").ok();
            wait_for("the burst", || knows(ip));
            forget();
            wait_for("the first repeat", || knows(ip));
            forget();
            wait_for("the last repeat", || knows(ip));
            let took = began.elapsed();
            assert!(took >= Duration::from_secs(5), "{took:?}");
        }
    });
}

#[test]
fn stop_ends_the_repeats() {
    isolated("stop_ends_the_repeats", |directory| {
        let _neighbour = Neighbour::new();
        let vip = vip(directory, "10.9.0.170");
        let file = directory.join("state/group.vip.announcer");
        // By itself it would look again after a second: only an earlier end proves something,
        // and a loaded machine may need several tries to be as fast.
        let ended_early = (0..5).any(|_| {
            let began = Instant::now();
            vip.run("start").ok();
            let text = std::fs::read_to_string(&file).expect("the announcer is known");
            let pid = text.split(' ').next().expect("pid").to_owned();
            assert!(Path::new(&format!("/proc/{pid}")).exists());
            vip.run("stop").ok();
            assert!(!file.exists());
            let runs = || {
                std::fs::read_to_string(format!("/proc/{pid}/stat"))
                    .is_ok_and(|stat| !stat.contains(") Z "))
            };
            wait_for("the announcer's end", || !runs());
            began.elapsed() < Duration::from_millis(900)
        });
        assert!(ended_early, "stop does not end the announcer");
    });
}

#[test]
fn a_dead_link_is_not_running_well() {
    isolated("a_dead_link_is_not_running_well", |directory| {
        let neighbour = Neighbour::new();
        let vip = vip(directory, "10.9.0.170");
        vip.run("start").ok();
        neighbour.tool("ip link set eth0 down");
        wait_for("no carrier", || tool("ip link show eth0").contains("NO-CARRIER"));
        vip.run("status").code(1).because("eth0 has lost its carrier");
        vip.run("stop").ok();
        vip.run("start").code(1).because("eth0 has lost its carrier");
        tool("ip link set eth0 down");
        vip.run("start").code(1).because("interface eth0 is down");
        assert!(!addresses().contains("10.9.0.170"));
    });
}

#[test]
fn an_address_on_another_interface_is_an_error() {
    isolated("an_address_on_another_interface_is_an_error", |directory| {
        let _neighbour = Neighbour::new();
        tool("ip address add 10.9.0.170/32 dev lo");
        let free = vip(directory, "10.9.0.170");
        free.run("start").code(1).because("belongs on eth0 and is on lo");
        let bound = vip(directory, "10.9.0.170").with("interface", "eth0");
        bound.run("status").code(7).because("not on eth0 but on lo");
        bound.run("stop").ok();
        assert!(addresses().contains("10.9.0.170/32"), "left alone: not this interface");
        free.run("stop").ok();
        assert!(!addresses().contains("10.9.0.170"));
    });
}

#[test]
fn a_wrong_configuration_is_told_before_anything_is_done() {
    isolated("a_wrong_configuration_is_told_before_anything_is_done", |directory| {
        let _neighbour = Neighbour::new();
        let vip = |address| vip(directory, address);
        vip("10.9.0.999").run("start").code(6).because("`address` must be an address");
        vip("192.0.2.1").run("start").code(6).because("no interface has a network");
        vip("192.0.2.1").run("validate").code(6);
        vip("10.9.0.9/24").with("prefix", "16").run("start").code(6).because("leave one of them");
        vip("10.9.0.9").with("interface", "eth7").run("start").code(6).because("lo, eth0");
        vip("224.0.0.1").run("start").code(6).because("cannot be given");
        vip("10.9.0.9").with("garp_repeat", "0").run("start").code(6);
        vip("10.9.0.9").run("dance").code(3);
        assert_eq!(addresses().matches(" 10.9.0.").count(), 1, "{}", addresses());
    });
}

/// What a start costs: the probe waits 2 ms by default. Measured, with a wide margin for a
/// loaded machine; the figure is printed.
#[test]
fn a_start_waits_no_longer_than_it_must() {
    isolated("a_start_waits_no_longer_than_it_must", |directory| {
        let _neighbour = Neighbour::new();
        let vip = vip(directory, "10.9.0.170");
        let mut best = Duration::MAX;
        for _ in 0..5 {
            best = best.min(vip.run("start").ok().took);
            vip.run("stop").ok();
        }
        eprintln!("start: {best:?}");
        assert!(best < Duration::from_millis(500), "{best:?}");
    });
}
