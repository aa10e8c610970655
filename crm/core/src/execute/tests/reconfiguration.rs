//! New definitions of groups that run.

use super::script::{UP, check};

#[test]
fn a_changed_resource_is_stopped_by_its_old_definition_and_started_by_the_new() {
    check(
        "groups g: a b#1 c => a status, b#1 status, c status
         a status not-running =>
         b status not-running =>
         c status not-running =>
         want run => a start, !group-starting
         a start done => b#1 start
         b start done => c start
         c start done => !group-running
         groups g: a b#2 c => c stop, !group-restarting [starting]
         c stop done => unwatch c, b#1 stop
         b stop done => unwatch b, unwatch b, b#2 status
         b status not-running => b#2 start
         b start done => c start
         c start done => !group-running [running]",
    );
}

#[test]
fn a_change_that_needs_no_restart_restarts_nothing() {
    let mut bench = check(UP);
    bench.check(
        "groups g: a b=move c => [running]
         changed b => b status
         b status not-running => !resource-failed, !group-failed, c stop, !group-stopping",
    );
}

#[test]
fn a_resource_appended_to_a_running_group_is_looked_at_and_started() {
    check(UP).check(
        "groups g: a b c d => d status [starting]
         d status not-running => d start
         d start done => !group-running [running]
         groups g: a b c => d stop, !group-restarting
         d stop done => unwatch d, unwatch d, !group-running [running]",
    );
}

#[test]
fn a_removed_group_is_stopped_then_forgotten() {
    let mut bench = check(UP);
    bench.check(
        "groups h: x => c stop, !group-stopping, x status
         c stop done => unwatch c, b stop
         b stop done => unwatch b, a stop
         x status not-running =>",
    );
    assert!(bench.executor.reports().contains_key(&"g".into()), "not proved stopped yet");
    bench.check("a stop done => unwatch a, !group-stopped, unwatch a, unwatch b, unwatch c");
    assert!(!bench.executor.reports().contains_key(&"g".into()));
}

#[test]
fn a_removed_group_that_comes_back_is_kept() {
    check(UP).check(
        "groups h: x => c stop, !group-stopping, x status
         groups g: a b c / h: x => !group-starting
         c stop done => unwatch c, c start
         c start done => !group-running [running]",
    );
}

#[test]
fn a_new_definition_waits_while_nothing_may_be_stopped() {
    check(UP).check(
        "want hold =>
         groups g: a#2 b c => !group-restarting
         +1s =>
         groups g: a b c => !group-running [running]
         groups g: a#2 b c => !group-restarting
         want run => c stop",
    );
}

#[test]
fn a_stopped_group_takes_a_new_definition_at_once_and_looks_at_it() {
    check(
        "groups g: a b => a status, b status
         want stop =>
         a status not-running =>
         b status not-running => [stopped]
         groups g: b a#2 => unwatch a, a#2 status [unknown]
         a status not-running => [stopped]",
    );
}

/// A mount with two sets of options is one mount: when the leftover is stopped, so is the other.
#[test]
fn i2_nothing_of_a_mixed_group_is_believed_to_run_after_its_leftovers_were_stopped() {
    let mut bench = check("groups g: a#1 a#2 b => a#1 status, b status [unknown]");
    bench.executor.are_mixed([&"g".into()].into_iter());
    bench.check(
        "groups g: a#1 b =>
         a status done => a#2 status
         a status done =>
         b status done => !group-starting
         want run => b stop
         b stop done => unwatch b, a#2 stop
         a stop done => unwatch a, a#1 stop
         a stop done => unwatch a, unwatch a, a#1 start
         a start done => b start
         b start done => !group-running [running]",
    );
}

/// The same without a restart of the daemon: the change is taken back while the new definition has just been found to run.
#[test]
fn i2_what_was_stopped_by_another_definition_is_looked_at_before_anything_starts_on_it() {
    check(
        "groups g: a#1 a#2 b => a#1 status, b status [unknown]
         b status not-running =>
         a status done => a#2 status
         a status done => !group-starting
         groups g: a#1 b =>
         want run => a#2 stop
         a stop done => unwatch a, unwatch a, a#1 status
         a status not-running => a#1 start
         a start done => b start
         b start done => !group-running [running]",
    );
}
