//! Who was taken out of the configuration while it could not hear that: it is told, and believes it (R19, R20).

use crate::cluster::Lab;
use crate::steps::{apply, ask, once};
use crm_core::Input;
use crm_core::Shutdown;
use crm_core::id::NodeId;
use crm_core::operator::{Command, Outcome};
use crm_core::packet::Message;
use crm_core::time::Span;

fn record_of(lab: &Lab, node: &str) -> crm_core::record::Record {
    lab.machines[&NodeId::new(node)].disk.record.clone().unwrap_or_default()
}

fn knows(lab: &Lab, node: &str) -> bool {
    let status = lab.status(node);
    status.warnings.iter().any(|line| line.contains("this node was removed from the cluster"))
}

/// The pair's b leaves in order, and is taken out while it is off.
fn without_b() -> Lab {
    let mut lab = Lab::new("none a b | web@a");
    lab.run(Span::secs(4));
    lab.handle(&"b".into(), Input::Shutdown { how: Shutdown::Leave });
    lab.run(Span::secs(5));
    lab.crash(&"b".into());
    apply(&mut lab, "a", 1, "none a | web@a");
    lab.run(Span::secs(3));
    assert!(record_of(&lab, "a").config.text.starts_with("none a |"), "{:?}", lab.replies);
    // As it was before it left: with a vote of its own.
    lab
}

fn as_a_voter(lab: &mut Lab, node: &str) {
    let Some(machine) = lab.machines.get_mut(&NodeId::new(node)) else { return };
    let store = machine.disk.store;
    let Some(record) = &mut machine.disk.record else { return };
    record.voters.insert(node.into(), store);
    record.old_voters = record.voters.clone();
}

#[test]
fn r19_who_was_removed_while_it_was_off_is_told_and_takes_no_word() {
    for voter in [false, true] {
        let mut lab = without_b();
        if voter {
            as_a_voter(&mut lab, "b");
        }
        lab.boot(&"b".into());
        lab.run(Span::secs(5));
        assert!(knows(&lab, "b"), "{:?}\n{}", lab.status("b").warnings, lab.log.join("\n"));
        let why = lab.status("b").groups[0].reason.clone();
        assert!(why.contains("this node was removed from the cluster"), "{why}");
        lab.crash(&"a".into());
        // Nor after a boot of its own, when nobody is there to tell it again.
        for boots in [false, true] {
            if boots {
                lab.crash(&"b".into());
                lab.boot(&"b".into());
            }
            lab.run(Span::secs(20));
            assert!(knows(&lab, "b"), "{:?}", lab.status("b").warnings);
            ask(&mut lab, "b", 7, Command::ConfirmDead { node: "a".into() });
            lab.run(Span::secs(20));
            let told = format!("{:?}", lab.replies.last());
            assert!(told.contains("removed from the cluster"), "{told}");
            assert!(lab.holders("web").is_empty(), "{}", lab.log.join("\n"));
            assert_eq!(lab.coordinators(), ["-".to_owned()].into());
        }
    }
}

/// Any member tells it, not only the one that coordinates; and a member that cannot tell yet what is in force is at least
/// heard, so that nobody can call it dead.
#[test]
fn r19_any_member_tells_who_was_removed() {
    let mut lab = Lab::new("none a b c d | web@a");
    lab.run(Span::secs(4));
    lab.crash(&"d".into());
    lab.run(Span::secs(2));
    let first = lab.coordinators().into_iter().next().unwrap_or_default();
    apply(&mut lab, &first, 1, "none a b c | web@a");
    lab.run(Span::secs(4));
    assert_eq!(record_of(&lab, "a").voters.len(), 3, "{:?}", lab.replies);
    for other in ["a", "b", "c"].into_iter().filter(|name| *name == first) {
        lab.cut(other, "d");
    }
    lab.boot(&"d".into());
    lab.run(Span::secs(4));
    assert!(knows(&lab, "d"), "{:?}\n{}", lab.status("d").warnings, lab.log.join("\n"));
    once(&lab);
}

#[test]
fn r20_a_member_that_answers_who_was_removed_cannot_be_called_dead_there() {
    let mut lab = without_b();
    as_a_voter(&mut lab, "b");
    // Without a record that it knows to be in force it cannot tell, but it answers.
    lab.loses = Some(|_, packet| matches!(packet.message, Message::Removed { .. }));
    lab.boot(&"b".into());
    lab.run(Span::secs(5));
    ask(&mut lab, "b", 7, Command::ConfirmDead { node: "a".into() });
    lab.run(Span::secs(20));
    let told = &lab.replies.last().expect("an answer").2;
    assert!(matches!(told, Outcome::Refused { .. }), "{told:?}");
    assert_eq!(lab.holders("web"), ["a"], "{}", lab.log.join("\n"));
}

