//! The protocol's rules on a few nodes, single-stepped. The simulator goes wide; this goes deep.

mod alone;
mod armed_runs;
mod authority;
mod changes;
mod cluster;
mod crash_loop;
mod empty_disk;
mod epochs;
mod language;
mod leaving;
mod misread;
mod orders;
mod placing;
mod proofs;
mod records;
mod removed;
mod steps;
mod storm;
mod stuck_disk;
mod told;
mod watchdog;
mod witness;

use cluster::Lab;
use crm_core::time::Span;

#[test]
fn r5_three_nodes_elect_one_coordinator() {
    let mut lab = Lab::new("device a b c");
    lab.run(Span::secs(3));
    assert_eq!(lab.coordinators().len(), 1, "{:#?}", lab.log);
    assert!(!lab.coordinators().contains("-"), "{:#?}", lab.log);
}

#[test]
fn r16_one_of_two_that_boots_alone_waits() {
    let mut lab = Lab::new("device a b");
    lab.crash(&"b".into());
    lab.run(Span::secs(20));
    assert_eq!(lab.coordinators(), ["-".to_owned()].into(), "{:#?}", lab.log);
    assert!(lab.fenced.is_empty(), "a booted node must not shoot");
    let warnings = lab.status("a").warnings.join("\n");
    assert!(warnings.contains("crm confirm-dead b"), "{warnings}");
}

#[test]
fn r6_the_survivor_of_two_fences_and_goes_on() {
    let mut lab = Lab::new("device a b");
    lab.run(Span::secs(3));
    assert_eq!(lab.coordinators().len(), 1);
    for dead in ["a", "b"] {
        let mut lab = Lab::new("device a b");
        lab.run(Span::secs(3));
        lab.crash(&dead.into());
        lab.run(Span::secs(8));
        let survivor = if dead == "a" { "b" } else { "a" };
        assert_eq!(lab.coordinators(), [survivor.to_owned()].into(), "{:#?}", lab.log);
        assert_eq!(lab.fenced, [dead.into()]);
        assert_eq!(lab.status(survivor).nodes.iter().filter(|n| n.voter).count(), 1);
        // R18: it returns, follows, and votes again.
        lab.boot(&dead.into());
        lab.run(Span::secs(8));
        assert_eq!(
            lab.status(survivor).nodes.iter().filter(|n| n.voter).count(),
            2,
            "{:#?}",
            lab.log
        );
        assert_eq!(lab.coordinators(), [survivor.to_owned()].into(), "{:#?}", lab.log);
    }
}

/// Who is not a voter of the newest record withdraws, and must not stand again before the one that gave
/// it that record: else both wait for ever, as fast as their disks are.
#[test]
fn r5_who_withdraws_lets_the_last_standing_one_stand_first() {
    for later in [200, 500, 800, 1100] {
        let mut lab = Lab::new("device a b");
        lab.run(Span::secs(3));
        lab.crash(&"b".into());
        lab.run(Span::secs(8));
        lab.crash(&"a".into());
        lab.boot(&"b".into());
        lab.run(Span::secs(1));
        lab.boot(&"a".into());
        lab.run(Span::millis(later));
        lab.run(Span::secs(5));
        assert_eq!(lab.coordinators(), ["a".to_owned()].into(), "{later} {:#?}", lab.log);
    }
}

#[test]
fn h26_a_cut_in_two_ends_with_one_survivor() {
    let mut lab = Lab::new("device a b");
    lab.run(Span::secs(3));
    lab.cut("a", "b");
    lab.run(Span::secs(8));
    assert_eq!(lab.fenced.len(), 1, "{:#?}", lab.log);
    let alive = lab.machines.values().filter(|m| m.node.is_some()).count();
    assert_eq!(alive, 1);
}

/// Who hosts what matters more shoots first, then who hosts more of it, then the first by name.
#[test]
fn r6_in_a_tie_the_side_with_more_at_stake_shoots_first() {
    for (groups, survivor) in [
        ("f@a g@b h@b", "b"),
        ("f@a:priority=5 g@b h@b", "a"),
        ("f@a:priority=5 g@b:priority=6", "b"),
        ("f@a g@b", "a"),
    ] {
        let mut lab = Lab::new(&format!("device a b | {groups}"));
        lab.run(Span::secs(6));
        lab.cut("a", "b");
        lab.run(Span::secs(10));
        let other = if survivor == "a" { "b" } else { "a" };
        assert_eq!(lab.fenced, [other.into()], "{groups}: {}", lab.log.join("\n"));
    }
}

