//! Holes that an attack on the core once found, each closed and kept shut by a test named after the
//! rule that it concerns.

use crate::cluster::Lab;
use crm_core::id::{NodeId, RequestId};
use crm_core::operator::{Command, Outcome};
use crm_core::packet::{Message, Packet};
use crm_core::time::Span;
use crm_core::{Input, Shutdown};

fn ask(lab: &mut Lab, node: &str, number: u64, command: Command) {
    lab.handle(&node.into(), Input::Operator { request: RequestId(number), command });
}

fn apply(lab: &mut Lab, node: &str, number: u64, text: &str) {
    ask(lab, node, number, Command::Apply { text: text.to_owned(), base: None });
}

fn stands(packet: &Packet) -> bool {
    matches!(packet.message, Message::PreVote { .. })
}

fn once(lab: &Lab) {
    assert!(lab.twice.is_empty(), "I1: {:?}\n{}", lab.twice, lab.log.join("\n"));
}

/// The control: without a change of timing the silent owner is counted out in time.
#[test]
fn r13_control_a_silent_armed_owner_is_counted_out_and_has_stopped() {
    let mut lab = Lab::new("none L=30 S=10 W=60 a+ b+ c+ | g@c");
    lab.run(Span::secs(6));
    assert_eq!(lab.holders("g"), ["c"], "{:#?}", lab.log);
    lab.cut("a", "c");
    lab.cut("b", "c");
    lab.run(Span::secs(200));
    once(&lab);
    assert_ne!(lab.holders("g"), Vec::<String>::new(), "{}", lab.log.join("\n"));
}

/// T_out follows the newest timing, the silent node lives by the one it knows.
#[test]
fn r13_t_out_is_that_of_the_silent_node_not_that_of_a_later_configuration() {
    let mut lab = Lab::new("none L=30 S=10 W=60 a+ b+ c+ | g@c");
    lab.run(Span::secs(6));
    assert_eq!(lab.holders("g"), ["c"], "{:#?}", lab.log);
    lab.cut("a", "c");
    lab.cut("b", "c");
    lab.run(Span::secs(3));
    apply(&mut lab, "a", 1, "none L=3 S=2 W=10 a+ b+ c+ | g@c");
    lab.run(Span::secs(200));
    assert!(matches!(lab.replies[0].2, Outcome::Done { .. }), "{:?}", lab.replies);
    once(&lab);
}

/// A coordinator for the second time still has the reports of the first, made under maintenance,
/// when nobody was listed as armed: they deny nothing of what the record has said since.
#[test]
fn r13_reports_of_an_earlier_coordinatorship_do_not_deny_an_armed_watchdog() {
    let mut lab = Lab::new("none L=3 S=2 W=4 a+ b+ c+ | f@a g@b h@c");
    lab.run(Span::secs(6));
    let first = lab.coordinators().into_iter().next().unwrap();
    ask(&mut lab, &first, 1, Command::Maintenance { on: true, lasts: None });
    lab.run(Span::secs(3));
    for other in ["a", "b", "c"] {
        lab.cut(&first, other);
    }
    lab.run(Span::secs(10));
    let second = lab.coordinators().into_iter().find(|name| name != "-").unwrap();
    assert_ne!(first, second, "{}", lab.log.join("\n"));
    lab.cut.clear();
    lab.run(Span::secs(3));
    ask(&mut lab, &second, 2, Command::Maintenance { on: false, lasts: None });
    lab.run(Span::secs(10));
    // The second one dies, and the third may not lead: nothing that it stands for arrives.
    lab.loses = Some(match first.as_str() {
        "a" => |from, packet| *from != "a".into() && stands(packet),
        "b" => |from, packet| *from != "b".into() && stands(packet),
        _ => |from, packet| *from != "c".into() && stands(packet),
    });
    lab.crash(&second.as_str().into());
    lab.run(Span::secs(60));
    assert!(lab.coordinators().contains(&first), "{}", lab.log.join("\n"));
    once(&lab);
    for group in ["f", "g", "h"] {
        assert_eq!(lab.holders(group).len(), 1, "{group}: {}", lab.log.join("\n"));
    }
}

