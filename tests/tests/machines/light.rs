//! Nodes that boot in seconds: Debian's kernel and programs without systemd, disks that DRBD replicates between
//! alpha and beta, services on them, and a client.

use std::path::Path;
use std::time::{Duration, Instant};

use crm_tests::machines::images::copy_sparse;
use crm_tests::machines::machine::watchdog_driver;
use crm_tests::machines::{Laboratory, Machine, Specification};

use crate::layout;

/// A boot, a takeover and everything after it have this long.
pub(crate) const LONG: Duration = Duration::from_secs(120);
/// The address of the service.
pub(crate) const SERVICE: &str = "10.9.0.100";

/// The nodes of one cluster, and a client that belongs to none.
pub(crate) struct Light {
    pub(crate) nodes: Vec<Machine>,
    pub(crate) client: Machine,
    // Ends last.
    pub(crate) lab: Laboratory,
}

/// What a [`Light`] is made of.
pub(crate) struct Parts<'a> {
    /// How many nodes.
    pub(crate) nodes: usize,
    /// Memory of each, in MiB.
    pub(crate) memory: u32,
    /// The volumes of a layout (`/dev/drbd0`, ...) between the first two: one, or two.
    pub(crate) volumes: u16,
    /// The size of each, in MiB.
    pub(crate) disk: u64,
    pub(crate) client: &'a Specification,
    /// The text of cluster.yaml.
    pub(crate) configuration: &'a str,
}

/// Two nodes that can be switched off, before their groups.
pub(crate) const FENCED: &str = "cluster: shop
nodes:
  alpha: {links: [10.9.0.1, 10.9.1.1]}
  beta: {links: [10.9.0.2, 10.9.1.2]}
heartbeat: {keepalive: 200ms, warntime: 1s, deadtime: 10s, initdead: 20s, rejoin_after: 1s}
fencing:
  alpha: {agent: command, command: /usr/local/sbin/lab-fence off alpha, timeout: 10s}
  beta: {agent: command, command: /usr/local/sbin/lab-fence off beta, timeout: 10s}
";

