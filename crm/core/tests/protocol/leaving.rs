//! Leaving in order, alone and all together, and stopping the whole cluster (R14, R15).

use crate::cluster::Lab;
use crate::steps::ask;
use crm_core::id::NodeId;
use crm_core::operator::Command;
use crm_core::packet::{Message, Packet};
use crm_core::time::Span;
use crm_core::{Input, Shutdown};

/// One lost packet does not turn a clean leave into a fence.
#[test]
fn r14_a_leave_survives_the_loss_of_one_report() {
    fn report_of_c(from: &NodeId, packet: &Packet) -> bool {
        from.as_str() == "c" && matches!(packet.message, Message::Report(_))
    }
    let mut lab = Lab::new("device a b c | g@c");
    lab.run(Span::secs(4));
    assert_eq!(lab.holders("g"), ["c"]);
    lab.loses = Some(report_of_c);
    lab.handle(&"c".into(), Input::Shutdown { how: Shutdown::Leave });
    lab.loses = None;
    lab.run(Span::secs(10));
    assert!(lab.machines[&"c".into()].node.is_none(), "still leaving\n{}", lab.log.join("\n"));
    assert!(lab.log.iter().any(|line| line.contains("left in order")), "{:#?}", lab.log);
}

/// Nor does it leave as one on which nothing runs.
#[test]
fn r14_a_daemon_that_cannot_read_its_configuration_does_not_leave_at_once() {
    let mut lab = Lab::new("device a b c | g@c");
    lab.run(Span::secs(4));
    assert_eq!(lab.holders("g"), ["c"]);
    lab.cut("a", "c");
    lab.cut("b", "c");
    lab.fence_takes = Span::secs(1000);
    if let Some(machine) = lab.machines.get_mut(&"c".into())
        && let Some(record) = &mut machine.disk.record
    {
        record.config = crm_core::record::ConfigText::new("");
    }
    lab.restart_daemon(&"c".into());
    lab.run(Span::secs(1));
    lab.handle(&"c".into(), Input::Shutdown { how: Shutdown::Leave });
    lab.run(Span::secs(5));
    assert!(lab.machines[&"c".into()].node.is_some(), "{}", lab.log.join("\n"));
    lab.run(Span::secs(60));
    assert!(lab.machines[&"c".into()].node.is_none(), "every wait has an end");
    assert!(lab.log.iter().any(|l| l.contains("the others must fence this node")));
}

/// Its device reports after this time.
fn only_voter_leaves_while_b_is_fenced(config: &str, told: Span) -> Lab {
    let mut lab = Lab::founded(config);
    lab.run(Span::secs(1));
    lab.fence_takes = told;
    lab.handle(&"a".into(), Input::Shutdown { how: Shutdown::Leave });
    ask(&mut lab, "a", 1, Command::Fence { node: "b".into() });
    lab
}

fn boot_who_is_off(lab: &mut Lab) {
    for name in ["a", "b"].map(NodeId::new) {
        if lab.machines[&name].node.is_none() {
            lab.boot(&name);
        }
    }
}

/// The only voter leaves while the node that is to vote is being fenced. If that vote were the only one left,
/// nobody could stand again: who has the record does not vote, and who votes does not have it (R4).
#[test]
fn r14_nobody_leaves_its_cluster_to_a_voter_that_was_just_proved_dead() {
    for (off, told) in (0..24)
        .map(|n| Span::millis(100 * n))
        .flat_map(|off| [30, 200, 500].map(|later| (off, off + Span::millis(later))))
    {
        let mut lab = only_voter_leaves_while_b_is_fenced("device a b | web@a", told);
        lab.run(off);
        lab.crash(&"b".into());
        lab.run(Span::secs(80));
        boot_who_is_off(&mut lab);
        lab.run(Span::secs(20));
        let case = format!("off after {off}, told after {told}\n{}", lab.log.join("\n"));
        assert_ne!(lab.coordinators(), ["-".to_owned()].into(), "nobody can stand: {case}");
        assert_eq!(lab.holders("web").len(), 1, "{case}");
    }
}

