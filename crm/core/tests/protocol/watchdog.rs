//! Armed watchdogs and leases: who is counted out, after how long, and who is reset (R13, R17, H16).

use crate::cluster::Lab;
use crate::steps::{apply, ask, once, stands};
use crm_core::operator::{Command, Outcome};
use crm_core::time::Span;

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

/// A watchdog that does not bite (AS4), or a machine whose clock stood still (AS2): counted out, the node comes back
/// and cannot stop what another one owns by now. Its lease is good again, and yet it feeds no more.
#[test]
fn r21_who_cannot_stop_what_another_one_owns_by_now_is_reset() {
    let mut lab = Lab::new("none L=3 S=1 W=4 a+ b+ c+ | g@c");
    lab.run(Span::secs(6));
    assert_eq!(lab.holders("g"), ["c"], "{:#?}", lab.log);
    lab.cut("a", "c");
    lab.cut("b", "c");
    lab.stop_fails = Some("c".into());
    for _ in 0..4000 {
        lab.run(Span::millis(10));
        let bites_late = lab.now + Span::secs(4);
        let c = lab.machines.get_mut(&"c".into()).unwrap();
        c.dog = c.dog.map(|(_, margin)| (bites_late, margin));
    }
    assert_eq!(
        lab.holders("g").len(),
        2,
        "the others did not count it out\n{}",
        lab.log.join("\n")
    );
    lab.cut.clear();
    lab.run(Span::secs(10));
    assert!(lab.log.iter().any(|line| line.contains("c RESET")), "{}", lab.log.join("\n"));
    assert_eq!(lab.holders("g").len(), 1);
}

/// Its daemon was away when the configuration dropped the watchdog, which ticks: nobody counts on it any more, nothing
/// is reset for it, and it ends with what runs here.
#[test]
fn h16_a_watchdog_that_was_dropped_while_its_daemon_was_away_resets_nothing() {
    let mut lab = Lab::new("none a+ b+ c+ | g@c h@a i@b");
    lab.run(Span::secs(6));
    lab.machines.get_mut(&"c".into()).expect("c").node = None;
    lab.run(Span::millis(100));
    apply(&mut lab, "b", 1, "none a+ b+ c | g@c h@a i@b");
    lab.run(Span::secs(1));
    assert!(matches!(lab.replies[0].2, Outcome::Done { .. }), "{:?}", lab.replies);
    lab.restart_daemon(&"c".into());
    lab.run(Span::secs(60));
    assert!(!lab.log.iter().any(|line| line.contains("RESET")), "{}", lab.log.join("\n"));
    assert_eq!(lab.holders("g"), ["c"], "{}", lab.log.join("\n"));
    let record = lab.machines[&"b".into()].disk.record.as_ref().expect("a record");
    assert!(!record.armed.contains_key(&"c".into()), "{:?}", record.armed);
    ask(&mut lab, "b", 2, Command::Stop { group: "g".into() });
    lab.run(Span::secs(5));
    assert!(lab.machines[&"c".into()].dog.is_none(), "{}", lab.log.join("\n"));
    once(&lab);
}

/// With devices a lease that lapses stops nothing: nobody can take what runs without killing this machine.
#[test]
fn h18_the_death_of_a_peer_stops_nothing_on_the_survivor() {
    for owner in ["a", "b"] {
        let mut lab = Lab::new(&format!("device L=3 a b | g@{owner}"));
        // The lease ends long before the proof.
        lab.fence_takes = Span::secs(8);
        lab.run(Span::secs(6));
        let started = [format!("start g on {owner}")];
        assert_eq!(lab.done, started, "{}", lab.log.join("\n"));
        let peer = if owner == "a" { "b" } else { "a" };
        lab.crash(&peer.into());
        lab.run(Span::secs(60));
        assert!(lab.fenced.contains(&peer.into()), "{}", lab.log.join("\n"));
        assert_eq!(lab.done, started, "{}", lab.log.join("\n"));
    }
}

/// A coordinator that dies is replaced before the leases that it renewed end.
#[test]
fn h19_the_death_of_the_coordinator_stops_nothing_on_the_others() {
    let mut lab = Lab::new("none L=3 S=2 W=4 a+ b+ c+ | f@a g@b h@c");
    lab.run(Span::secs(6));
    let coordinator = lab.coordinators().into_iter().next().unwrap();
    let before = lab.done.clone();
    assert_eq!(before.len(), 3, "{before:?}");
    lab.crash(&coordinator.as_str().into());
    lab.run(Span::secs(60));
    let after = &lab.done[before.len()..];
    // What the dead one had is started elsewhere; nothing is stopped.
    assert_eq!(after.len(), 1, "{}", lab.log.join("\n"));
    assert!(after[0].starts_with("start "), "{after:?}");
    once(&lab);
}

/// What `crm check` and programs read.
#[test]
fn h16_the_status_says_whose_watchdog_is_armed() {
    let armed = |config: &str| -> Vec<Option<bool>> {
        let mut lab = Lab::new(config);
        lab.run(Span::secs(6));
        lab.status("a").nodes.iter().map(|node| node.armed).collect()
    };
    assert_eq!(armed("none L=3 S=2 W=4 a+ b+ c+ | g@c"), [Some(true); 3]);
    assert_eq!(armed("device a b+ c"), [None, Some(true), None]);
    // Of two votes, watchdogs prove nothing and stand by.
    assert_eq!(armed("none a+ b+"), [Some(false); 2]);
}

/// The same, and somebody else has the device open for a moment: it ticks on, so it is tried again.
#[test]
fn h16_an_inherited_watchdog_that_cannot_be_opened_at_first_is_tried_again() {
    let mut lab = Lab::new("none a+ b+ c+ | g@c h@a i@b");
    lab.run(Span::secs(6));
    lab.machines.get_mut(&"c".into()).expect("c").node = None;
    lab.run(Span::millis(100));
    apply(&mut lab, "b", 1, "none a+ b+ c | g@c h@a i@b");
    lab.run(Span::secs(1));
    lab.busy_dogs.insert("c".into(), 2);
    lab.restart_daemon(&"c".into());
    lab.run(Span::secs(60));
    assert_eq!(lab.busy_dogs[&"c".into()], 0, "{}", lab.log.join("\n"));
    assert!(!lab.log.iter().any(|line| line.contains("RESET")), "{}", lab.log.join("\n"));
    assert_eq!(lab.holders("g"), ["c"], "{}", lab.log.join("\n"));
    once(&lab);
}
