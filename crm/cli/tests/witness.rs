//! `crm witness` on loopback: one process, several clusters, and files that are not as they should be.

mod support;

use crm_api::{WitnessCluster, WitnessReport};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs;
use std::net::UdpSocket;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};
use support::{Machine, PATIENCE, said};

const PORT: u16 = 17697;

/// A witness with directories of its own below those of a node, ended with the test.
struct Witness {
    /// The only node of its cluster `shop`.
    node: Machine,
    home: PathBuf,
    process: Option<Child>,
}

impl Witness {
    /// It serves the node's cluster `shop`, and the others named; no process yet.
    fn beside(node: Machine, others: &str) -> Witness {
        let home = node.home.join("witness");
        fs::create_dir_all(home.join("etc")).expect("a directory");
        let witness = Witness { node, home, process: None };
        let text = format!(
            "listen: {}\nport: {PORT}\nclusters:\n  shop: {{}}\n{others}",
            witness.address()
        );
        fs::write(witness.home.join("etc/witness.yaml"), text).expect("witness.yaml");
        let keys = witness.home.join("etc/shop.authkeys");
        fs::copy(witness.node.home.join("etc/authkeys"), keys).expect("the keys");
        witness
    }

    fn address(&self) -> String {
        let sum = crm_core::digest::digest(self.home.as_os_str().as_encoded_bytes()).0;
        format!("127.{}.{}.{}", 1 + sum % 250, 1 + (sum >> 8) % 250, 1 + (sum >> 16) % 250)
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_crm"));
        command
            .env_clear()
            .env("CRM_WITNESS_CONFIG_DIR", self.home.join("etc"))
            .env("CRM_WITNESS_STATE", self.home.join("state"))
            .env("CRM_WITNESS_RUN", self.home.join("run"))
            .env("CRM_LOG", "text")
            .arg("witness")
            .args(words)
            .stdin(Stdio::null());
        command
    }

    fn run(&self, words: &[&str]) -> Output {
        self.command(words).output().expect("crm")
    }

    /// On a full disk no file may grow.
    fn serve(&mut self, full_disk: bool) {
        let serve = self.command(&["serve"]);
        let mut command = if full_disk {
            let mut shell = Command::new("sh");
            shell.env_clear().envs(serve.get_envs().filter_map(|(key, value)| Some((key, value?))));
            // The signal is ignored, so that a write fails as it does for want of room.
            let script = "trap '' XFSZ; ulimit -S -f 0; exec \"$0\" witness serve";
            shell.args(["-c", script, env!("CARGO_BIN_EXE_crm")]).stderr(Stdio::null());
            shell
        } else {
            let log = fs::File::create(self.home.join("log")).expect("log");
            let mut serve = serve;
            serve.stderr(log);
            serve
        };
        command.stdin(Stdio::null()).stdout(Stdio::null());
        self.process = Some(command.spawn().expect("crm witness"));
        self.wait("an answer", |witness| witness.report().is_some());
    }

    fn report(&self) -> Option<WitnessReport> {
        serde_json::from_slice(&self.run(&["status", "--json"]).stdout).ok()
    }

    fn cluster(&self, name: &str) -> WitnessCluster {
        let report = self.report().unwrap_or_else(|| panic!("no answer: {}", self.log()));
        let found = report.clusters.into_iter().find(|cluster| cluster.cluster == name);
        found.unwrap_or_else(|| panic!("no cluster {name}"))
    }

    fn votes(&self) -> bool {
        let status = self.cluster("shop").status;
        status.is_some_and(|status| status.witness.is_some_and(|witness| witness.voter))
    }

    fn log(&self) -> String {
        fs::read_to_string(self.home.join("log")).unwrap_or_default()
    }