/// The same, and the joiner's daemon restarts just before it is cut off: the proof, about its earlier run, commits its
/// vote and is over with that, and it is heard.
#[test]
fn r14_nobody_leaves_its_cluster_to_a_voter_that_has_no_record_of_its_vote() {
    for kill in [900, 1000, 1050, 1150, 1250] {
        for (gap, shot) in [(50, 10), (50, 100), (300, 30), (300, 200), (600, 10), (600, 100)] {
            let told = Span::millis(kill + gap + shot);
            let mut lab = only_voter_leaves_while_b_is_fenced("device a b", told);
            lab.run(Span::millis(kill));
            if let Some(machine) = lab.machines.get_mut(&"b".into()) {
                machine.node = None;
            }
            lab.run(Span::millis(gap));
            lab.restart_daemon(&"b".into());
            lab.run(Span::secs(80));
            boot_who_is_off(&mut lab);
            lab.run(Span::secs(60));
            let case = format!("{kill}, {gap}, {shot} ms\n{}", lab.log.join("\n"));
            assert_ne!(lab.coordinators(), ["-".to_owned()].into(), "nobody can stand: {case}");
        }
    }
}

/// The whole cluster is shut down at once.
#[test]
fn r14_all_leave_at_once_and_nobody_waits_for_the_others() {
    for config in
        ["none a+ b+ c+ | g@c h@a i@b", "device a b | g@a h@b", "device a b c | g@c h@a i@b"]
    {
        let mut lab = Lab::new(config);
        lab.run(Span::secs(6));
        let names: Vec<NodeId> = lab.machines.keys().cloned().collect();
        for name in &names {
            lab.handle(name, Input::Shutdown { how: Shutdown::Leave });
        }
        lab.run(Span::secs(10));
        let left: Vec<_> =
            lab.machines.iter().filter(|(_, m)| m.node.is_some()).map(|(n, _)| n).collect();
        assert!(left.is_empty(), "{config}: {left:?} still here\n{}", lab.log.join("\n"));
        assert!(!lab.log.iter().any(|line| line.contains("RESET")));
        assert!(lab.machines.values().all(|m| m.dog.is_none()), "{config}: left armed");
    }
}

/// A witness may leave like everybody else.
#[test]
fn r14_a_witness_leaves_at_once() {
    let mut lab = Lab::new("device a b witness | web@a");
    lab.run(Span::secs(6));
    lab.handle(&"witness".into(), Input::Shutdown { how: Shutdown::Leave });
    lab.run(Span::secs(10));
    assert!(lab.machines[&"witness".into()].node.is_none(), "{}", lab.log.join("\n"));
}

/// A leave whose answer is unknown is asked for again.
#[test]
fn r14_a_leave_survives_a_change_of_coordinator() {
    for after in 0..12 {
        let mut lab = Lab::new("device a b c | g@c");
        lab.run(Span::secs(4));
        assert_eq!(lab.coordinators(), ["b".to_owned()].into());
        lab.handle(&"c".into(), Input::Shutdown { how: Shutdown::Leave });
        lab.run(Span::millis(after));
        lab.crash(&"b".into());
        lab.run(Span::secs(14));
        assert!(lab.machines[&"c".into()].node.is_none(), "{after} ms\n{}", lab.log.join("\n"));
    }
}

