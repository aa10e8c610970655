//! Heartbeat's `resource.d` scripts end with 0 whatever happened: a status has the last word.

use super::*;

/// The `drbddisk` that Heartbeat came with: whatever `drbdadm` says, it ends with 0.
const DRBDDISK: &str = r#"res=$1; dir=$(dirname "$0")
case $2 in
    start) "$dir/drbdadm" primary "$res" ;;
    stop) "$dir/drbdadm" secondary "$res" ;;
    status)
        state=$("$dir/drbdadm" role "$res")
        case ${state%%/*} in Primary) echo running ;; Secondary) echo stopped ;; *) echo "$state" ;; esac ;;
esac
exit 0"#;

/// A stand-in that knows one role, and refuses while a file says why.
const DRBDADM: &str = r#"dir=$(dirname "$0"); echo "$*" >>"$dir/calls"
[ "$1" = role ] && { cat "$dir/role"; exit 0; }
[ -e "$dir/refuses" ] && { cat "$dir/refuses" >&2; exit 11; }
[ "$1" = primary ] && echo Primary/Unknown >"$dir/role" || echo Secondary/Unknown >"$dir/role""#;

fn drbddisk(dir: &Path, action: Action, millis: u64) -> OpResult {
    let mut operation = with_timeout("heartbeat:drbddisk", action, millis);
    std::sync::Arc::make_mut(&mut operation.spec).args = vec!["r0".into()];
    run(dir, &operation, None).0
}

#[test]
fn hb22_hb23_hb24_a_script_that_always_ends_with_0_is_believed_only_after_a_look() {
    let dir = crate::testing::Dir::new();
    let dir = dir.path();
    script(dir, "drbddisk", DRBDDISK);
    script(dir, "drbdadm", DRBDADM);
    fs::write(dir.join("role"), "Secondary/Unknown\n").expect("role");
    let status = || drbddisk(dir, Action::Status, 5000).outcome;
    // HB23: it runs if and only if the role here is Primary.
    assert_eq!(status(), OpOutcome::NotRunning);
    assert_eq!(drbddisk(dir, Action::Start, 5000).outcome, OpOutcome::Done);
    assert_eq!(status(), OpOutcome::Done);
    // HB24, HB22: what `drbdadm` refuses is a failure, though the script knows nothing of it.
    fs::write(dir.join("refuses"), "State change failed: Device is held open\n").expect("refuses");
    let stop = drbddisk(dir, Action::Stop, 1500);
    assert_eq!(stop.outcome, OpOutcome::Failed { code: 0 });
    let reason = stop.reason.unwrap_or_default();
    assert!(reason.contains("by its own status it runs"), "{reason}");
    fs::remove_file(dir.join("refuses")).expect("refuses");
    assert_eq!(drbddisk(dir, Action::Stop, 5000).outcome, OpOutcome::Done);
    fs::write(dir.join("refuses"), "Local replica is inconsistent\n").expect("refuses");
    let start = drbddisk(dir, Action::Start, 1500);
    assert_eq!(start.outcome, OpOutcome::Failed { code: 0 });
    assert!(start.reason.is_some_and(|reason| reason.contains("it does not run")));
    // A state that says neither proves nothing: neither a start nor a stop.
    fs::write(dir.join("role"), "Unconfigured\n").expect("role");
    assert_eq!(status(), OpOutcome::Failed { code: 0 });
    let calls = fs::read_to_string(dir.join("calls")).expect("calls");
    assert!(!calls.contains("force"), "nothing is ever forced: {calls}");
}

/// A service that needs a moment until its status knows of it is not ended for that.
#[test]
fn hb24_a_status_that_lags_behind_is_waited_for() {
    let dir = crate::testing::Dir::new();
    let body = "d=$(dirname $0); case $1 in start) ;; status) echo >>$d/asked; \
        [ $(wc -l <$d/asked) -gt 3 ] && echo running || echo stopped ;; esac";
    script(dir.path(), "slow", body);
    let (result, _) = run(dir.path(), &operation("heartbeat:slow", Action::Start), None);
    assert_eq!(result.outcome, OpOutcome::Done);
    // One that has no status is believed by its number.
    script(dir.path(), "mute", "case $1 in start | stop) exit 0 ;; *) echo usage; exit 1 ;; esac");
    for action in [Action::Start, Action::Stop] {
        let (result, _) = run(dir.path(), &operation("heartbeat:mute", action), None);
        assert_eq!(result.outcome, OpOutcome::Done, "{action:?}");
    }
}

/// Unknown is no "stopped": a status that hangs after the stop does not agree with it.
#[test]
fn hb24_a_stop_whose_status_hangs_is_not_believed() {
    let dir = crate::testing::Dir::new();
    script(dir.path(), "hangs", "case $1 in stop) exit 0 ;; *) exec sleep 600 ;; esac");
    let operation = with_timeout("heartbeat:hangs", Action::Stop, 700);
    let (result, _) = run(dir.path(), &operation, None);
    assert_eq!(result.outcome, OpOutcome::Failed { code: 0 });
    assert!(result.reason.is_some_and(|reason| reason.contains("did not end in time")));
}

/// Neither is one that was never asked, or was killed for want of memory.
#[test]
fn hb24_a_stop_whose_status_cannot_be_asked_is_not_believed() {
    for answer in ["exit 126", "kill -9 $$"] {
        let dir = crate::testing::Dir::new();
        script(dir.path(), "mute", &format!("case $1 in stop) exit 0 ;; *) {answer} ;; esac"));
        let (result, _) = run(dir.path(), &with_timeout("heartbeat:mute", Action::Stop, 700), None);
        assert_eq!(result.outcome, OpOutcome::Failed { code: 0 }, "{answer}");
        assert!(result.reason.is_some_and(|reason| reason.contains("could not be asked")));
    }
}

/// It runs; that a later look tells nothing does not make it stopped.
#[test]
fn hb24_a_status_that_tells_neither_takes_nothing_back() {
    let dir = crate::testing::Dir::new();
    let body = "d=$(dirname $0); case $1 in status) echo >>$d/asked; \
        [ $(wc -l <$d/asked) = 1 ] && echo running || echo what; esac";
    script(dir.path(), "odd", body);
    let (result, _) = run(dir.path(), &with_timeout("heartbeat:odd", Action::Stop, 1500), None);
    assert_eq!(result.outcome, OpOutcome::Failed { code: 0 });
    assert!(result.reason.is_some_and(|reason| reason.contains("by its own status it runs")));
    // Some say nothing at all of what does not run.
    let silent = body.replace("echo what", "exit 3");
    script(dir.path(), "silent", &silent.replace("asked", "again"));
    let (result, _) = run(dir.path(), &with_timeout("heartbeat:silent", Action::Stop, 1500), None);
    assert_eq!(result.outcome, OpOutcome::Done, "{:?}", result.reason);
}

/// A stop that took nearly all of its time is looked at as any other, and not called failed for want of time.
#[test]
fn hb24_a_stop_that_took_its_time_is_looked_at_too() {
    let dir = crate::testing::Dir::new();
    let body = "case $1 in stop) sleep 4.5 ;; *) sleep 2; echo stopped ;; esac";
    script(dir.path(), "slow", body);
    let (result, _) = run(dir.path(), &with_timeout("heartbeat:slow", Action::Stop, 6000), None);
    assert_eq!(result.outcome, OpOutcome::Done, "{:?}", result.reason);
}
