//! A disk that neither writes nor fails, under a daemon whose heartbeats go on (AS1).

use crate::cluster::Lab;
use crate::steps::{ask, once};
use crm_core::operator::Command;
use crm_core::time::Span;
use crm_core::{Input, Output};

const HANGS: Span = Span::secs(100_000);

fn said<'a>(lab: &'a Lab, what: &str) -> Vec<&'a String> {
    lab.log.iter().filter(|line| line.contains(what)).collect()
}

/// Nothing is committed while the coordinator's disk hangs, and nobody stands against one who is heard.
#[test]
fn as1_a_coordinator_whose_disk_hangs_makes_room_for_the_others() {
    for config in ["device a b c | web@c", "device a b | web@b", "none a+ b+ c+ | web@c"] {
        let mut lab = Lab::new(config);
        lab.run(Span::secs(6));
        let coordinator = lab.coordinators().into_iter().next().expect("a coordinator");
        let owner = lab.holders("web").into_iter().next().expect("an owner");
        lab.slow_disks.insert(coordinator.as_str().into(), HANGS);
        let mut others = lab.machines.keys().filter(|name| name.as_str() != coordinator);
        let to = others.find(|name| name.as_str() != owner).cloned().unwrap_or("a".into());
        ask(&mut lab, &coordinator, 1, Command::Migrate { group: "web".into(), to: Some(to) });
        lab.run(Span::secs(10));
        let warnings = lab.status(&coordinator).warnings.join("\n");
        assert!(warnings.contains("the store has not answered for"), "{warnings}");
        // As long as its watchdog may count where that is what proves it dead.
        lab.run(Span::secs(200));
        once(&lab);
        assert_eq!(said(&lab, "its disk hangs").len(), 1, "{:#?}", lab.log);
        let led: Vec<_> = lab.coordinators().into_iter().filter(|name| name != "-").collect();
        assert!(!led.is_empty() && !led.contains(&coordinator), "{config}: {:#?}", lab.log);
        assert_eq!(lab.holders("web").len(), 1, "{config}: {:#?}", lab.log);
    }
}

/// An owner that can write down nothing obeys nothing new, so it could be neither moved nor repaired.
#[test]
fn as1_a_group_leaves_an_owner_whose_disk_hangs() {
    let mut lab = Lab::new("device a b c | web@c");
    lab.run(Span::secs(6));
    assert_eq!(lab.holders("web"), ["c"]);
    lab.slow_disks.insert("c".into(), HANGS);
    ask(&mut lab, "a", 1, Command::Migrate { group: "web".into(), to: Some("a".into()) });
    lab.run(Span::secs(60));
    once(&lab);
    assert_eq!(lab.fenced, ["c".into()], "{:#?}", lab.log);
    assert_eq!(lab.holders("web"), ["a"], "{:#?}", lab.log);
}

#[test]
fn as1_a_disk_that_is_slow_is_told_of_once_and_costs_nothing() {
    let mut lab = Lab::new("device a b c | web@c");
    lab.run(Span::secs(6));
    lab.slow_disks.insert("c".into(), Span::secs(20));
    ask(&mut lab, "a", 1, Command::Migrate { group: "web".into(), to: Some("a".into()) });
    lab.run(Span::secs(19));
    assert_eq!(said(&lab, "store-slow").len(), 1, "{:#?}", lab.log);
    lab.slow_disks.clear();
    lab.run(Span::secs(60));
    once(&lab);
    assert_eq!(said(&lab, "store-answers").len(), 1, "{:#?}", lab.log);
    assert_eq!(lab.holders("web"), ["a"], "{:#?}", lab.log);
    assert!(lab.fenced.is_empty(), "{:#?}", lab.log);
}

/// How long the disk took while the machine stood still nobody knows.
#[test]
fn as1_a_machine_that_stood_still_does_not_blame_its_disk() {
    let mut lab = Lab::new("device a b c | web@c");
    lab.run(Span::secs(6));
    lab.slow_disks.insert("c".into(), Span::secs(2));
    ask(&mut lab, "a", 1, Command::Migrate { group: "web".into(), to: Some("a".into()) });
    lab.run(Span::millis(500));
    let later = lab.now + Span::secs(100);
    let node = lab.machines.get_mut(&"c".into()).and_then(|machine| machine.node.as_mut());
    let node = node.expect("a node");
    node.handle(later, Input::Wake);
    let ends = std::iter::from_fn(|| node.poll_output())
        .any(|output| matches!(output, Output::Halt { .. }));
    assert!(!ends);
}

/// What it has written down nobody else has, so it renews no lease; the others' groups must not stop for that.
#[test]
fn as1_h8_nobody_elsewhere_stops_because_the_coordinators_disk_hangs() {
    for config in ["none a+ b+ c+ | f@a g@b h@c", "device a b c | f@a g@b h@c"] {
        let mut lab = Lab::new(config);
        lab.run(Span::secs(6));
        let coordinator = lab.coordinators().into_iter().next().expect("a coordinator");
        lab.slow_disks.insert(coordinator.as_str().into(), HANGS);
        let (mine, theirs) = match coordinator.as_str() {
            "a" => ("f", ["g", "h"]),
            "b" => ("g", ["f", "h"]),
            _ => ("h", ["f", "g"]),
        };
        ask(&mut lab, &coordinator, 1, Command::Migrate { group: mine.into(), to: None });
        let done = lab.done.len();
        for _ in 0..400 {
            lab.run(Span::millis(50));
            for group in theirs {
                assert_eq!(lab.holders(group).len(), 1, "{config}: {group} {:#?}", lab.log);
            }
        }
        once(&lab);
        let stops = lab.done[done..].iter().filter(|line| line.starts_with("stop"));
        let stops: Vec<_> = stops.filter(|line| !line.contains(mine)).collect();
        assert!(stops.is_empty(), "{config}: {stops:?} {:#?}", lab.log);
        let led: Vec<_> = lab.coordinators().into_iter().filter(|name| name != "-").collect();
        assert!(!led.is_empty() && !led.contains(&coordinator), "{config}: {:#?}", lab.log);
    }
}

/// What is short of processors stands still for a moment now and then: its disk hangs all the same.
#[test]
fn as1_short_stalls_hide_no_disk_that_hangs() {
    let mut lab = Lab::new("device a b c | web@c");
    lab.run(Span::secs(6));
    lab.slow_disks.insert("c".into(), HANGS);
    ask(&mut lab, "a", 1, Command::Migrate { group: "web".into(), to: Some("a".into()) });
    lab.run(Span::millis(500));
    let begun = lab.now;
    let node = lab.machines.get_mut(&"c".into()).and_then(|machine| machine.node.as_mut());
    let node = node.expect("a node");
    let (mut now, mut stalls, mut ended) = (begun, 0, None);
    while ended.is_none() && now.since(begun) < Span::secs(100) {
        let stands_still = (now.since(begun).as_millis() / 100) % 30 == 29;
        now += Span::millis(if stands_still { 1_100 } else { 100 });
        node.handle(now, Input::Wake);
        while let Some(output) = node.poll_output() {
            stalls += i32::from(matches!(&output, Output::Event(event) if event.kind == "stalled"));
            ended = ended.or(matches!(output, Output::Halt { .. }).then(|| now.since(begun)));
        }
    }
    assert!(stalls >= 8, "{stalls}");
    assert!(ended.is_some_and(|ended| ended < Span::secs(60)), "{ended:?}");
}
