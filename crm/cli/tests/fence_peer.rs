//! DRBD's handlers against a stand-in for the daemon, which says that it is one: it answers on the
//! control socket what the test tells it to, and notes what it was asked.

#[path = "../../../resource-agents/tests/common/stand_in.rs"]
mod stand_in;

use crm_api::{ConfigReport, Reply, ReplyLine, Request, RequestLine};
use crm_core::id::NodeId;
use crm_core::operator::{Command as Change, Outcome};
use crm_core::packet::GroupPhase;
use crm_core::status::{GroupStatus, NodeState, NodeStatus, Status};
use stand_in::StandIn;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

const CLUSTER: &str = "cluster: shop\nnodes: {alpha: {links: [10.0.0.1]}, beta: {links: [10.0.0.2]}}\n\
    fencing:\n  alpha: {agent: command, command: /bin/true}\n  beta: {agent: command, command: /bin/true}\ngroups:\n  web: {resources: [vip: 10.0.0.9/24]}\n  \
    data: {resources: [drbd: r0]}\n";

/// What the daemon would answer, and what it was asked to change.
#[derive(Debug)]
struct Told {
    status: Status,
    config: String,
    /// One for each change, the last for all that follow.
    outcomes: Vec<Outcome>,
    changes: Vec<Change>,
}

struct Daemon {
    socket: PathBuf,
    told: Arc<Mutex<Told>>,
}

fn status(owner: Option<&str>, bans: &[&str], beta: NodeState) -> Status {
    let node = |id: &str, state: NodeState| NodeStatus {
        id: id.into(),
        state,
        voter: true,
        standby: false,
        leaving: false,
        silent_for: None,
        incarnation: None,
        obeyed: None,
        armed: None,
        fencing: None,
        links: Vec::new(),
    };
    let data = GroupStatus {
        id: "data".into(),
        owner: owner.map(NodeId::new),
        ending: false,
        phase: GroupPhase::Unknown,
        reason: String::new(),
        verdicts: Vec::new(),
        stopped_by_operator: false,
        pinned_to: None,
        failures: Default::default(),
        bans: bans.iter().map(|node| (NodeId::new(node), "stale".to_owned())).collect(),
        elsewhere: Default::default(),
        resources: Vec::new(),
        decisions: Vec::new(),
    };
    Status {
        node: Some("alpha".into()),
        nodes: vec![node("alpha", NodeState::Online), node("beta", beta)],
        groups: vec![data],
        ..Status::default()
    }
}

fn done() -> Outcome {
    Outcome::Done { stamp: Default::default(), message: "committed".to_owned() }
}

fn no_quorum() -> Outcome {
    Outcome::NoQuorum { reason: "nobody coordinates".to_owned() }
}

impl Daemon {
    fn new(stand_in: &StandIn, status: Status, outcomes: Vec<Outcome>) -> Daemon {
        let socket = stand_in.directory.join("crm.sock");
        let listener = UnixListener::bind(&socket).expect("socket");
        let told = Arc::new(Mutex::new(Told {
            status,
            config: CLUSTER.to_owned(),
            outcomes,
            changes: Vec::new(),
        }));
        let shared = told.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = shared.clone();
                std::thread::spawn(move || serve(stream, &shared));
            }
        });
        Daemon { socket, told }
    }

    fn changes(&self) -> Vec<Change> {
        self.told.lock().expect("lock").changes.clone()
    }
}

fn serve(stream: UnixStream, told: &Mutex<Told>) {
    let mut out = stream.try_clone().expect("clone");
    for line in BufReader::new(stream).lines().map_while(Result::ok) {
        let asked: RequestLine = serde_json::from_str(&line).expect("a request");
        let mut told = told.lock().expect("lock");
        let reply = match asked.request {
            Request::Status => Reply::Status(Box::new(told.status.clone())),
            Request::Config => {
                Reply::Config(ConfigReport { digest: None, text: Some(told.config.clone()) })
            }
            Request::Command(command) => {
                told.changes.push(*command);
                let outcome = match told.outcomes.len() {
                    1 => told.outcomes[0].clone(),
                    _ => told.outcomes.remove(0),
                };
                Reply::Outcome(outcome)
            }
            other => panic!("{other:?}"),
        };
        let line = serde_json::to_string(&ReplyLine::new(reply)).expect("JSON") + "\n";
        let _ = out.write_all(line.as_bytes());
    }
}

