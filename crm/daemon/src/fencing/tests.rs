//! Requests to devices made of shell scripts.

use super::*;
use crate::executor::testing::{script, surroundings};
use crate::happening::Happening;
use crm_core::time::Span;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

fn device(agent: &str, params: &[(&str, &str)], millis: u64) -> Box<FenceDevice> {
    Box::new(FenceDevice {
        agent: agent.to_owned(),
        params: params.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
        timeout: Span::millis(millis),
    })
}

/// One request to its end; `cancel_when` is a file whose appearance cancels it.
fn fence(dir: &Path, device: Box<FenceDevice>, cancel_when: Option<&Path>) -> FenceResult {
    nix::sys::prctl::set_child_subreaper(true).expect("subreaper");
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
    tokio::task::LocalSet::new().block_on(&runtime, async {
        let (surroundings, mut inbox) = surroundings(dir);
        let mut fencing = Fencing::new(surroundings.clone());
        fencing.fence(FenceId(3), NodeId::new("beta"), device);
        if let Some(file) = cancel_when {
            while !file.exists() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            fencing.cancel(FenceId(3));
        }
        let answer = tokio::time::timeout(Duration::from_secs(20), inbox.recv()).await;
        let Ok(Some(Happening::Input(Input::Fenced { request, result }))) = answer else {
            panic!("no answer: {answer:?}")
        };
        assert_eq!(request, FenceId(3));
        assert!(surroundings.journal.open_calls().expect("journal").0.is_empty());
        result
    })
}

fn failed(result: FenceResult) -> String {
    match result {
        FenceResult::Failed { reason } => reason,
        FenceResult::Off => panic!("counted as proof"),
    }
}

#[test]
fn as3_a_command_is_told_the_target_and_its_exit_zero_is_the_proof() {
    let dir = crate::testing::Dir::new();
    let out = dir.path().join("out");
    let command =
        format!("echo $CRM_FENCE_TARGET $CRM_FENCE_ACTION $CRM_FENCE_PORT > {}", out.display());
    let device = device("command", &[("command", &command), ("port", "7")], 5000);
    assert_eq!(fence(dir.path(), device, None), FenceResult::Off);
    assert_eq!(fs::read_to_string(out).expect("output").trim(), "beta off 7");
}

#[test]
fn as3_a_command_that_fails_proves_nothing_and_its_words_are_kept() {
    let dir = crate::testing::Dir::new();
    let device = device("command", &[("command", "echo no answer from the BMC; exit 1")], 5000);
    assert_eq!(failed(fence(dir.path(), device, None)), "exit 1: no answer from the BMC");
}

#[test]
fn a_command_that_hangs_is_killed_whole_in_time() {
    let dir = crate::testing::Dir::new();
    let pid = dir.path().join("pid");
    let command = format!("trap '' TERM; echo $$ > {}; sleep 300; sleep 300", pid.display());
    let begun = Instant::now();
    let device = device("command", &[("command", &command)], 700);
    assert!(failed(fence(dir.path(), device, None)).contains("in time"));
    assert!(begun.elapsed() < Duration::from_secs(8));
    let pid = fs::read_to_string(pid).expect("pid");
    assert!(!Path::new("/proc").join(pid.trim()).join("exe").exists(), "it is gone");
}

#[test]
fn h27_a_request_that_is_not_wanted_any_more_is_killed_before_it_can_shoot() {
    let dir = crate::testing::Dir::new();
    let (began, shot) = (dir.path().join("began"), dir.path().join("shot"));
    let command = format!("touch {}; sleep 30; touch {}", began.display(), shot.display());
    let device = device("command", &[("command", &command)], 60_000);
    assert_eq!(failed(fence(dir.path(), device, Some(&began))), "cancelled");
    assert!(!shot.exists());
}

/// A device that forgets its power, and takes its orders as fence agents do.
const POWER: &str = r#"D=$(dirname $0); read -r order; rest=$(cat)
case $order in
action=off) echo "$rest" > $D/parameters; echo "$@" > $D/arguments; echo 2 > $D/power;;
action=status) exit $(cat $D/power);;
esac"#;

#[test]
fn as3_a_fence_agent_must_say_itself_that_the_power_is_off() {
    let dir = crate::testing::Dir::new();
    script(dir.path(), "fence_test", POWER);
    let device_of = || device("fence_test", &[("ip", "192.0.2.1"), ("username", "crm")], 5000);
    assert_eq!(fence(dir.path(), device_of(), None), FenceResult::Off);
    let parameters = fs::read_to_string(dir.path().join("parameters")).expect("parameters");
    assert!(parameters.contains("ip=192.0.2.1\n") && parameters.contains("username=crm\n"));
    let arguments = fs::read_to_string(dir.path().join("arguments")).expect("arguments");
    assert_eq!(arguments.trim(), "", "nothing by argument: `ps` shows arguments");
    // It accepts the order, and the power stays on.
    script(dir.path(), "fence_test", &POWER.replace("echo 2 >", "echo 0 >"));
    let reason = failed(fence(dir.path(), device("fence_test", &[], 2500), None));
    assert!(reason.contains("still on") || reason.contains("in time"), "{reason}");
}

#[test]
fn a_device_that_is_not_installed_says_where_it_was_looked_for() {
    let dir = crate::testing::Dir::new();
    let reason = failed(fence(dir.path(), device("fence_nosuch", &[], 1000), None));
    assert!(reason.contains("fence_nosuch") && reason.contains("install"), "{reason}");
}
