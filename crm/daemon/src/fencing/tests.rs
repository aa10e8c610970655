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

/// A device whose answer to `status` stands in a file; every order is written down.
const ASKED: &str = r#"D=$(dirname $0); read -r order; cat > /dev/null; echo $order >> $D/orders
case $order in
action=status) code=$(cat $D/code); [ $code != 9 ] || { touch $D/hangs; sleep 60; }; exit $code;;
action=on) echo 0 > $D/code;;
esac"#;

const FAST: Pace = Pace {
    first: Duration::from_millis(10),
    between: Duration::from_millis(50),
    again: Duration::from_millis(20),
};

fn cluster(devices: &[FenceDevice]) -> Cluster {
    let text = "cluster: x\nnodes:\n  alpha: {links: [10.0.0.1]}\n  beta: {links: [10.0.0.2]}\nfencing: none\ngroups: {}\n";
    let mut cluster = crm_config::parse_for_core(text).expect("a configuration");
    cluster.fencing = crm_core::model::Fencing::Devices {
        devices: ["alpha", "beta"].map(|name| (NodeId::new(name), devices.to_vec())).into(),
        delay: Span::ZERO,
    };
    cluster
}

/// Runs `story` beside the rounds of node alpha over these devices.
fn rounds<F: Future<Output = ()>>(
    dir: &Path,
    devices: &[FenceDevice],
    story: impl FnOnce(Fencing, tokio::sync::mpsc::UnboundedReceiver<Happening>) -> F,
) {
    nix::sys::prctl::set_child_subreaper(true).expect("subreaper");
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
    tokio::task::LocalSet::new().block_on(&runtime, async {
        let (surroundings, inbox) = surroundings(dir);
        let mut fencing = Fencing::at(surroundings.clone(), FAST);
        fencing.configure(&NodeId::new("alpha"), &cluster(devices));
        let story = tokio::time::timeout(Duration::from_secs(60), story(fencing, inbox));
        story.await.expect("the story ends");
        while !surroundings.journal.open_calls().expect("journal").0.is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
}

async fn next_event(inbox: &mut tokio::sync::mpsc::UnboundedReceiver<Happening>) -> String {
    match inbox.recv().await {
        Some(Happening::Event(event)) => format!("{} {}", event.kind, event.text),
        other => panic!("expected an event, found {other:?}"),
    }
}

#[test]
fn a_device_that_cannot_be_used_is_an_alarm_before_it_is_needed_and_nothing_is_powered_off() {
    let dir = crate::testing::Dir::new();
    script(dir.path(), "fence_test", ASKED);
    let code = dir.path().join("code");
    fs::write(&code, "1").expect("write");
    let device = *device("fence_test", &[], 5000);
    rounds(dir.path(), &[device], async |fencing, mut inbox| {
        let event = next_event(&mut inbox).await;
        assert!(event.starts_with("fencing-unreachable fencing device 1 of node beta"), "{event}");
        let report = fencing.report();
        assert_eq!(report.devices.len(), 1, "no node fences itself");
        assert_eq!(report.devices[0].proved_secs, None);
        assert!(report.devices[0].problem.is_some());
        fs::write(&code, "0").expect("write");
        let event = next_event(&mut inbox).await;
        assert!(event.starts_with("fencing-answers "), "{event}");
        let report = fencing.report();
        assert_eq!((report.devices[0].proved_secs, report.devices[0].on), (Some(0), Some(true)));
        // It goes on, and says nothing as long as nothing changes.
        let orders = || fs::read_to_string(dir.path().join("orders")).expect("orders");
        let before = orders().lines().count();
        while orders().lines().count() < before + 3 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert!(inbox.try_recv().is_err());
        assert!(orders().lines().all(|order| order == "action=status"), "{}", orders());
    });
}

#[test]
fn a_look_that_hangs_gives_way_to_a_real_request() {
    let dir = crate::testing::Dir::new();
    script(dir.path(), "fence_test", ASKED);
    fs::write(dir.path().join("code"), "9").expect("write");
    let device = *device("fence_test", &[], 50_000);
    let same = Box::new(device.clone());
    rounds(dir.path(), &[device], async |mut fencing, mut inbox| {
        while !dir.path().join("hangs").exists() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        fs::write(dir.path().join("code"), "2").expect("write");
        let begun = Instant::now();
        fencing.fence(FenceId(3), NodeId::new("beta"), same);
        match inbox.recv().await {
            Some(Happening::Input(Input::Fenced { result, .. })) => {
                assert_eq!(result, FenceResult::Off);
            }
            other => panic!("expected the proof, found {other:?}"),
        }
        assert!(begun.elapsed() < Duration::from_secs(20));
        assert!(fencing.report().devices[0].problem.is_none(), "it was no failure of the device");
    });
}

#[test]
fn a_command_is_never_run_to_be_asked_only_its_check_is() {
    let dir = crate::testing::Dir::new();
    let shot = dir.path().join("shot");
    let command = format!("touch {}", shot.display());
    let blind = *device("command", &[("command", &command)], 5000);
    let check = "[ $CRM_FENCE_ACTION.$CRM_FENCE_TARGET = status.beta ] && exit 2; exit 1";
    let seeing = *device("command", &[("command", &command), ("check", check)], 5000);
    rounds(dir.path(), &[blind, seeing], async |fencing, _inbox| {
        while fencing.report().devices[1].proved_secs.is_none() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let report = fencing.report();
        assert!(!report.devices[0].checkable && report.devices[0].looked_secs.is_none());
        assert_eq!(report.devices[1].on, Some(false));
        let (sender, done) = oneshot::channel();
        fencing.drill(NodeId::new("beta"), false, move || {
            let _ = sender.send(());
        });
        done.await.expect("the drill ends");
    });
    assert!(!shot.exists());
}

#[test]
fn a_drill_tells_at_once_and_switches_on_by_the_first_device_that_can() {
    let dir = crate::testing::Dir::new();
    script(dir.path(), "fence_test", ASKED);
    script(dir.path(), "fence_broken", "exit 1");
    fs::write(dir.path().join("code"), "2").expect("write");
    let levels = [*device("fence_broken", &[], 5000), *device("fence_test", &[], 5000)];
    rounds(dir.path(), &levels, async |fencing, _inbox| {
        let (sender, done) = oneshot::channel();
        fencing.drill(NodeId::new("beta"), true, move || {
            let _ = sender.send(());
        });
        done.await.expect("the drill ends");
        let report = fencing.report();
        assert!(report.devices[0].problem.is_some(), "{report:?}");
        assert_eq!(report.devices[1].on, Some(true), "{report:?}");
    });
    let orders = fs::read_to_string(dir.path().join("orders")).expect("orders");
    assert!(orders.lines().any(|order| order == "action=on"), "{orders}");
}
