//! The order in which a group is moved, step by step, and that a step that fails is the last one.

use super::support::{A_WHILE, TWO, with_device};
use crm_core::packet::GroupPhase;
use crm_tests::namespaces::{FenceMode, Laboratory, Options};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

/// Notes what it is asked to do, in one file for both nodes, and refuses where a file beside that says so.
const STEP: &str = r#"#!/bin/sh
state="$CRM_STATE_DIR/step-$CRM_RESOURCE"
case "$1" in
meta-data)
    echo '{"name": "step", "version": "1.0", "short_description": "Notes its calls",
        "parameters": [{"name": "log", "type": "path", "required": true, "description": "Where"}],
        "actions": [{"name": "start"}, {"name": "stop"}, {"name": "status"}, {"name": "validate"},
        {"name": "meta-data"}]}' ;;
validate) ;;
start | stop)
    echo "$CRM_NODE $1 $CRM_RESOURCE" >>"$CRM_LOG"
    if [ -e "$CRM_LOG.$CRM_NODE.$1.$CRM_RESOURCE" ]; then
        echo "reason expected $CRM_RESOURCE to $1, found that it refuses" >&3
        exit 1
    fi
    [ "$1" = start ] && : >"$state" || rm -f "$state" ;;
status) [ -e "$state" ] || exit 7 ;;
*) exit 3 ;;
esac
"#;

/// What a replicated database is made of.
const RESOURCES: [&str; 4] = ["volume", "mount", "server", "address"];

fn group(log: &Path) -> String {
    let resource = |name| format!("      - step: {{name: {name}, log: {}}}\n", log.display());
    format!(
        "  db:\n    prefer: [alpha, beta]\n    resources:\n{}",
        RESOURCES.map(resource).concat()
    )
}

/// The whole way of a group from one node to the other.
fn way(from: &str, to: &str) -> Vec<String> {
    let down = RESOURCES.iter().rev().map(|name| format!("{from} stop {name}"));
    down.chain(RESOURCES.iter().map(|name| format!("{to} start {name}"))).collect()
}

fn taken(log: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let _ = std::fs::remove_file(log);
    text.lines().map(str::to_owned).collect()
}

/// HB39, HB50: nothing is mounted before it is promoted, nothing demoted before it is unmounted, and nothing begins on one
/// node before everything has ended on the other. Two steps that change places turn this red.
#[test]
fn hb39_hb50_one_command_moves_step_by_step_and_stops_at_the_first_that_fails() {
    let mut lab = Laboratory::new(Options::new(TWO, 1));
    for node in lab.nodes.values() {
        let path = node.disk.join("agents/step");
        std::fs::write(&path, STEP).expect("the agent");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("its mode");
    }
    let log = lab.directory.join("steps");
    let config = with_device(&lab, &group(&log));
    lab.found(&config);
    lab.wait_running("db", "alpha");
    assert_eq!(taken(&log), RESOURCES.map(|name| format!("alpha start {name}")));

    lab.node("alpha").crm(&["migrate", "db", "beta"]);
    assert_eq!(taken(&log), way("alpha", "beta"));

    // A start refuses: nothing above it is started, what is below is stopped again, and the command says which it was.
    let refuses = |step: &str| lab.directory.join(format!("steps.{step}"));
    std::fs::write(refuses("alpha.start.server"), "").expect("a mark");
    let failed = lab.node("beta").run("crm", &["migrate", "db", "alpha"]);
    assert_eq!(failed.code, 1, "{}{}", failed.stdout, failed.stderr);
    let reason = "expected server to start, found that it refuses";
    assert!(failed.stderr.contains(reason), "{}", failed.stderr);
    lab.wait_running("db", "beta");
    let mut expected = way("beta", "alpha");
    expected.truncate(7);
    let back = ["server", "mount", "volume"].map(|name| format!("alpha stop {name}"));
    expected.extend(back.into_iter().chain(way("alpha", "beta").split_off(4)));
    assert_eq!(taken(&log), expected);

    // A stop refuses, and nothing proves that node dead: nothing below it is stopped, nothing is started elsewhere.
    std::fs::remove_file(refuses("alpha.start.server")).expect("the mark");
    lab.node("alpha").crm(&["clear", "db"]);
    std::fs::write(refuses("beta.stop.mount"), "").expect("a mark");
    lab.set_fencing(FenceMode::Fails);
    let failed = lab.node("beta").run("crm", &["migrate", "db", "alpha", "--timeout", "5"]);
    assert_ne!(failed.code, 0, "{}{}", failed.stdout, failed.stderr);
    lab.wait("its stop has failed", Duration::from_secs(30), |lab| {
        lab.view().is_some_and(|s| s.groups.iter().any(|g| g.phase == GroupPhase::StopFailed))
    });
    lab.beats("alpha", A_WHILE);
    let mut expected = way("beta", "alpha");
    expected.truncate(3);
    let mut found = taken(&log);
    // It may be asked again; it is always the same step.
    found.dedup();
    assert_eq!(found, expected, "{}", lab.logs());
    let why = lab.node("alpha").crm(&["why", "db"]);
    assert!(why.contains("expected mount to stop, found that it refuses"), "{why}");
}