/// X joined while one node voted, so it never stops for want of a lease; later three vote.
#[test]
fn r13_who_does_not_stop_without_a_lease_is_not_counted_out() {
    let mut lab = Lab::founded("none a+ b+ c+ x+ | g@x");
    for late in ["b", "c"] {
        lab.crash(&late.into());
    }
    // x follows and is given g; before it is stable enough to vote its links fail.
    for _ in 0..200 {
        lab.run(Span::millis(50));
        if lab.machines[&"x".into()].dog.is_some() && lab.holders("g") == ["x"] {
            break;
        }
    }
    assert_eq!(lab.holders("g"), ["x"], "{:#?}", lab.log);
    lab.run(Span::millis(300));
    for other in ["a", "b", "c"] {
        lab.cut(other, "x");
    }
    for late in ["b", "c"] {
        lab.boot(&late.into());
    }
    lab.run(Span::secs(60));
    once(&lab);
}

/// The daemon restarts before it has stopped a group that the configuration dropped.
#[test]
fn r17_a_group_nobody_knows_any_more_is_not_stopped() {
    let mut lab = Lab::new("device a b c | g@a web@b");
    lab.run(Span::secs(4));
    assert_eq!(lab.holders("g"), ["a"]);
    lab.stop_takes = Span::secs(2);
    apply(&mut lab, "b", 1, "device a b c | web@b");
    lab.run(Span::secs(1));
    lab.restart_daemon(&"a".into());
    lab.run(Span::secs(10));
    apply(&mut lab, "b", 2, "device a b c | g@b web@b");
    lab.run(Span::secs(5));
    once(&lab);
    assert!(lab.holders("g").len() <= 1, "{:?}", lab.holders("g"));
}

/// A renamed group is the same data: the new name waits for the end of the old one.
#[test]
fn r11_a_renamed_group_starts_after_the_old_name_has_stopped() {
    let mut lab = Lab::new("device a b c | g@a");
    lab.run(Span::secs(4));
    lab.stop_takes = Span::secs(2);
    apply(&mut lab, "b", 1, "device a b c | h@b");
    for _ in 0..100 {
        lab.run(Span::millis(50));
        let (old, new) = (lab.holders("g"), lab.holders("h"));
        assert!(old.is_empty() || new.is_empty(), "old on {old:?}, new on {new:?}");
    }
}

/// The operator's word is for one candidacy.
#[test]
fn r20_a_word_that_was_not_needed_is_forgotten() {
    let mut used = 0;
    for offset in 0..250 {
        let mut lab = Lab::new("none a b | g@b");
        lab.run(Span::secs(4));
        assert_eq!(lab.holders("g"), ["b"]);
        lab.cut("a", "b");
        lab.run(Span::secs(5));
        lab.cut.clear();
        lab.run(Span::millis(offset));
        let seen = lab.replies.len();
        ask(&mut lab, "a", 1, Command::ConfirmDead { node: "b".into() });
        if lab.replies.len() > seen {
            continue; // refused: b was heard
        }
        lab.run(Span::secs(30));
        if lab.holders("g") != ["b"] {
            continue; // the word was used at once, on a node that lives: the operator's own fault
        }
        used += 1;
        lab.twice.clear();
        lab.cut("a", "b");
        lab.run(Span::secs(30));
        assert!(
            lab.holders("g").len() < 2,
            "offset {offset}: I1 by a word given long before: {}",
            lab.log.join("\n")
        );
    }
    assert!(used > 0, "the test did not reach its point");
}

