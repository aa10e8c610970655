//! Failed starts, stops and looks.

use super::script::{UP, check};
use crate::packet::FailureKind;

#[test]
fn a_failed_start_stops_what_was_started_and_is_not_retried() {
    let mut bench = check(
        "groups g: a b c => a status, b status, c status
         a status not-running =>
         b status not-running =>
         c status not-running =>
         want run => a start, !group-starting
         a start done => b start
         b start failed:disk_full => !start-failed, b stop, !group-stopping
         b stop done => unwatch b, a stop
         a stop done => unwatch a, !group-stopped [failed]
         want run => [failed]
         want hold => [failed]
         +1000s => [failed]",
    );
    let failures = bench.executor.failures().to_vec();
    assert_eq!(failures.len(), 1);
    assert_eq!((failures[0].number, failures[0].kind), (1, FailureKind::Start));
    assert_eq!(bench.reason(), "start of b (b-agent) failed with exit code 1: disk_full");
    assert!(bench.executor.everything_stopped());
    bench.executor.failures_counted(1);
    assert!(bench.executor.failures().is_empty());
    let mut again = check(
        "groups g: a => a status
         a status not-running =>
         want run => a start, !group-starting
         a start timeout => !start-failed, a stop, !group-stopping
         a stop done => unwatch a, !group-stopped [failed]",
    );
    again.check("clear => a start, !group-starting");
    bench.check(
        "want stop => [stopped]
         want run => a start, !group-starting",
    );
}

#[test]
fn a_failed_stop_blocks_the_group_until_it_is_cleared() {
    let mut bench = check(UP);
    bench.check(
        "want stop => c stop, !group-stopping
         c stop timeout => !stop-failed [stopfailed]
         want run => [stopfailed]
         want stop => [stopfailed]
         clear => c stop, !group-stopping
         c stop done => unwatch c, b stop [stopping]",
    );
    assert_eq!(bench.executor.failures()[0].kind, FailureKind::Stop);
}

#[test]
fn a_failed_stop_that_turns_out_to_have_worked_goes_on() {
    check(UP).check(
        "want stop => c stop, !group-stopping
         c stop failed => !stop-failed [stopfailed]
         changed c => c status
         c status not-running => unwatch c, !found-stopped, b stop, !group-stopping [stopping]",
    );
}

#[test]
fn an_event_leads_to_a_look_at_once_and_a_repair_of_the_tail() {
    let mut bench = check(UP);
    bench.check(
        "+1s =>
         changed b => b status
         changed b =>
         b status not-running => !resource-failed, !resource-restarting, c stop [starting]
         c stop done => unwatch c, b stop
         b stop done => unwatch b, b start
         b start done => c start
         c start done => !group-running [running]",
    );
    let restarts: Vec<u32> =
        bench.executor.resources(&"g".into()).iter().map(|r| r.restarts).collect();
    assert_eq!(restarts, [0, 1, 0]);
}

#[test]
fn an_event_during_a_look_leads_to_one_more_after_it() {
    check(UP).check(
        "+1s =>
         changed c => c status
         changed c =>
         changed c =>
         c status done =>
         +20ms => c status
         c status done =>
         +100ms =>",
    );
}

/// What a start itself brings about leads to no look that the next start would have to share the processors with; what
/// it does not bring about is seen soon.
#[test]
fn an_event_during_a_start_leads_to_a_look_when_the_group_has_settled() {
    check(
        "groups g: a b c => a status, b status, c status
         a status not-running =>
         b status not-running =>
         c status not-running =>
         want run => a start, !group-starting
         changed a =>
         a start done => b start
         +499ms =>
         +1ms => a status
         a status done =>
         b start done => c start
         changed b => b status",
    );
}

#[test]
fn events_that_lead_nowhere_are_followed_ever_more_slowly() {
    let mut bench = check(UP);
    bench.check("+1s =>");
    let mut looks = 0;
    for _ in 0..2000 {
        let mut calls = bench.step("changed a");
        calls.extend(bench.step("+10ms"));
        for call in calls.iter().filter(|call| *call == "a status") {
            bench.step(&format!("{call} done"));
            looks += 1;
        }
    }
    assert!((5..30).contains(&looks), "{looks} looks in 20 s");
}

