//! What is taken away from a running group is put back; what only the daemon did is not noticed.

use super::support::{WEB, web_group, with_device};
use crm_tests::namespaces::{Laboratory, Options};
use std::time::{Duration, Instant};

const LIMIT: Duration = Duration::from_secs(1);

fn mounted(lab: &Laboratory) -> bool {
    lab.node("alpha").run("cat", &["/proc/mounts"]).stdout.contains(" /run/lock/web ")
}

fn web_pid(lab: &Laboratory) -> String {
    lab.node("alpha").run("pgrep", &["-x", "lab-web"]).stdout.trim().to_owned()
}

#[test]
fn an_address_a_mount_and_a_process_are_repaired_within_a_second() {
    let mut lab = Laboratory::new(Options::new(&["alpha", "beta"], 1));
    let config = with_device(&lab, &web_group("web", "alpha, beta", WEB, 80));
    lab.found(&config);
    lab.wait_running("web", "alpha");
    let probe = lab.probe(&format!("{WEB}:80"), Duration::from_millis(5));
    probe.wait_for("alpha", Instant::now(), Duration::from_secs(5));
    let pid = web_pid(&lab);
    let faults: [(&str, &[&str]); 3] = [
        ("ip", &["addr", "del", "10.77.0.100/24", "dev", "eth0"]),
        ("umount", &["/run/lock/web"]),
        ("kill", &["-9", &pid]),
    ];
    for (number, (program, args)) in faults.into_iter().enumerate() {
        // The process was restarted with what stands under it.
        let now = web_pid(&lab);
        let args: Vec<&str> =
            args.iter().map(|a| if *a == pid { now.as_str() } else { *a }).collect();
        let done = lab.node("alpha").run(program, &args);
        let fault = Instant::now();
        assert_eq!(done.code, 0, "{program} {args:?}: {}", done.stderr);
        lab.wait("it is whole again", Duration::from_secs(10), |lab| {
            mounted(lab) && lab.node("alpha").has_address(WEB) && !web_pid(lab).is_empty()
        });
        probe.wait_for("alpha", fault + Duration::from_millis(20), Duration::from_secs(10));
        let took = fault.elapsed();
        println!("{program}: whole after {took:?}");
        assert!(took < LIMIT, "fault {number} took {took:?}\n{}", lab.logs());
        lab.wait_running("web", "alpha");
    }
}

#[test]
fn r17_a_daemon_that_is_killed_and_started_again_restarts_nothing() {
    let mut lab = Laboratory::new(Options::new(&["alpha", "beta"], 1));
    let config = with_device(&lab, &web_group("web", "alpha, beta", WEB, 80));
    lab.found(&config);
    lab.wait_running("web", "alpha");
    let before = (web_pid(&lab), lab.node("alpha").run("cat", &["/proc/self/mountinfo"]).stdout);
    lab.node_mut("alpha").kill_daemon();
    lab.node_mut("alpha").start_daemon(&[]);
    lab.wait_running("web", "alpha");
    let mount = |text: &str| text.lines().find(|l| l.contains("/run/lock/web")).map(str::to_owned);
    let after = (web_pid(&lab), lab.node("alpha").run("cat", &["/proc/self/mountinfo"]).stdout);
    assert_eq!(before.0, after.0, "{}", lab.logs());
    assert_eq!(mount(&before.1), mount(&after.1));
    assert!(lab.fenced().is_empty(), "{}", lab.logs());
}
