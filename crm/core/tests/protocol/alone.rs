//! The only voter of its record, when it boots: somebody may have gone on by a word while it was down (R16, H23).

use crate::cluster::Lab;
use crate::steps::{apply, ask, once};
use crm_core::id::NodeId;
use crm_core::operator::Command;
use crm_core::packet::Message;
use crm_core::time::Span;
use crm_core::{Input, Shutdown};

/// b has left in order, a is the only voter, and both are off.
fn a_alone(config: &str) -> Lab {
    let mut lab = Lab::new(config);
    lab.run(Span::secs(4));
    lab.handle(&"b".into(), Input::Shutdown { how: Shutdown::Leave });
    lab.run(Span::secs(5));
    let record = lab.machines[&NodeId::new("a")].disk.record.clone().unwrap_or_default();
    assert_eq!(record.voters.keys().map(NodeId::as_str).collect::<Vec<_>>(), ["a"]);
    lab.crash(&"b".into());
    lab.crash(&"a".into());
    lab
}

/// And b went on by an operator's word, which was true.
fn b_went_on(config: &str) -> Lab {
    let mut lab = a_alone(config);
    lab.boot(&"b".into());
    lab.run(Span::secs(10));
    ask(&mut lab, "b", 1, Command::ConfirmDead { node: "a".into() });
    lab.run(Span::secs(10));
    assert_eq!(lab.holders("web"), ["b"], "{:?}\n{}", lab.replies, lab.log.join("\n"));
    lab
}

/// R16, H23: behind a cut link it cannot know. What it can do is to make sure of the other one first.
#[test]
fn r16_the_only_voter_that_boots_has_an_unheard_peer_fenced_first() {
    let mut lab = b_went_on("device a b | web@a");
    lab.cut("a", "b");
    lab.fence_takes = Span::secs(3);
    lab.boot(&"a".into());
    lab.run(Span::millis(1500));
    assert!(lab.fenced.is_empty() && lab.holders("web") == ["b"], "initdead is not over");
    lab.run(Span::secs(20));
    once(&lab);
    assert_eq!(lab.fenced, ["b".into()], "{}", lab.log.join("\n"));
    assert_eq!(lab.holders("web"), ["a"], "{}", lab.log.join("\n"));
    // H35: what b changed is no part of this history. It says so, and runs nothing beside a.
    lab.cut.clear();
    lab.boot(&"b".into());
    lab.run(Span::secs(60));
    once(&lab);
    assert_eq!(lab.holders("web"), ["a"], "{}", lab.log.join("\n"));
    let warnings = lab.status("b").warnings.join("\n");
    assert!(warnings.contains("parted histories"), "{warnings}");
}

/// Both alone vote in records of their own, and both have the right to: who is back beside the other one, which runs,
/// does not take that for company that has seen less.
#[test]
fn h35_the_only_voter_does_not_stand_beside_one_that_went_on_by_another_history() {
    for late in (0..3_000).step_by(150) {
        let mut lab = b_went_on("device a b | web@a");
        lab.cut("a", "b");
        lab.boot(&"a".into());
        lab.run(Span::secs(10));
        assert_eq!((lab.fenced.len(), lab.holders("web").as_slice()), (1, &["a".to_owned()][..]));
        lab.fence_takes = Span::secs(10_000);
        lab.boot(&"b".into());
        lab.run(Span::millis(late));
        lab.cut.clear();
        lab.run(Span::secs(20));
        once(&lab);
        assert_eq!(lab.holders("web"), ["a"], "{late} ms: {}", lab.log.join("\n"));
        let warnings = lab.status("b").warnings.join("\n");
        assert!(warnings.contains("parted histories"), "{late} ms: {warnings}");
    }
}