/// A coordinator that has just been elected has not listened yet.
#[test]
fn r20_the_word_about_a_node_that_others_hear_is_refused() {
    let mut lab = Lab::new("none a b c | g@c");
    lab.run(Span::secs(4));
    assert_eq!(lab.coordinators(), ["b".to_owned()].into(), "{:#?}", lab.log);
    // One link of three fails: a hears c.
    lab.cut("b", "c");
    lab.run(Span::secs(3));
    ask(&mut lab, "b", 1, Command::ConfirmDead { node: "c".into() });
    lab.run(Span::secs(10));
    once(&lab);
}

/// Where a tie-break address is set, only the side that reaches it takes on silence.
#[test]
fn h36_silence_takes_nothing_before_the_tie_break_address_has_answered() {
    let mut lab = Lab::new("stateless ping a b | web@a");
    lab.run(Span::secs(4));
    assert_eq!(lab.holders("web"), ["a"]);
    lab.cut("a", "b"); // nobody answers b's ping either: its cable is out
    lab.run(Span::secs(5));
    assert_eq!(lab.holders("web"), ["a"], "{:#?}", lab.log);
}

/// Hands off: the switch is worked on under maintenance.
#[test]
fn maintenance_resets_no_machine_that_loses_its_lease() {
    let mut lab = Lab::new("none a+ b+ c+ | g@c");
    lab.run(Span::secs(6));
    assert_eq!(lab.holders("g"), ["c"]);
    ask(&mut lab, "a", 1, Command::Maintenance { on: true, lasts: None });
    lab.run(Span::secs(2));
    for (one, other) in [("a", "b"), ("a", "c"), ("b", "c")] {
        lab.cut(one, other);
    }
    lab.run(Span::secs(60));
    assert_eq!(lab.holders("g"), ["c"], "{}", lab.log.join("\n"));
}

/// A node that the configuration removed does not vote for ever.
#[test]
fn r19_a_removed_node_loses_its_vote() {
    let mut lab = Lab::new("device a b | g@b");
    lab.run(Span::secs(4));
    assert_eq!(lab.coordinators(), ["b".to_owned()].into(), "{:#?}", lab.log);
    apply(&mut lab, "b", 1, "device b | g@b");
    lab.run(Span::secs(30));
    assert!(matches!(lab.replies[0].2, Outcome::Done { .. }), "{:?}", lab.replies);
    // The removed machine goes to the scrap yard; the one that stays reboots.
    lab.crash(&"a".into());
    lab.crash(&"b".into());
    lab.boot(&"b".into());
    lab.run(Span::secs(60));
    assert_eq!(lab.holders("g"), ["b"], "{}", lab.log.join("\n"));
}

/// A node whose disk was replaced can be made a voter again.
#[test]
fn h22_a_reinstalled_node_votes_again() {
    let mut lab = Lab::new("device a b c | g@a");
    lab.run(Span::secs(4));
    lab.crash(&"c".into());
    lab.run(Span::secs(2));
    let fresh = crm_core::record::Stored::new(crm_core::id::StoreId(99));
    if let Some(machine) = lab.machines.get_mut(&"c".into()) {
        machine.disk = fresh;
    }
    lab.boot(&"c".into());
    lab.run(Span::secs(30));
    // Two of the three machines that are well decide.
    lab.crash(&"b".into());
    lab.run(Span::secs(20));
    assert!(!lab.coordinators().contains("-"), "{}", lab.log.join("\n"));
}

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