/// It had been called dead by mistake, and what it runs was given to another: it stops.
#[test]
fn r19_who_was_removed_stops_what_it_runs() {
    let mut lab = Lab::new("none a b | web@b");
    lab.run(Span::secs(4));
    lab.cut("a", "b");
    lab.run(Span::secs(4));
    ask(&mut lab, "a", 1, Command::ConfirmDead { node: "b".into() });
    lab.run(Span::secs(4));
    apply(&mut lab, "a", 2, "none a | web@a");
    lab.run(Span::secs(4));
    assert_eq!(lab.holders("web"), ["a", "b"], "the word was a lie");
    lab.cut.clear();
    lab.run(Span::secs(4));
    assert_eq!(lab.holders("web"), ["a"], "{}", lab.log.join("\n"));
    assert!(knows(&lab, "b"), "{:?}", lab.status("b").warnings);
}

#[test]
fn r18_who_was_removed_and_told_so_is_taken_back_by_a_configuration() {
    let mut lab = without_b();
    lab.boot(&"b".into());
    lab.run(Span::secs(5));
    assert!(knows(&lab, "b"));
    apply(&mut lab, "a", 3, "none a b | web@b:auto");
    lab.run(Span::secs(20));
    assert!(!knows(&lab, "b"), "{:?}", lab.status("b").warnings);
    assert_eq!(record_of(&lab, "a").voters.len(), 2, "{}", lab.log.join("\n"));
    assert_eq!(lab.holders("web"), ["b"], "{}", lab.log.join("\n"));
    once(&lab);
}

/// What only one coordinator has written down takes nobody out.
#[test]
fn r19_a_removal_that_is_not_committed_is_told_to_nobody() {
    let mut lab = Lab::new("none a b c d- | web@d");
    lab.watching = true;
    lab.run(Span::secs(4));
    assert_eq!(lab.holders("web"), ["d"]);
    let first = lab.coordinators().into_iter().next().unwrap_or_default();
    let others: Vec<&str> = ["a", "b", "c"].into_iter().filter(|name| *name != first).collect();
    ask(&mut lab, &first, 1, Command::Migrate { group: "web".into(), to: Some(others[0].into()) });
    lab.run(Span::secs(2));
    for other in &others {
        lab.cut(&first, other);
    }
    apply(&mut lab, &first, 2, "none a b c | web@a");
    lab.run(Span::secs(1));
    assert!(!record_of(&lab, &first).config.text.contains("d-"), "{:?}", lab.replies);
    lab.run(Span::secs(4));
    let told = lab.sent.iter().filter(|sent| matches!(sent.message, Message::Removed { .. }));
    assert_eq!(told.count(), 0);
    assert!(!knows(&lab, "d"));
    lab.cut.clear();
    lab.run(Span::secs(10));
    assert!(!knows(&lab, "d"), "{:?}", lab.status("d").warnings);
}

/// Who was removed and not told went on by an operator's word. The only voter of the cluster that it was removed from comes
/// back, hears it, and does not run the same a second time.
#[test]
fn r16_the_only_voter_does_not_start_beside_a_stranger_that_went_on() {
    let mut lab = without_b();
    as_a_voter(&mut lab, "b");
    lab.crash(&"a".into());
    lab.boot(&"b".into());
    lab.run(Span::secs(20));
    ask(&mut lab, "b", 7, Command::ConfirmDead { node: "a".into() });
    lab.run(Span::secs(10));
    assert_eq!(lab.holders("web"), ["b"], "{:?}\n{}", lab.replies, lab.log.join("\n"));
    lab.boot(&"a".into());
    lab.run(Span::secs(30));
    once(&lab);
    assert_eq!(lab.holders("web"), ["b"], "{}", lab.log.join("\n"));
    let warnings = lab.status("a").warnings.join("\n");
    assert!(warnings.contains("node b") && warnings.contains("newer"), "{warnings}");
}

/// A removal is told once in a while, not with every heartbeat; and who speaks without end leaves a bound behind.
#[test]
fn i10_what_is_told_to_strangers_is_bounded() {
    let mut lab = without_b();
    as_a_voter(&mut lab, "b");
    lab.watching = true;
    lab.boot(&"b".into());
    lab.run(Span::millis(50));
    // Its disk never takes what it is told.
    lab.slow_disks.insert("b".into(), Span::secs(1000));
    lab.run(Span::secs(20));
    let told = lab.sent.iter().filter(|sent| matches!(sent.message, Message::Removed { .. }));
    assert!((1..=11).contains(&told.count()), "{}", lab.log.join("\n"));
}
