//! Our own agents inside the daemon's own program, with the kernel's events behind them.

mod support;

use crm_core::packet::GroupPhase;
use crm_core::status::Status;
use nix::sys::signal::Signal;
use std::fs;
use std::process::Command;
use std::time::Instant;
use support::{Machine, lives, wait_until};

fn running(status: &Status) -> bool {
    status.groups.first().is_some_and(|group| group.phase == GroupPhase::Running)
}

fn with_groups(machine: Machine, groups: &str) -> Machine {
    let config = machine.config(groups);
    fs::write(machine.dir("etc/cluster.yaml"), config).expect("configuration");
    crm_daemon::found(&machine.dir("etc"), &machine.dir("state"), &"alpha".into())
        .expect("founded");
    machine
}

#[test]
fn a_process_is_kept_running_and_survives_the_daemon() {
    let machine = Machine::bare("alpha");
    let dir = machine.dir("");
    let groups = format!(
        "  g:\n    resources:\n      - process: {{command: 'echo $$ > {}/pids/p; exec sleep 1000', \
         shell: true, directory: {}, settle: 100ms}}",
        dir.display(),
        dir.display()
    );
    let mut machine = with_groups(machine, &groups);
    machine.start();
    machine.wait_for("the process", running);
    let first = machine.agent_pid("p").expect("a pid");
    machine.kill();
    assert!(lives(first));
    machine.start();
    machine.wait_for("the process", running);
    assert_eq!(machine.agent_pid("p"), Some(first), "adopted");
    machine.wait_for("a coordinator", |status| status.quorum);
    let begun = Instant::now();
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(first), Signal::SIGKILL).expect("kill");
    wait_until("another process", || machine.agent_pid("p").is_some_and(|pid| pid != first));
    assert!(begun.elapsed().as_secs() < 5, "{:?}\n{}", begun.elapsed(), machine.log());
    machine.wait_for("the process", running);
    let second = machine.agent_pid("p").expect("a pid");
    machine.signal(Signal::SIGTERM);
    assert_eq!(machine.ended().code(), Some(0), "{}", machine.log());
    assert!(!lives(second));
}

#[test]
fn a_mount_that_is_taken_away_is_mounted_again_at_once() {
    if !nix::unistd::Uid::effective().is_root() {
        eprintln!("not checked: mounting is root's");
        return;
    }
    let mut machine = Machine::bare("alpha");
    machine.private_mounts = true;
    let at = machine.dir("mnt");
    fs::create_dir(&at).expect("directory");
    let groups = format!(
        "  g: {{resources: [filesystem: {{device: tmpfs, at: {}, type: tmpfs}}]}}",
        at.display()
    );
    let mut machine = with_groups(machine, &groups);
    machine.start();
    machine.wait_for("the mount", running);
    let table = format!("/proc/{}/mountinfo", machine.pid());
    let line = || {
        let text = fs::read_to_string(&table).ok()?;
        text.lines().find(|line| line.contains("/mnt ")).map(str::to_owned)
    };
    assert!(line().is_some(), "mounted");
    let begun = Instant::now();
    let status = Command::new("nsenter")
        .args(["--mount", "--target", &machine.pid().to_string(), "umount"])
        .arg(&at)
        .status();
    assert!(status.is_ok_and(|status| status.success()));
    // The kernel gives the number of a mount away again, so the two look alike; the log does not.
    wait_until("the event", || machine.log().contains("resource-failed"));
    wait_until("another mount", || line().is_some());
    assert!(begun.elapsed().as_secs() < 5, "{:?}\n{}", begun.elapsed(), machine.log());
    machine.signal(Signal::SIGTERM);
    assert_eq!(machine.ended().code(), Some(0), "{}", machine.log());
}