/// I2: while one below has not given a clear answer nothing above it is started.
#[test]
fn i2_a_start_waits_for_the_second_look_at_one_below_that_was_unclear() {
    check(UP).check(
        "+1s =>
         changed c => c status
         c status not-running => !resource-failed, !resource-restarting, c stop [starting]
         changed a => a status
         a status failed => a status
         c stop done => unwatch c
         a status done => c start
         c start done => !group-running [running]",
    );
}

#[test]
fn o6_one_failed_look_moves_nothing_two_do() {
    check(UP).check(
        "changed c => c status
         c status failed => c status [running]
         c status done => [running]
         changed c =>
         +20ms => c status
         c status timeout => c status
         c status failed => !resource-failed, !resource-restarting, c stop
         c stop done => unwatch c, c start
         c start done => !group-running [running]",
    );
}

#[test]
fn restarts_are_limited_within_the_window_then_the_group_moves() {
    let mut bench = check(
        "groups g: a => a status
         a status not-running =>
         want run => a start, !group-starting
         a start done => !group-running",
    );
    let fail = "
        changed a => a status
        a status not-running => !resource-failed, !resource-restarting, a stop
        a stop done => unwatch a, a start
        a start done => !group-running [running]";
    bench.check(fail);
    bench.check("+4s =>");
    bench.check(fail);
    bench.check("+4s =>");
    bench.check(
        "changed a => a status
         a status not-running => !resource-failed, !group-failed, a stop, !group-stopping
         a stop done => unwatch a, !group-stopped [failed]",
    );
    assert_eq!(bench.executor.failures()[0].kind, FailureKind::Run);
    assert!(bench.reason().contains("2 restarts within 10m are used up"), "{}", bench.reason());
}

#[test]
fn on_fail_says_what_a_failure_leads_to() {
    let up = |on_fail: &str| {
        check(&format!(
            "groups g: a={on_fail} b => a status, b status
             a status not-running =>
             b status not-running =>
             want run => a start, !group-starting
             a start done => b start
             b start done => !group-running
             changed a => a status"
        ))
    };
    up("move").check(
        "a status not-running => !resource-failed, !group-failed, b stop, !group-stopping
         b stop done => unwatch b, a stop
         a stop done => unwatch a, !group-stopped [failed]",
    );
    let mut ignore = up("ignore");
    ignore.check("a status not-running => !resource-failed [running]");
    assert_eq!(ignore.reason(), "a (a-agent) is not running");
    ignore.check(
        "changed a => a status
         a status not-running => [running]
         changed a =>
         +20ms => a status
         a status done => !resource-recovered [running]",
    );
    assert_eq!(ignore.reason(), "");
    let mut block = up("block");
    block.check(
        "a status not-running => !resource-failed, !group-blocked [running]
         +9s => b status
         b status not-running => !resource-failed [starting]",
    );
    assert_eq!(block.reason(), "a (a-agent) is not running");
    block.check(
        "clear => b stop
         b stop done => unwatch b, a stop
         a stop done => unwatch a, a start
         a start done => b start
         b start done => !group-running [running]",
    );
}

#[test]
fn a_missing_agent_of_a_running_resource_is_a_failure_that_names_it() {
    let mut bench = check(UP);
    bench.check(
        "changed c => c status
         c status missing => !resource-failed, !resource-restarting, c stop
         c stop missing => !stop-failed [stopfailed]",
    );
    assert!(bench.reason().contains("`c-agent`"), "{}", bench.reason());
}

#[test]
fn o18_steady_state_says_nothing_and_polls_are_spread() {
    let mut bench = check(UP);
    let mut moments = Vec::new();
    for _ in 0..300 {
        for call in bench.step("+100ms") {
            assert!(call.ends_with(" status"), "{call}");
            moments.push(bench.now);
            let done = bench.step(&format!("{call} done"));
            assert!(done.is_empty(), "{done:?}");
        }
    }
    assert!((8..=10).contains(&moments.len()), "{moments:?}");
    moments.dedup();
    assert!(moments.len() >= 8, "not all in the same instant: {moments:?}");
}
