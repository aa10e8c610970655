//! Placement carried out: what the records of a few nodes make of it.

use crate::cluster::Lab;
use crm_core::id::{GroupId, NodeId, RequestId};
use crm_core::operator::{Command, Outcome};
use crm_core::record::GrantState;
use crm_core::time::Span;
use crm_core::{Input, Shutdown};

fn ask(lab: &mut Lab, node: &str, command: Command) {
    let number = lab.replies.len() as u64 + 1;
    lab.handle(&node.into(), Input::Operator { request: RequestId(number), command });
    lab.run(Span::millis(500));
}

fn on(lab: &Lab, group: &str) -> String {
    lab.holders(group).join(" ")
}

fn stops_fail(lab: &mut Lab, node: &str, fail: bool) {
    if let Some(machine) = lab.machines.get_mut(&NodeId::new(node)) {
        machine.stops_fail = fail;
    }
}

fn steady(config: &str) -> Lab {
    let mut lab = Lab::new(config);
    lab.run(Span::secs(5));
    lab.done.clear();
    lab
}

#[test]
fn h36_a_quorum_of_three_moves_a_stateless_group_from_a_silent_owner() {
    let mut lab = steady("stateless a b c | web@a,b");
    lab.cut("a", "b");
    lab.cut("a", "c");
    lab.run(Span::secs(5));
    assert_eq!(on(&lab, "web"), "a b", "{:#?}", lab.log);
    assert_eq!(lab.status("b").groups[0].owner, Some("b".into()));
    let decisions = lab.status("b").groups[0].decisions.join("\n")
        + &lab.status("c").groups[0].decisions.join("\n");
    assert!(decisions.contains("moved from a to b, which is silent"), "{decisions}");
    lab.cut.clear();
    lab.run(Span::secs(5));
    assert_eq!(on(&lab, "web"), "b", "the newer holder keeps it: {:#?}", lab.log);
}

#[test]
fn h36_a_group_with_data_stays_with_its_silent_owner_in_a_quorum_of_three() {
    let mut lab = steady("none a b c | db@a,b");
    lab.cut("a", "b");
    lab.cut("a", "c");
    lab.run(Span::secs(20));
    assert_eq!(on(&lab, "db"), "a");
    assert_eq!(lab.status("b").groups[0].owner, Some("a".into()));
}

#[test]
fn a_migrate_holds_against_auto_failback_until_it_is_cleared() {
    let mut lab = steady("device a b c | web@a,b:auto");
    ask(&mut lab, "c", Command::Migrate { group: "web".into(), to: Some("b".into()) });
    lab.run(Span::secs(10));
    assert_eq!(on(&lab, "web"), "b", "{:#?}", lab.log);
    assert_eq!(lab.done, ["stop web on a", "start web on b"]);
    ask(&mut lab, "a", Command::Clear { group: Some("web".into()), node: None });
    lab.run(Span::secs(3));
    assert_eq!(on(&lab, "web"), "a", "{:#?}", lab.log);
    let Some((_, _, Outcome::Done { message, .. })) = lab.replies.last() else {
        panic!("{:?}", lab.replies)
    };
    assert!(message.contains("holds it no longer"), "{message}");
}

#[test]
fn a_migrate_that_holds_ends_when_its_node_may_run_nothing() {
    let mut lab = steady("device a b c | web@a,b:auto");
    ask(&mut lab, "c", Command::Migrate { group: "web".into(), to: Some("b".into()) });
    lab.run(Span::secs(3));
    ask(&mut lab, "c", Command::Standby { node: "b".into() });
    ask(&mut lab, "c", Command::Online { node: "b".into() });
    lab.run(Span::secs(5));
    assert_eq!(on(&lab, "web"), "a", "{:#?}", lab.log);
}

#[test]
fn a_migrate_is_called_back_before_it_went() {
    let mut lab = steady("device a b c | web@a,b");
    stops_fail(&mut lab, "a", true);
    let number = RequestId(100);
    let to = |node: &str| Command::Migrate { group: "web".into(), to: Some(node.into()) };
    lab.handle(&"a".into(), Input::Operator { request: number, command: to("b") });
    stops_fail(&mut lab, "a", false);
    lab.handle(&"a".into(), Input::Operator { request: RequestId(101), command: to("a") });
    lab.run(Span::secs(5));
    assert_eq!(on(&lab, "web"), "a", "{:#?}", lab.log);
    assert_eq!(lab.status("a").groups[0].pinned_to, None);
}