/// B6 for pairs, and with devices.
#[test]
fn r14_both_of_a_pair_leave_at_once() {
    for config in
        ["device a b | g@a h@b", "none a+ b+ witness | g@a h@b", "device a b c | g@c h@a i@b"]
    {
        let mut lab = Lab::new(config);
        lab.run(Span::secs(6));
        for name in ["a", "b", "c"] {
            lab.handle(&name.into(), Input::Shutdown { how: Shutdown::Leave });
        }
        lab.run(Span::secs(10));
        let left: Vec<_> = ["a", "b", "c"]
            .iter()
            .filter(|n| lab.machines.get(&NodeId::new(n)).is_some_and(|m| m.node.is_some()))
            .collect();
        assert!(left.is_empty(), "{config}: {left:?} still here\n{}", lab.log.join("\n"));
        assert!(lab.fenced.is_empty(), "{config}: {:?}", lab.fenced);
    }
}

/// Stop all, then all leave, then all boot: everything stays down until it is started (R15).
#[test]
fn r15_control_stop_all_leave_boot_start() {
    for config in ["device a b | g@a h@b", "none a+ b+ c+ | g@a h@b", "none a+ b+ witness | g@a"] {
        let mut lab = Lab::new(config);
        lab.run(Span::secs(6));
        ask(&mut lab, "a", 1, Command::StopCluster);
        lab.run(Span::secs(3));
        assert!(lab.holders("g").is_empty());
        let names: Vec<NodeId> = lab.machines.keys().cloned().collect();
        for name in &names {
            lab.handle(name, Input::Shutdown { how: Shutdown::Leave });
        }
        lab.run(Span::secs(200));
        assert!(
            lab.machines.values().all(|m| m.node.is_none()),
            "{config}\n{}",
            lab.log.join("\n")
        );
        assert!(lab.machines.values().all(|m| m.dog.is_none()), "{config}");
        for name in &names {
            lab.boot(name);
        }
        lab.run(Span::secs(10));
        assert!(lab.holders("g").is_empty());
        ask(&mut lab, "a", 2, Command::StartCluster);
        lab.run(Span::secs(10));
        assert_eq!(lab.holders("g"), ["a"], "{config}\n{}", lab.log.join("\n"));
        assert!(lab.fenced.is_empty());
    }
}

/// Leaves during maintenance: nothing is moved; the daemon ends and what runs stays or moves.
#[test]
fn r14_a_leave_during_maintenance_ends() {
    for config in ["device a b c | g@c", "none a+ b+ c+ | g@c"] {
        let mut lab = Lab::new(config);
        lab.run(Span::secs(6));
        ask(&mut lab, "a", 1, Command::Maintenance { on: true, lasts: None });
        lab.run(Span::secs(1));
        lab.handle(&"c".into(), Input::Shutdown { how: Shutdown::Leave });
        lab.run(Span::secs(120));
        let resets = lab.log.iter().filter(|l| l.contains("RESET")).count();
        assert_eq!(resets, 0, "{config}\n{}", lab.log.join("\n"));
        assert!(
            lab.log.iter().any(|l| l.contains("left during maintenance")),
            "{config}\n{}",
            lab.log.join("\n")
        );
    }
}

/// The one that stayed burns down while the other is away in order. Nothing but the operator's word can help, and it does.
#[test]
fn r20_who_left_a_pair_in_order_goes_on_by_the_operators_word() {
    let mut lab = Lab::new("device a b | web@a");
    lab.run(Span::secs(4));
    lab.handle(&"b".into(), Input::Shutdown { how: Shutdown::Leave });
    lab.run(Span::secs(5));
    assert!(lab.log.iter().any(|line| line.contains("left in order")), "{:#?}", lab.log);
    lab.crash(&"a".into());
    lab.crash(&"b".into());
    lab.boot(&"b".into());
    lab.run(Span::secs(20));
    assert_eq!(lab.coordinators(), ["-".to_owned()].into(), "{}", lab.log.join("\n"));
    assert!(lab.fenced.is_empty(), "a node that boots shoots nobody");
    let warnings = lab.status("b").warnings.join("\n");
    assert!(warnings.contains("crm confirm-dead a"), "{warnings}");
    let why = &lab.status("b").groups[0].reason;
    assert!(why.ends_with("if that machine is certainly off: `crm confirm-dead a`"), "{why}");
    ask(&mut lab, "b", 1, Command::ConfirmDead { node: "a".into() });
    lab.run(Span::secs(20));
    assert_eq!(lab.holders("web"), ["b"], "{:?}\n{}", lab.replies, lab.log.join("\n"));
    // It comes back after all, and follows.
    lab.boot(&"a".into());
    lab.run(Span::secs(20));
    assert_eq!(lab.coordinators(), ["b".to_owned()].into(), "{}", lab.log.join("\n"));
    assert_eq!(lab.holders("web"), ["b"], "{}", lab.log.join("\n"));
    assert_eq!(lab.status("b").nodes.iter().filter(|node| node.voter).count(), 2);
}