#[test]
fn h30_a_minority_of_three_never_shoots() {
    let mut lab = Lab::new("device a b c");
    lab.run(Span::secs(3));
    lab.cut("a", "b");
    lab.cut("a", "c");
    lab.run(Span::secs(10));
    assert!(
        !lab.fenced.contains(&"b".into()) && !lab.fenced.contains(&"c".into()),
        "{:?}",
        lab.fenced
    );
}

mod groups {
    use super::*;
    use crm_core::Input;
    use crm_core::digest::digest;
    use crm_core::id::RequestId;
    use crm_core::operator::{Command, Outcome};

    fn ask(lab: &mut Lab, node: &str, number: u64, command: Command) {
        lab.handle(&node.into(), Input::Operator { request: RequestId(number), command });
    }

    #[test]
    fn r21_a_coordinator_whose_stop_failed_gives_way_and_is_fenced() {
        let mut lab = Lab::new("device a b | one@b,a");
        lab.run(Span::secs(4));
        assert_eq!(one(&lab, "one"), "b");
        assert_eq!(lab.coordinators(), ["b".to_owned()].into());
        lab.machines.get_mut(&"b".into()).expect("a machine").stops_fail = true;
        ask(&mut lab, "a", 1, Command::Migrate { group: "one".into(), to: Some("a".into()) });
        lab.run(Span::secs(15));
        assert_eq!(lab.fenced, ["b".into()], "{:#?}", lab.log);
        assert_eq!(one(&lab, "one"), "a", "{:#?}", lab.log);
    }

    /// A group that the configuration dropped is nobody's reason to fence, so nothing is gained.
    #[test]
    fn r21_a_coordinator_keeps_the_lead_for_the_failed_stop_of_what_was_dropped() {
        let mut lab = Lab::new("device a b c | g@a g2@b web@a");
        lab.run(Span::secs(4));
        assert_eq!(lab.coordinators(), ["b".to_owned()].into());
        lab.machines.get_mut(&"b".into()).expect("a machine").stops_fail = true;
        steps::apply(&mut lab, "a", 1, "device a b c | g@a web@a");
        lab.run(Span::secs(15));
        assert!(lab.log.iter().any(|line| line.contains("stop-failed")), "{:#?}", lab.log);
        assert!(!lab.log.iter().any(|line| line.contains("stepped-down")), "{:#?}", lab.log);
    }

    #[test]
    fn h30_a_coordinator_that_is_cut_off_shoots_nobody_before_its_lease_ends() {
        let mut lab = Lab::new("device a b c | one@a two@b three@c");
        lab.fence_takes = Span::millis(1);
        lab.run(Span::secs(4));
        assert_eq!(lab.coordinators(), ["b".to_owned()].into());
        lab.cut("b", "a");
        lab.cut("b", "c");
        lab.run(Span::secs(10));
        assert_eq!(lab.fenced, ["b".into()], "{:#?}", lab.log);
    }

    /// Two of four are lost to it, the last one is only silent so far: that is no tie, it is alone.
    #[test]
    fn h30_a_coordinator_that_is_being_cut_off_shoots_nobody_for_a_tie() {
        let mut lab = Lab::new("device a b c d | one@a");
        lab.fence_takes = Span::millis(1);
        lab.run(Span::secs(4));
        let first = lab.coordinators().into_iter().next().expect("a coordinator");
        let others: Vec<_> =
            ["a", "b", "c", "d"].into_iter().filter(|name| *name != first).collect();
        lab.cut(&first, others[0]);
        lab.cut(&first, others[1]);
        lab.run(Span::millis(300));
        lab.cut(&first, others[2]);
        lab.run(Span::secs(10));
        let first = crm_core::id::NodeId::new(&first);
        assert!(lab.fenced.iter().all(|target| *target == first), "{:#?}", lab.log);
    }

    fn one(lab: &Lab, group: &str) -> String {
        let holders = lab.holders(group);
        assert!(holders.len() <= 1, "I1: {group} on {holders:?}\n{:#?}", lab.log);
        holders.into_iter().next().unwrap_or_default()
    }

