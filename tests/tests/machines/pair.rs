//! Two nodes with the package installed, a disk that both have, a power switch for each, and a client.

use std::time::{Duration, Instant};

use crm_tests::machines::package::Package;
use crm_tests::machines::{Laboratory, Machine, Specification};

/// A takeover, a boot and everything after it have this long.
pub(crate) const LONG: Duration = Duration::from_secs(180);
/// The address of the service.
pub(crate) const SERVICE: &str = "10.9.0.100";

/// Both nodes of the cluster and a client that belongs to neither.
pub(crate) struct Pair {
    pub(crate) alpha: Machine,
    pub(crate) beta: Machine,
    pub(crate) client: Machine,
    package: Package,
    storage: Storage,
    // Ends last.
    pub(crate) lab: Laboratory,
}

/// What every node of the cluster is told; `groups` are added by [`Pair::apply`].
/// The emulated processors are slow and stall now and then, so the times are generous.
const CLUSTER: &str = "cluster: shop
nodes:
  alpha: {links: [10.9.0.1, 10.9.1.1]}
  beta: {links: [10.9.0.2, 10.9.1.2]}
heartbeat: {keepalive: 500ms, warntime: 2s, deadtime: 5s, initdead: 60s}
fencing:
  alpha: {agent: command, command: /usr/local/sbin/lab-fence off alpha, timeout: 5s}
  beta: {agent: command, command: /usr/local/sbin/lab-fence off beta, timeout: 5s}
";

/// The disk of the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Storage {
    /// One that both machines have.
    Shared,
    /// Each machine has its own; DRBD keeps them the same.
    Replicated,
}

impl Storage {
    /// What the group begins with.
    fn resources(self) -> &'static str {
        match self {
            Storage::Shared => "      - filesystem: {device: /dev/vdb, at: /srv/web, type: ext4}\n",
            Storage::Replicated => {
                "      - drbd: r0\n      - filesystem: {device: /dev/drbd0, at: /srv/web, type: ext4}\n"
            }
        }
    }
}

/// The nodes of `r0`, as `crm drbd config` wants them.
const REPLICAS: &str = "--node alpha=10.9.0.1:/dev/vdb --node beta=10.9.0.2:/dev/vdb";

const GROUP: &str = "groups:
  web:
    prefer: [alpha, beta]
    on_disk_error: stay
    resources:
";