/// Calls a handler as DRBD does, and answers its exit code.
fn call(name: &str, args: &[&str], daemon: &Daemon, stand_in: &StandIn, resource: &str) -> i32 {
    let status = Command::new(env!("CARGO_BIN_EXE_crm"))
        .arg0(name)
        .args(args)
        .env("PATH", stand_in.search_path())
        .env("CRM_SOCKET", &daemon.socket)
        .env("CRM_HANDLER_PATIENCE_MS", "1500")
        .env("DRBD_RESOURCE", resource)
        .env("DRBD_PEER", "beta")
        .status()
        .expect("runs");
    status.code().expect("a code")
}

/// As 9 does, by number; and what another version may name besides.
fn fence_by_number(daemon: &Daemon, stand_in: &StandIn, number: &str) -> i32 {
    let status = Command::new(env!("CARGO_BIN_EXE_crm"))
        .arg0("crm-fence-peer")
        .env("PATH", stand_in.search_path())
        .env("CRM_SOCKET", &daemon.socket)
        .env("CRM_HANDLER_PATIENCE_MS", "1500")
        .envs([("DRBD_RESOURCE", "r0"), ("DRBD_PEERS", "beta gamma")])
        .envs([("DRBD_MY_NODE_ID", "0"), ("DRBD_PEER_NODE_ID", number)])
        .envs([
            ("DRBD_NODE_ID_0", "alpha"),
            ("DRBD_NODE_ID_1", "beta"),
            ("DRBD_NODE_ID_2", "gamma"),
        ])
        .status()
        .expect("runs");
    status.code().expect("a code")
}

fn fence(daemon: &Daemon, stand_in: &StandIn, resource: &str) -> i32 {
    call("crm-fence-peer", &[], daemon, stand_in, resource)
}

#[test]
fn i8_the_owner_records_that_the_peer_is_stale_before_it_goes_on() {
    for (beta, code) in [(NodeState::Lost, 4), (NodeState::Online, 4), (NodeState::Dead, 7)] {
        let stand_in = StandIn::new("fence");
        let daemon = Daemon::new(&stand_in, status(Some("alpha"), &[], beta), vec![done()]);
        assert_eq!(fence(&daemon, &stand_in, "r0"), code, "{beta:?}");
        let changes = daemon.changes();
        assert!(
            matches!(changes.as_slice(), [Change::Ban { group, node, by, .. }]
                if group.as_str() == "data" && node.as_str() == "beta" && by.as_str() == "alpha"),
            "{changes:?}"
        );
    }
}

/// One lost link of several says nothing of the other copies.
#[test]
fn i8_of_several_peers_the_lost_one_alone_is_banned() {
    let stand_in = StandIn::new("several");
    let owned = status(Some("alpha"), &[], NodeState::Lost);
    let daemon = Daemon::new(&stand_in, owned, vec![done()]);
    assert_eq!(fence_by_number(&daemon, &stand_in, "1"), 4);
    let changes = daemon.changes();
    assert!(
        matches!(changes.as_slice(), [Change::Ban { node, .. }] if node.as_str() == "beta"),
        "{changes:?}"
    );
    for nobody in ["7", ""] {
        assert_eq!(fence_by_number(&daemon, &stand_in, nobody), 1, "which of them?");
    }
    assert_eq!(daemon.changes().len(), 1, "{:?}", daemon.changes());
}

#[test]
fn i8_without_a_commit_it_refuses() {
    let owned = || status(Some("alpha"), &[], NodeState::Lost);
    let refused = Outcome::Refused { reason: "no".to_owned(), hint: String::new() };
    for (what, status, outcome, asked) in [
        ("nobody can commit", owned(), no_quorum(), true),
        ("the coordinator refuses", owned(), refused, true),
        ("the peer has the group", status(Some("beta"), &[], NodeState::Online), done(), false),
        ("nobody has the group", status(None, &[], NodeState::Lost), done(), false),
        (
            "this copy is the stale one",
            status(Some("alpha"), &["alpha"], NodeState::Lost),
            done(),
            false,
        ),
    ] {
        let stand_in = StandIn::new("refuse");
        let daemon = Daemon::new(&stand_in, status, vec![outcome]);
        assert_eq!(fence(&daemon, &stand_in, "r0"), 1, "{what}");
        assert_eq!(!daemon.changes().is_empty(), asked, "{what}");
    }
    let stand_in = StandIn::new("unknown");
    let daemon = Daemon::new(&stand_in, owned(), vec![done()]);
    assert_eq!(fence(&daemon, &stand_in, "r9"), 1, "no group has that resource");
    assert_eq!(fence(&daemon, &stand_in, ""), 1, "DRBD said no resource");
    let nobody = Daemon { socket: stand_in.directory.join("none"), told: daemon.told.clone() };
    assert_eq!(fence(&nobody, &stand_in, "r0"), 1, "there is no daemon");
    assert!(daemon.changes().is_empty());
}

