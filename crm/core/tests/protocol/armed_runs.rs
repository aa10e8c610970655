//! What the silence of a node proves whose record lists an earlier run of the daemon as armed (R13, H9, H16):
//! that run, and every later one, has let go by T_out. Each test is a trace on which it once had not.

use crate::cluster::Lab;
use crm_core::Input;
use crm_core::id::{NodeId, RequestId};
use crm_core::operator::Command;
use crm_core::packet::{Message, Packet};
use crm_core::record::ConfigText;
use crm_core::time::Span;

fn ask(lab: &mut Lab, node: &str, number: u64, command: Command) {
    lab.handle(&node.into(), Input::Operator { request: RequestId(number), command });
}

fn apply(lab: &mut Lab, node: &str, number: u64, text: &str) {
    ask(lab, node, number, Command::Apply { text: text.to_owned(), base: None });
}

fn cut_off(lab: &mut Lab, node: &str) {
    let others: Vec<NodeId> = lab.machines.keys().cloned().collect();
    for other in others.iter().filter(|other| other.as_str() != node) {
        lab.cut(node, other.as_str());
    }
}

fn until(lab: &mut Lab, what: &str, mut come: impl FnMut(&Lab) -> bool) {
    for _ in 0..8000 {
        if come(lab) {
            return;
        }
        lab.run(Span::millis(2));
    }
    panic!("never: {what}\n{}", lab.log.join("\n"));
}

fn leader(lab: &Lab) -> String {
    lab.coordinators().into_iter().find(|name| name != "-").expect("a coordinator")
}

/// Whether the disk of `on` holds a record that lists `node` as armed.
fn lists(lab: &Lab, on: &str, node: &str) -> bool {
    let record = lab.machines[&NodeId::new(on)].disk.record.as_ref();
    record.is_some_and(|record| record.armed.contains_key(&NodeId::new(node)))
}

fn taken_over_once(lab: &Lab, group: &str, from: &str) {
    let log = || lab.log.join("\n");
    assert!(lab.twice.is_empty(), "I1: {:?}\n{}", lab.twice, log());
    let holders = lab.holders(group);
    assert!(holders.len() == 1 && holders[0] != from, "{holders:?}\n{}", log());
}

/// The record that lists a run is under way when the daemon restarts: nothing committed keeps the next run
/// from a lease, and when the record is committed that run has one, and obeys nothing.
#[test]
fn h16_a_run_that_is_listed_while_the_next_one_gets_a_lease() {
    let mut lab = Lab::new("none L=30 S=2 W=10 a+ b+ c+ d+ e+ | g@a");
    lab.run(Span::secs(6));
    let first = leader(&lab);
    assert!(first != "a" && lab.holders("g") == ["a"], "{}", lab.log.join("\n"));
    ask(&mut lab, &first, 1, Command::Maintenance { on: true, lasts: None });
    lab.run(Span::secs(2));
    assert!(!lists(&lab, &first, "a"));
    for other in ["b", "c", "d", "e"].iter().filter(|other| **other != first) {
        lab.slow_disks.insert((*other).into(), Span::secs(2));
    }
    ask(&mut lab, &first, 2, Command::Maintenance { on: false, lasts: None });
    until(&mut lab, "a record under way that lists a", |lab| {
        lists(lab, &first, "a") && lists(lab, "a", "a")
    });
    lab.restart_daemon(&"a".into());
    lab.run(Span::millis(800));
    cut_off(&mut lab, "a");
    lab.run(Span::secs(90));
    taken_over_once(&lab, "g", "a");
}

/// The same, but the next run obeys the record before: had it a lease, it would have to stop what runs as
/// soon as the record that lists the earlier run is committed.
#[test]
fn h16_what_runs_goes_on_when_the_record_under_way_lists_the_earlier_run() {
    let mut lab = Lab::new("none L=30 S=2 W=10 a+ b+ c+ d+ e+ | g@a");
    lab.run(Span::secs(6));
    let first = leader(&lab);
    assert!(first == "b" && lab.holders("g") == ["a"], "{}", lab.log.join("\n"));
    ask(&mut lab, &first, 1, Command::Maintenance { on: true, lasts: None });
    lab.run(Span::secs(2));
    for other in ["c", "d", "e"] {
        lab.slow_disks.insert(other.into(), Span::secs(2));
    }
    ask(&mut lab, &first, 2, Command::Maintenance { on: false, lasts: None });
    until(&mut lab, "a record on a that lists b", |lab| lists(lab, "a", "b"));
    lab.slow_disks.insert("a".into(), Span::secs(9));
    until(&mut lab, "a record under way that lists a", |lab| lists(lab, "b", "a"));
    lab.slow_disks.remove(&"a".into());
    lab.restart_daemon(&"a".into());
    lab.run(Span::secs(20));
    let log = lab.log.join("\n");
    assert!(!log.contains("g is stopping") && !log.contains("RESET"), "{log}");
    assert!(lists(&lab, "b", "a"), "{log}");
}