    #[test]
    fn hb15_the_survivor_runs_both_and_hb16_nothing_goes_back_by_itself() {
        let mut lab = Lab::new("device a b | one@a,b two@b,a");
        lab.run(Span::secs(4));
        assert_eq!(
            (one(&lab, "one"), one(&lab, "two")),
            ("a".into(), "b".into()),
            "{:#?}",
            lab.log
        );
        lab.crash(&"a".into());
        lab.run(Span::secs(8));
        assert_eq!(
            (one(&lab, "one"), one(&lab, "two")),
            ("b".into(), "b".into()),
            "{:#?}",
            lab.log
        );
        lab.boot(&"a".into());
        lab.run(Span::secs(10));
        assert_eq!((one(&lab, "one"), one(&lab, "two")), ("b".into(), "b".into()));
        ask(&mut lab, "a", 1, Command::Migrate { group: "one".into(), to: Some("a".into()) });
        lab.run(Span::secs(5));
        assert_eq!(
            (one(&lab, "one"), one(&lab, "two")),
            ("a".into(), "b".into()),
            "{:#?}",
            lab.log
        );
        assert!(matches!(lab.replies[0].2, Outcome::Done { .. }), "{:?}", lab.replies);
    }

    fn apply(lab: &mut Lab, number: u64, text: &str, base: &str) -> Outcome {
        let base = Some(digest(base.as_bytes()));
        ask(lab, "b", number, Command::Apply { text: text.to_owned(), base });
        lab.run(Span::secs(2));
        lab.replies.last().expect("an answer").2.clone()
    }

    #[test]
    fn a_draft_differs_until_it_is_applied_and_then_follows() {
        let (old, new) = ("device a b | one@a", "device a b | one@b");
        let mut lab = Lab::new(old);
        lab.run(Span::secs(4));
        let see = |lab: &mut Lab, text: &str| {
            lab.handle(&"b".into(), Input::DraftSeen { digest: Some(digest(text.as_bytes())) });
            lab.status("b").draft_differs.is_some()
        };
        assert!(!see(&mut lab, old));
        assert!(see(&mut lab, new));
        assert!(matches!(apply(&mut lab, 1, new, old), Outcome::Done { .. }));
        assert!(lab.status("b").draft_differs.is_none(), "it is what is in force");
        // The shell rewrites a file that follows: until it is told, that is no edit.
        assert!(matches!(apply(&mut lab, 2, old, new), Outcome::Done { .. }));
        assert!(lab.status("b").draft_differs.is_none());
        assert!(!see(&mut lab, old));
        assert!(see(&mut lab, new), "edited again");
    }

    #[test]
    fn an_apply_asked_again_after_its_coordinator_died_is_answered_by_what_is_in_force() {
        let (old, new) = ("device a b | one@a", "device a b | one@b");
        let mut lab = Lab::new(old);
        lab.run(Span::secs(4));
        for number in [1, 2] {
            let answer = apply(&mut lab, number, new, old);
            assert!(matches!(answer, Outcome::Done { .. }), "{answer:?}");
        }
        let answer = apply(&mut lab, 3, "device a b", old);
        assert!(matches!(answer, Outcome::Refused { .. }), "edited from another: {answer:?}");
    }

    #[test]
    fn a_stop_survives_and_a_start_ends_it() {
        let mut lab = Lab::new("device a b c | web@a");
        lab.run(Span::secs(4));
        assert_eq!(one(&lab, "web"), "a");
        ask(&mut lab, "c", 1, Command::Stop { group: "web".into() });
        lab.run(Span::secs(3));
        assert_eq!(one(&lab, "web"), "");
        for node in ["a", "b", "c"] {
            lab.crash(&node.into());
        }
        for node in ["a", "b", "c"] {
            lab.boot(&node.into());
        }
        lab.run(Span::secs(6));
        assert_eq!(one(&lab, "web"), "", "I5: the stop was acknowledged");
        ask(&mut lab, "b", 2, Command::Start { group: "web".into() });
        lab.run(Span::secs(4));
        assert_eq!(one(&lab, "web"), "a", "{:#?}", lab.log);
    }

    #[test]
    fn r14_a_leaver_of_two_leaves_a_stayer_that_goes_on_alone() {
        for leaver in ["a", "b"] {
            let mut lab = Lab::new("device a b | web@a one@b");
            lab.run(Span::secs(4));
            lab.handle(&leaver.into(), Input::Shutdown { how: crm_core::Shutdown::Leave });
            lab.run(Span::secs(8));
            let stayer = if leaver == "a" { "b" } else { "a" };
            assert!(lab.machines[&leaver.into()].node.is_none(), "{:#?}", lab.log);
            assert_eq!((one(&lab, "web"), one(&lab, "one")), (stayer.into(), stayer.into()));
            assert!(lab.fenced.is_empty(), "{:#?}", lab.log);
            assert_eq!(lab.coordinators(), [stayer.to_owned()].into());
            lab.boot(&leaver.into());
            lab.run(Span::secs(8));
            assert_eq!(lab.status(stayer).nodes.iter().filter(|n| n.voter).count(), 2);
            assert!(!lab.status(stayer).nodes.iter().any(|n| n.leaving), "{:#?}", lab.log);
        }
    }

