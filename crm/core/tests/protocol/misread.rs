//! A daemon of an older version, which does not understand the newest configuration (I1, R10, R17).

use crate::cluster::Lab;
use crate::steps::{apply, ask, once};
use crm_core::model::WITNESS;
use crm_core::operator::Command;
use crm_core::time::Span;
use crm_core::{Input, Shutdown};

/// What it runs goes on, and counts as what it may run until it understands again.
#[test]
fn r10_who_does_not_understand_a_record_does_not_obey_it() {
    let mut lab = Lab::new("device a b c | g@a:of=z,x h@b:of=y");
    lab.run(Span::secs(4));
    assert_eq!((lab.holders("x"), lab.holders("y")), (vec!["a".to_owned()], vec!["b".to_owned()]));
    lab.old_versions.insert("a".into());
    apply(&mut lab, "b", 1, "device a b c | g@a:of=z h@b:of=y new-key");
    lab.run(Span::secs(10));
    apply(&mut lab, "b", 2, "device a b c | g@a:of=z h@b:of=y,x new-key");
    lab.run(Span::secs(10));
    once(&lab);
    let warned = lab.status("a").warnings.iter().any(|text| text.contains("not understood here"));
    assert!(warned, "{:?}", lab.status("a").warnings);
    // A newer version takes its place: it stops what went, and then the other one may have it.
    lab.old_versions.clear();
    lab.restart_daemon(&"a".into());
    lab.run(Span::secs(10));
    apply(&mut lab, "b", 3, "device a b c | g@a:of=z h@b:of=y,x new-key");
    lab.run(Span::secs(10));
    once(&lab);
    assert!(lab.done.contains(&"stop x on a".to_owned()), "{:?}", lab.done);
    assert!(lab.done.contains(&"start x on b".to_owned()), "{:?}", lab.done);
}

/// The only one left plans nothing by an older configuration: what was dropped would come back.
#[test]
fn i5_who_does_not_understand_a_record_does_not_lead() {
    let mut lab = Lab::new("device a b c- | g@c h@c");
    lab.run(Span::secs(4));
    lab.old_versions.insert("a".into());
    apply(&mut lab, "b", 1, "device a b c- | g@c new-key");
    lab.run(Span::secs(10));
    assert!(lab.holders("h").is_empty(), "{}", lab.log.join("\n"));
    lab.done.clear();
    lab.crash(&"b".into());
    lab.run(Span::secs(30));
    assert_eq!(lab.holders("g"), ["c"]);
    assert!(lab.done.is_empty(), "{:?}\n{}", lab.done, lab.log.join("\n"));
    let elected = |line: &String| line.contains(" a elected");
    assert!(!lab.log.iter().any(elected), "{}", lab.log.join("\n"));
    lab.old_versions.clear();
    lab.restart_daemon(&"a".into());
    lab.boot(&"b".into());
    lab.run(Span::secs(30));
    assert!(lab.done.is_empty(), "{:?}\n{}", lab.done, lab.log.join("\n"));
    assert_eq!(lab.coordinators().len(), 1, "{}", lab.log.join("\n"));
}

/// It is given nothing new, which it would not start; what it has stays.
#[test]
fn a_node_that_does_not_understand_is_given_nothing() {
    let mut lab = Lab::new("device a b c | g@a h@b:auto");
    lab.run(Span::secs(4));
    lab.old_versions.insert("a".into());
    apply(&mut lab, "b", 1, "device a b c | g@a h@a,c:auto new-key");
    lab.run(Span::secs(10));
    assert_eq!((lab.holders("g"), lab.holders("h")), (vec!["a".to_owned()], vec!["c".to_owned()]));
    ask(&mut lab, "b", 2, Command::Stop { group: "h".into() });
    lab.run(Span::secs(5));
    ask(&mut lab, "b", 3, Command::Start { group: "h".into() });
    lab.run(Span::secs(5));
    assert_eq!(lab.holders("h"), ["c"], "{}", lab.log.join("\n"));
    // It would stop, and nobody could know that: nothing is taken from it by what it does not understand.
    ask(&mut lab, "b", 4, Command::Migrate { group: "g".into(), to: Some("c".into()) });
    lab.run(Span::secs(10));
    assert_eq!(lab.holders("g"), ["a"], "{}", lab.log.join("\n"));
    lab.done.clear();
    ask(&mut lab, "b", 5, Command::Restart { group: "g".into() });
    lab.run(Span::secs(10));
    assert!(!lab.done.iter().any(|done| done.contains(" g on a")), "{:?}", lab.done);
    assert!(lab.fenced.is_empty(), "{:?}", lab.fenced);
}