#[test]
fn starts_after_a_standby_stops_the_dependent_first_and_starts_it_last() {
    // Both orders of the file.
    for groups in ["db@a web@a:after=db", "web@a:after=db db@a"] {
        let mut lab = steady(&format!("device a b c | {groups}"));
        ask(&mut lab, "c", Command::Standby { node: "a".into() });
        lab.run(Span::secs(5));
        let order = ["stop web on a", "stop db on a", "start db on b", "start web on b"];
        assert_eq!(lab.done, order, "{:#?}", lab.log);
    }
}

/// It was never called dead, so all it ran is still granted to it.
#[test]
fn starts_after_a_machine_that_boots_at_once_starts_the_dependent_last() {
    for groups in ["db@a app@a:after=db web@a:after=app", "web@a:after=app app@a:after=db db@a"] {
        let mut lab = steady(&format!("device a b c | {groups}"));
        lab.crash(&"a".into());
        lab.run(Span::millis(200));
        lab.boot(&"a".into());
        lab.run(Span::secs(5));
        assert_eq!(lab.fenced, [], "{:#?}", lab.log);
        let order = ["start db on a", "start app on a", "start web on a"];
        assert_eq!(lab.done, order, "{:#?}", lab.log);
    }
}

#[test]
fn r15_stop_all_and_start_all_keep_the_order_across_groups() {
    let mut lab = steady("device a b c | db@a web@b:after=db proxy@c:after=web");
    ask(&mut lab, "c", Command::StopCluster);
    lab.run(Span::secs(5));
    assert_eq!(lab.done, ["stop proxy on c", "stop web on b", "stop db on a"], "{:#?}", lab.log);
    lab.done.clear();
    ask(&mut lab, "c", Command::StartCluster);
    lab.run(Span::secs(5));
    assert_eq!(lab.done, ["start db on a", "start web on b", "start proxy on c"]);
}

#[test]
fn r14_a_leaver_stops_the_dependent_first() {
    let mut lab = steady("device a b c | web@a:after=db db@a");
    lab.handle(&"a".into(), Input::Shutdown { how: Shutdown::Leave });
    lab.run(Span::secs(6));
    let order = ["stop web on a", "stop db on a", "start db on b", "start web on b"];
    assert_eq!(lab.done, order, "{:#?}", lab.log);
    assert!(lab.machines[&NodeId::new("a")].node.is_none(), "{:#?}", lab.log);
}

#[test]
fn r14_a_leaver_that_nobody_coordinates_stops_in_order_by_itself() {
    let mut lab = steady("none a b | db@a web@a:after=db proxy@a:after=web");
    lab.crash(&"b".into());
    lab.run(Span::secs(10));
    assert_eq!(lab.coordinators(), ["-".to_owned()].into(), "{:#?}", lab.log);
    lab.handle(&"a".into(), Input::Shutdown { how: Shutdown::Leave });
    lab.run(Span::secs(3));
    assert_eq!(lab.done, ["stop proxy on a", "stop web on a", "stop db on a"], "{:#?}", lab.log);
    assert!(lab.machines[&NodeId::new("a")].node.is_none(), "{:#?}", lab.log);
}

#[test]
fn r21_a_dependent_whose_stop_failed_does_not_hold_up_a_stop_of_all() {
    let mut lab = steady("none a b c | db@a web@b:after=db");
    stops_fail(&mut lab, "b", true);
    ask(&mut lab, "c", Command::StopCluster);
    lab.run(Span::secs(10));
    assert_eq!((on(&lab, "db"), on(&lab, "web")), (String::new(), "b".into()), "{:#?}", lab.log);
}

#[test]
fn r21_why_leaves_out_a_node_that_was_proved_dead() {
    let mut lab = steady("device a b c | web@a,c");
    assert_eq!(lab.coordinators(), ["b".to_owned()].into());
    stops_fail(&mut lab, "a", true);
    ask(&mut lab, "c", Command::Standby { node: "a".into() });
    lab.run(Span::secs(6));
    assert_eq!(lab.fenced, ["a".into()], "{:#?}", lab.log);
    assert_eq!(on(&lab, "web"), "c");
    assert!(lab.status("b").groups[0].elsewhere.is_empty(), "a is proved dead");
    // The proof is forgotten with its epoch; what it proved is not.
    let epoch = lab.status("b").epoch;
    ask(&mut lab, "c", Command::Maintenance { on: true, lasts: None });
    lab.cut("b", "c");
    lab.run(Span::secs(6));
    lab.cut.clear();
    lab.run(Span::secs(6));
    assert!(lab.status("b").epoch > epoch, "{:#?}", lab.log);
    for node in ["b", "c"] {
        assert!(lab.status(node).groups[0].elsewhere.is_empty(), "on {node}: {:#?}", lab.log);
    }
}

