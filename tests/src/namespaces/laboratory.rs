//! The laboratory: a switch, nodes on it, a client beside them, and faults.

use super::freezer;
use super::guard::Guard;
use super::node::{Node, install_programs};
use super::probe::Probe;
use super::radio::Radio;
use super::watchdog::Watchdogs;
use crm_core::status::{LinkStatus, Status};
use crm_sandbox::{FenceMode, Keeper, Power, SharedPower, Switchboard, script};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, Once, PoisonError};
use std::time::{Duration, Instant};

/// What to build.
#[derive(Clone, Debug)]
pub struct Options {
    pub nodes: Vec<String>,
    /// Machines that are no nodes: on the same networks, with disks and addresses of their own.
    pub beside: Vec<String>,
    /// Each node has a watchdog that ends it.
    pub watchdogs: bool,
    /// Networks that connect them all.
    pub links: u8,
    /// What the daemons log (`CRM_LOG_FILTER`); `None`: as in life.
    pub log_filter: Option<String>,
    /// The product's program; `None`: the one of this profile, built anew if need be.
    pub program: Option<PathBuf>,
}

impl Options {
    #[must_use]
    pub fn new(nodes: &[&str], links: u8) -> Options {
        let nodes = nodes.iter().map(ToString::to_string).collect();
        let beside = Vec::new();
        Options { nodes, beside, watchdogs: false, links, log_filter: None, program: None }
    }

    fn machines(&self) -> impl Iterator<Item = &String> {
        self.nodes.iter().chain(&self.beside)
    }
}

/// A running laboratory. Dropping it ends everything and removes its directory.
#[derive(Debug)]
pub struct Laboratory {
    pub directory: PathBuf,
    pub nodes: BTreeMap<String, Node>,
    options: Options,
    switch: Keeper,
    client: Keeper,
    pub(super) power: SharedPower,
    _switchboard: Switchboard,
    watchdogs: Option<Watchdogs>,
    /// Removes the control groups of the nodes.
    groups: Option<Guard>,
}

static NUMBER: AtomicU32 = AtomicU32::new(0);
static BUILD: Once = Once::new();