    fn wait(&self, what: &str, met: impl Fn(&Witness) -> bool) {
        let until = Instant::now() + PATIENCE;
        while !met(self) {
            assert!(Instant::now() < until, "{what}: not in time\n{}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn end(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ = kill(Pid::from_raw(process.id() as i32), Signal::SIGTERM);
            let _ = process.wait();
        }
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        self.end();
        // Without the witness there is no quorum to leave in order with.
        self.node.crm(&["keep"]);
    }
}

/// A founded cluster `shop` of one node that names this witness.
fn shop_with(others: &str) -> Witness {
    let witness = Witness::beside(Machine::start("  g: {resources: [ocf:test:switch]}\n"), others);
    let file = witness.node.home.join("etc/cluster.yaml");
    let text = fs::read_to_string(&file).expect("cluster.yaml");
    let named = text.replace("fencing:", &format!("witness: {}\nfencing:", witness.address()));
    fs::write(&file, named).expect("cluster.yaml");
    let applied = witness.node.crm(&["apply", "--yes"]);
    assert!(applied.status.success(), "{}", said(&applied));
    witness
}

#[test]
fn a_witness_votes_where_it_can_and_says_what_is_wrong_elsewhere() {
    let mut witness = shop_with("  mail: {}\n  open: {}\n");
    let open = witness.home.join("etc/open.authkeys");
    fs::copy(witness.node.home.join("etc/authkeys"), &open).expect("keys");
    fs::set_permissions(&open, fs::Permissions::from_mode(0o644)).expect("mode");
    // HB2: judged before anything runs, too.
    let checked = witness.run(&["check"]);
    assert_eq!(checked.status.code(), Some(1));
    let text = said(&checked);
    assert!(text.contains("mail.authkeys cannot be read") && text.contains("644"), "{text}");
    witness.serve(false);
    witness.wait("its vote", Witness::votes);
    let status = said(&witness.node.crm(&["status"]));
    assert!(status.contains("witness  online  votes only"), "{status}");
    let shown = witness.run(&["status"]);
    assert_eq!(shown.status.code(), Some(5), "one cluster has no vote of it");
    let text = said(&shown);
    assert!(text.contains("shop     votes") && text.contains("mail     does not vote"), "{text}");
    assert!(text.contains("0644"), "{text}");
    // It is tried again without being asked to.
    fs::set_permissions(&open, fs::Permissions::from_mode(0o600)).expect("mode");
    witness.wait("a voter of the third", |witness| witness.cluster("open").problem.is_none());
    // A second one would vote twice.
    let second = witness.run(&["serve"]);
    assert_eq!(second.status.code(), Some(1));
    assert!(said(&second).contains("held by another witness"), "{}", said(&second));
    // A node's questions are not its.
    let socket = witness.home.join("run/witness.sock");
    let asked = witness.node.crm(&["--socket", &socket.display().to_string(), "status"]);
    assert!(said(&asked).contains("socket of a witness"), "{}", said(&asked));
    // It comes back as the same voter, and nobody had to let it in.
    let store = witness.cluster("shop").store;
    witness.end();
    witness.serve(false);
    witness.wait("its vote again", Witness::votes);
    assert_eq!(witness.cluster("shop").store, store);
}

#[test]
fn h22_a_damaged_state_is_refused_with_the_way_out_and_a_missing_one_is_a_new_voter() {
    let mut witness = shop_with("");
    witness.serve(false);
    witness.wait("its vote", Witness::votes);
    let store = witness.cluster("shop").store.expect("it votes");
    witness.end();
    let file = witness.home.join("state/shop/state");
    let mut bytes = fs::read(&file).expect("its state");
    // Behind its head.
    bytes[40] ^= 1;
    fs::write(&file, bytes).expect("damage");
    witness.serve(false);
    // It answers before it has read its files.
    witness.wait("the refusal", |witness| witness.cluster("shop").problem.is_some());
    let cluster = witness.cluster("shop");
    let problem = cluster.problem.expect("it is refused");
    assert_eq!(cluster.store, None, "nobody votes");
    for words in ["state/shop/state is damaged", "move it away", "new voter", "Never restore"] {
        assert!(problem.contains(words), "{problem}");
    }
    fs::remove_file(&file).expect("moved away");
    witness.wait("another identity", |witness| {
        witness.cluster("shop").store.is_some_and(|now| now != store)
    });
    assert!(witness.log().contains("begins as a new voter"), "{}", witness.log());
}

#[test]
fn as1_on_a_full_disk_it_casts_no_vote_and_says_so_until_there_is_room() {
    let mut witness = shop_with("");
    witness.serve(true);
    witness.wait("the failure", |witness| {
        witness.cluster("shop").problem.is_some_and(|problem| problem.contains("cannot be written"))
    });
    let status = said(&witness.node.crm(&["status"]));
    assert!(!status.contains("witness  online  votes only"), "{status}");
    let pid = witness.process.as_ref().map(|process| process.id().to_string()).unwrap_or_default();
    let room = Command::new("prlimit").args(["--pid", &pid, "--fsize=unlimited"]).output();
    assert!(room.expect("prlimit (util-linux)").status.success());
    witness.wait("its vote", Witness::votes);
    assert_eq!(witness.cluster("shop").problem, None);
}

/// W24.
#[test]
fn i9_strangers_forgeries_and_replays_change_nothing_at_a_witness() {
    let mut witness = shop_with("");
    witness.serve(false);
    witness.wait("its vote", Witness::votes);
    let before = witness.cluster("shop");
    let stranger = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let target = format!("{}:{PORT}", witness.address());
    let other = crm_wire::generate(std::array::from_fn(|place| place as u8));
    let other = crm_wire::AuthKeys::parse("other", &other).expect("keys");
    let of = |cluster: &str| {
        let id = crm_wire::ClusterId::of(cluster);
        let mut endpoint =
            crm_wire::Endpoint::new(other.clone(), id, "alpha", 7).expect("endpoint");
        let mut packets = Vec::new();
        (0..50).for_each(|_| endpoint.seal(b"vote for me", &mut packets).expect("sealed"));
        packets
    };
    for packet in of("shop").into_iter().chain(of("elsewhere")).chain(vec![b"noise".to_vec(); 50]) {
        stranger.send_to(&packet, &target).expect("sent");
        std::thread::sleep(Duration::from_micros(500));
    }
    witness.wait("all of it counted", |witness| {
        let report = witness.report().expect("an answer");
        let forged = report.clusters[0].rejected.get("authentication").copied();
        report.strange == 100 && forged == Some(50)
    });
    let after = witness.cluster("shop");
    let epoch = |cluster: &WitnessCluster| cluster.status.as_ref().map(|status| status.epoch);
    assert!(witness.votes());
    assert_eq!((epoch(&after), after.store), (epoch(&before), before.store));
}

#[test]
fn a_wrong_witness_yaml_is_refused_at_its_line_and_column() {
    let witness = shop_with("  shop: {}\n");
    for words in [["check"], ["serve"]] {
        let output = witness.run(&words);
        assert_eq!(output.status.code(), Some(1));
        let text = said(&output);
        let place = if words == ["check"] { "witness.yaml:5:3" } else { "witness.yaml:5:3: " };
        assert!(text.contains(place) && text.contains("twice"), "{text}");
    }
}
