//! Nodes out of namespaces: death takes everything, and nothing is left behind. Run as root, or
//! as an ordinary user inside a user namespace of its own.

use crm_sandbox::{
    FenceMode, Keeper, Power, SharedPower, Switchboard, add_port, make_bridge, script,
};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Set where the test runs as the root of a user namespace.
const INSIDE: &str = "CRM_SANDBOX_TEST_INSIDE";

/// Runs the rest of a test as root: of the machine, or of a user namespace.
fn as_root(test: &str, body: impl FnOnce()) {
    if nix::unistd::geteuid().is_root() {
        return body();
    }
    assert!(std::env::var_os(INSIDE).is_none(), "no root inside of a user namespace");
    let mut again = Command::new("unshare");
    again.args(["--user", "--map-root-user", "--net", "--mount", "--pid", "--fork"]);
    again.args(["--kill-child=KILL", "--mount-proc"]).arg(std::env::current_exe().expect("test"));
    let done = again.args([test, "--exact"]).env(INSIDE, "1").status().expect("unshare");
    assert!(done.success(), "{test} inside of a user namespace: {done}");
}

fn start(name: &str) -> Keeper {
    Keeper::start(name).unwrap_or_else(|error| panic!("{error}"))
}

/// A namespace, held open: the kernel gives its number to no other meanwhile.
struct Namespace {
    number: PathBuf,
    _held: File,
}

/// The namespaces of a process.
fn namespaces(pid: i32) -> [Namespace; 2] {
    ["pid", "net"].map(|kind| {
        let path = format!("/proc/{pid}/ns/{kind}");
        let held = File::open(&path).unwrap_or_else(|e| panic!("{path}: {e}"));
        let number = std::fs::read_link(&path).unwrap_or_else(|e| panic!("{path}: {e}"));
        Namespace { number, _held: held }
    })
}

/// Processes in one of these namespaces.
fn inside(of: &[Namespace]) -> Vec<i32> {
    let all = std::fs::read_dir("/proc").expect("readable").flatten();
    all.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|pid: &i32| {
            ["pid", "net"].iter().any(|kind| {
                std::fs::read_link(format!("/proc/{pid}/ns/{kind}"))
                    .is_ok_and(|number| of.iter().any(|held| held.number == number))
            })
        })
        .collect()
}