/// Every command is answered.
#[test]
fn fence_an_operator_who_asks_for_a_fence_under_way_is_answered() {
    let mut lab = Lab::new("device a b c | g@c");
    lab.run(Span::secs(4));
    lab.crash(&"c".into());
    for _ in 0..2000 {
        lab.run(Span::millis(1));
        if lab.log.iter().any(|line| line.contains("asking")) {
            break;
        }
    }
    let leader = lab.coordinators().into_iter().next().unwrap_or_default();
    ask(&mut lab, &leader, 7, Command::Fence { node: "c".into() });
    lab.run(Span::secs(60));
    assert_eq!(lab.replies.len(), 1, "{}", lab.log.join("\n"));
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

/// A daemon that cannot read its configuration has not proved that nothing runs.
#[test]
fn h16_nothing_known_is_not_everything_stopped() {
    let mut lab = Lab::new("none a+ b+ c+ | g@c");
    lab.run(Span::secs(6));
    assert_eq!(lab.holders("g"), ["c"]);
    lab.cut("a", "c");
    lab.cut("b", "c");
    // The state directory is lost, or an older crm cannot read the configuration.
    if let Some(machine) = lab.machines.get_mut(&"c".into()) {
        machine.disk = crm_core::record::Stored::new(crm_core::id::StoreId(77));
    }
    lab.restart_daemon(&"c".into());
    lab.run(Span::secs(60));
    once(&lab);
}

/// The kernel's margin is that of the opening; a shorter one is only on paper.
#[test]
fn r13_a_shorter_watchdog_margin_counts_only_once_the_kernel_has_it() {
    let mut lab = Lab::new("none L=3 S=2 W=60 a+ b+ c+ | g@c");
    lab.run(Span::secs(6));
    assert_eq!(lab.holders("g"), ["c"]);
    apply(&mut lab, "a", 1, "none L=3 S=2 W=10 a+ b+ c+ | g@c");
    lab.run(Span::secs(10));
    // The daemon of c hangs; its machine and g go on until the kernel resets it.
    if let Some(machine) = lab.machines.get_mut(&"c".into()) {
        machine.node = None;
    }
    lab.run(Span::secs(200));
    once(&lab);
}

/// The machine was reset for its failed stop and is back sooner than T_out.
#[test]
fn r21_a_reset_settles_a_failed_stop() {
    let mut lab = Lab::new("none a+ b+ c+ | g@c");
    lab.run(Span::secs(6));
    lab.stop_fails = Some("c".into());
    ask(&mut lab, "b", 1, Command::Migrate { group: "g".into(), to: Some("a".into()) });
    for _ in 0..400 {
        lab.run(Span::millis(100));
        if lab.log.iter().any(|line| line.contains("RESET")) {
            break;
        }
    }
    lab.stop_fails = None;
    assert!(lab.log.iter().any(|line| line.contains("c RESET")), "{}", lab.log.join("\n"));
    lab.run(Span::secs(3));
    lab.boot(&"c".into());
    lab.run(Span::secs(120));
    assert_eq!(lab.holders("g").len(), 1, "{}", lab.log.join("\n"));
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

/// A restarted daemon has its lease again before the kernel's margin is over.
#[test]
fn r17_a_daemon_that_restarts_under_a_watchdog_touches_nothing() {
    for name in ["a", "b", "c"] {
        let mut lab = Lab::new("none a+ b+ c+ | g@c h@a i@b");
        lab.run(Span::secs(6));
        lab.restart_daemon(&name.into());
        lab.run(Span::secs(60));
        assert!(!lab.log.iter().any(|line| line.contains("RESET")), "{}", lab.log.join("\n"));
        let stops: Vec<_> = lab.log.iter().filter(|line| line.contains("group-stop")).collect();
        assert!(stops.is_empty(), "{name}: {stops:?}\n{}", lab.log.join("\n"));
        once(&lab);
    }
}

/// An upgrade of every daemon at once.
#[test]
fn r17_all_daemons_restart_at_once_under_watchdogs() {
    let mut lab = Lab::new("none a+ b+ c+ | g@c h@a i@b");
    lab.run(Span::secs(6));
    for name in ["a", "b", "c"] {
        lab.restart_daemon(&name.into());
    }
    lab.run(Span::secs(60));
    assert!(!lab.log.iter().any(|line| line.contains("RESET")), "{}", lab.log.join("\n"));
    let stops: Vec<_> = lab.log.iter().filter(|line| line.contains("group-stop")).collect();
    assert!(stops.is_empty(), "{stops:?}");
    once(&lab);
}

/// Control: hands off, then a device cluster whose coordinator dies.
#[test]
fn r12_control_a_node_that_was_proved_dead_joins_again_during_maintenance() {
    let mut lab = Lab::new("device a b c | g@c");
    lab.run(Span::secs(6));
    lab.crash(&"c".into());
    lab.run(Span::millis(1200));
    ask(&mut lab, "b", 1, Command::Maintenance { on: true, lasts: None });
    lab.run(Span::secs(5));
    lab.boot(&"c".into());
    lab.run(Span::secs(30));
    let voters = lab.status("a").nodes.iter().filter(|n| n.voter).count();
    assert_eq!(voters, 3);
    ask(&mut lab, "b", 2, Command::Maintenance { on: false, lasts: None });
    lab.run(Span::secs(30));
    assert_eq!(lab.holders("g").len(), 1, "{}", lab.log.join("\n"));
}

/// A longer lease counts once it is committed, not once it is proposed.
#[test]
fn r13_a_longer_lease_does_not_protect_a_coordinator_that_is_cut_off() {
    let mut lab = Lab::new("none L=3 S=2 W=10 a+ b+ c+ | g@b");
    lab.run(Span::secs(6));
    assert_eq!(
        (lab.holders("g"), lab.coordinators()),
        (vec!["b".to_owned()], ["b".to_owned()].into())
    );
    lab.cut("a", "b");
    lab.cut("c", "b");
    lab.run(Span::millis(500));
    apply(&mut lab, "b", 1, "none L=60 S=2 W=10 a+ b+ c+ | g@b");
    lab.run(Span::secs(100));
    once(&lab);
}

/// With a third voter the majority decides; an isolated node takes nothing.
#[test]
fn h36_silence_takes_nothing_where_a_witness_votes() {
    for config in ["stateless a+ b+ witness | web@a", "stateless a b witness | web@a"] {
        let mut lab = Lab::new(config);
        lab.run(Span::secs(6));
        assert_eq!(lab.holders("web"), ["a"], "{:#?}", lab.log);
        lab.cut("a", "b");
        lab.cut("b", "witness");
        lab.run(Span::secs(60));
        assert!(!lab.log.iter().any(|l| l.contains("RESET")), "{config}\n{}", lab.log.join("\n"));
        assert_eq!(lab.holders("web"), ["a"], "{config}\n{}", lab.log.join("\n"));
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

/// What an apply of a group's node leaves behind: the owner is away when its group is removed.
#[test]
fn apply_a_group_removed_while_its_owner_is_away_ends_when_it_returns() {
    let mut lab = Lab::new("none a b c | g@c");
    lab.run(Span::secs(4));
    lab.cut("a", "c");
    lab.cut("b", "c");
    lab.run(Span::secs(5));
    apply(&mut lab, "b", 1, "none a b c | web@a");
    lab.run(Span::secs(5));
    lab.cut.clear();
    lab.run(Span::secs(20));
    assert!(lab.holders("g").is_empty(), "{}", lab.log.join("\n"));
    assert_eq!(lab.holders("web"), ["a"]);
}

/// A node whose agent is broken neither blocks the others nor is reset again and again.
#[test]
fn r21_a_broken_agent_on_a_bystander_blocks_nobody_and_resets_nothing() {
    for config in ["device a b c | g@a", "none a+ b+ c+ | g@a"] {
        let mut lab = Lab::new(config);
        lab.broken = Some("c".into());
        for _ in 0..30 {
            lab.run(Span::secs(10));
            if lab.machines[&"c".into()].node.is_none() {
                lab.boot(&"c".into());
            }
        }
        let resets = lab.log.iter().filter(|line| line.contains("RESET")).count();
        assert!(resets < 2, "{config}: {resets} resets\n{}", lab.log.join("\n"));
        assert_eq!(lab.holders("g"), ["a"], "{config}\n{}", lab.log.join("\n"));
    }
}

/// The same, with devices: the owner dies and another healthy node takes over.
#[test]
fn r11_a_broken_agent_on_a_bystander_does_not_stop_a_take_over() {
    let mut lab = Lab::new("device a b c | g@a");
    lab.broken = Some("c".into());
    lab.run(Span::secs(6));
    assert_eq!(lab.holders("g"), ["a"]);
    lab.crash(&"a".into());
    lab.run(Span::secs(120));
    assert_eq!(lab.holders("g"), ["b"], "{}", lab.log.join("\n"));
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

/// A small storm: whatever happens, no group runs twice, and in calm everything runs again.
fn storm(config: &str, seed: u64) -> Result<(), String> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut roll = |bound: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) % bound
    };
    let mut lab = Lab::new(config);
    let names: Vec<NodeId> = lab.machines.keys().cloned().collect();
    let some = |n: u64| names[n as usize % names.len()].clone();
    lab.run(Span::secs(5));
    let mut story = Vec::new();
    for step in 0..14 {
        let (what, one, two) = (roll(14), some(roll(99)), some(roll(99)));
        story.push(format!("{} {what} {one} {two}", lab.now));
        match what {
            0 | 1 => lab.cut(one.as_str(), two.as_str()),
            2 => lab.cut.clear(),
            3 => lab.crash(&one),
            4 | 5 => {
                if lab.machines[&one].node.is_none() && lab.machines[&one].running.is_empty() {
                    lab.boot(&one);
                }
            }
            6 | 7 => lab.restart_daemon(&one),
            8 => {
                for other in names.iter().filter(|n| **n != one) {
                    lab.cut(one.as_str(), other.as_str());
                }
            }
            9 => ask(
                &mut lab,
                one.as_str(),
                step + 10,
                Command::Migrate { group: "g".into(), to: None },
            ),
            10 => ask(&mut lab, one.as_str(), step + 10, Command::Standby { node: two }),
            11 => ask(&mut lab, one.as_str(), step + 10, Command::Online { node: two }),
            12 => ask(&mut lab, one.as_str(), step + 10, Command::Restart { group: "h".into() }),
            _ => lab.stop_takes = Span::millis(20 + roll(4000)),
        }
        let short = roll(3) > 0;
        lab.run(Span::millis(if short { roll(800) } else { roll(40_000) }));
        if !lab.twice.is_empty() {
            return Err(format!(
                "{seed}: {:?}\n{}\n{}",
                lab.twice,
                story.join("\n"),
                lab.log.join("\n")
            ));
        }
    }
    lab.cut.clear();
    lab.stop_takes = Span::millis(20);
    lab.run(Span::secs(40));
    for name in &names {
        if lab.machines[name].node.is_none() {
            lab.crash(name);
            lab.boot(name);
        }
    }
    lab.run(Span::secs(10));
    for (i, name) in names.iter().enumerate() {
        ask(&mut lab, names[0].as_str(), 100 + i as u64, Command::Online { node: name.clone() });
        ask(
            &mut lab,
            names[0].as_str(),
            200 + i as u64,
            Command::Clear { group: None, node: None },
        );
    }
    lab.run(Span::secs(120));
    for group in ["g", "h"] {
        if lab.holders(group).len() != 1 || !lab.twice.is_empty() {
            return Err(format!(
                "{seed}: {group} on {:?}\n{}\n{}",
                lab.holders(group),
                story.join("\n"),
                lab.log.join("\n")
            ));
        }
    }
    Ok(())
}

#[test]
fn i1_a_storm_of_cuts_restarts_and_moves_ends_well() {
    let seeds: u64 = 2;
    for seed in 1..=seeds {
        for config in [
            "none a+ b+ c+ | g@a h@c",
            "device a b | g@a h@b",
            "none a+ b+ witness | g@a h@b",
            "device a b c | g@a h@c",
        ] {
            if let Err(text) = storm(config, seed) {
                panic!("{config}: {text}");
            }
        }
    }
}