#[test]
fn r17_a_daemon_that_restarts_during_a_change_keeps_its_group() {
    // The coordinator plans again because of the change, while a's daemon has not reported yet.
    let mut lab = steady("device a b c | web@a,c one@c");
    assert_eq!(lab.coordinators(), ["b".to_owned()].into());
    let running = lab.machines[&NodeId::new("a")].running.clone();
    lab.crash(&"a".into());
    if let Some(machine) = lab.machines.get_mut(&NodeId::new("a")) {
        machine.running = running;
    }
    lab.boot(&"a".into());
    ask(&mut lab, "c", Command::Migrate { group: "one".into(), to: Some("b".into()) });
    lab.run(Span::secs(5));
    assert_eq!((on(&lab, "web"), on(&lab, "one")), ("a".into(), "b".into()), "{:#?}", lab.log);
    let touched: Vec<_> = lab.done.iter().filter(|line| line.contains("web")).collect();
    assert!(touched.is_empty(), "{touched:?}");
    assert!(lab.fenced.is_empty(), "{:#?}", lab.log);
}

#[test]
fn runs_with_a_stop_of_the_dependent_leaves_the_base() {
    let mut lab = steady("device a b c | db@a web:with=db");
    assert_eq!(on(&lab, "web"), "a");
    ask(&mut lab, "c", Command::Stop { group: "web".into() });
    lab.run(Span::secs(3));
    assert_eq!(lab.done, ["stop web on a"], "{:#?}", lab.log);
    ask(&mut lab, "c", Command::Start { group: "web".into() });
    lab.run(Span::secs(3));
    ask(&mut lab, "c", Command::Stop { group: "db".into() });
    lab.run(Span::secs(3));
    assert_eq!((on(&lab, "db"), on(&lab, "web")), (String::new(), String::new()));
}

#[test]
fn maintenance_neither_moves_nor_gives_back() {
    let mut lab = steady("device a b c | db@a web@b");
    stops_fail(&mut lab, "a", true);
    // The stop is on its way when the hands come off.
    let standby = Command::Standby { node: "a".into() };
    lab.handle(&"a".into(), Input::Operator { request: RequestId(7), command: standby });
    ask(&mut lab, "c", Command::Maintenance { on: true, lasts: None });
    ask(&mut lab, "c", Command::Standby { node: "b".into() });
    lab.run(Span::secs(10));
    assert_eq!((on(&lab, "db"), on(&lab, "web")), ("a".into(), "b".into()), "{:#?}", lab.log);
    assert!(lab.done.is_empty(), "{:?}", lab.done);
}

#[test]
fn maintenance_ends_no_group_that_leaves_the_configuration() {
    let mut lab = steady("device a b c | db@a web@b");
    ask(&mut lab, "c", Command::Maintenance { on: true, lasts: None });
    let text = "device a b c | db@a".to_owned();
    ask(&mut lab, "c", Command::Apply { text, base: None });
    lab.run(Span::secs(3));
    let granted = |lab: &Lab| {
        let record = lab.machines[&NodeId::new("b")].disk.record.clone().expect("a record");
        record.grants.get(&GroupId::new("web")).map(|grant| grant.state)
    };
    assert_eq!(granted(&lab), Some(GrantState::Held));
    ask(&mut lab, "c", Command::Maintenance { on: false, lasts: None });
    lab.run(Span::secs(3));
    assert_eq!((on(&lab, "web"), granted(&lab)), (String::new(), None), "{:#?}", lab.log);
}

#[test]
fn a_node_taken_out_of_the_configuration_ends_its_groups_in_order() {
    let mut lab = steady("device a b c | web@c,a");
    let without = "device a b | web@a".to_owned();
    ask(&mut lab, "a", Command::Apply { text: without.clone(), base: None });
    let Some((_, _, Outcome::Refused { reason, .. })) = lab.replies.last() else {
        panic!("{:?}", lab.replies)
    };
    assert!(reason.contains("still owns groups"), "{reason}");
    // A record that says so all the same: of an older version, or out of a copy of the disk.
    let running = lab.machines[&NodeId::new("c")].running.clone();
    take_out(&mut lab, &without);
    if let Some(machine) = lab.machines.get_mut(&NodeId::new("c")) {
        machine.running = running;
    }
    for node in ["a", "b", "c"] {
        lab.boot(&node.into());
    }
    lab.run(Span::secs(6));
    assert_eq!(on(&lab, "web"), "a", "{:#?}", lab.log);
    assert_eq!(lab.done, ["stop web on c", "start web on a"], "{:#?}", lab.log);
    assert!(lab.fenced.is_empty(), "{:#?}", lab.log);
}

