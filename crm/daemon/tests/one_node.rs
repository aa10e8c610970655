//! One real daemon with real agents: what it starts, what it adopts, what it never lets go.

mod support;

use crm_api::{Reply, Request};
use crm_core::operator::{Command, Outcome};
use crm_core::packet::GroupPhase;
use crm_core::status::Status;
use nix::sys::signal::Signal;
use std::fs;
use support::{Machine, lives, wait_until};

/// A service in one file: `start` leaves a process behind, `status` looks for it. A zombie counts
/// as dead: after a restart of the daemon somebody else reaps it, in his own time.
const SERVICE: &str = r#"
pid() { cat $P/service 2>/dev/null; }
up() { [ -n "$(pid)" ] || return 1; case "$(cut -d')' -f2 /proc/$(pid)/stat 2>/dev/null)" in ''|' Z'*) return 1;; esac; }
case $1 in
start)   up || { setsid sleep 1000 >/dev/null 2>&1 3>&- & echo $! > $P/service; }
         echo "watch process $(pid)" >&3;;
stop)    up && kill -9 $(pid); while up; do sleep 0.01; done; rm -f $P/service; exit 0;;
monitor) up || exit 7; echo "watch process $(pid)" >&3;;
esac
"#;

fn phase(status: &Status, group: &str) -> Option<GroupPhase> {
    status.groups.iter().find(|g| g.id.as_str() == group).map(|g| g.phase)
}

fn service() -> Machine {
    let mut machine = Machine::founded("  g: {resources: [ocf:test:service]}");
    machine.agent("service", SERVICE);
    machine.start();
    machine.wait_for("the group to run", |s| phase(s, "g") == Some(GroupPhase::Running));
    machine
}

#[test]
fn a_group_is_started_and_a_command_stops_it_for_good() {
    let machine = service();
    let pid = machine.agent_pid("service").expect("a pid");
    assert!(lives(pid));
    let stop = Command::Stop { group: "g".into() };
    let reply = machine.client().request(Request::Command(Box::new(stop))).expect("answered");
    assert!(matches!(reply, Reply::Outcome(Outcome::Done { .. })), "{reply:?}");
    machine.wait_for("the group to stop", |s| phase(s, "g") == Some(GroupPhase::Stopped));
    assert!(!lives(pid));
}

#[test]
fn a_daemon_that_is_killed_and_started_again_adopts_what_runs() {
    let mut machine = service();
    let pid = machine.agent_pid("service").expect("a pid");
    machine.kill();
    assert!(lives(pid));
    machine.start();
    machine.wait_for("the group to run", |s| phase(s, "g") == Some(GroupPhase::Running));
    assert_eq!(machine.agent_pid("service"), Some(pid), "the same process");
    assert!(lives(pid));
}

#[test]
fn keep_leaves_everything_running_and_leave_stops_it() {
    let mut machine = service();
    let pid = machine.agent_pid("service").expect("a pid");
    machine.signal(Signal::SIGUSR1);
    assert_eq!(machine.ended().code(), Some(crm_daemon::KEPT.into()));
    assert!(lives(pid), "kept");
    machine.start();
    machine.wait_for("the group to run", |s| phase(s, "g") == Some(GroupPhase::Running));
    assert_eq!(machine.agent_pid("service"), Some(pid));
    machine.signal(Signal::SIGTERM);
    assert_eq!(machine.ended().code(), Some(0), "{}", machine.log());
    assert!(!lives(pid), "stopped");
    assert!(!machine.socket().exists(), "the socket is gone");
}

#[test]
fn a_process_that_dies_is_seen_by_its_watch_long_before_the_next_poll() {
    let machine = service();
    let pid = machine.agent_pid("service").expect("a pid");
    let begun = std::time::Instant::now();
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), Signal::SIGKILL).expect("kill");
    wait_until("another process", || machine.agent_pid("service").is_some_and(|new| new != pid));
    // Polled every 10 s; the restart is an event's work if it takes far less.
    assert!(begun.elapsed().as_secs() < 4, "{:?}\n{}", begun.elapsed(), machine.log());
}

#[test]
fn an_adopted_process_is_watched_too() {
    let mut machine = service();
    let pid = machine.agent_pid("service").expect("a pid");
    machine.kill();
    machine.start();
    machine.wait_for("the group to run", |s| phase(s, "g") == Some(GroupPhase::Running));
    let begun = std::time::Instant::now();
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), Signal::SIGKILL).expect("kill");
    wait_until("another process", || machine.agent_pid("service").is_some_and(|new| new != pid));
    assert!(begun.elapsed().as_secs() < 4, "{:?}\n{}", begun.elapsed(), machine.log());
}

#[test]
fn h15_a_start_cut_off_by_the_end_of_the_daemon_is_killed_before_anything_is_said() {
    let mut machine = Machine::founded("  g: {resources: [ocf:test:slow]}");
    machine.agent(
        "slow",
        "case $1 in start) echo $$ > $P/slow.$$; sleep 1000;; stop) touch $P/../stopped;; *) exit 7;; esac",
    );
    machine.start();
    let begun = |machine: &Machine| {
        fs::read_dir(machine.dir("pids"))
            .expect("list")
            .flatten()
            .find_map(|file| fs::read_to_string(file.path()).ok()?.trim().parse::<i32>().ok())
    };
    wait_until("the start to hang", || begun(&machine).is_some());
    let pid = begun(&machine).expect("a pid");
    machine.kill();
    assert!(lives(pid), "the agent outlives its daemon");
    machine.start();
    assert!(!lives(pid), "the first answer of the new daemon comes after its end");
    assert!(machine.dir("stopped").exists(), "and after a stop");
}

#[test]
fn an_agent_that_prints_a_hundred_megabytes_does_not_grow_the_daemon() {
    let mut machine = Machine::founded("  g: {resources: [ocf:test:chatty]}");
    machine.agent(
        "chatty",
        "case $1 in start) head -c 100000000 /dev/zero | tr '\\0' x; touch $P/../up;; \
         stop) rm -f $P/../up;; *) [ -e $P/../up ] || exit 7;; esac",
    );
    machine.start();
    machine.wait_for("the group to run", |s| phase(s, "g") == Some(GroupPhase::Running));
    let status = fs::read_to_string(format!("/proc/{}/status", machine.pid())).expect("status");
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("VmHWM");
    let kib: u64 = peak.trim().trim_end_matches(" kB").parse().expect("number");
    assert!(kib < 64 * 1024, "peak {kib} KiB");
}

#[test]
fn an_agent_that_hangs_is_killed_whole_in_time_while_the_daemon_answers() {
    let mut machine =
        Machine::founded("  g: {resources: [{ocf:test:hangs: {timeouts: {start: 1s, stop: 5s}}}]}");
    machine.agent(
        "hangs",
        "case $1 in start) ( setsid sh -c 'trap \"\" TERM; echo $$ > '$P'/forked; sleep 1000' & )\n\
         echo $$ > $P/leader; sleep 1000;; stop) exit 0;; *) exit 7;; esac",
    );
    machine.start();
    wait_until("the start", || {
        machine.agent_pid("forked").is_some() && machine.agent_pid("leader").is_some()
    });
    let begun = std::time::Instant::now();
    assert!(machine.status().is_some());
    assert!(begun.elapsed().as_millis() < 1000, "answered while an agent hangs");
    let pids =
        [machine.agent_pid("forked").expect("pid"), machine.agent_pid("leader").expect("pid")];
    wait_until("the end of the tree", || !pids.iter().any(|pid| lives(*pid)));
}