/// And where the one that runs obeys nothing, because its daemon has just restarted, the other does not take it for company
/// that has seen less.
#[test]
fn h35_the_only_voter_does_not_stand_beside_one_that_runs_and_obeys_nothing_yet() {
    for late in (0..3_000).step_by(150) {
        let mut lab = b_went_on("device a b | web@a");
        lab.cut("a", "b");
        lab.boot(&"a".into());
        lab.run(Span::secs(10));
        assert_eq!((lab.fenced.len(), lab.holders("web").as_slice()), (1, &["a".to_owned()][..]));
        lab.fence_takes = Span::secs(10_000);
        lab.boot(&"b".into());
        lab.run(Span::millis(late));
        lab.restart_daemon(&"a".into());
        lab.cut.clear();
        lab.run(Span::secs(20));
        once(&lab);
        assert_eq!(lab.holders("web"), ["a"], "{late} ms: {}", lab.log.join("\n"));
        let warnings = lab.status("b").warnings.join("\n");
        assert!(warnings.contains("it waits for a vote from there"), "{late} ms: {warnings}");
        if late % 300 == 0 {
            // Once nothing runs there, it is led as any other that has seen less.
            lab.crash(&"a".into());
            lab.boot(&"a".into());
            lab.run(Span::secs(20));
            assert_eq!(lab.holders("web"), ["b"], "{late} ms: {}", lab.log.join("\n"));
        } else {
            // Or what b has is given up, and what runs goes on.
            lab.crash(&"b".into());
            lab.run(Span::secs(3));
            ask(&mut lab, "a", 9, Command::ConfirmDead { node: "b".into() });
            lab.run(Span::secs(5));
            assert!(lab.status("a").coordinator.is_some(), "{late} ms: {}", lab.log.join("\n"));
            assert_eq!(lab.holders("web"), ["a"], "{late} ms: {}", lab.log.join("\n"));
        }
        once(&lab);
    }
}

/// I6, H35: both have gone on apart. They hear one another for a moment, in which the one that runs is elected above the
/// epoch of the other; that one has not heard of it, has the first fenced, and is elected above the same epoch.
#[test]
fn i6_two_that_went_on_apart_never_lead_in_one_epoch() {
    let mut lab = b_went_on("device a b | web@a");
    lab.cut("a", "b");
    lab.boot(&"a".into());
    lab.run(Span::secs(10));
    lab.boot(&"b".into());
    lab.run(Span::millis(300));
    let on_disk = |lab: &Lab, name: &str| lab.machines[&NodeId::new(name)].disk.epoch;
    lab.cut.clear();
    for _ in 0..1_000 {
        if on_disk(&lab, "a") > on_disk(&lab, "b") {
            break;
        }
        lab.run(Span::millis(1));
    }
    lab.cut("a", "b");
    let above = on_disk(&lab, "a");
    assert!(above > on_disk(&lab, "b"), "{}", lab.log.join("\n"));
    lab.run(Span::secs(5));
    once(&lab);
    assert_eq!(lab.fenced, ["b".into(), "a".into()], "{}", lab.log.join("\n"));
    assert_eq!(lab.holders("web"), ["b"], "{}", lab.log.join("\n"));
    assert_ne!(on_disk(&lab, "b"), above, "{}", lab.log.join("\n"));
}

/// The device does not answer: nothing runs twice, and who is asked for is told.
#[test]
fn r16_the_only_voter_waits_where_its_peer_cannot_be_fenced() {
    let mut lab = b_went_on("device a b | web@a");
    lab.cut("a", "b");
    lab.fence_takes = Span::secs(10_000);
    lab.boot(&"a".into());
    lab.run(Span::secs(60));
    once(&lab);
    assert_eq!(lab.holders("web"), ["b"], "{}", lab.log.join("\n"));
    let warnings = lab.status("a").warnings.join("\n");
    assert!(warnings.contains("node b may have gone on by an operator's word"), "{warnings}");
    // The link is back: it follows, though it alone votes in its own record.
    lab.cut.clear();
    lab.run(Span::secs(10));
    once(&lab);
    assert!(lab.fenced.is_empty());
    assert_eq!(lab.holders("web"), ["b"], "{}", lab.log.join("\n"));
}

/// Where the peer is off for certain, one word ends the wait.
#[test]
fn r20_a_word_about_the_peer_lets_the_only_voter_go_on() {
    let mut lab = a_alone("device a b | web@a");
    lab.fence_takes = Span::secs(10_000);
    lab.boot(&"a".into());
    lab.run(Span::secs(20));
    assert!(lab.holders("web").is_empty(), "{}", lab.log.join("\n"));
    ask(&mut lab, "a", 1, Command::ConfirmDead { node: "b".into() });
    lab.run(Span::secs(5));
    assert_eq!(lab.holders("web"), ["a"], "{:?}\n{}", lab.replies, lab.log.join("\n"));
}

