//! An agent that forks without end, on machines with an armed softdog: first under a limit of processes that its
//! daemon is under as well, then without any, until the machine's memory is gone.

use std::time::{Duration, Instant};

use crm_tests::machines::Machine;

use crate::light::{LONG, Light};
use crate::watchdog::{HOLDS, serving, wait_all_armed};

/// Runs, and on demand forks without end when asked how it is.
const BOMB: &str = "#!/bin/sh
bomb() { bomb | bomb & }
case $1 in
    start) touch /run/bomb.runs ;;
    stop) rm -f /run/bomb.runs ;;
    status)
        if [ -e /run/bomb.once ]; then rm /run/bomb.once; echo one >/run/bomb.began; bomb; sleep 60; fi
        if [ -e /run/bomb.armed ]; then bomb; sleep 60; fi
        [ -e /run/bomb.runs ] || exit 3
        ;;
esac
";

/// Whether a fork was refused. Some kernels count that where the limit is, others where the process was.
const AT_THE_LIMIT: &str =
    "find /sys/fs/cgroup/crm -name pids.events -exec cat '{}' + | grep -q '^max [1-9]'";
/// A bomb without a limit is over after its timeout of 5 s, the time to kill it, and what the machine needs to
/// breathe; or the machine is reset.
const OVER: Duration = Duration::from_secs(60);

/// Puts the agent on the machine's disk, and sees to it that it is still there after a reset: a file that was only
/// just written is empty then, and an empty script succeeds whatever it is asked.
pub(crate) fn put_bomb(node: &mut Machine) {
    let file = "/etc/init.d/bomb";
    let put = format!("cat >{file} <<'BOMB'\n{BOMB}\nBOMB\nchmod 755 {file} && sync");
    node.ok(&put).unwrap();
}

/// H15, H16, I1, I5: an agent's processes take neither the machine nor the daemon; and if they did, the watchdog
/// would reset it before another node serves.
#[test]
#[ignore = "long: two to six minutes; tests/run machines-long"]
fn h16_i1_a_fork_bomb_in_an_agent_costs_no_line_and_is_never_served_twice() {
    let mut light = serving();
    limited(&mut light, "alpha");
    unlimited(&mut light, "alpha", "beta");
}

/// It has all the processes that are allowed, its daemon among the victims. It is killed whole when its time is
/// over, and the machine goes on.
fn limited(light: &mut Light, owner: &str) {
    let acknowledged = light.acknowledged();
    let node = light.node(owner);
    node.ok("grep -q 'bomb | bomb' /etc/init.d/bomb").unwrap();
    node.ok("echo +pids >/sys/fs/cgroup/cgroup.subtree_control").unwrap();
    // A limit that the bomb meets in its first instant, however slow the machine is: of an agent that only hangs the
    // group is restarted three times, and then it goes elsewhere.
    let used = node.ok("cat /sys/fs/cgroup/crm/pids.current").unwrap();
    let used: u32 = used.trim().parse().unwrap();
    node.ok(&format!("echo {} >/sys/fs/cgroup/crm/pids.max", used + 24)).unwrap();
    let before = node.ok("pidof crmd; cat /proc/sys/kernel/random/boot_id").unwrap();
    let started = Instant::now();
    node.ok("touch /run/bomb.armed").unwrap();
    node.until(&format!("{AT_THE_LIMIT} && rm /run/bomb.armed"), LONG).unwrap();
    let gone = format!("[ $(cat /sys/fs/cgroup/crm/pids.current) -lt {} ]", used + 12);
    node.until(&gone, LONG).unwrap();
    println!(
        "a fork bomb in an agent, 24 processes allowed: its last was gone after {:.1} s",
        started.elapsed().as_secs_f32()
    );
    assert_eq!(node.ok("pidof crmd; cat /proc/sys/kernel/random/boot_id").unwrap(), before);
    node.ok("echo max >/sys/fs/cgroup/crm/pids.max").unwrap();
    light.wait_served_by(owner);
    assert!(light.acknowledged() >= acknowledged);
    light.assert_kept(acknowledged);
    // The bomb may have cost DRBD its connection: then the other copy is called stale for a while.
    light.wait_whole();
}

/// Nothing stops it before its timeout but the machine's memory. Whether the machine lives or its watchdog resets it:
/// it is served by one, and nothing is lost.
fn unlimited(light: &mut Light, owner: &str, other: &str) {
    let acknowledged = light.acknowledged();
    let node = light.node(owner);
    let daemon = node.ok("pidof crmd").unwrap();
    node.qmp().unwrap().forget_events().unwrap();
    let started = Instant::now();
    // Not at once: a status that comes in this instant would leave the shell no time to answer.
    node.ok("(sleep 1; touch /run/bomb.once) >/dev/null 2>&1 &").unwrap();
    let reset = node.wait_reset(OVER).is_ok();
    if reset {
        println!("without a limit: reset after {:.1} s", started.elapsed().as_secs_f32());
        // Of the run that was reset nothing can write any more.
        light.wait_served_by(other);
    } else {
        node.ok("[ -e /run/bomb.began ]").unwrap();
        // Written so that the shell that asks does not find itself.
        node.until("! pgrep -f '[/]etc/init.d/bomb status' >/dev/null", LONG).unwrap();
        println!(
            "without a limit: no reset; it is over, looked at after {:.1} s",
            OVER.as_secs_f32()
        );
        let now = node.ok("pidof crmd").unwrap();
        assert_eq!(now, daemon, "the daemon was ended");
        let said = node.ok("dmesg | grep -c 'Out of memory' || true").unwrap();
        println!("the kernel ended {} processes for want of memory", said.trim());
        let holds = |light: &mut Light, name| light.node(name).run(HOLDS).unwrap().code == 0;
        assert!(!(holds(light, owner) && holds(light, other)), "both hold it");
    }
    let now = light.acknowledged();
    assert!(now >= acknowledged, "{now} lines of {acknowledged}");
    let writers = light.assert_kept(now);
    println!("served again, {writers} writers one after the other, {now} lines acknowledged");
    if reset {
        light.back(owner);
    }
    light.wait_whole();
    wait_all_armed(light);
}