/// Two nodes that only follow as yet, and the word about the only voter: it is an heir's only with the votes of all
/// others who could be one, or the word about those, too.
#[test]
fn r20_two_nodes_that_are_told_of_the_only_voters_death_do_not_both_inherit() {
    for (cut, told, heirs) in [(false, "b", 1), (false, "b c", 1), (true, "b", 0), (true, "b c", 0)]
    {
        let mut lab = Lab::founded("device a b c | web@a");
        let has = |lab: &Lab, name: &str| lab.machines[&NodeId::new(name)].disk.record.is_some();
        while !(has(&lab, "b") && has(&lab, "c")) {
            lab.run(Span::millis(10));
        }
        lab.run(Span::millis(100));
        let record = lab.machines[&NodeId::new("b")].disk.record.clone().unwrap_or_default();
        assert_eq!(record.voters.len(), 1, "{:?}", record.voters);
        lab.crash(&"a".into());
        if cut {
            lab.cut("b", "c");
        }
        lab.run(Span::secs(20));
        for node in told.split(' ') {
            ask(&mut lab, node, 1, Command::ConfirmDead { node: "a".into() });
            lab.run(Span::millis(if cut { 0 } else { 50 }));
        }
        lab.run(Span::secs(20));
        assert!(lab.twice.is_empty(), "{:?}\n{}", lab.twice, lab.log.join("\n"));
        let holders = lab.holders("web").len();
        assert_eq!(holders, heirs, "cut {cut}, told {told}: {}", lab.log.join("\n"));
        if cut {
            let why = lab.status("b").groups[0].reason.clone();
            assert!(why.ends_with("`crm confirm-dead a` and `crm confirm-dead c`"), "{why}");
        }
    }
}

/// The only voter gave another its vote while this one was away, and they committed changes.
#[test]
fn r20_who_was_away_inherits_nothing_from_who_had_given_another_a_vote() {
    for cut in [false, true] {
        let mut lab = Lab::new("none a b c- | web@c");
        lab.run(Span::secs(4));
        lab.handle(&"b".into(), Input::Shutdown { how: Shutdown::Leave });
        lab.run(Span::secs(5));
        lab.crash(&"b".into());
        crate::steps::apply(&mut lab, "a", 1, "none a b c | web@c");
        lab.run(Span::secs(30));
        let record = lab.machines[&NodeId::new("c")].disk.record.clone().unwrap_or_default();
        assert_eq!(record.voters.keys().map(NodeId::as_str).collect::<Vec<_>>(), ["a", "c"]);
        lab.crash(&"a".into());
        if cut {
            lab.cut("b", "c");
        }
        lab.boot(&"b".into());
        lab.run(Span::secs(20));
        ask(&mut lab, "b", 1, Command::ConfirmDead { node: "a".into() });
        lab.run(Span::secs(5));
        ask(&mut lab, "c", 1, Command::ConfirmDead { node: "a".into() });
        lab.run(Span::secs(20));
        let one = if cut { ["-", "c"].map(str::to_owned).into() } else { ["c".to_owned()].into() };
        assert_eq!(lab.coordinators(), one, "{}", lab.log.join("\n"));
        assert_eq!(lab.holders("web"), ["c"], "{}", lab.log.join("\n"));
        assert!(!lab.log.iter().any(|line| line.contains("fork:")), "{}", lab.log.join("\n"));
    }
}

