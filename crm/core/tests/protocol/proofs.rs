//! What proves a node dead or a group stopped, and what does not (R11, R12, R20, R21, H36).

use crate::cluster::Lab;
use crate::steps::{ask, once};
use crm_core::operator::Command;
use crm_core::time::Span;

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
/// P10.
#[test]
fn h36_silence_takes_nothing_before_the_tie_break_address_has_answered() {
    let mut lab = Lab::new("stateless ping a b | web@a");
    lab.run(Span::secs(4));
    assert_eq!(lab.holders("web"), ["a"]);
    lab.cut("a", "b"); // nobody answers b's ping either: its cable is out
    lab.run(Span::secs(5));
    assert_eq!(lab.holders("web"), ["a"], "{:#?}", lab.log);
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

/// The device was down while a stop failed, so an operator has rebooted the machine by hand; the device comes up with it.
#[test]
fn r21_a_machine_that_booted_since_its_failed_stop_is_not_shot_for_it() {
    for (config, owner, to) in [
        ("device a b c | g@c", "c", "a"),
        ("device a b c | g@c h@c:after=g", "c", "b"),
        ("device a b c | g@a", "a", "c"),
        ("device a b | g@b", "b", "a"),
    ] {
        for delay in [0, 300, 2000, 30_000] {
            let mut lab = Lab::new(config);
            lab.run(Span::secs(4));
            assert_eq!(lab.holders("g"), [owner]);
            lab.fence_fails = true;
            lab.machines.get_mut(&owner.into()).expect("there").stops_fail = true;
            ask(&mut lab, to, 1, Command::Migrate { group: "g".into(), to: Some(to.into()) });
            lab.run(Span::secs(8));
            let asked = format!("fence node {owner}: a stop failed there");
            assert!(lab.log.iter().any(|line| line.contains(&asked)), "{}", lab.log.join("\n"));
            lab.crash(&owner.into());
            lab.run(Span::millis(delay));
            lab.boot(&owner.into());
            lab.fence_fails = false;
            lab.run(Span::secs(60));
            let log = lab.log.join("\n");
            assert!(lab.fenced.is_empty(), "{config}, {delay} ms: {log}");
            assert_eq!(lab.holders("g"), [to], "{config}, {delay} ms: {log}");
            if delay != 300 || config.contains('c') {
                continue;
            }
            // Nor is it held against that machine for ever.
            lab.run(Span::secs(3600));
            ask(&mut lab, to, 2, Command::Migrate { group: "g".into(), to: Some(owner.into()) });
            lab.run(Span::secs(5));
            assert_eq!(lab.holders("g"), [owner], "{config}, {delay} ms");
            once(&lab);
        }
    }
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

/// Half of four died for good: each of them needs a word of its own, and the words count together.
#[test]
fn r20_a_word_about_each_of_two_dead_voters_decides() {
    let mut lab = Lab::new("none a b c d | g@d");
    lab.run(Span::secs(6));
    assert_eq!(lab.holders("g"), ["d"], "{}", lab.log.join("\n"));
    lab.crash(&"c".into());
    lab.crash(&"d".into());
    lab.run(Span::secs(30));
    ask(&mut lab, "a", 1, Command::ConfirmDead { node: "c".into() });
    lab.run(Span::secs(15));
    assert_eq!(lab.replies.len(), 1, "nobody leads yet, and that is told");
    ask(&mut lab, "a", 2, Command::ConfirmDead { node: "d".into() });
    lab.run(Span::secs(30));
    once(&lab);
    assert_eq!(lab.holders("g").len(), 1, "{}", lab.log.join("\n"));
}

/// Who waits for nobody but a person is told so; where no word would help, or a device will do, none is asked for.
#[test]
fn r20_why_names_the_operators_word_only_where_it_decides() {
    for (config, dead, words) in [
        ("none a b | g@b", "b", "; if that machine is certainly off: `crm confirm-dead b`"),
        (
            "none a b c d | g@d",
            "c d",
            "certainly off: `crm confirm-dead c` and `crm confirm-dead d`",
        ),
        ("none a b c | g@c", "b c", ""),
        ("none a b c d | g@d", "b c d", ""),
        ("device a b | g@b", "b", ""),
    ] {
        let mut lab = Lab::new(config);
        lab.fence_takes = Span::secs(60);
        lab.run(Span::secs(6));
        assert!(
            !lab.status("a").groups[0].reason.contains("confirm-dead"),
            "{config}: all is well"
        );
        for node in dead.split(' ') {
            lab.crash(&node.into());
        }
        lab.run(Span::secs(15));
        let status = lab.status("a");
        let reason = &status.groups[0].reason;
        assert!(!status.quorum && reason.ends_with(words), "{config}, {dead} dead: {reason}");
        let told = status.warnings.iter().any(|warning| warning.contains("`crm confirm-dead"));
        assert_eq!(told, !words.is_empty(), "{config}, {dead} dead: {:?}", status.warnings);
        assert_eq!(reason.contains("confirm-dead"), !words.is_empty(), "{config}: {reason}");
    }
}