fn ban(by: &str, node: &str) -> Command {
    Command::Ban {
        group: "db".into(),
        node: node.into(),
        by: by.into(),
        reason: "cut off".to_owned(),
    }
}

fn lift(ban: &str) -> Command {
    Command::LiftBan { group: "db".into(), node: "b".into(), ban: ban.to_owned() }
}

fn banned(lab: &Lab) -> String {
    lab.status("b").groups[0].bans.get(&"b".into()).cloned().unwrap_or_default()
}

fn last(lab: &Lab) -> &Outcome {
    &lab.replies.last().expect("an answer").2
}

#[test]
fn i8_a_copy_that_the_owner_calls_stale_is_not_taken_until_it_is_whole() {
    let mut lab = steady("device a b | db@a,b");
    ask(&mut lab, "a", ban("a", "b"));
    assert!(matches!(last(&lab), Outcome::Done { .. }), "{:?}", last(&lab));
    let first = banned(&lab);
    assert!(first.starts_with("cut off (record "), "{first}");
    lab.crash(&"a".into());
    lab.run(Span::secs(20));
    assert_eq!(on(&lab, "db"), "", "beta lacks what alpha wrote: {:#?}", lab.log);
    lab.boot(&"a".into());
    lab.run(Span::secs(20));
    assert_eq!(on(&lab, "db"), "a", "{:#?}", lab.log);
    ask(&mut lab, "b", lift(&first));
    assert!(matches!(last(&lab), Outcome::Done { .. }), "{:?}", last(&lab));
    lab.crash(&"a".into());
    lab.run(Span::secs(20));
    assert_eq!(on(&lab, "db"), "b", "{:#?}", lab.log);
}

fn promote_stale(ban: Option<&str>) -> Command {
    Command::PromoteStale { group: "db".into(), node: "b".into(), ban: ban.map(str::to_owned) }
}

fn refusal(lab: &Lab) -> &str {
    match last(lab) {
        Outcome::Refused { reason, .. } => reason,
        other => panic!("expected a refusal, found {other:?}"),
    }
}

/// The machine with the good copy is gone for good. What it had beyond the older copy is given up: it comes back as
/// the stale one.
#[test]
fn h24_an_operators_word_serves_the_older_copy_and_the_newer_one_is_the_stale_one_from_then_on() {
    let mut lab = steady("device a b | db@a,b");
    ask(&mut lab, "a", ban("a", "b"));
    let seen = banned(&lab);
    ask(&mut lab, "b", promote_stale(Some(&seen)));
    assert_eq!(refusal(&lab), "group db is granted to node a");
    lab.crash(&"a".into());
    lab.run(Span::secs(20));
    assert_eq!(on(&lab, "db"), "", "{:#?}", lab.log);
    ask(&mut lab, "b", promote_stale(None));
    assert!(refusal(&lab).contains("known otherwise"), "{}", refusal(&lab));
    assert_eq!(on(&lab, "db"), "");
    ask(&mut lab, "b", promote_stale(Some(&seen)));
    assert!(matches!(last(&lab), Outcome::Done { .. }), "{:?}", last(&lab));
    lab.run(Span::secs(5));
    assert_eq!(on(&lab, "db"), "b", "{:#?}", lab.log);
    // Twice does no harm.
    ask(&mut lab, "b", Command::Stop { group: "db".into() });
    lab.run(Span::secs(2));
    ask(&mut lab, "b", promote_stale(Some(&seen)));
    assert!(matches!(last(&lab), Outcome::Done { .. }), "{:?}", last(&lab));
    ask(&mut lab, "b", Command::Start { group: "db".into() });
    lab.boot(&"a".into());
    lab.run(Span::secs(20));
    assert_eq!(on(&lab, "db"), "b", "{:#?}", lab.log);
    lab.crash(&"b".into());
    lab.run(Span::secs(20));
    assert_eq!(on(&lab, "db"), "", "a's copy is of another history now: {:#?}", lab.log);
}

/// Its owner runs, so nothing is lost by waiting for it.
#[test]
fn h24_an_older_copy_is_not_served_while_a_better_one_is_there() {
    let mut lab = steady("device a b | db@a,b");
    ask(&mut lab, "a", ban("a", "b"));
    let seen = banned(&lab);
    ask(&mut lab, "a", Command::Stop { group: "db".into() });
    lab.run(Span::secs(2));
    assert_eq!(on(&lab, "db"), "");
    ask(&mut lab, "b", promote_stale(Some(&seen)));
    assert!(refusal(&lab).starts_with("node a is there"), "{}", refusal(&lab));
    assert_eq!(banned(&lab), seen);
}

