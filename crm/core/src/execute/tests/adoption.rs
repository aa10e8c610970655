//! What is found running is looked at first, and adopted (R17).

use super::script::check;

#[test]
fn r17_a_running_group_that_is_wanted_is_adopted_untouched() {
    check(
        "groups g: a b => a status, b status [unknown]
         want hold =>
         a status done => [unknown]
         b status done => !adopted [running]
         want run => [running]",
    );
}

#[test]
fn r17_a_partly_running_group_is_completed_in_order() {
    check(
        "groups g: a b c => a status, b status, c status
         want run =>
         a status done =>
         b status not-running => [unknown]
         c status not-running => b start, !group-starting
         b start done => c start
         c start done => !group-running [running]",
    );
}

#[test]
fn i2_what_runs_above_a_gap_is_stopped_before_the_gap_is_filled() {
    check(
        "groups g: a b c => a status, b status, c status
         want run =>
         c status done =>
         b status not-running =>
         a status done => c stop, !group-starting
         c stop done => unwatch c, b start
         b start done => c start
         c start done => !group-running",
    );
}

#[test]
fn r17_a_running_group_that_is_not_wanted_is_stopped_in_reverse() {
    check(
        "groups g: a b => a status, b status
         want =>
         a status done => [unknown]
         b status done => b stop, !group-stopping
         b stop done => unwatch b, a stop
         a stop done => unwatch a, !group-stopped [stopped]",
    );
}

#[test]
fn unknown_is_never_stopped_and_a_stop_answers_what_status_cannot() {
    let mut bench = check(
        "groups g: a => a status
         a status timeout => [unknown]
         +9s => [unknown]
         +1s => a status
         a status failed:no_answer => [unknown]",
    );
    assert!(!bench.executor.everything_stopped());
    assert_eq!(bench.reason(), "status of a (a-agent) failed with exit code 1: no_answer");
    bench.check(
        "want stop => a stop, !group-stopping
         a stop done => unwatch a, !group-stopped [stopped]",
    );
}

#[test]
fn an_unclear_probe_of_a_wanted_group_is_confirmed_then_recovered() {
    check(
        "groups g: a=ignore => a status
         want run =>
         a status failed => a status
         a status failed => !resource-restarting, a stop, !group-starting
         a stop done => unwatch a, a start
         a start done => !group-running",
    );
}

#[test]
fn a_missing_agent_found_by_a_probe_has_started_nothing() {
    let mut bench = check(
        "groups g: a b => a status, b status
         a status missing =>
         b status not-installed => [stopped]",
    );
    assert_eq!(
        bench.reason(),
        "there is no agent `a-agent` on this node, which a needs for status"
    );
    bench.check(
        "want run => a start, !group-starting
         a start missing => !start-failed, !group-stopped [failed]",
    );
    assert_eq!(bench.executor.failures().len(), 1);
}

#[test]
fn eligibility_is_polled_where_the_group_does_not_run() {
    let mut bench = check(
        "groups g: a* b => a status, b status
         want stop =>
         b status not-running =>
         a status not-running/eligible=yes => [stopped]",
    );
    let eligible = |bench: &super::script::Bench<_>| {
        bench.executor.eligibility().get(&"g".into()).map(|e| e.eligible)
    };
    assert_eq!(eligible(&bench), Some(Some(true)));
    bench.check(
        "+10s => a status
         a status not-running:inconsistent/eligible=no => [stopped]",
    );
    assert_eq!(eligible(&bench), Some(Some(false)));
    assert_eq!(bench.executor.eligibility()[&"g".into()].reason, "inconsistent");
    bench.check(
        "changed a => a status
         a status timeout => [stopped]",
    );
    assert_eq!(eligible(&bench), Some(None), "unknown is not eligible");
    bench.check(
        "+10s => a status
         want run => cancel a status
         a status cancelled => a start, !group-starting
         a start done => b start
         b start done => !group-running",
    );
}

#[test]
fn something_started_behind_our_back_is_seen_and_stopped() {
    check(
        "groups g: a* => a status
         want stop =>
         a status not-running => [stopped]
         changed a => a status
         a status done => !found-running, a stop, !group-stopping
         a stop done => a status, !group-stopped [stopped]",
    );
}