/// The later run coordinates; before its first record is committed a higher epoch ends that, and it keeps
/// the lease that its voters gave it, and obeys nothing.
#[test]
fn h16_a_lease_kept_from_a_coordinatorship_that_committed_nothing() {
    let mut lab = Lab::new("none L=3 S=2 W=10 a+ b+ witness | g@a");
    lab.run(Span::secs(6));
    assert!(leader(&lab) == "b" && lab.holders("g") == ["a"], "{}", lab.log.join("\n"));
    assert!(lists(&lab, "witness", "a"));
    lab.crash(&"b".into());
    lab.restart_daemon(&"a".into());
    let says = |lab: &Lab, text: &str| lab.log.iter().any(|line| line.contains(text));
    until(&mut lab, "a coordinates", |lab| says(lab, " a elected"));
    lab.slow_disks.insert("witness".into(), Span::secs(5));
    lab.loses = Some(|from: &NodeId, packet: &Packet| {
        from.as_str() == "a" && matches!(packet.message, Message::Propose { .. })
    });
    lab.boot(&"b".into());
    until(&mut lab, "a steps down", |lab| says(lab, "no longer coordinates"));
    lab.run(Span::millis(6));
    cut_off(&mut lab, "a");
    lab.slow_disks.clear();
    lab.run(Span::secs(60));
    taken_over_once(&lab, "g", "a");
}

/// A longer lease that was in force for a while: the silent node may hold it, though nobody was told.
#[test]
fn r13_a_longer_lease_between_two_shorter_ones_is_waited_for() {
    let short = "none L=3 S=2 W=10 a+ b+ c+ | g@c";
    let mut lab = Lab::new(short);
    lab.run(Span::secs(6));
    let first = leader(&lab);
    assert!(first != "c" && lab.holders("g") == ["c"], "{}", lab.log.join("\n"));
    lab.loses = Some(|from: &NodeId, packet: &Packet| {
        from.as_str() == "c" && matches!(packet.message, Message::Report(_))
    });
    apply(&mut lab, &first, 1, "none L=60 S=2 W=10 a+ b+ c+ | g@c");
    lab.run(Span::millis(900));
    cut_off(&mut lab, "c");
    apply(&mut lab, &first, 2, short);
    lab.run(Span::secs(120));
    taken_over_once(&lab, "g", "c");
}

/// A shorter lease counts once it is obeyed, on a slow disk long after the last renewal: what a longer one
/// gave ends that much later.
#[test]
fn r13_a_shorter_lease_counts_from_when_it_is_obeyed() {
    let mut lab = Lab::new("none L=60 S=2 W=4 a+ b+ c+ | g@c");
    lab.run(Span::secs(6));
    let first = leader(&lab);
    assert!(first != "c" && lab.holders("g") == ["c"], "{}", lab.log.join("\n"));
    lab.slow_disks.insert("c".into(), Span::secs(12));
    apply(&mut lab, &first, 1, "none L=3 S=2 W=4 a+ b+ c+ | g@c");
    let lease = |lab: &Lab| {
        let record = lab.machines[&NodeId::new(&first)].disk.record.as_ref();
        record.and_then(|record| record.armed.get(&NodeId::new("c"))).map(|c| c.times.lease)
    };
    until(&mut lab, "c is listed with the shorter lease", |lab| lease(lab) == Some(Span::secs(3)));
    lab.run(Span::millis(8));
    cut_off(&mut lab, "c");
    lab.run(Span::secs(60));
    taken_over_once(&lab, "g", "c");
}

