//! Two real daemons on loopback: one joins, both work, keys rotate, strangers do no harm.

mod support;

use crm_api::{Reply, Request};
use crm_core::operator::{Command, Outcome};
use crm_core::packet::GroupPhase;
use crm_core::status::{NodeState, Status};
use std::fs;
use support::{Machine, wait_until};

const SWITCH: &str = "case $1 in start) touch $P/../up;; stop) rm -f $P/../up;; \
                      *) [ -e $P/../up ] || exit 7;; esac";

fn both_online(status: &Status) -> bool {
    status.nodes.len() == 2 && status.nodes.iter().all(|node| node.state == NodeState::Online)
}

fn runs_on(status: &Status, node: &str) -> bool {
    status.groups.first().is_some_and(|group| {
        group.phase == GroupPhase::Running
            && group.owner.as_ref().is_some_and(|owner| owner.as_str() == node)
    })
}

fn pair() -> (Machine, Machine) {
    let (mut alpha, mut beta) =
        Machine::pair("  g: {prefer: [alpha], resources: [ocf:test:switch]}");
    alpha.agent("switch", SWITCH);
    beta.agent("switch", SWITCH);
    alpha.start();
    alpha.wait_for("a group on alpha", |s| runs_on(s, "alpha"));
    beta.start();
    alpha.wait_for("both online", both_online);
    beta.wait_for("both online", both_online);
    (alpha, beta)
}

#[test]
fn a_node_joins_with_nothing_but_the_keys_and_takes_part() {
    let (alpha, beta) = pair();
    // It fetched the configuration, and wrote it where the administrator looks for it.
    let text = |machine: &Machine| fs::read_to_string(machine.dir("etc/cluster.yaml")).ok();
    wait_until("the configuration on beta", || text(&beta).is_some());
    assert_eq!(text(&beta), text(&alpha));
    // Any node forwards a command to the coordinator.
    let command = Command::Migrate { group: "g".into(), to: Some("beta".into()) };
    let reply = beta.client().request(Request::Command(Box::new(command))).expect("answered");
    assert!(matches!(reply, Reply::Outcome(Outcome::Done { .. })), "{reply:?}");
    beta.wait_for("the group on beta", |s| runs_on(s, "beta"));
    assert!(beta.dir("up").exists() && !alpha.dir("up").exists());
}

#[test]
fn r14_a_node_that_is_told_to_end_moves_its_group_in_order_and_comes_back() {
    let (mut alpha, beta) = pair();
    // A node votes some time after it joined; before that nobody could go on without the first.
    beta.wait_for("two voters", |s| s.nodes.iter().all(|node| node.voter));
    alpha.signal(nix::sys::signal::Signal::SIGTERM);
    assert_eq!(alpha.ended().code(), Some(0), "{}", alpha.log());
    assert!(alpha.log().contains("left in order"), "{}", alpha.log());
    assert!(!alpha.dir("up").exists(), "stopped there before it ended");
    beta.wait_for("the group on beta", |s| runs_on(s, "beta"));
    alpha.start();
    beta.wait_for("both online", both_online);
    assert!(beta.status().is_some_and(|s| runs_on(&s, "beta")), "failback is manual");
}

#[test]
fn keys_rotate_while_the_nodes_hear_each_other() {
    let (alpha, beta) = pair();
    let path = |machine: &Machine| machine.dir("etc/authkeys");
    let read = |machine: &Machine| fs::read_to_string(path(machine)).expect("keys");
    let times_heard = |machine: &Machine| {
        let events = machine.client().stream(None, false).expect("events");
        events.filter(|event| event.as_ref().is_ok_and(|e| e.event.kind == "keys-changed")).count()
    };
    let (old, random) = (read(&alpha), std::array::from_fn(|place| 200 - place as u8));
    let (id, added) = crm_wire::add_key("authkeys", &old, random).expect("added");
    let switched = crm_wire::switch_sending("authkeys", &added, id).expect("switched");
    let first = crm_wire::AuthKeys::parse("authkeys", &old).expect("keys").sending().id();
    let dropped = crm_wire::drop_key("authkeys", &switched, first).expect("dropped");
    for (step, text) in [added, switched, dropped].iter().enumerate() {
        for machine in [&alpha, &beta] {
            fs::write(path(machine), text.as_bytes()).expect("write");
            wait_until("the new keys", || times_heard(machine) == step + 1);
        }
    }
    let lost = |machine: &Machine| machine.log().contains("peer-late");
    assert!(!lost(&alpha) && !lost(&beta), "{}\n{}", alpha.log(), beta.log());
    assert!(alpha.status().is_some_and(|status| both_online(&status)));
    // A bad file is reported and changes nothing.
    fs::write(path(&alpha), "auth 3\n").expect("write");
    wait_until("the refusal", || {
        let mut events = alpha.client().stream(None, false).expect("events");
        events.any(|event| event.is_ok_and(|e| e.event.kind == "keys-refused"))
    });
    alpha.wait_for("both online", both_online);
}

#[test]
fn hb4_a_flood_of_strange_packets_is_counted_and_keeps_nobody_from_anything() {
    let (alpha, _beta) = pair();
    let flood = std::net::UdpSocket::bind("127.0.0.1:0").expect("bind");
    let target = format!("{}:17694", alpha.address());
    let begun = std::time::Instant::now();
    let mut sent = 0u64;
    while begun.elapsed().as_millis() < 1500 {
        let _ = flood.send_to(&[0x5a; 600], &target);
        sent += 1;
    }
    let status = alpha.status().expect("answers");
    assert!(both_online(&status), "nobody was lost");
    let Ok(Reply::Links(links)) = alpha.client().request(Request::Links) else {
        panic!("no links")
    };
    assert!(links.rejected.values().sum::<u64>() > 1000, "{sent} sent, {links:?}");
    let log = alpha.log();
    assert!(log.lines().count() < 100, "one line per packet would be a second flood\n{log}");
}
