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
         b stop done => unwatch b, unwatch b, a status, b#2 status
         b status not-running =>
         a status done => b#2 start
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
         d stop done => unwatch d, unwatch d, a status, b status, c status, !group-running
         a status done =>
         b status done =>
         c status done => [running]",
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
fn i2_what_a_leftover_may_have_been_is_not_believed_to_run_after_that_was_stopped() {
    check(
        "groups g: a#1 a#2 b => a#1 status, b status [unknown]
         groups g: a#1 b =>
         a status done => a#2 status
         a status done =>
         b status done => !group-starting
         want run => b stop
         b stop done => unwatch b, a#2 stop
         a stop done => unwatch a, unwatch a, a#1 status
         a status not-running => a#1 start
         a start done => b start
         b start done => !group-running [running]",
    );
}

/// The leftover is stopped while everything has to go down and nothing may be done, and then the change is taken back.
#[test]
fn i2_a_change_taken_back_while_its_leftover_stops_believes_nothing() {
    check(
        "groups g: a#1 a#2 b => a#1 status, b status [unknown]
         b status not-running =>
         a status done => a#2 status
         a status done => !group-starting
         groups g: a#2 b =>
         want run => a#2 stop
         want hold => !group-stopping
         a stop done => unwatch a, !group-starting
         groups g: a#1 b => unwatch a, a#1 status
         want run => !group-starting
         a status not-running => a#1 start
         a start done => b start
         b start done => !group-running [running]",
    );
}

/// The same thing under another name: a mount put in front of another renames that one.
#[test]
fn i2_what_was_stopped_under_another_name_is_looked_at_before_anything_starts_on_it() {
    check(
        "groups g: a c@a b => a status, c status, b status [unknown]
         b status not-running =>
         a status done =>
         c status done => !group-starting
         groups g: a b =>
         want run => c stop
         c stop done => unwatch c, unwatch c, a status
         a status not-running => a start
         a start done => b start
         b start done => !group-running [running]",
    );
}

/// A look that was under way while that was stopped may have seen it run still.
#[test]
fn i2_a_look_that_began_before_the_stop_ended_is_asked_again() {
    check(
        "groups g: a c@a b => a status, c status, b status [unknown]
         b status not-running =>
         a status done =>
         c status done => !group-starting
         groups g: a b =>
         want run => c stop
         changed a => a status
         c stop done => unwatch c, unwatch c, cancel a status
         a status done => a status
         a status not-running => a start
         a start done => b start
         b start done => !group-running [running]",
    );
}

/// One address taken out, and the daemon restarted before it was stopped: the rest runs on.
#[test]
fn a_daemon_that_restarts_in_the_middle_of_a_change_keeps_what_stays() {
    check(
        "groups g: a b c d => a status, b status, c status, d status [unknown]
         groups g: a b c =>
         a status done =>
         b status done =>
         c status done =>
         d status done => !group-starting
         want run => d stop
         d stop done => unwatch d, unwatch d, a status, b status, c status, !group-running
         a status done =>
         b status done =>
         c status done => [running]",
    );
}

/// The stop of its twin is no failure of its own.
#[test]
fn what_the_stop_of_a_leftover_stopped_has_not_failed() {
    check(
        "groups g: a#1=move a#2=move b => a#1 status, b status [unknown]
         groups g: a#2=move b =>
         a status done => a#2 status
         a status done =>
         b status done => !group-starting
         want run => b stop
         b stop done => unwatch b, a#2 stop
         want hold => !group-stopping
         changed a =>
         a stop done => unwatch a, a#1 status, !group-starting
         a status not-running => !resource-failed
         want run => a#1 stop
         a stop done => unwatch a, unwatch a, a#2 start
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

/// What ran a moment ago is not stopped because its agent cannot be called any more.
#[test]
fn i1_a_kept_resource_without_its_agent_is_not_called_stopped() {
    check(
        "groups g: a#1 a#2 b => a#1 status, b status [unknown]
         b status not-running =>
         a status done => a#2 status
         a status done => !group-starting
         groups g: a#1 b =>
         want run => a#2 stop
         a stop done => unwatch a, unwatch a, a#1 status
         a status missing => a#1 status
         want stop => cancel a status
         a status not-installed => a#1 stop, !group-stopping
         a stop missing => !stop-failed [stopfailed]",
    );
}

/// `on_fail` holds for what is kept, also while something else is dropped.
#[test]
fn what_is_kept_and_dies_during_a_change_is_judged_as_ever() {
    for word in ["=block", "=ignore", "=move"] {
        let text = format!(
            "groups g: a{word} b c => a status, b status, c status
             a status not-running =>
             b status not-running =>
             c status not-running =>
             want run => a start, !group-starting
             a start done => b start
             b start done => c start
             c start done => !group-running [running]
             groups g: a{word} b => c stop, !group-restarting"
        );
        let mut bench = check(&text);
        let mut made = Vec::new();
        for line in ["changed a", "a status not-running", "c stop done"] {
            made.extend(bench.step(line));
        }
        let text = format!("{word}: {made:?}");
        assert!(!made.iter().any(|duty| duty == "a start"), "{text}");
        assert_eq!(made.iter().any(|duty| duty == "b stop"), word == "=move", "{text}");
    }
}

/// What the change itself may have stopped is no failure to be lived with.
#[test]
fn i2_nothing_starts_on_an_ignored_resource_that_its_twin_stopped() {
    check(
        "groups g: a#1=ignore a#2=ignore b => a#1 status, b status [unknown]
         b status not-running =>
         a status done => a#2 status
         a status done => !group-starting
         groups g: a#1=ignore b =>
         want run => a#2 stop
         a stop done => unwatch a, unwatch a, a#1 status
         a status failed => a#1 status
         a status failed => !resource-restarting, a#1 stop
         a stop done => unwatch a, a#1 start
         a start done => b start
         b start done => !group-running [running]",
    );
}

/// What it had may be another group's when that look ends, and would be stopped there.
#[test]
fn i2_a_group_that_goes_believes_no_look_from_before() {
    let mut bench = check(
        "groups g: a* => a status
         a status done => !adopted
         want stop => a stop, !group-stopping
         a stop done => a status, !group-stopped
         groups h: c => cancel a status, c status
         c status not-running =>",
    );
    bench.check("a status done => unwatch a");
    assert!(!bench.executor.reports().contains_key(&"g".into()));
}

#[test]
fn i10_a_group_that_goes_does_not_spin_on_a_look_that_hangs() {
    let mut bench = check(
        "groups g: a* b* => a status, b status
         a status not-running =>
         b status not-running => [stopped]
         +10s => a status, b status
         b status not-running =>
         groups h: c => cancel a status, c status
         c status not-running =>",
    );
    bench.check("+11s =>");
}

#[test]
fn i10_a_group_that_goes_during_maintenance_does_not_spin() {
    let mut bench = check(
        "groups g: a* b* => a status, b status
         a status not-running =>
         b status not-running => [stopped]
         maintenance on =>
         +10s => a status, b status
         b status not-running =>
         groups h: c => c status
         c status not-running =>",
    );
    bench.check("+11s =>");
}
