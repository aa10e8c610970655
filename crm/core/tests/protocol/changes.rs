//! Changes of the configuration while groups run and nodes are away (R11, R17, R19, H22).

use crate::cluster::Lab;
use crate::steps::{apply, ask, once};
use crm_core::operator::{Command, Outcome};
use crm_core::packet::Message;
use crm_core::time::Span;
use crm_core::{Input, Shutdown};

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

/// What failed to stop after its group was dropped is told, and is cleared like any other failure: before the group
/// has come back, and after.
#[test]
fn r21_a_failed_stop_of_a_dropped_group_can_be_cleared() {
    for back in [false, true] {
        let mut lab = Lab::new("device a b c | g@c web@a");
        lab.run(Span::secs(4));
        lab.stop_fails = Some("c".into());
        apply(&mut lab, "b", 1, "device a b c | web@a");
        lab.run(Span::secs(5));
        assert_eq!(lab.holders("g"), ["c"]);
        assert!(lab.fenced.is_empty(), "nobody waits for it: {:?}", lab.fenced);
        let told =
            lab.log.iter().any(|line| line.contains("failure-counted: group g failed on node c"));
        assert!(told, "{}", lab.log.join("\n"));
        lab.stop_fails = None;
        if back {
            apply(&mut lab, "b", 2, "device a b c | g@a web@a");
            lab.run(Span::secs(2));
        }
        let command = Command::Clear { group: Some("g".into()), node: None };
        ask(&mut lab, "b", 3, command);
        lab.run(Span::secs(5));
        assert_eq!(
            lab.holders("g"),
            if back { vec!["a"] } else { vec![] },
            "{}",
            lab.log.join("\n")
        );
    }
}

/// Two groups become one: what was in the one that goes is the other's only when it has stopped there.
#[test]
fn r11_a_dropped_group_that_runs_does_not_leave_its_resources_to_another() {
    let mut lab = Lab::new("device a b c | g@a:of=x h@b:of=y");
    lab.run(Span::secs(4));
    assert!(lab.holders("x") == ["a"] && lab.holders("y") == ["b"], "{}", lab.log.join("\n"));
    lab.stop_takes = Span::secs(3);
    let merged = "device a b c | h@b:of=y,x";
    apply(&mut lab, "b", 1, merged);
    lab.run(Span::secs(3));
    once(&lab);
    assert!(matches!(lab.replies[0].2, Outcome::Refused { .. }), "{:?}", lab.replies);
    ask(&mut lab, "b", 2, Command::Stop { group: "g".into() });
    lab.run(Span::secs(8));
    apply(&mut lab, "b", 3, merged);
    lab.run(Span::secs(8));
    once(&lab);
    assert_eq!(lab.holders("x"), ["b"], "{}", lab.log.join("\n"));
}

/// In two steps: taken out of one group that runs, then put into another one that runs. The second step waits for
/// the end of what the first one asked for.
#[test]
fn r11_what_was_taken_out_of_a_group_is_anothers_when_it_has_stopped() {
    let mut lab = Lab::new("device a b c | g@a:of=z,x h@b:of=y");
    lab.run(Span::secs(4));
    assert!(lab.holders("x") == ["a"] && lab.holders("y") == ["b"], "{}", lab.log.join("\n"));
    lab.stop_takes = Span::secs(3);
    apply(&mut lab, "b", 1, "device a b c | g@a:of=z h@b:of=y");
    let then = "device a b c | g@a:of=z h@b:of=y,x";
    lab.run(Span::millis(500));
    apply(&mut lab, "b", 2, then);
    lab.run(Span::secs(8));
    once(&lab);
    assert!(matches!(lab.replies[1].2, Outcome::Refused { .. }), "{:?}", lab.replies);
    assert!(lab.holders("x").is_empty() && lab.holders("z") == ["a"], "{}", lab.log.join("\n"));
    let record = lab.machines[&"b".into()].disk.record.clone().unwrap_or_default();
    assert!(record.retired.is_empty(), "{:?}", record.retired);
    apply(&mut lab, "b", 3, then);
    lab.run(Span::secs(8));
    once(&lab);
    assert_eq!(lab.holders("x"), ["b"], "{:?}\n{}", lab.replies, lab.log.join("\n"));
}