/// A writer on the first volume, a web server that shows what it wrote, and the address of that.
pub(crate) const WRITTEN: &str = "groups:
  web:
    prefer: [alpha, beta]
    resources:
      - drbd: r0
      - filesystem: {device: /dev/drbd0, at: /srv/web, type: ext4}
      - process: {name: writer, command: /bin/sh /srv/web/writer}
      - process: {name: server, command: /bin/busybox httpd -f -p 80 -h /srv/web, ready_tcp: \"127.0.0.1:80\"}
      - vip: 10.9.0.100/24
";

const NAMES: [&str; 3] = ["alpha", "beta", "gamma"];

const ALL_GOOD: &str = "[ \"$(drbdadm dstate all | sort -u)\" = UpToDate/UpToDate ]";

impl Light {
    /// Boots everything, with disks that hold what `fill` puts into a directory, founds the cluster and starts it.
    pub(crate) fn new(parts: &Parts<'_>, fill: impl FnOnce(&Laboratory, &Path)) -> Self {
        Self::of(Specification::light, parts, fill)
    }

    /// The same with nodes that `specification` makes.
    pub(crate) fn of(
        specification: impl Fn(&str) -> Specification,
        parts: &Parts<'_>,
        fill: impl FnOnce(&Laboratory, &Path),
    ) -> Self {
        let started = Instant::now();
        let told = |what: &str| println!("{what}: {:.1} s", started.elapsed().as_secs_f32());
        let mut lab = Laboratory::new().unwrap();
        let tree = lab.directory().join("tree");
        std::fs::create_dir(&tree).unwrap();
        fill(&lab, &tree);
        // All have the same bytes, as after a first copy.
        let first = lab.filled_disk("filled", parts.disk << 20, &tree).unwrap();
        let mut nodes = Vec::new();
        for (n, name) in NAMES[..parts.nodes].iter().enumerate() {
            let mut node = specification(name).with_memory(parts.memory);
            for volume in 0..if n < 2 { parts.volumes } else { 0 } {
                let disk = lab.blank_disk(&format!("{name}-{volume}"), 0).unwrap();
                copy_sparse(&first, &disk).unwrap();
                node = node.with_disk(&disk);
            }
            nodes.push(lab.machine(&node).unwrap());
        }
        let client = lab.machine(parts.client).unwrap();
        let mut light = Self { nodes, client, lab };
        for machine in light.nodes.iter_mut().chain([&mut light.client]) {
            machine.power_on().unwrap();
        }
        for node in &mut light.nodes {
            node.wait_booted().unwrap();
        }
        told("all have booted");
        light.replicate(parts.volumes);
        told("the disks are replicated");
        light.found(parts.configuration);
        told("all have joined");
        light
    }

    /// The node of this name.
    pub(crate) fn node(&mut self, name: &str) -> &mut Machine {
        self.nodes.iter_mut().find(|node| node.name() == name).unwrap()
    }

    fn replicate(&mut self, volumes: u16) {
        for node in &mut self.nodes[..2] {
            for (name, text) in layout::volumes(volumes) {
                node.ok(&format!("cat >/etc/drbd.d/{name}.res <<'END'\n{text}END")).unwrap();
            }
            node.ok("crm drbd check").unwrap();
            node.ok("modprobe drbd && drbdadm create-md --force all && drbdadm up all").unwrap();
        }
        let [alpha, beta] = &mut self.nodes[..2] else { unreachable!("two nodes have a disk") };
        alpha.until("[ \"$(drbdadm cstate all | sort -u)\" = Connected ]", LONG).unwrap();
        alpha.ok("drbdadm -- --clear-bitmap new-current-uuid all").unwrap();
        beta.until(ALL_GOOD, LONG).unwrap();
    }

    fn found(&mut self, configuration: &str) {
        let alpha = &mut self.nodes[0];
        let file = "mkdir -p /etc/crm && cat >/etc/crm/cluster.yaml";
        alpha.ok(&format!("{file} <<'CONFIGURATION'\n{configuration}\nCONFIGURATION")).unwrap();
        println!("{}", alpha.ok("crm check && crm init 2>/dev/null").unwrap());
        let keys = alpha.ok("cat /etc/crm/authkeys").unwrap();
        start(alpha);
        for node in &mut self.nodes[1..] {
            node.ok(&format!("umask 077; printf '%s' '{keys}' >/etc/crm/authkeys")).unwrap();
            node.until("crm join 10.9.0.1", LONG).unwrap();
            start(node);
        }
        self.wait_members();
    }

    /// Switches a node on again, or waits for its boot after a reset, and starts the daemon there.
    pub(crate) fn back(&mut self, name: &str) {
        let node = self.node(name);
        node.power_on().unwrap();
        node.wait_booted().unwrap();
        start(node);
    }

    /// Waits until every node counts all as members with a vote, nobody's copy is called stale and all copies
    /// are good.
    pub(crate) fn wait_whole(&mut self) {
        self.wait_members();
        self.nodes[0].until(ALL_GOOD, LONG).unwrap();
        let started = Instant::now();
        while !self.banned().is_empty() {
            assert!(started.elapsed() < LONG, "still called stale: {:?}", self.banned());
            std::thread::sleep(Duration::from_millis(300));
        }
    }

    fn wait_members(&mut self) {
        let count = self.nodes.len();
        for node in &mut self.nodes {
            let started = Instant::now();
            loop {
                let said = node.run("crm status --json").unwrap().text;
                if all_are_members(&said, count) {
                    break;
                }
                let late = started.elapsed() > LONG;
                assert!(!late, "{}: expected {count} members, found {said}", node.name());
                std::thread::sleep(Duration::from_millis(300));
            }
        }
    }

    fn banned(&mut self) -> Vec<String> {
        let said = self.nodes[0].ok("crm status --json").unwrap();
        let status: serde_json::Value = serde_json::from_str(&said).unwrap();
        let groups = status["groups"].as_array().unwrap_or_else(|| panic!("no groups in {said}"));
        let bans = groups.iter().map(|group| group["bans"].as_object());
        let bans = bans.flat_map(|bans| bans.unwrap_or_else(|| panic!("no bans in {said}")).keys());
        bans.cloned().collect()
    }

    /// Waits until the service answers from `node`, as the client sees it.
    pub(crate) fn wait_served_by(&mut self, node: &str) {
        self.client.until(&format!("[ \"$({})\" = {node} ]", fetch("served-by")), LONG).unwrap();
    }

    /// Number of the last line that the service has acknowledged to the client.
    pub(crate) fn acknowledged(&mut self) -> u64 {
        let said = self.client.until(&format!("{} | grep .", fetch("acknowledged")), LONG);
        said.unwrap().trim().parse().unwrap()
    }

    /// Asserts that every acknowledged line is served, each once and in order, and that no node wrote after
    /// another had begun to. Answers how often the writer changed.
    pub(crate) fn assert_kept(&mut self, number: u64) -> usize {
        let text = self.client.ok(&fetch("lines")).unwrap();
        let mut writers: Vec<&str> = Vec::new();
        let mut count = 0_u64;
        for line in text.lines() {
            let (at, writer) = line.split_once(' ').unwrap_or_else(|| panic!("{line:?} in {text}"));
            count += 1;
            assert_eq!(at, count.to_string(), "a line is missing or was written twice");
            if writers.last() != Some(&writer) {
                writers.push(writer);
            }
        }
        assert!(count >= number, "line {number} was acknowledged, but only {count} are there");
        writers.len()
    }
}

/// The machine's own part of a boot: drivers, then the daemon.
fn start(node: &mut Machine) {
    // The chip's own driver comes first where the watchdog is a part of it.
    let watchdog = match watchdog_driver().as_str() {
        "iTCO_wdt" => "lpc_ich iTCO_wdt".to_owned(),
        driver => driver.to_owned(),
    };
    node.ok(&format!("modprobe -a drbd {watchdog}")).unwrap();
    // What the host's daemons would be told is told to these.
    let filter =
        std::env::var("CRM_LOG_FILTER").map(|set| format!("export CRM_LOG_FILTER='{set}'; "));
    node.spawn(&format!("{}exec lab-crmd", filter.unwrap_or_default())).unwrap();
    node.until("crm status >/dev/null 2>&1 || [ $? = 5 ]", LONG).unwrap();
}

fn all_are_members(status: &str, count: usize) -> bool {
    let Ok(status) = serde_json::from_str::<serde_json::Value>(status) else { return false };
    let member = |node: &serde_json::Value| node["state"] == "online" && node["voter"] == true;
    status["quorum"] == true
        && status["nodes"].as_array().is_some_and(|n| n.len() == count && n.iter().all(member))
}

/// Command of the client that prints a file of the service.
pub(crate) fn fetch(file: &str) -> String {
    format!(
        "printf 'GET /{file} HTTP/1.0\\r\\n\\r\\n' | nc -w 3 {SERVICE} 80 | tr -d '\\r' | sed '1,/^$/d'"
    )
}