/// A writer on the disk, a web server that shows it, and the address of that.
const SERVICE_RESOURCES: &str = "      - process: {name: writer, command: /bin/sh /srv/web/writer}
      - process: {name: server, command: /bin/busybox httpd -f -p 80 -h /srv/web, ready_tcp: \"127.0.0.1:80\"}
      - vip: 10.9.0.100/24
";

/// Counts lines: a number in `acknowledged` says that this line and all before it are on the disk.
const WRITER: &str = "cd /srv/web
hostname >served-by
number=$(tail -n 1 lines 2>/dev/null)
while :; do
    number=$((${number:-0} + 1))
    echo $number >>lines
    sync lines
    echo $number >acknowledged.new && mv acknowledged.new acknowledged
    sleep 0.2
done
";

impl Pair {
    /// Boots all three, installs the package on the nodes as an administrator would, founds the cluster on
    /// alpha, joins beta, and applies the groups. Both have one disk.
    pub(crate) fn serving() -> Self {
        Self::with(Storage::Shared)
    }

    /// The same with a disk for each, replicated by DRBD.
    pub(crate) fn replicated() -> Self {
        Self::with(Storage::Replicated)
    }

    fn with(storage: Storage) -> Self {
        let mut lab = Laboratory::new().unwrap();
        let package = Package::built(&lab).unwrap();
        let shared = lab.blank_disk("shared", 64 << 20).unwrap();
        let mut node = |name: &str| {
            let parts = Specification::debian(name);
            let parts = match storage {
                Storage::Shared => parts.with_shared_disk(&shared),
                Storage::Replicated => {
                    parts.with_disk(&lab.blank_disk(&format!("{name}-data"), 64 << 20).unwrap())
                }
            };
            lab.machine(&parts.with_shared_disk(package.disk())).unwrap()
        };
        let (alpha, beta) = (node("alpha"), node("beta"));
        let client = lab.machine(&Specification::bare("client")).unwrap();
        let mut pair = Self { alpha, beta, client, package, storage, lab };
        let started = Instant::now();
        pair.client.power_on().unwrap();
        pair.boot_both();
        println!("both nodes have booted: {:.1} s", started.elapsed().as_secs_f32());
        pair.install();
        println!("the package is installed on both: {:.1} s", started.elapsed().as_secs_f32());
        pair.found();
        println!("beta has joined: {:.1} s", started.elapsed().as_secs_f32());
        pair.apply();
        pair.wait_served_by("alpha", LONG);
        println!("the service answers: {:.1} s", started.elapsed().as_secs_f32());
        pair
    }

    /// Switches both nodes on and waits until systemd has started everything.
    pub(crate) fn boot_both(&mut self) {
        for node in [&mut self.alpha, &mut self.beta] {
            node.power_on().unwrap();
        }
        for node in [&mut self.alpha, &mut self.beta] {
            node.wait_running().unwrap();
        }
    }

    fn install(&mut self) {
        for node in [&mut self.alpha, &mut self.beta] {
            self.package.install(node, "/dev/vdc").unwrap();
            // Enabled, so that it comes with the next boot, but a machine without keys has nothing to run.
            assert_eq!(node.ok("systemctl is-enabled crmd").unwrap().trim(), "enabled");
            assert_ne!(node.run("systemctl is-active crmd").unwrap().code, 0);
        }
    }

    fn found(&mut self) {
        let device = match self.storage {
            Storage::Shared => "/dev/vdb",
            Storage::Replicated => "/dev/drbd0",
        };
        if self.storage == Storage::Replicated {
            self.replicate();
        }
        let fill = format!(
            "mke2fs -q -t ext4 {device} && mount {device} /mnt && printf '%s' '{WRITER}' >/mnt/writer && umount /mnt"
        );
        self.alpha.ok(&fill).unwrap();
        if self.storage == Storage::Replicated {
            self.alpha.ok("drbdadm secondary r0").unwrap();
        }
        self.alpha
            .ok(&format!("printf '%s' '{CLUSTER}' >/etc/crm/cluster.yaml && crm init"))
            .unwrap();
        self.alpha.ok("systemctl start crmd").unwrap();
        let keys = self.alpha.ok("cat /etc/crm/authkeys").unwrap();
        self.beta.ok(&format!("umask 077; printf '%s' '{keys}' >/etc/crm/authkeys")).unwrap();
        self.beta.ok("crm join 10.9.0.1 && systemctl start crmd").unwrap();
        self.wait_members();
    }

    /// As an administrator would: the file that `crm` writes, metadata, and no copy of two empty disks.
    fn replicate(&mut self) {
        for node in [&mut self.alpha, &mut self.beta] {
            node.ok(&format!("crm drbd config r0 {REPLICAS} >/etc/drbd.d/r0.res && sync")).unwrap();
            node.ok("crm drbd check").unwrap();
            node.ok("modprobe drbd && drbdadm create-md --force r0 && drbdadm up r0").unwrap();
        }
        self.alpha.until("[ \"$(drbdadm cstate r0)\" = Connected ]", LONG).unwrap();
        self.alpha.ok("drbdadm -- --clear-bitmap new-current-uuid r0").unwrap();
        self.beta.until("[ \"$(drbdadm dstate r0)\" = UpToDate/UpToDate ]", LONG).unwrap();
        self.alpha.ok("drbdadm primary r0").unwrap();
    }

    fn apply(&mut self) {
        let groups = format!("{GROUP}{}{SERVICE_RESOURCES}", self.storage.resources());
        self.alpha.ok(&format!("printf '%s' '{CLUSTER}{groups}' >/root/cluster.yaml")).unwrap();
        self.alpha.ok("crm apply --yes /root/cluster.yaml").unwrap();
    }

    /// Waits until each node counts both as members with a vote.
    pub(crate) fn wait_members(&mut self) {
        for node in [&mut self.alpha, &mut self.beta] {
            let started = Instant::now();
            loop {
                let said = node.run("crm status --json").unwrap().text;
                if both_are_members(&said) {
                    break;
                }
                assert!(
                    started.elapsed() < LONG,
                    "{}: expected both as members, found {said}",
                    node.name()
                );
                std::thread::sleep(Duration::from_millis(500));
            }
        }
    }

    /// Waits until the service answers from `node`, as the client sees it, and answers how long that took.
    pub(crate) fn wait_served_by(&mut self, node: &str, within: Duration) -> Duration {
        let started = Instant::now();
        self.client.until(&format!("[ \"$({})\" = {node} ]", fetch("served-by")), within).unwrap();
        started.elapsed()
    }

    /// Number of the last line that the service has acknowledged to the client.
    pub(crate) fn acknowledged(&mut self) -> u64 {
        self.client
            .until(&format!("{} | grep .", fetch("acknowledged")), LONG)
            .unwrap()
            .trim()
            .parse()
            .unwrap()
    }

    /// Asserts that every acknowledged line up to `number` is served, each once and in order.
    pub(crate) fn assert_kept(&mut self, number: u64) {
        let count = format!("{} | awk '$0 != NR {{ exit 1 }} END {{ print NR }}'", fetch("lines"));
        let kept: u64 = self.client.ok(&count).unwrap().trim().parse().unwrap();
        assert!(kept >= number, "line {number} was acknowledged, but only {kept} are there");
    }

    /// Installs the package again, as an upgrade does.
    pub(crate) fn upgrade_alpha(&mut self) {
        self.package.install(&mut self.alpha, "/dev/vdc").unwrap();
    }

    /// Names of the nodes that hold the disk, and of those that hold the address. Both are asked of the
    /// kernels, not of the product.
    pub(crate) fn holders(&mut self) -> (Vec<String>, Vec<String>) {
        let (mut disk, mut address) = (Vec::new(), Vec::new());
        for node in [&mut self.alpha, &mut self.beta] {
            if !node.is_on() {
                continue;
            }
            if node.run("mountpoint -q /srv/web").unwrap().code == 0 {
                disk.push(node.name().to_owned());
            }
            if node.run(&format!("ip -4 -o addr show | grep -q ' {SERVICE}/'")).unwrap().code == 0 {
                address.push(node.name().to_owned());
            }
        }
        (disk, address)
    }
}

/// Whether a status says that there is a quorum and that both nodes are members with a vote.
fn both_are_members(status: &str) -> bool {
    let Ok(status) = serde_json::from_str::<serde_json::Value>(status) else { return false };
    let member = |node: &serde_json::Value| node["state"] == "online" && node["voter"] == true;
    status["quorum"] == true
        && status["nodes"]
            .as_array()
            .is_some_and(|nodes| nodes.len() == 2 && nodes.iter().all(member))
}

/// Command of the client that prints a file of the service. (The wget of a static busybox looks up a service's
/// name, for which it loads libraries that are not there.)
fn fetch(file: &str) -> String {
    format!(
        "printf 'GET /{file} HTTP/1.0\\r\\n\\r\\n' | nc -w 5 {SERVICE} 80 | tr -d '\\r' | sed '1,/^$/d'"
    )
}