/// The same with a group that comes with the second step: nobody is given it before.
#[test]
fn r11_a_new_group_waits_for_what_was_taken_out_of_another() {
    let mut lab = Lab::new("device a b c | g@a:of=z,x");
    lab.agents_know_their_own = true;
    lab.run(Span::secs(4));
    lab.stop_takes = Span::secs(3);
    apply(&mut lab, "b", 1, "device a b c | g@a:of=z");
    lab.run(Span::millis(500));
    apply(&mut lab, "b", 2, "device a b c | g@a:of=z h@b:of=x");
    lab.run(Span::millis(500));
    let status = lab.status("b");
    let told = status.groups.iter().find(|group| group.id == "h".into()).map_or("", |h| &h.reason);
    assert!(told.contains("waits until node a has stopped what group g had"), "{told}");
    lab.run(Span::secs(10));
    once(&lab);
    assert_eq!(lab.holders("x"), ["b"], "{:?}\n{}", lab.replies, lab.log.join("\n"));
}

/// With other options it is the same mount: what is to run elsewhere waits for it, or is refused.
#[test]
fn r11_a_thing_that_changes_on_its_way_to_another_group_is_the_same_thing() {
    let mut lab = Lab::new("device a b c | g@a:of=z,x#1 h@b:of=y");
    lab.agents_know_their_own = true;
    lab.run(Span::secs(4));
    assert!(lab.holders("x") == ["a"] && lab.holders("y") == ["b"], "{}", lab.log.join("\n"));
    lab.stop_takes = Span::secs(3);
    apply(&mut lab, "b", 1, "device a b c | g@a:of=z h@b:of=y,x#2");
    lab.run(Span::secs(1));
    assert!(matches!(lab.replies[0].2, Outcome::Refused { .. }), "{:?}", lab.replies);
    apply(&mut lab, "b", 2, "device a b c | g@a:of=z h@b:of=y");
    lab.run(Span::millis(500));
    apply(&mut lab, "b", 3, "device a b c | g@a:of=z h@b:of=y,x#2");
    lab.run(Span::millis(500));
    assert!(matches!(lab.replies[2].2, Outcome::Refused { .. }), "{:?}", lab.replies);
    apply(&mut lab, "b", 4, "device a b c | g@a:of=z h@b:of=y i@c:of=x#2");
    lab.run(Span::secs(10));
    once(&lab);
    assert_eq!(lab.holders("x"), ["c"], "{:?}\n{}", lab.replies, lab.log.join("\n"));
}

/// Under its new name it is not stopped before what lies on it by the old one: renamed at once, or taken out first.
#[test]
fn i2_a_new_group_does_not_stop_what_another_one_still_stops() {
    let steps: [&[&str]; 3] = [
        &["device a b c | h@b:of=x"],
        &["device a b c | h@a:of=x,w"],
        &["device a b c | g@a:of=db,web", "device a b c | g@a:of=db,web h@b:of=x"],
    ];
    for steps in steps {
        let mut lab = Lab::new("device a b c | g@a:of=x,db,web");
        lab.run(Span::secs(4));
        assert_eq!(lab.holders("web"), ["a"]);
        lab.stop_takes = Span::secs(3);
        lab.done.clear();
        for (number, step) in (1..).zip(steps) {
            apply(&mut lab, "b", number, step);
            lab.run(Span::millis(500));
        }
        lab.run(Span::secs(30));
        once(&lab);
        let at = |what: &str| lab.done.iter().position(|done| done == what);
        assert!(at("stop x on a") > at("stop db on a"), "{:?}\n{}", lab.done, lab.log.join("\n"));
        let heir = if steps[0].contains("h@a") { "a" } else { "b" };
        assert_eq!(lab.holders("x"), [heir], "{:?}\n{}", lab.replies, lab.log.join("\n"));
    }
}