/// Everything is off and boots at once, b with newer data: a hears that in time, and neither starts twice.
#[test]
fn r16_the_only_voter_that_hears_a_newer_record_follows() {
    for protection in ["device", "none"] {
        let mut lab = b_went_on(&format!("{protection} a b | web@a"));
        lab.crash(&"b".into());
        lab.boot(&"a".into());
        lab.boot(&"b".into());
        lab.run(Span::secs(30));
        once(&lab);
        assert!(lab.fenced.is_empty(), "{:?}", lab.fenced);
        assert_eq!(lab.holders("web"), ["b"], "{protection}: {}", lab.log.join("\n"));
    }
}

/// Who was never up went nowhere: a founder waits for nobody, and shoots nobody.
#[test]
fn r16_a_founder_that_reboots_before_anybody_joined_starts_at_once() {
    let mut lab = Lab::founded("device a b | web@a");
    lab.crash(&"b".into());
    lab.run(Span::secs(4));
    assert_eq!(lab.holders("web"), ["a"], "{}", lab.log.join("\n"));
    lab.crash(&"a".into());
    lab.boot(&"a".into());
    lab.run(Span::millis(1500));
    assert_eq!(lab.holders("web"), ["a"], "{}", lab.log.join("\n"));
    assert!(lab.fenced.is_empty());
}

/// Nothing could prove the other dead: it is waited for, and who was left alone by a committed record goes on.
#[test]
fn r16_without_a_device_the_only_voter_waits_for_initdead() {
    let mut lab = a_alone("none a b | web@a");
    lab.boot(&"a".into());
    lab.run(Span::millis(1900));
    assert!(lab.holders("web").is_empty(), "{}", lab.log.join("\n"));
    lab.run(Span::secs(3));
    assert_eq!(lab.holders("web"), ["a"], "{}", lab.log.join("\n"));
    // A daemon that restarts keeps what runs, and waits as well.
    lab.restart_daemon(&"a".into());
    lab.run(Span::secs(5));
    assert_eq!(lab.holders("web"), ["a"], "{}", lab.log.join("\n"));
    // Who was taken out of the configuration is not waited for.
    apply(&mut lab, "a", 1, "none a | web@a");
    lab.run(Span::secs(2));
    lab.crash(&"a".into());
    lab.boot(&"a".into());
    lab.run(Span::millis(1500));
    assert_eq!(lab.holders("web"), ["a"], "{}", lab.log.join("\n"));
}

/// b went on, and lost its power just as a was back: a heard how new the record of b is, and has not got it. Its own disk is all
/// that it has after that, too.
fn b_was_heard_of() -> Lab {
    let mut lab = b_went_on("device a b | web@a");
    lab.loses = Some(|from, packet| {
        from.as_str() == "b" && !matches!(packet.message, Message::Heartbeat(_) | Message::Hello)
    });
    lab.boot(&"a".into());
    lab.run(Span::millis(700));
    lab.crash(&"b".into());
    lab.loses = None;
    lab.run(Span::secs(30));
    assert!(lab.fenced.is_empty() && lab.holders("web").is_empty(), "{}", lab.log.join("\n"));
    lab.crash(&"a".into());
    lab.boot(&"a".into());
    lab.run(Span::secs(30));
    assert!(lab.fenced.is_empty() && lab.holders("web").is_empty(), "{}", lab.log.join("\n"));
    let warnings = lab.status("a").warnings.join("\n");
    assert!(warnings.contains("node b has a newer record and is silent"), "{warnings}");
    assert!(warnings.contains("crm confirm-dead b"), "{warnings}");
    lab
}

/// I5: who knows that another went on does not go on without what that one changed, whatever a device could prove.
#[test]
fn r16_the_only_voter_waits_for_who_it_knows_to_have_gone_on() {
    let mut lab = b_was_heard_of();
    lab.boot(&"b".into());
    lab.run(Span::secs(10));
    once(&lab);
    assert!(lab.fenced.is_empty());
    assert_eq!(lab.holders("web"), ["b"], "{}", lab.log.join("\n"));
}

/// The loss of that is for an operator to accept, once.
#[test]
fn r20_a_word_gives_up_what_another_changed() {
    let mut lab = b_was_heard_of();
    ask(&mut lab, "a", 1, Command::ConfirmDead { node: "b".into() });
    lab.run(Span::secs(5));
    assert_eq!(lab.holders("web"), ["a"], "{:?}\n{}", lab.replies, lab.log.join("\n"));
    lab.crash(&"a".into());
    lab.boot(&"a".into());
    lab.run(Span::secs(20));
    assert_eq!(lab.holders("web"), ["a"], "{}", lab.log.join("\n"));
}