    #[test]
    fn r17_a_daemon_that_restarts_touches_nothing() {
        let mut lab = Lab::new("device a b c | web@a");
        lab.run(Span::secs(4));
        let running = lab.machines[&"a".into()].running.clone();
        lab.crash(&"a".into());
        if let Some(machine) = lab.machines.get_mut(&"a".into()) {
            machine.running = running;
        }
        lab.boot(&"a".into());
        let before = lab.log.len();
        lab.run(Span::secs(6));
        assert_eq!(one(&lab, "web"), "a");
        let noise: Vec<_> = lab.log[before..].iter().filter(|l| l.contains("group-st")).collect();
        assert!(noise.is_empty(), "{noise:?}");
    }

    #[test]
    fn h36_silence_moves_a_stateless_group_and_the_newer_holder_keeps_it() {
        let mut lab = Lab::new("stateless a b | web@a");
        lab.run(Span::secs(4));
        assert_eq!(one(&lab, "web"), "a");
        lab.cut("a", "b");
        lab.run(Span::secs(3));
        assert_eq!(lab.holders("web"), ["a", "b"], "both hold it: that is what none means");
        lab.cut.clear();
        lab.run(Span::secs(4));
        assert_eq!(one(&lab, "web"), "b", "{:#?}", lab.log);
        let status = lab.status("a");
        assert_eq!(status.groups[0].owner, Some("b".into()), "{:#?}", lab.log);
    }

    #[test]
    fn a_group_with_data_never_moves_on_silence() {
        let mut lab = Lab::new("none a b | db@a");
        lab.run(Span::secs(4));
        lab.crash(&"a".into());
        lab.run(Span::secs(20));
        assert_eq!(one(&lab, "db"), "");
    }

    /// P44: the confirmed word.
    #[test]
    fn r20_an_operators_word_lets_the_survivor_go_on() {
        let mut lab = Lab::new("none a b | db@a");
        lab.run(Span::secs(4));
        lab.crash(&"a".into());
        lab.run(Span::secs(4));
        ask(&mut lab, "b", 9, Command::ConfirmDead { node: "a".into() });
        lab.run(Span::secs(5));
        assert_eq!(one(&lab, "db"), "b", "{:#?}", lab.log);
        assert!(matches!(lab.replies[0].2, Outcome::Done { .. }), "{:?}", lab.replies);
    }

    #[test]
    fn a_change_of_configuration_reaches_every_node() {
        let mut lab = Lab::new("device a b c | web@a");
        lab.run(Span::secs(4));
        let text = "device a b c | web@a mail@b".to_owned();
        ask(&mut lab, "c", 1, Command::Apply { text, base: None });
        lab.run(Span::secs(4));
        assert_eq!(
            (one(&lab, "web"), one(&lab, "mail")),
            ("a".into(), "b".into()),
            "{:#?}",
            lab.log
        );
        let digests: std::collections::BTreeSet<_> =
            ["a", "b", "c"].iter().map(|n| lab.status(n).config).collect();
        assert_eq!(digests.len(), 1);
    }

    #[test]
    fn h26_maintenance_touches_nothing_when_a_node_dies() {
        let mut lab = Lab::new("device a b c | web@a");
        lab.run(Span::secs(4));
        ask(&mut lab, "b", 1, Command::Maintenance { on: true, lasts: Some(Span::secs(10)) });
        lab.run(Span::secs(1));
        lab.crash(&"a".into());
        lab.run(Span::secs(5));
        assert!(lab.fenced.is_empty());
        lab.run(Span::secs(15));
        assert_eq!(lab.fenced, ["a".into()], "{:#?}", lab.log);
        assert_ne!(one(&lab, "web"), "");
    }
}

#[test]
fn r18_joiners_become_voters_one_by_one_and_nothing_steps_down() {
    let mut lab = Lab::founded("device a b c | web@a");
    lab.run(Span::secs(15));
    assert_eq!(lab.status("a").nodes.iter().filter(|n| n.voter).count(), 3, "{:#?}", lab.log);
    let downs: Vec<_> = lab.log.iter().filter(|line| line.contains("stepped-down")).collect();
    assert!(downs.is_empty(), "{downs:?}");
}
