//! What an operator was told is done stays done (I5): whoever was away when it was committed carries it out.

use crate::cluster::Lab;
use crate::steps::{apply, ask, once};
use crm_core::Input;
use crm_core::id::{Incarnation, LinkId};
use crm_core::operator::{Command, Outcome};
use crm_core::packet::{Message, Packet};
use crm_core::time::Span;

fn clear(lab: &mut Lab, node: &str, number: u64) {
    ask(lab, node, number, Command::Clear { group: Some("g".into()), node: None });
}

/// The failure is counted and cleared while its node is cut off: it never obeys a record that knows of it.
#[test]
fn i5_a_failure_that_was_cleared_while_its_node_was_away_is_cleared_there() {
    let mut lab = Lab::new("none a b c | g@c");
    lab.run(Span::secs(4));
    assert_eq!(lab.holders("g"), ["c"]);
    lab.stop_fails = Some("c".into());
    ask(&mut lab, "b", 1, Command::Stop { group: "g".into() });
    while !lab.log.iter().any(|line| line.contains("failure-counted")) {
        lab.run(Span::millis(1));
    }
    lab.cut("a", "c");
    lab.cut("b", "c");
    lab.run(Span::secs(3));
    lab.stop_fails = None;
    clear(&mut lab, "b", 2);
    lab.run(Span::secs(2));
    let answer = lab.replies.last().map(|reply| reply.2.clone());
    assert!(
        matches!(&answer, Some(Outcome::Done { message, .. }) if message.starts_with("1 ")),
        "{answer:?}"
    );
    lab.cut.clear();
    lab.run(Span::secs(20));
    assert!(lab.holders("g").is_empty(), "{}", lab.log.join("\n"));
}

/// `on_fail: block` waits for the operator, and hears him.
#[test]
fn i5_a_blocked_group_is_tried_again_when_it_is_cleared() {
    let mut lab = Lab::new("device a b c | g@c:block");
    lab.run(Span::secs(4));
    assert_eq!(lab.holders("g"), ["c"]);
    lab.machines.get_mut(&"c".into()).expect("c").running.clear();
    lab.run(Span::secs(15));
    assert!(lab.log.iter().any(|line| line.contains("group-blocked")), "{}", lab.log.join("\n"));
    assert!(lab.holders("g").is_empty());
    clear(&mut lab, "b", 1);
    lab.run(Span::secs(5));
    assert_eq!(lab.holders("g"), ["c"], "{:?}\n{}", lab.replies, lab.log.join("\n"));
}

/// The owner's daemon was being upgraded when the restart was committed.
#[test]
fn i5_a_restart_that_was_asked_for_while_the_daemon_was_away_is_made() {
    let mut lab = Lab::new("none a b c | g@c");
    lab.run(Span::secs(4));
    assert_eq!(lab.holders("g"), ["c"]);
    lab.done.clear();
    lab.machines.get_mut(&"c".into()).expect("c").node = None;
    lab.run(Span::millis(300));
    ask(&mut lab, "b", 1, Command::Restart { group: "g".into() });
    lab.run(Span::secs(3));
    assert!(matches!(lab.replies[0].2, Outcome::Done { .. }), "{:?}", lab.replies);
    lab.restart_daemon(&"c".into());
    lab.run(Span::secs(10));
    assert_eq!(lab.done, ["stop g on c", "start g on c"], "{}", lab.log.join("\n"));
    // Once.
    lab.restart_daemon(&"c".into());
    lab.run(Span::secs(10));
    assert_eq!(lab.done.len(), 2, "{:?}", lab.done);
    once(&lab);
}

/// I8: the copy on b lacks writes, whatever the group is called.
#[test]
fn i8_a_renamed_group_keeps_its_bans() {
    let mut lab = Lab::new("device a b | db@a,b:of=copy0");
    lab.run(Span::secs(4));
    let ban = Command::Ban {
        group: "db".into(),
        node: "b".into(),
        by: "a".into(),
        reason: "away".into(),
    };
    ask(&mut lab, "a", 1, ban);
    lab.run(Span::secs(1));
    assert!(matches!(lab.replies[0].2, Outcome::Done { .. }), "{:?}", lab.replies);
    apply(&mut lab, "a", 2, "device a b | sales@b,a:of=copy0");
    lab.run(Span::secs(5));
    assert!(!lab.done.contains(&"start sales on b".to_owned()), "{:?} {:?}", lab.done, lab.replies);
}