#[test]
fn it_waits_for_a_quorum_as_long_as_it_may() {
    let stand_in = StandIn::new("waits");
    let outcomes = vec![no_quorum(), no_quorum(), done()];
    let daemon = Daemon::new(&stand_in, status(Some("alpha"), &[], NodeState::Lost), outcomes);
    assert_eq!(fence(&daemon, &stand_in, "r0"), 4);
    assert_eq!(daemon.changes().len(), 3);
}

#[test]
fn a_ban_is_lifted_once_drbd_says_that_the_copy_is_good() {
    let stand_in = StandIn::new("lift").found_in("05-syncing-b-target.b");
    let outcomes = vec![done()];
    let daemon =
        Daemon::new(&stand_in, status(Some("beta"), &["alpha"], NodeState::Online), outcomes);
    // DRBD waits for its handler, so that ends at once; the work goes on.
    let began = Instant::now();
    assert_eq!(call("crm-unfence-peer", &[], &daemon, &stand_in, "r0"), 0);
    assert!(began.elapsed() < Duration::from_secs(5));
    while stand_in.count("drbdsetup events2 --now --statistics") < 2 {
        assert!(began.elapsed() < Duration::from_secs(20), "DRBD is not asked");
        std::thread::sleep(Duration::from_millis(10));
    }
    assert!(daemon.changes().is_empty(), "the copy is not good yet");
    let stand_in = stand_in.found_in("04-uptodate-both-secondary.a");
    while daemon.changes().is_empty() {
        assert!(began.elapsed() < Duration::from_secs(20), "the ban is not lifted");
        std::thread::sleep(Duration::from_millis(10));
    }
    let changes = daemon.changes();
    assert!(
        matches!(changes.as_slice(), [Change::LiftBan { group, node, .. }]
            if group.as_str() == "data" && node.as_str() == "alpha"),
        "{changes:?}"
    );
    // Nothing is banned: nothing to do.
    daemon.told.lock().expect("lock").status = status(Some("beta"), &[], NodeState::Online);
    assert_eq!(call("crm-unfence-peer", &["--now"], &daemon, &stand_in, "r0"), 0);
    assert_eq!(daemon.changes().len(), 1);
}

/// The daemon of a banned node asks for its group: what came before the ban ends it as well.
#[test]
fn h24_a_ban_that_came_after_the_resync_is_lifted_when_the_daemon_asks() {
    let stand_in = StandIn::new("once").found_in("05-syncing-b-target.b");
    let banned = status(Some("beta"), &["alpha"], NodeState::Online);
    let daemon = Daemon::new(&stand_in, banned, vec![done()]);
    let once =
        |stand_in: &StandIn| call("crm-unfence-peer", &["--once", "data"], &daemon, stand_in, "");
    assert_eq!(once(&stand_in), 1);
    assert!(daemon.changes().is_empty(), "the copy is not good yet");
    let stand_in = stand_in.found_in("04-uptodate-both-secondary.a");
    assert_eq!(once(&stand_in), 0);
    assert!(
        matches!(daemon.changes().as_slice(), [Change::LiftBan { .. }]),
        "{:?}",
        daemon.changes()
    );
}

/// A group of two DRBD resources has one ban: one that is good again does not speak for the other.
#[test]
fn i8_a_ban_stays_until_every_resource_of_the_group_is_good() {
    let stand_in = StandIn::new("two").found_in("04-uptodate-both-secondary.a");
    let banned = status(Some("beta"), &["alpha"], NodeState::Online);
    let daemon = Daemon::new(&stand_in, banned, vec![done()]);
    let two = CLUSTER.replace("[drbd: r0]", "[drbd: r0, drbd: r1]");
    daemon.told.lock().expect("lock").config = two;
    assert_eq!(call("crm-unfence-peer", &["--once", "data"], &daemon, &stand_in, ""), 1);
    assert!(daemon.changes().is_empty(), "{:?}", daemon.changes());
    daemon.told.lock().expect("lock").config = CLUSTER.to_owned();
    assert_eq!(call("crm-unfence-peer", &["--once", "data"], &daemon, &stand_in, ""), 0);
}