/// The copy was whole when it was looked at; before the lift arrives the owner is cut off from it and is
/// given leave to write alone.
#[test]
fn h24_a_lift_that_a_newer_ban_overtook_lifts_nothing() {
    let mut lab = steady("device a b | db@a,b");
    ask(&mut lab, "a", ban("a", "b"));
    let seen = banned(&lab);
    ask(&mut lab, "a", ban("a", "b"));
    let newer = banned(&lab);
    assert_ne!(seen, newer, "told apart");
    ask(&mut lab, "b", lift(&seen));
    assert!(matches!(last(&lab), Outcome::Refused { .. }), "{:?}", last(&lab));
    assert_eq!(banned(&lab), newer);
    lab.crash(&"a".into());
    lab.run(Span::secs(20));
    assert_eq!(on(&lab, "db"), "", "b lacks what a wrote alone: {:#?}", lab.log);
}

#[test]
fn i8_only_the_owner_calls_another_copy_stale() {
    let mut lab = steady("device a b | db@a,b");
    for (by, node) in [("b", "a"), ("b", "b"), ("a", "a"), ("a", "nobody")] {
        ask(&mut lab, "b", ban(by, node));
        assert!(
            matches!(last(&lab), Outcome::Refused { .. }),
            "{by} bans {node}: {:?}",
            last(&lab)
        );
    }
    ask(&mut lab, "a", Command::Stop { group: "db".into() });
    lab.run(Span::secs(3));
    ask(&mut lab, "a", ban("a", "b"));
    assert!(matches!(last(&lab), Outcome::Refused { .. }), "nobody's: {:?}", last(&lab));
}

/// Every disk says that the configuration is another one; nobody runs.
fn take_out(lab: &mut Lab, without: &str) {
    for node in ["a", "b", "c"] {
        lab.crash(&node.into());
        if let Some(machine) = lab.machines.get_mut(&NodeId::new(node))
            && let Some(record) = &mut machine.disk.record
        {
            record.config = crm_core::record::ConfigText::new(without);
            // Else that were a fork: another record under the stamp of a committed one.
            machine.disk.committed = None;
        }
    }
}

#[test]
fn r20_a_silent_owner_that_was_taken_out_keeps_until_an_operator_gives_his_word() {
    let mut lab = steady("none a b c | web@c,a");
    take_out(&mut lab, "none a b | web@a");
    lab.boot(&"a".into());
    lab.boot(&"b".into());
    lab.run(Span::secs(10));
    let status = lab.status("b");
    let coordinator = status.coordinator.expect("two of three decide").to_string();
    let status = lab.status(&coordinator);
    assert_eq!(status.groups[0].owner, Some("c".into()), "{:#?}", lab.log);
    assert!(status.groups[0].reason.contains("crm confirm-dead c"), "{}", status.groups[0].reason);
    assert!(status.nodes.iter().any(|node| node.id.as_str() == "c"), "{:?}", status.nodes);
    ask(&mut lab, "a", Command::ConfirmDead { node: "c".into() });
    lab.run(Span::secs(3));
    assert_eq!(on(&lab, "web"), "a", "{:?} {:#?}", lab.replies, lab.log);
}

#[test]
fn hb27_a_group_whose_copy_is_lost_goes_where_a_good_one_is_and_home_when_its_own_is() {
    let mut lab = steady("device a b | db@a,b:auto:of=copy0");
    for node in ["b", "a"] {
        lab.without_copy.insert(node.into());
        lab.run(Span::secs(30));
    }
    assert_eq!(on(&lab, "copy0"), "a", "nobody has a better one: {:#?}", lab.log);
    assert!(lab.done.is_empty(), "{:?}", lab.done);
    lab.without_copy = ["a"].map(NodeId::from).into();
    lab.run(Span::secs(60));
    assert_eq!(on(&lab, "copy0"), "b", "{:#?}", lab.log);
    assert_eq!(lab.done, ["stop copy0 on a", "start copy0 on b"]);
    let told = lab.status("a").groups[0].decisions.join("\n")
        + &lab.status("b").groups[0].decisions.join("\n");
    let words = "it leaves a, which has no good copy any more: its disk is Diskless; b has one";
    assert!(told.contains(words), "{told}");
    lab.without_copy.clear();
    lab.run(Span::secs(60));
    assert_eq!(on(&lab, "copy0"), "a", "{:#?}", lab.log);
    assert!(lab.twice.is_empty(), "{:?}", lab.twice);
}