/// I8: what a ban says of one copy it does not say of another.
#[test]
fn i8_a_ban_does_not_speak_of_data_that_comes_into_its_group() {
    let mut lab = Lab::new("device a b | db@a,b:of=copy0");
    lab.run(Span::secs(4));
    let ban = Command::Ban {
        group: "db".into(),
        node: "b".into(),
        by: "a".into(),
        reason: "away".into(),
    };
    ask(&mut lab, "a", 1, ban);
    lab.run(Span::secs(1));
    ask(&mut lab, "a", 2, Command::Stop { group: "db".into() });
    lab.run(Span::secs(2));
    lab.told.clear();
    let other = "device a b | db@a,b:of=copy1";
    for (number, text) in
        [(3, other), (4, "device a b |"), (5, "device a b | db@a,b:of=copy0,copy1")]
    {
        apply(&mut lab, "a", number, text);
        lab.run(Span::secs(1));
        let refused = matches!(lab.replies.last(), Some((_, _, Outcome::Refused { .. })));
        assert!(refused, "{text}: {:?}", lab.replies);
    }
    // What has no copies may come and go.
    apply(&mut lab, "a", 6, "device a b | db@a,b:of=copy0,address");
    lab.run(Span::secs(1));
    assert!(matches!(lab.replies.last(), Some((_, 6, Outcome::Done { .. }))), "{:?}", lab.replies);
    let ban = lab.status("a").groups[0].bans[&"b".into()].clone();
    ask(&mut lab, "a", 7, Command::LiftBan { group: "db".into(), node: "b".into(), ban });
    apply(&mut lab, "a", 8, other);
    ask(&mut lab, "a", 9, Command::Start { group: "db".into() });
    lab.run(Span::secs(5));
    assert_eq!(lab.holders("copy1"), ["a"], "{:?}", lab.replies);
    let freshest = lab.told.values().any(|word| word.freshest);
    assert!(!freshest, "{:?} {:?}", lab.told, lab.replies);
}

/// A peer with a broken counter names the highest epoch that there is.
#[test]
fn i6_an_epoch_without_a_successor_is_not_followed() {
    let mut lab = Lab::new("device a b c");
    lab.run(Span::secs(4));
    let c = Incarnation((1 << 100) | 3);
    let a = Incarnation((1 << 100) | 1);
    let packet = Packet {
        to: "a".into(),
        number: 500,
        echo: Some(a),
        seen: 0,
        minor_lowest: 1,
        minor_highest: 1,
        message: Message::Behind { epoch: crm_core::id::Epoch(u64::MAX) },
    };
    let input =
        Input::Packet { link: LinkId(0), from: "c".into(), incarnation: c, counter: 0, packet };
    lab.handle(&"a".into(), input);
    lab.crash(&"b".into());
    lab.run(Span::secs(20));
    assert!(lab.status("a").epoch.0 < 1000, "{}", lab.status("a").epoch);
    assert!(!lab.coordinators().contains("-"), "{}", lab.log.join("\n"));
}

/// The coordinator dies after it has committed a restart and before its answer is heard.
#[test]
fn i5_a_restart_that_is_asked_again_after_its_coordinator_died_is_made_once() {
    let mut lab = Lab::new("none a b c | g@c");
    lab.run(Span::secs(4));
    assert_eq!(lab.coordinators(), ["b".to_owned()].into());
    lab.done.clear();
    lab.loses = Some(|_, packet| matches!(packet.message, Message::ForwardReply { .. }));
    ask(&mut lab, "c", 1, Command::Restart { group: "g".into() });
    lab.run(Span::millis(200));
    lab.crash(&"b".into());
    lab.loses = None;
    lab.run(Span::secs(20));
    assert_eq!(lab.done, ["stop g on c", "start g on c"], "{:?}", lab.replies);
}

/// The same for a migrate that names no node.
#[test]
fn i5_a_migrate_to_anywhere_that_is_asked_again_is_made_once() {
    let mut lab = Lab::new("none a b c d | g@c,d,a");
    lab.run(Span::secs(4));
    let first = lab.coordinators();
    lab.done.clear();
    lab.loses = Some(|_, packet| matches!(packet.message, Message::ForwardReply { .. }));
    ask(&mut lab, "a", 1, Command::Migrate { group: "g".into(), to: None });
    lab.run(Span::millis(200));
    assert_eq!(first, ["b".to_owned()].into());
    lab.crash(&"b".into());
    lab.loses = None;
    lab.run(Span::secs(20));
    assert_eq!(lab.done, ["stop g on c", "start g on d"], "{:?}", lab.replies);
}

/// The coordinator lost its quorum with a command of another node still in its queue, and is elected again: the command
/// was never in a record, so it is carried out when it is repeated.
#[test]
fn i5_a_command_that_was_only_queued_is_carried_out_when_its_coordinator_is_elected_again() {
    let mut lab = Lab::new("none a b c | g@c");
    lab.run(Span::secs(4));
    assert_eq!(lab.coordinators(), ["b".to_owned()].into());
    lab.loses = Some(|_, packet| matches!(packet.message, Message::Accepted { .. }));
    ask(&mut lab, "b", 1, Command::Maintenance { on: true, lasts: None });
    lab.run(Span::millis(50));
    ask(&mut lab, "c", 2, Command::Standby { node: "a".into() });
    lab.run(Span::millis(50));
    lab.loses = Some(|from, packet| {
        from.as_str() != "b" && matches!(packet.message, Message::PreVote { .. })
    });
    lab.cut("a", "b");
    lab.cut("b", "c");
    while !lab.log.iter().any(|line| line.contains("stepped-down")) {
        lab.run(Span::millis(50));
    }
    lab.cut.clear();
    lab.run(Span::secs(5));
    assert_eq!(lab.coordinators(), ["b".to_owned()].into(), "{}", lab.log.join("\n"));
    lab.run(Span::secs(10));
    let answer = lab.replies.iter().find(|(node, number, _)| node.as_str() == "c" && *number == 2);
    assert!(
        matches!(answer, Some((_, _, Outcome::Done { .. }))),
        "{:?}\n{}",
        lab.replies,
        lab.log.join("\n")
    );
}