/// With `fencing: none` a group is stateless once its data were taken out of it. What its silent owner still runs is not.
#[test]
fn h36_what_was_taken_out_of_a_silent_owners_group_is_not_forgotten() {
    // Nor by a word that comes too late for them.
    for word in ["", ":unsafe"] {
        let mut lab = Lab::new("stateless a b c | g@a:of=data,v");
        lab.run(Span::secs(4));
        assert_eq!(lab.holders("data"), ["a"]);
        lab.cut("a", "b");
        lab.cut("a", "c");
        lab.run(Span::secs(10));
        assert_eq!(lab.holders("v"), ["a"], "a group with data does not move on silence");
        apply(&mut lab, "b", 1, &format!("stateless a b c | g@a:of=v{word}"));
        lab.run(Span::secs(10));
        apply(&mut lab, "b", 2, &format!("stateless a b c | g@a:of=v{word} h@b:of=data"));
        lab.run(Span::secs(10));
        let twice: Vec<_> = lab.twice.iter().filter(|line| line.contains("data on")).collect();
        assert!(twice.is_empty(), "{word} {twice:?} {:?}\n{}", lab.replies, lab.log.join("\n"));
    }
}

/// Two groups may have the same by right, programs without a thing of their own say: what leaves one did not move.
#[test]
fn apply_takes_out_of_one_group_what_another_one_had_before() {
    let mut lab = Lab::new("device a b c | g@a:of=z,x h@b:of=y,x");
    lab.run(Span::secs(4));
    apply(&mut lab, "b", 1, "device a b c | g@a:of=z h@b:of=y,x");
    lab.run(Span::secs(4));
    assert!(matches!(lab.replies[0].2, Outcome::Done { .. }), "{:?}", lab.replies);
    assert_eq!(lab.holders("x"), ["b"], "{}", lab.log.join("\n"));
}

/// The daemon restarts before it has stopped what a change took out of a group: the next run stops it, and till then
/// it is nobody else's.
#[test]
fn r17_what_was_taken_out_is_stopped_by_the_next_run_of_the_daemon() {
    let mut lab = Lab::new("device a b c | g@a:of=z,x");
    lab.agents_know_their_own = true;
    lab.run(Span::secs(4));
    lab.stop_takes = Span::secs(3);
    apply(&mut lab, "b", 1, "device a b c | g@a:of=z,y");
    lab.run(Span::millis(500));
    lab.restart_daemon(&"a".into());
    lab.run(Span::millis(500));
    assert_eq!(lab.holders("x"), ["a"], "{}", lab.log.join("\n"));
    apply(&mut lab, "b", 2, "device a b c | g@a:of=z,y h@b:of=x");
    lab.run(Span::secs(20));
    once(&lab);
    assert!(lab.holders("y") == ["a"] && lab.holders("z") == ["a"], "{}", lab.log.join("\n"));
    assert_eq!(lab.holders("x"), ["b"], "{:?}\n{}", lab.replies, lab.log.join("\n"));
}

/// What is looked at after a restart is all that either definition has: nothing is called stopped that was not.
#[test]
fn r17_a_daemon_that_restarts_after_a_change_looks_at_both_definitions() {
    let mut lab = Lab::new("device a b c | g@a:of=x");
    lab.agents_know_their_own = true;
    lab.run(Span::secs(4));
    lab.stop_takes = Span::secs(1);
    apply(&mut lab, "b", 1, "device a b c | g@a:of=y");
    // What the old definition had is down, what the new one has is up, and nobody was told of it.
    lab.run(Span::millis(500));
    lab.loses =
        Some(|from, packet| *from == "a".into() && matches!(packet.message, Message::Report(_)));
    while lab.holders("y").is_empty() {
        lab.run(Span::millis(1));
    }
    lab.restart_daemon(&"a".into());
    lab.loses = None;
    ask(&mut lab, "b", 2, Command::Migrate { group: "g".into(), to: Some("b".into()) });
    lab.run(Span::secs(10));
    once(&lab);
    assert_eq!(lab.holders("y"), ["b"], "{:?}\n{}", lab.replies, lab.log.join("\n"));
}

