//! What is told of a proof of death: to agents, of their group's data (I8), only what it and the committed record say; to
//! the operator, that it was a lie.

use crate::cluster::Lab;
use crm_core::Input;
use crm_core::id::{NodeId, RequestId};
use crm_core::operation::DataWord;
use crm_core::operator::Command;
use crm_core::time::Span;

fn after_the_death_of(config: &str, node: &str, wait: Span) -> Lab {
    let mut lab = Lab::new(config);
    lab.run(Span::secs(5));
    lab.crash(&node.into());
    lab.done.clear();
    lab.told.clear();
    lab.run(wait);
    lab
}

fn told(lab: &Lab, node: &str) -> DataWord {
    lab.told.get(&NodeId::new(node)).cloned().unwrap_or_default()
}

fn dead(lab: &Lab, node: &str) -> String {
    let names: Vec<String> = told(lab, node).peers_dead.iter().map(ToString::to_string).collect();
    names.join(" ")
}

#[test]
fn i8_who_takes_over_from_a_fenced_node_is_told_of_its_death() {
    // The tie's winner, and a node that another one coordinates.
    for config in ["device a b | db@a,b", "device a b c | db@a,c"] {
        let lab = after_the_death_of(config, "a", Span::secs(4));
        let taker = lab.holders("db").join(" ");
        assert!(lab.done.contains(&format!("start db on {taker}")), "{:?}", lab.done);
        assert_eq!(dead(&lab, &taker), "a", "{config}: {:#?}", lab.log);
        assert!(!told(&lab, &taker).freshest, "nobody has recorded that a's copy is stale");
    }
}

#[test]
fn i8_a_node_that_is_heard_again_is_dead_no_more() {
    let mut lab = after_the_death_of("device a b | db@a,b", "a", Span::secs(4));
    lab.boot(&"a".into());
    // Long enough for every call that is repeated.
    lab.run(Span::secs(25));
    assert_eq!(lab.holders("db"), ["b"]);
    assert_eq!(dead(&lab, "b"), "");
    // Nor when it falls silent later, before anything has proved it.
    lab.cut("a", "b");
    lab.fence_takes = Span::secs(60);
    lab.run(Span::secs(15));
    assert_eq!(dead(&lab, "b"), "");
}

#[test]
fn i8_the_end_of_a_lease_and_a_clean_move_are_no_deaths() {
    let lab = after_the_death_of("none a+ b+ c+ | db@a,b", "a", Span::secs(60));
    assert_eq!(lab.holders("db"), ["b"], "{:#?}", lab.log);
    assert_eq!(told(&lab, "b"), DataWord::default());

    let mut lab = Lab::new("device a b | db@a,b");
    lab.run(Span::secs(5));
    let command = Command::Migrate { group: "db".into(), to: Some("b".into()) };
    lab.handle(&"a".into(), Input::Operator { request: RequestId(1), command });
    lab.run(Span::secs(3));
    assert_eq!(lab.holders("db"), ["b"], "{:#?}", lab.log);
    assert_eq!(told(&lab, "b"), DataWord::default());
}

#[test]
fn i8_the_only_copy_that_is_not_recorded_as_stale_is_the_freshest() {
    let mut lab = Lab::new("device a b c | db@a,b");
    lab.run(Span::secs(5));
    let ban = |lab: &mut Lab, node: &str| {
        let command = Command::Ban {
            group: "db".into(),
            node: node.into(),
            by: "a".into(),
            reason: "it lost its connection".into(),
        };
        let request = RequestId(lab.replies.len() as u64 + 1);
        lab.handle(&"a".into(), Input::Operator { request, command });
        lab.run(Span::secs(25));
    };
    ban(&mut lab, "b");
    assert!(!told(&lab, "a").freshest, "c's copy may be as good");
    ban(&mut lab, "c");
    assert!(told(&lab, "a").freshest);
    assert!(!told(&lab, "b").freshest);
    let seen = lab.status("a").groups[0].bans[&"b".into()].clone();
    let command = Command::LiftBan { group: "db".into(), node: "b".into(), ban: seen };
    lab.handle(&"a".into(), Input::Operator { request: RequestId(9), command });
    lab.run(Span::secs(25));
    assert!(!told(&lab, "a").freshest);
}

/// The coordinator that was cut off comes back with an epoch of its own, which ends the proof before the
/// first packet that could refute it.
#[test]
fn as3_a_device_that_lied_is_told_whatever_the_returning_node_says_first() {
    let when = |at| [0, 3, 30].map(|later| (at, later));
    for (after, later) in (98..140).step_by(7).flat_map(when) {
        let mut lab = Lab::new("device a b c | g@b");
        lab.run(Span::secs(5));
        assert!(lab.coordinators().contains("b") && lab.holders("g") == ["b"]);
        lab.fence_lies = true;
        lab.cut("b", "a");
        lab.cut("b", "c");
        while lab.fenced.is_empty() {
            lab.run(Span::millis(20));
        }
        lab.run(Span::millis(after));
        // Whoever asked the device hears of it a little later than the third.
        let asked = lab.coordinators().into_iter().find(|name| name != "b").unwrap();
        lab.cut.retain(|(from, to)| from.as_str() == asked || to.as_str() == asked);
        lab.run(Span::millis(later));
        lab.cut.clear();
        lab.run(Span::secs(10));
        let told = lab.log.iter().any(|line| line.contains("proof-refuted"));
        assert!(told, "{after} and {later} ms after it lied\n{}", lab.log.join("\n"));
    }
}