/// The same with a node that this one's record does not know at all: it speaks with the key, of a newer record.
#[test]
fn r20_a_word_is_refused_while_an_unknown_node_speaks_of_a_newer_record() {
    let mut lab = Lab::new("none a b c- | web@a");
    lab.run(Span::secs(4));
    crate::steps::apply(&mut lab, "a", 1, "none a b | web@a");
    lab.run(Span::secs(2));
    lab.crash(&"c".into());
    lab.handle(&"b".into(), Input::Shutdown { how: Shutdown::Leave });
    lab.run(Span::secs(5));
    if let Some(machine) = lab.machines.get_mut(&"c".into()) {
        machine.disk = crm_core::record::Stored::new(crm_core::id::StoreId(99));
    }
    lab.boot(&"c".into());
    crate::steps::apply(&mut lab, "a", 2, "none a b c | web@c");
    lab.run(Span::secs(30));
    let record = lab.machines[&NodeId::new("c")].disk.record.clone().unwrap_or_default();
    assert_eq!(record.voters.keys().map(NodeId::as_str).collect::<Vec<_>>(), ["a", "c"]);
    lab.crash(&"a".into());
    lab.boot(&"b".into());
    lab.run(Span::secs(20));
    ask(&mut lab, "b", 3, Command::ConfirmDead { node: "a".into() });
    lab.run(Span::secs(5));
    let told = format!("{:?}", lab.replies.last());
    assert!(
        told.contains("node c, which is not in the record of this node, has a newer one"),
        "{told}"
    );
    ask(&mut lab, "c", 4, Command::ConfirmDead { node: "a".into() });
    lab.run(Span::secs(20));
    assert!(!lab.log.iter().any(|line| line.contains("fork:")), "{}", lab.log.join("\n"));
    assert_eq!(lab.holders("web"), ["c"], "{}", lab.log.join("\n"));
    assert!(!lab.coordinators().contains("b"), "{}", lab.log.join("\n"));
}

/// H35: the one that was rightly called dead comes back with changes that it made while the other was away, whatever
/// their number: away in order, so without a vote, or fenced, so with one in its own record.
#[test]
fn h35_who_was_called_dead_and_comes_back_with_changes_of_its_own_does_not_mix_them() {
    for (fenced, changes) in [false, true].into_iter().flat_map(|f| (1..5).map(move |c| (f, c))) {
        let mut lab = Lab::new("device a b | web@a");
        lab.run(Span::secs(4));
        if fenced {
            lab.crash(&"b".into());
        } else {
            lab.handle(&"b".into(), Input::Shutdown { how: Shutdown::Leave });
        }
        lab.run(Span::secs(5));
        for change in 0..changes {
            ask(&mut lab, "a", change, Command::Restart { group: "web".into() });
            lab.run(Span::secs(2));
        }
        lab.crash(&"a".into());
        lab.crash(&"b".into());
        lab.boot(&"b".into());
        lab.run(Span::secs(20));
        ask(&mut lab, "b", 9, Command::ConfirmDead { node: "a".into() });
        lab.run(Span::secs(20));
        assert_eq!(lab.holders("web"), ["b"], "{:?}\n{}", lab.replies, lab.log.join("\n"));
        lab.boot(&"a".into());
        lab.run(Span::secs(20));
        let told = format!("{fenced} {changes}: {}", lab.log.join("\n"));
        assert!(lab.twice.is_empty(), "I1: {:?} {told}", lab.twice);
        assert_eq!(lab.holders("web"), ["b"], "{told}");
        assert!(lab.log.iter().any(|line| line.contains("a fork: ")), "{told}");
        assert_eq!(lab.status("b").coordinator, Some("b".into()), "{told}");
    }
}