/// A node is taken out of the configuration and put back before its lease has ended: when it falls silent
/// again, before anything was renewed, that lease counts.
#[test]
fn h9_the_lease_of_a_node_that_was_taken_out_and_put_back_is_waited_for() {
    const BACK: &str = "none L=30 S=2 W=10 a+ b+ c+ d+ e+ | f@a h@e:auto";
    let mut lab = Lab::new("none L=30 S=2 W=10 a+ b+ c+ d+ e+ | f@a");
    lab.run(Span::secs(60));
    let first = leader(&lab);
    assert_ne!(first, "e");
    apply(&mut lab, &first, 1, "none L=30 S=2 W=10 a+ b+ c+ d+ | f@a");
    lab.run(Span::secs(3));
    apply(&mut lab, &first, 2, "none L=30 S=1 W=10 a+ b+ c+ d+ | f@a");
    lab.run(Span::millis(600));
    lab.loses = Some(|from: &NodeId, packet: &Packet| match &packet.message {
        Message::Heartbeat(beat) => {
            from.as_str() == "e" && beat.config == ConfigText::new(BACK).digest
        }
        _ => false,
    });
    apply(&mut lab, &first, 3, BACK);
    until(&mut lab, "h on e, listed", |lab| lab.holders("h") == ["e"] && lists(lab, &first, "e"));
    lab.run(Span::millis(10));
    cut_off(&mut lab, "e");
    lab.run(Span::secs(120));
    taken_over_once(&lab, "h", "e");
}

/// What a node said before its watchdog was taken away does not list it when the watchdog is given back.
#[test]
fn r13_a_watchdog_that_was_given_back_is_listed_when_it_is_armed_again() {
    let with = "none L=3 S=2 W=10 a+ b+ c+ | g@a";
    let mut lab = Lab::new(with);
    lab.run(Span::secs(6));
    let first = leader(&lab);
    assert!(first != "c" && lists(&lab, &first, "c"), "{}", lab.log.join("\n"));
    apply(&mut lab, &first, 1, "none L=3 S=2 W=10 a+ b+ c | g@a");
    // Its first report still says armed; the next one, that it has disarmed, is lost.
    until(&mut lab, "c disarms", |lab| lab.machines[&"c".into()].dog.is_none());
    lab.loses = Some(|from: &NodeId, packet: &Packet| {
        from.as_str() == "c" && matches!(packet.message, Message::Report(_))
    });
    lab.run(Span::millis(3));
    apply(&mut lab, &first, 2, with);
    lab.run(Span::secs(2));
    assert!(!lists(&lab, &first, "c"), "{}", lab.log.join("\n"));
    lab.loses = None;
    lab.run(Span::secs(3));
    assert!(lists(&lab, &first, "c"), "{}", lab.log.join("\n"));
}

/// The control for all that waits: an upgrade restarts every daemon at once, and no machine is reset.
#[test]
fn h16_daemons_that_all_restart_at_once_keep_their_machines() {
    for margin in ["W=4", "W=10"] {
        let mut lab = Lab::new(&format!("none L=3 S=2 {margin} a+ b+ c+ | f@a g@b h@c"));
        lab.run(Span::secs(6));
        for name in ["a", "b", "c"] {
            lab.restart_daemon(&name.into());
        }
        lab.run(Span::secs(30));
        let log = lab.log.join("\n");
        assert!(!log.contains("RESET"), "{margin}\n{log}");
        for (group, node) in [("f", "a"), ("g", "b"), ("h", "c")] {
            assert_eq!(lab.holders(group), [node], "{margin}\n{log}");
        }
    }
}

/// A silent node comes back for a moment: it obeys the shorter lease then, and says so to a coordinator whose
/// next heartbeat is due. What that renews is older than this word, and the longer lease ends by the word only.
#[test]
fn r13_a_renewal_does_not_turn_back_the_moment_from_which_a_lease_counts() {
    let mut lab = Lab::new("none L=60 S=2 W=4 a+ b+ c+ | g@c");
    lab.run(Span::secs(6));
    let first = leader(&lab);
    assert!(first != "c" && lab.holders("g") == ["c"], "{}", lab.log.join("\n"));
    lab.loses = Some(|_: &NodeId, packet: &Packet| {
        let commits = match &packet.message {
            Message::Committed { .. } => true,
            Message::Heartbeat(beat) => beat.leading.is_some(),
            _ => false,
        };
        packet.to.as_str() == "c" && commits
    });
    apply(&mut lab, &first, 1, "none L=3 S=2 W=4 a+ b+ c+ | g@c");
    lab.run(Span::millis(900));
    cut_off(&mut lab, "c");
    lab.run(Span::secs(20));
    let newest = lab.status(&first).stamp;
    assert!(lab.status("c").obeyed < newest && lab.holders("g") == ["c"]);
    lab.cut.clear();
    lab.loses = Some(|from: &NodeId, packet: &Packet| {
        from.as_str() == "c" && matches!(packet.message, Message::Heartbeat(_))
    });
    while lab.status("c").obeyed < newest {
        lab.run(Span(200));
    }
    // Its report is under way, and everybody is busy until the next heartbeats are due.
    lab.now += Span::millis(250);
    lab.run(Span(200));
    cut_off(&mut lab, "c");
    lab.run(Span::secs(60));
    taken_over_once(&lab, "g", "c");
}