/// The coordinator speaks by the new configuration as soon as it proposes it: whoever could be reached by the old one
/// only would never hear of it, and take the coordinator for dead.
#[test]
fn apply_a_change_of_addresses_cuts_nobody_off() {
    for (config, ok) in [
        ("none a b c port=7000 | web@b", false),
        ("none a@10.1.0.1 b c | web@b", false),
        ("none a b@10.1.0.2 c | web@b", false),
        ("none a b@10.1.0.2,10.0.0.b c | web@b", false),
        ("none a b@10.0.0.b,10.1.0.2 c@10.0.0.c,10.1.0.3 | web@b", true),
    ] {
        let mut lab = Lab::new("none a b c | web@b");
        lab.run(Span::secs(4));
        let before = lab.coordinators();
        apply(&mut lab, "a", 1, config);
        lab.run(Span::secs(30));
        assert_eq!(
            lab.coordinators(),
            before,
            "{config}: {:?}\n{}",
            lab.replies,
            lab.log.join("\n")
        );
        assert_eq!(matches!(lab.replies[0].2, Outcome::Done { .. }), ok, "{:?}", lab.replies);
    }
}

/// A group that is changed again and again under maintenance: the record does not grow for ever.
#[test]
fn i10_what_is_remembered_of_a_group_is_bounded() {
    let mut lab = Lab::new("device a b c | g@a:of=x0");
    lab.run(Span::secs(4));
    ask(&mut lab, "b", 1, Command::Maintenance { on: true, lasts: None });
    lab.run(Span::millis(500));
    for number in 1..100 {
        apply(&mut lab, "b", 1 + number, &format!("device a b c | g@a:of=x{number}"));
        lab.run(Span::millis(100));
    }
    let record = lab.machines[&"b".into()].disk.record.clone().unwrap_or_default();
    assert_eq!(record.retired[&"g".into()].resources.len(), 64);
    assert!(matches!(lab.replies.last(), Some((_, 100, Outcome::Refused { .. }))));
    ask(&mut lab, "b", 101, Command::Maintenance { on: false, lasts: None });
    lab.run(Span::secs(20));
    apply(&mut lab, "b", 102, "device a b c | g@a:of=z");
    lab.run(Span::secs(5));
    once(&lab);
    assert_eq!(lab.holders("z"), ["a"], "{:?}", lab.replies.last());
}

/// What one change takes out of a group is not too much, however much it is.
#[test]
fn i10_a_large_group_that_runs_is_dropped_at_once() {
    let things: Vec<String> = (0..100).map(|number| format!("x{number}")).collect();
    let mut lab = Lab::new(&format!("device a b c | g@a:of={}", things.join(",")));
    lab.run(Span::secs(20));
    assert_eq!(lab.holders("x99"), ["a"]);
    apply(&mut lab, "b", 1, "device a b c | h@b");
    lab.run(Span::secs(20));
    assert!(matches!(lab.replies[0].2, Outcome::Done { .. }), "{:?}", lab.replies);
    assert!(lab.holders("x0").is_empty());
}