fn wait(what: &str, met: impl Fn() -> bool) {
    let until = Instant::now() + Duration::from_secs(10);
    while !met() {
        assert!(Instant::now() < until, "{what}: not within 10 s");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A process that left its session and its parent, and ignores every signal that it may.
fn stubborn(node: &Keeper) {
    let script = "trap '' TERM INT HUP; setsid sh -c 'trap \"\" TERM INT HUP; sleep 300' &";
    let done = node
        .command("sh")
        .args(["-c", script])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .status()
        .expect("a process in the node");
    assert!(done.success());
}

#[test]
fn a_kill_ends_every_process() {
    as_root("a_kill_ends_every_process", || {
        let mut node = start("alpha");
        let of = namespaces(node.pid);
        stubborn(&node);
        wait("the stubborn one runs", || inside(&of).len() >= 2);
        node.kill().expect("everything ended");
        assert_eq!(inside(&of), Vec::<i32>::new());
        node.kill().expect("a second time does no harm");
    });
}

/// `nsenter` stops itself with its child, and does not collect it while it is stopped.
#[test]
fn a_node_with_a_stopped_process_ends_too() {
    as_root("a_node_with_a_stopped_process_ends_too", || {
        let mut node = start("alpha");
        let of = namespaces(node.pid);
        let mut entrance = node.command("sh").args(["-c", "kill -STOP $$"]).spawn().expect("sh");
        let state = format!("/proc/{}/stat", entrance.id());
        wait("the entrance stops, too", || {
            std::fs::read_to_string(&state).is_ok_and(|stat| stat.contains(") T "))
        });
        node.kill().expect("everything ended");
        assert_eq!(inside(&of), Vec::<i32>::new());
        entrance.wait().expect("the entrance ended");
    });
}

#[test]
fn a_killed_node_answers_nobody() {
    as_root("a_killed_node_answers_nobody", || {
        let switch = start("switch");
        make_bridge(Some(&switch), "br0").expect("a bridge");
        let mut node = start("alpha");
        add_port(Some(&switch), "br0", "port-alpha", &node, "eth0", "10.99.1.1/24").expect("port");
        let plugged = || {
            let words = ["-o", "link", "show", "port-alpha"];
            let done = switch.on_network("ip").args(words).output().expect("ip");
            String::from_utf8_lossy(&done.stdout).contains("LOWER_UP")
        };
        wait("the cable carries", plugged);
        node.kill().expect("everything ended");
        assert!(!plugged(), "the kernel still answers for a dead node");
        // The same place can be taken at once, as after a boot.
        let node = start("alpha");
        add_port(Some(&switch), "br0", "port-alpha", &node, "eth0", "10.99.1.1/24").expect("port");
        wait("the new cable carries", plugged);
    });
}

#[test]
fn twenty_rounds_leave_nothing() {
    as_root("twenty_rounds_leave_nothing", || {
        let mut of = Vec::new();
        for round in 0..20 {
            let (mut one, two) = (start("alpha"), start("beta"));
            of.extend(namespaces(one.pid));
            of.extend(namespaces(two.pid));
            stubborn(&one);
            stubborn(&two);
            if round % 2 == 0 {
                one.kill().expect("everything ended");
            }
        }
        assert_eq!(of.len(), 80);
        assert_eq!(inside(&of), Vec::<i32>::new());
        let children = std::fs::read_to_string("/proc/thread-self/children").expect("readable");
        assert_eq!(children.trim(), "", "children that nobody waited for");
    });
}

/// Not a test by itself: the owner that the next one kills.
#[test]
fn owner_to_be_killed() {
    if std::env::var_os("CRM_SANDBOX_TEST_OWNER").is_none() {
        return;
    }
    let node = start("alpha");
    stubborn(&node);
    println!("\nnode {}", node.pid);
    loop {
        std::thread::park();
    }
}

#[test]
fn nothing_outlives_a_killed_owner() {
    as_root("nothing_outlives_a_killed_owner", || {
        let mut owner = Command::new(std::env::current_exe().expect("test"))
            .args(["owner_to_be_killed", "--exact", "--nocapture"])
            .env("CRM_SANDBOX_TEST_OWNER", "1")
            .stdout(Stdio::piped())
            .spawn()
            .expect("the owner");
        let lines = BufReader::new(owner.stdout.take().expect("piped")).lines();
        let pid = lines
            .map_while(Result::ok)
            .find_map(|line| line.strip_prefix("node ")?.parse::<i32>().ok())
            .expect("the node's process");
        let of = namespaces(pid);
        wait("the stubborn one runs", || inside(&of).len() >= 2);
        owner.kill().expect("killed");
        owner.wait().expect("waited for");
        wait("nothing is left", || inside(&of).is_empty());
    });
}

/// A power switch with one node on it, in a directory of its own.
struct Bench {
    directory: PathBuf,
    power: SharedPower,
    _switchboard: Switchboard,
}

impl Bench {
    fn new(name: &str) -> Bench {
        let place = format!("crm-sandbox-{name}-{}", std::process::id());
        let directory = std::env::temp_dir().join(place);
        std::fs::create_dir_all(&directory).expect("a directory");
        let power: SharedPower = Arc::new(Mutex::new(Power {
            keepers: BTreeMap::from([("alpha".to_owned(), start("alpha"))]),
            mode: FenceMode::Works,
            requests: Vec::new(),
            killed: Vec::new(),
        }));
        let switchboard = Switchboard::start(&directory, power.clone()).expect("a switchboard");
        Bench { directory, power, _switchboard: switchboard }
    }

    fn fence(&self, target: &str) -> bool {
        let path: &Path = &script(&self.directory);
        let mut command = Command::new(path);
        command.env("CRM_FENCE_TARGET", target).env("CRM_FENCE_ACTION", "off");
        command.status().expect("the fencing command").success()
    }

    fn alpha(&self) -> [Namespace; 2] {
        namespaces(self.power.lock().expect("power").keepers["alpha"].pid)
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

#[test]
fn fencing_succeeds_only_when_no_process_is_left() {
    as_root("fencing_succeeds_only_when_no_process_is_left", || {
        let bench = Bench::new("works");
        let of = bench.alpha();
        assert!(bench.fence("alpha"));
        assert_eq!(inside(&of), Vec::<i32>::new());
        assert_eq!(bench.power.lock().expect("power").killed, ["alpha"]);
        assert!(bench.fence("alpha"), "a node that is off already is off");
        assert_eq!(bench.power.lock().expect("power").killed, ["alpha"]);
    });
}

#[test]
fn a_device_that_fails_says_so_and_ends_nothing() {
    as_root("a_device_that_fails_says_so_and_ends_nothing", || {
        let bench = Bench::new("fails");
        bench.power.lock().expect("power").mode = FenceMode::Fails;
        let of = bench.alpha();
        assert!(!bench.fence("alpha"));
        assert_eq!(inside(&of).len(), 2, "unshare and the first process inside");
    });
}