/// It learns of the record from the votes that elect it.
#[test]
fn i5_who_is_elected_with_a_record_that_it_does_not_understand_gives_way() {
    let mut elected = 0;
    // Which of the two stands first is a matter of the moment.
    for later in 0..10 {
        let mut lab = Lab::new("device a b c | g@c h@c");
        lab.run(Span::secs(4));
        assert_eq!(lab.coordinators(), ["b".to_owned()].into());
        lab.old_versions.insert("a".into());
        lab.cut("a", "b");
        lab.cut("a", "c");
        apply(&mut lab, "b", 1, "device a b c | g@c new-key");
        lab.run(Span::millis(3_000 + later * 20));
        assert!(lab.holders("h").is_empty(), "{}", lab.log.join("\n"));
        lab.done.clear();
        lab.crash(&"b".into());
        lab.cut.clear();
        lab.run(Span::secs(20));
        assert_eq!(lab.coordinators(), ["c".to_owned()].into(), "{}", lab.log.join("\n"));
        assert!(lab.done.is_empty(), "{:?}\n{}", lab.done, lab.log.join("\n"));
        elected += usize::from(lab.log.iter().any(|line| line.contains(" a elected")));
    }
    assert!(elected > 0, "it was never elected");
}

/// The record that it does not understand gives it nothing either, and takes nothing from others for it.
#[test]
fn the_record_that_is_not_understood_moves_nothing_there() {
    let mut lab = Lab::new("device a b c | base@b g@a:after=base h@b:auto");
    lab.run(Span::secs(4));
    for (number, group) in [(1, "g"), (2, "base")] {
        ask(&mut lab, "b", number, Command::Stop { group: group.into() });
        lab.run(Span::secs(3));
    }
    ask(&mut lab, "b", 3, Command::Start { group: "g".into() });
    lab.run(Span::secs(3));
    assert!(lab.holders("g").is_empty(), "it waits for its base");
    lab.old_versions.insert("a".into());
    lab.done.clear();
    apply(&mut lab, "b", 4, "device a b c | base@b g@a h@a,b:auto new-key");
    lab.run(Span::secs(10));
    assert_eq!(lab.holders("g").len(), 1, "{}", lab.log.join("\n"));
    assert!(!lab.done.iter().any(|done| done.contains(" h on ")), "{:?}", lab.done);
}

/// R14: it cannot obey what the others decide for a leaver. It stops by itself, and goes.
#[test]
fn r14_who_does_not_understand_the_newest_record_stops_by_itself_and_leaves() {
    let mut lab = Lab::new("device a b c | g@a h@b");
    lab.run(Span::secs(4));
    lab.old_versions.insert("a".into());
    apply(&mut lab, "b", 1, "device a b c | g@a h@b new-key");
    lab.run(Span::secs(5));
    lab.handle(&"a".into(), Input::Shutdown { how: Shutdown::Leave });
    lab.run(Span::secs(5));
    assert!(lab.machines[&"a".into()].node.is_none(), "{}", lab.log.join("\n"));
    assert!(lab.done.contains(&"stop g on a".to_owned()), "{:?}", lab.done);
    // Nobody can know that it stopped.
    lab.run(Span::secs(20));
    assert_eq!(lab.fenced, ["a".into()]);
    assert_eq!(lab.holders("g").len(), 1, "{}", lab.log.join("\n"));
    once(&lab);
}

/// A witness needs nothing of what it says of groups.
#[test]
fn a_witness_obeys_and_leaves_whatever_its_version() {
    let mut lab = Lab::new("device a b witness | g@a");
    lab.run(Span::secs(4));
    lab.old_versions.insert(WITNESS.into());
    apply(&mut lab, "a", 1, "device a b witness | g@a new-key");
    lab.run(Span::secs(3));
    assert_eq!(lab.status(WITNESS).obeyed, lab.status("a").obeyed);
    lab.handle(&WITNESS.into(), Input::Shutdown { how: Shutdown::Leave });
    lab.run(Span::secs(20));
    assert!(lab.machines[&WITNESS.into()].node.is_none(), "{}", lab.log.join("\n"));
    let told_to_fence = |line: &String| line.contains("may have to fence");
    assert!(!lab.log.iter().any(told_to_fence), "{}", lab.log.join("\n"));
}