/// Its owner's daemon restarts before it has stopped what it started in the old order.
#[test]
fn i2_a_new_order_is_known_to_a_later_run() {
    let mut lab = Lab::new("device a b c | g@a:of=x,y");
    lab.run(Span::secs(4));
    lab.done.clear();
    lab.stop_takes = Span::secs(2);
    apply(&mut lab, "b", 1, "device a b c | g@a:of=y,x");
    lab.run(Span::millis(500));
    lab.restart_daemon(&"a".into());
    lab.run(Span::secs(20));
    let at = |what: &str| lab.done.iter().position(|done| done == what);
    assert!(at("stop y on a") < at("stop x on a"), "{:?}", lab.done);
    assert!(at("stop x on a") < at("start y on a"), "{:?}", lab.done);
    assert!(at("start y on a") < at("start x on a") && at("start x on a").is_some());
}

/// Both go: the one that started last stops first, here on another node.
#[test]
fn r15_dropped_groups_stop_in_turn() {
    for config in [
        "device a b c | base@a top@a:after=base web@b",
        "device a b c | base@a top@c:after=base web@b",
    ] {
        let mut lab = Lab::new(config);
        lab.run(Span::secs(4));
        lab.done.clear();
        lab.stop_takes = Span::secs(1);
        apply(&mut lab, "b", 1, "device a b c | web@b");
        lab.run(Span::secs(10));
        let at = |what: &str| lab.done.iter().position(|done| done.starts_with(what));
        assert!(at("stop top").is_some() && at("stop top") < at("stop base"), "{:?}", lab.done);
    }
}

/// Of an owner whose daemon has just begun nothing is known yet.
#[test]
fn r15_a_dropped_group_waits_for_one_that_nobody_has_looked_at() {
    let mut lab = Lab::new("device a b c | base@a top@c:after=base web@b");
    lab.run(Span::secs(4));
    lab.done.clear();
    lab.stop_takes = Span::secs(1);
    lab.restart_daemon(&"c".into());
    apply(&mut lab, "b", 1, "device a b c | web@b");
    lab.run(Span::secs(15));
    let at = |what: &str| lab.done.iter().position(|done| done.starts_with(what));
    assert!(at("stop top").is_some() && at("stop top") < at("stop base"), "{:?}", lab.done);
}

/// A proof that the owner is dead needs no order; and while it owned something, it would have no say after its return.
#[test]
fn r15_the_dropped_group_of_a_dead_owner_waits_for_nobody() {
    let mut lab = Lab::new("device a b c | base@a top@c:after=base web@b");
    lab.run(Span::secs(4));
    lab.stop_takes = Span::secs(20);
    apply(&mut lab, "b", 1, "device a b c | web@b");
    lab.run(Span::secs(1));
    lab.crash(&"a".into());
    lab.run(Span::secs(10));
    let record = lab.machines[&"b".into()].disk.record.as_ref().expect("a record");
    assert!(record.grants.contains_key(&"top".into()), "still stopping: {:?}", record.grants);
    assert!(!record.grants.contains_key(&"base".into()), "{:?}", record.grants);
}

/// A leaver whom nobody coordinates any more stops what was dropped in the same order.
#[test]
fn r15_a_leaver_by_itself_stops_dropped_groups_in_turn() {
    let mut lab = Lab::new("device a b c | base@a top@a:after=base web@b");
    lab.run(Span::secs(4));
    lab.done.clear();
    lab.stop_takes = Span::secs(6);
    apply(&mut lab, "b", 1, "device a b c | web@b");
    lab.run(Span::millis(300));
    lab.fence_takes = Span::secs(1000);
    lab.cut("a", "b");
    lab.cut("a", "c");
    lab.handle(&"a".into(), Input::Shutdown { how: Shutdown::Leave });
    let begun = lab.now;
    let mut stopped = |what: &str| {
        while !lab.done.iter().any(|done| done.starts_with(what)) {
            assert!(lab.now < begun + Span::secs(40), "{what}: {:?}", lab.done);
            lab.run(Span::millis(50));
        }
        lab.now
    };
    let top = stopped("stop top");
    let base = stopped("stop base");
    assert!(
        base >= top + Span::secs(5),
        "the stop of the base began beside the other: {top:?}, {base:?}"
    );
}