impl Laboratory {
    /// Builds nodes, networks and the power switch; no daemon runs yet.
    ///
    /// # Panics
    /// If anything of it cannot be had: a laboratory that is half there proves nothing.
    #[must_use]
    pub fn new(options: Options) -> Laboratory {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let directory =
            std::env::temp_dir().join(format!("crm-laboratory-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&directory).expect("a directory for the laboratory");
        let programs = directory.join("bin");
        let program = options.program.clone().unwrap_or_else(crm_program);
        install_programs(&programs, &program).expect("links to the programs");
        let switch = Keeper::start("switch").expect("the switch");
        let client = Keeper::start("client").expect("the client");
        for link in 0..options.links {
            ip(&switch, &format!("link add br{link} type bridge"));
            ip(&switch, &format!("link set br{link} up"));
        }
        let power: SharedPower = Arc::new(Mutex::new(Power {
            keepers: BTreeMap::new(),
            mode: FenceMode::Works,
            requests: Vec::new(),
            killed: Vec::new(),
        }));
        let switchboard = Switchboard::start(&directory, power.clone()).expect("the power switch");
        let watchdogs =
            options.watchdogs.then(|| Watchdogs::start(&directory, &options.nodes, &power));
        let nodes = options
            .machines()
            .map(|name| {
                let disk = directory.join(name);
                for part in ["etc", "state", "agents"] {
                    std::fs::create_dir_all(disk.join(part)).expect("the node's disk");
                }
                fresh_run(&disk).expect("the node's run directory");
                let node = Node {
                    name: name.clone(),
                    disk,
                    power: power.clone(),
                    programs: programs.clone(),
                    log_filter: options.log_filter.clone(),
                    watchdog: watchdogs.as_ref().map(|dogs| dogs.library().to_owned()),
                    daemon_environment: Vec::new(),
                    daemon: None,
                };
                (name.clone(), node)
            })
            .collect();
        let runs: Vec<PathBuf> =
            options.machines().map(|name| directory.join(name).join("run")).collect();
        let groups = freezer::groups(&directory, &runs);
        let laboratory = Laboratory {
            directory,
            nodes,
            options,
            switch,
            client,
            power,
            _switchboard: switchboard,
            watchdogs,
            groups,
        };
        for link in 0..laboratory.options.links {
            laboratory.plug(&laboratory.client, "client", link, 250);
        }
        for name in laboratory.options.machines() {
            laboratory.power_on(name);
        }
        laboratory
    }

    /// Address of a node on a link.
    #[must_use]
    pub fn address(&self, node: &str, link: u8) -> String {
        let at = self.options.machines().position(|name| name == node).unwrap_or(200);
        format!("10.77.{link}.{}", at + 1)
    }

    /// The `nodes:` part of a configuration.
    #[must_use]
    pub fn nodes_yaml(&self) -> String {
        self.nodes_yaml_of(&self.options.nodes)
    }

    /// The same for some of them.
    #[must_use]
    pub fn nodes_yaml_of(&self, names: &[String]) -> String {
        let mut text = String::from("nodes:\n");
        for name in names {
            let links: Vec<String> =
                (0..self.options.links).map(|link| self.address(name, link)).collect();
            let dog = self.watchdogs.as_ref().map(|dogs| dogs.device(name));
            let dog = dog.map_or(String::new(), |path| format!(", watchdog: {}", path.display()));
            text.push_str(&format!("  {name}: {{links: [{}]{dog}}}\n", links.join(", ")));
        }
        text
    }

    /// A `fencing:` part with the laboratory's power switch for every node.
    #[must_use]
    pub fn fencing_yaml(&self, timeout: &str, delay: &str) -> String {
        self.fencing_yaml_of(&self.options.nodes, timeout, delay)
    }

    /// The same for some of them.
    #[must_use]
    pub fn fencing_yaml_of(&self, names: &[String], timeout: &str, delay: &str) -> String {
        let mut text = format!("fencing_delay: {delay}\nfencing:\n");
        let script = script(&self.directory);
        for name in names {
            let script = script.display();
            text.push_str(&format!(
                "  {name}: {{agent: command, command: {script}, timeout: {timeout}}}\n"
            ));
        }
        text
    }

    #[must_use]
    pub fn node(&self, name: &str) -> &Node {
        self.nodes.get(name).unwrap_or_else(|| panic!("no node {name}"))
    }

    pub fn node_mut(&mut self, name: &str) -> &mut Node {
        self.nodes.get_mut(name).unwrap_or_else(|| panic!("no node {name}"))
    }

    /// Founds the cluster on the first node, lets the others join, and waits until all vote.
    pub fn found(&mut self, configuration: &str) {
        self.found_of(&self.options.nodes.clone(), configuration);
    }

    /// The same with some of the nodes.
    pub fn found_of(&mut self, names: &[String], configuration: &str) {
        let Some(first) = names.first() else { return };
        std::fs::write(self.node(first).etc("cluster.yaml"), configuration).expect("cluster.yaml");
        self.node(first).crm(&["init"]);
        self.node_mut(first).start_daemon(&[]);
        let contact = self.address(first, 0);
        for name in names.iter().skip(1) {
            let keys = self.node(first).etc("authkeys");
            std::fs::copy(keys, self.node(name).etc("authkeys")).expect("authkeys");
            self.node(name).crm(&["join", &contact]);
            self.node_mut(name).start_daemon(&[]);
        }
        self.wait("every node votes", Duration::from_secs(40), |lab| {
            lab.view_of(names).is_some_and(|status| {
                status.quorum
                    && status.nodes.len() == names.len()
                    && status.nodes.iter().all(|n| n.voter && n.obeyed == Some(status.stamp))
            })
        });
    }

    /// The coordinator's view, from any node that gives it.
    #[must_use]
    pub fn view(&self) -> Option<Status> {
        self.view_of(&self.options.nodes)
    }

    /// The same from some of the nodes.
    #[must_use]
    pub fn view_of(&self, names: &[String]) -> Option<Status> {
        let nodes = names.iter().filter_map(|name| self.nodes.get(name));
        nodes.filter_map(Node::try_status).find(|status| status.quorum)
    }

    /// Waits for a condition.
    ///
    /// # Panics
    /// With the logs of all nodes, if it does not come in time.
    pub fn wait(&self, what: &str, limit: Duration, mut met: impl FnMut(&Laboratory) -> bool) {
        let until = Instant::now() + limit;
        while !met(self) {
            assert!(Instant::now() < until, "{what}: not within {limit:?}\n{}", self.logs());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits until a group runs on a node.
    pub fn wait_running(&self, group: &str, node: &str) {
        self.wait(&format!("{group} runs on {node}"), Duration::from_secs(40), |lab| {
            lab.place(group).is_some_and(|(on, running)| on == node && running)
        });
    }

    /// Where a group is, and whether it runs there.
    #[must_use]
    pub fn place(&self, group: &str) -> Option<(String, bool)> {
        let status = self.view()?;
        let group = status.groups.into_iter().find(|found| found.id.as_str() == group)?;
        let running = group.phase == crm_core::packet::GroupPhase::Running && !group.ending;
        Some((group.owner?.to_string(), running))
    }

    #[must_use]
    pub fn logs(&self) -> String {
        let mut text = String::new();
        for node in self.nodes.values() {
            text.push_str(&format!("--- {}\n{}\n", node.name, node.log()));
            if self.is_frozen(&node.name) {
                continue;
            }
            if let Some(seen) = node.try_run("crm", &["status", "--links"]) {
                text.push_str(&format!("{}{}\n", seen.stdout, seen.stderr));
            }
        }
        text
    }

    /// Ends every process of a node at once, and its network with it.
    pub fn power_off(&self, name: &str) {
        let mut power = self.power.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(mut keeper) = power.keepers.remove(name) {
            keeper.kill().expect("every process of the node ends");
        }
    }

    /// Gives a node fresh namespaces on its old disk. `run` is empty, as after a boot.
    pub fn power_on(&self, name: &str) {
        fresh_run(&self.node(name).disk).expect("run directory");
        let keeper = Keeper::start(name).expect("the node's namespaces");
        for link in 0..self.options.links {
            let last = self.options.machines().position(|n| n == name).unwrap_or(200) + 1;
            self.plug(&keeper, name, link, last);
        }
        self.power
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .keepers
            .insert(name.to_owned(), keeper);
    }

    fn plug(&self, keeper: &Keeper, name: &str, link: u8, last: usize) {
        // Interface names have 15 characters at most.
        let port = format!("p{link}{}", &name[..name.len().min(10)]);
        // What a killed node leaves may take the kernel a moment to remove.
        let _ = self.switch.on_network("ip").args(["link", "del", &port]).output();
        ip(
            &self.switch,
            &format!("link add {port} type veth peer name eth{link} netns {}", keeper.pid),
        );
        ip(&self.switch, &format!("link set {port} master br{link} up"));
        ip(keeper, &format!("addr add 10.77.{link}.{last}/24 dev eth{link}"));
        ip(keeper, &format!("link set eth{link} up"));
    }

    /// Pulls or plugs the cable of one link of a node.
    pub fn cable(&self, name: &str, link: u8, plugged: bool) {
        let port = format!("p{link}{}", &name[..name.len().min(10)]);
        let state = if plugged { "up" } else { "down" };
        ip(&self.switch, &format!("link set {port} {state}"));
    }

    /// Cuts a node off behind its switch, or connects it again: its own cable stays plugged, so it sees
    /// a carrier and nobody else.
    pub fn isolate(&self, name: &str, link: u8, cut: bool) {
        let port = format!("p{link}{}", &name[..name.len().min(10)]);
        let words = if cut { "nomaster".to_owned() } else { format!("master br{link}") };
        ip(&self.switch, &format!("link set {port} {words}"));
    }

    pub fn set_fencing(&self, mode: FenceMode) {
        self.power.lock().unwrap_or_else(PoisonError::into_inner).mode = mode;
    }

    /// Nodes that their watchdog has reset, in order, and when nothing of them ran any more.
    #[must_use]
    pub fn resets(&self) -> Vec<(String, Instant)> {
        self.watchdogs.as_ref().map(Watchdogs::resets).unwrap_or_default()
    }

    /// Nodes that the power switch has ended, in order.
    #[must_use]
    pub fn fenced(&self) -> Vec<String> {
        self.power.lock().unwrap_or_else(PoisonError::into_inner).killed.clone()
    }

    /// First process of a node, by its number on the host: the way into its namespaces.
    #[must_use]
    pub fn process_of(&self, node: &str) -> i32 {
        self.try_process_of(node).unwrap_or_else(|| panic!("{node} is down"))
    }

    /// The same, unless the node is down.
    #[must_use]
    pub fn try_process_of(&self, node: &str) -> Option<i32> {
        let power = self.power.lock().unwrap_or_else(PoisonError::into_inner);
        Some(power.keepers.get(node)?.pid)
    }

    /// The same of the client beside the cluster.
    #[must_use]
    pub fn client_process(&self) -> i32 {
        self.client.pid
    }

    /// Nodes that the power switch was asked to end, in order, whether it did or not.
    #[must_use]
    pub fn fence_requests(&self) -> Vec<String> {
        self.power.lock().unwrap_or_else(PoisonError::into_inner).requests.clone()
    }

    /// Lets a node hear `count` more heartbeats of each node that it hears at all: for what must not
    /// happen, a time in which it would have.
    pub fn beats(&self, node: &str, count: u64) {
        let heard = |lab: &Laboratory| -> BTreeMap<String, u64> {
            let status = lab.node(node).status();
            let up = status.nodes.iter().filter(|peer| peer.links.iter().any(|link| link.up));
            let sum = |links: &[LinkStatus]| links.iter().map(|link| link.received).sum();
            up.map(|peer| (peer.id.to_string(), sum(&peer.links))).collect()
        };
        let before = heard(self);
        self.wait(&format!("{node} hears the others"), Duration::from_secs(60), |lab| {
            let now = heard(lab);
            now.iter().all(|(peer, n)| *n >= before.get(peer).copied().unwrap_or(0) + count)
        });
    }

    /// Asks an address from the client's network, all the time.
    #[must_use]
    pub fn probe(&self, address: &str, period: Duration) -> Probe {
        let address = address.parse().unwrap_or_else(|error| panic!("{address}: {error}"));
        Probe::start(self.client.pid, address, period)
    }

    /// Asks an address from inside a node's own network: there its own application answers as long as
    /// the node has the address, whatever the neighbours believe.
    #[must_use]
    pub fn probe_inside(&self, node: &str, address: &str, period: Duration) -> Probe {
        let address = address.parse().unwrap_or_else(|error| panic!("{address}: {error}"));
        let power = self.power.lock().unwrap_or_else(PoisonError::into_inner);
        let keeper = power.keepers.get(node).unwrap_or_else(|| panic!("{node} is down"));
        Probe::start(keeper.pid, address, period)
    }

    /// A stranger in the client's network who speaks to a node's heartbeat port.
    #[must_use]
    pub fn radio(&self, node: &str) -> Radio {
        let power = self.power.lock().unwrap_or_else(PoisonError::into_inner);
        let keeper = power.keepers.get(node).unwrap_or_else(|| panic!("{node} is down"));
        let receiver = PathBuf::from(format!("/proc/{}/net/udp", keeper.pid));
        let target = format!("{}:694", self.address(node, 0));
        Radio { speaker: self.client.pid, receiver, target }
    }

    /// A command in the network of the switch, whose ports are `p`, the link and the node's name.
    #[must_use]
    pub fn switch(&self, program: &str) -> Command {
        self.switch.on_network(program)
    }

    /// A command in the client's network.
    #[must_use]
    pub fn client(&self, program: &str) -> Command {
        self.client.command(program)
    }
}

impl Drop for Laboratory {
    fn drop(&mut self) {
        drop(self.watchdogs.take());
        let mut power = self.power.lock().unwrap_or_else(PoisonError::into_inner);
        power.keepers.clear();
        drop(power);
        for node in self.nodes.values_mut() {
            if let Some(mut daemon) = node.daemon.take() {
                let _ = daemon.wait();
            }
        }
        drop(self.groups.take());
        for node in self.nodes.values() {
            let _ = std::fs::remove_dir_all(memory(&node.disk));
        }
        if std::thread::panicking() {
            eprintln!("logs of the nodes are kept in {}", self.directory.display());
        } else {
            let _ = std::fs::remove_dir_all(&self.directory);
        }
    }
}

/// Where a node's `run` is in truth: in memory, as `/run` is. The disk of a busy machine may keep who writes there waiting
/// for half a minute.
fn memory(disk: &Path) -> PathBuf {
    let shared = Path::new("/dev/shm");
    let root = if shared.is_dir() { shared.to_owned() } else { std::env::temp_dir() };
    let parts = disk.iter().rev().take(2).map(|part| part.to_string_lossy());
    root.join(parts.collect::<Vec<_>>().join("-of-"))
}

/// An empty `run`, as after a boot.
fn fresh_run(disk: &Path) -> std::io::Result<()> {
    let (run, memory) = (disk.join("run"), memory(disk));
    if memory.exists() {
        std::fs::remove_dir_all(&memory)?;
    }
    std::fs::create_dir_all(&memory)?;
    if run.symlink_metadata().is_err() {
        std::os::unix::fs::symlink(&memory, &run)?;
    }
    Ok(())
}

fn ip(keeper: &Keeper, words: &str) {
    let done = keeper.on_network("ip").args(words.split_whitespace()).output().expect("ip");
    let error = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "ip {words}: {error}");
}

/// The product's program, built in the profile of this test.
///
/// # Panics
/// If it does not build.
#[must_use]
pub fn crm_program() -> PathBuf {
    let me = std::env::current_exe().expect("this test's own path");
    // Tests lie one directory deeper than programs.
    let target = me
        .ancestors()
        .skip(1)
        .find(|directory| !directory.ends_with("deps"))
        .map(Path::to_path_buf)
        .expect("the target directory");
    BUILD.call_once(|| {
        let mut build = Command::new(std::env::var("CARGO").unwrap_or_else(|_| "cargo".into()));
        build.args(["build", "--quiet", "-p", "crm-cli", "--bin", "crm"]);
        if target.ends_with("release") {
            build.arg("--release");
        }
        assert!(build.status().expect("cargo").success(), "the product does not build");
    });
    target.join("crm")
}
