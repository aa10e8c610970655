//! Up in order, down in reverse, and changes of mind in between (I2, H15).

use super::script::{Bench, UP, check};
use crate::rules::{Rule, Rules};

#[test]
fn i2_a_group_starts_in_order_and_stops_in_reverse() {
    check(UP).check(
        "want stop => c stop, !group-stopping [stopping]
         c stop done => unwatch c, b stop
         b stop done => unwatch b, a stop [stopping]
         a stop done => unwatch a, !group-stopped [stopped]
         +1000s =>",
    );
}

#[test]
fn i2_a_stop_during_a_start_cancels_it_and_cleans_up() {
    check(
        "groups g: a b => a status, b status
         a status not-running =>
         b status not-running =>
         want run => a start, !group-starting
         a start done => b start
         want stop => cancel b start, !group-stopping [stopping]
         want stop => [stopping]
         b start cancelled => b stop
         b stop done => unwatch b, a stop
         a stop done => unwatch a, !group-stopped [stopped]",
    );
}

#[test]
fn a_start_that_was_done_before_the_cancel_came_is_stopped_too() {
    check(
        "groups g: a => a status
         a status not-running =>
         want run => a start, !group-starting
         want stop => cancel a start, !group-stopping
         a start done => a stop [stopping]
         a stop done => unwatch a, !group-stopped [stopped]",
    );
}

#[test]
fn a_run_during_a_stop_lets_the_stop_end_first() {
    check(UP).check(
        "want stop => c stop, !group-stopping
         want run => !group-starting [starting]
         c stop done => unwatch c, c start
         c start done => !group-running [running]",
    );
}

#[test]
fn a_cut_off_start_is_stopped_before_it_is_tried_again() {
    let bench = check(
        "groups g: a => a status
         a status not-running =>
         want run => a start, !group-starting
         want stop => cancel a start, !group-stopping
         want run => !group-starting
         a start failed => a stop
         a stop done => unwatch a, a start
         a start done => !group-running [running]",
    );
    assert!(bench.executor.failures().is_empty(), "a start cut off on purpose is no failure");
}

#[test]
fn hold_lets_open_operations_end_and_begins_none() {
    check(
        "groups g: a b => a status, b status
         a status not-running =>
         b status not-running =>
         want run => a start, !group-starting
         want hold => [starting]
         a start done => [starting]
         +11s => a status
         a status done =>
         want run => b start
         b start done => !group-running [running]",
    );
}

#[test]
fn h15_a_group_is_not_stopped_while_an_operation_is_open() {
    let script = "
        groups g: a => a status
        a status not-running => [stopped]
        want run => a start, !group-starting
        want stop => cancel a start, !group-stopping";
    assert_eq!(check(script).phase(), "stopping");

    #[derive(Clone, Debug, Default)]
    struct Broken;
    impl Rules for Broken {
        fn holds(rule: Rule) -> bool {
            rule != Rule::OpenOperationRuns
        }
    }
    let mut bench = Bench::<Broken>::new();
    bench.check(&script.replace("!group-stopping", "!group-stopped"));
    assert_eq!(bench.phase(), "stopped");
}

#[test]
fn i2_the_broken_rule_starts_everything_at_once() {
    #[derive(Clone, Debug, Default)]
    struct Broken;
    impl Rules for Broken {
        fn holds(rule: Rule) -> bool {
            rule != Rule::StartInOrder
        }
    }
    Bench::<Broken>::new().check(
        "groups g: a b => a status, b status
         a status not-running =>
         b status not-running =>
         want run => a start, b start, !group-starting",
    );
}

#[test]
fn maintenance_starts_and_stops_nothing_and_goes_on_looking() {
    check(UP).check(
        "maintenance on =>
         want stop => !group-stopping
         want run => !group-running
         +4s =>
         changed b => b status
         b status not-running => !resource-failed [starting]
         +50ms =>
         changed b => b status
         b status done => !resource-recovered, !group-running [running]
         +50ms =>
         changed b => b status
         b status not-running => !resource-failed [starting]
         maintenance off => !resource-restarting, c stop
         c stop done => unwatch c, b stop
         b stop done => unwatch b, b start
         b start done => c start
         c start done => !group-running [running]",
    );
}

#[test]
fn a_restart_counter_that_rises_restarts_in_place_once() {
    let bench = check(UP);
    let mut bench = bench;
    bench.check(
        "restart 7 =>
         restart 8 => !group-restarting, c stop [starting]
         restart 8 =>
         c stop done => unwatch c, b stop
         b stop done => unwatch b, a stop
         a stop done => unwatch a, a start
         a start done => b start
         b start done => c start
         c start done => !group-running [running]
         restart 8 =>",
    );
    assert_eq!(bench.executor.reports()[&"g".into()].restarts_done, 8);
    bench.check(
        "want stop => c stop, !group-stopping
         c stop done => unwatch c, b stop
         b stop done => unwatch b, a stop
         a stop done => unwatch a, !group-stopped
         restart 9 => [stopped]",
    );
    assert_eq!(bench.executor.reports()[&"g".into()].restarts_done, 9);
}

#[test]
fn an_operation_that_never_ends_stays_open_and_is_reported_once() {
    check(
        "groups g: a => a status
         a status not-running =>
         want run => a start, !group-starting
         +89s =>
         +2s => !operation-overdue [starting]
         +1000s => [starting]
         want stop => cancel a start, !group-stopping
         +1000s => [stopping]",
    );
}
