//! What a machine does with its group when its daemon, its kernel's time or its agents go wrong, on a real softdog:
//! with a device the other machine is off before anything is taken over, without one the watchdog has to have
//! reset it by then.

use std::path::Path;
use std::time::{Duration, Instant};

use crm_tests::machines::{Laboratory, Machine, Specification};

use crate::fork_bomb::put_bomb;
use crate::light::{LONG, Light, Parts};

const CLUSTER: &str = "cluster: shop
nodes:
  alpha: {links: [10.9.0.1, 10.9.1.1], watchdog: /dev/watchdog}
  beta: {links: [10.9.0.2, 10.9.1.2], watchdog: /dev/watchdog}
  gamma: {links: [10.9.0.3, 10.9.1.3], watchdog: /dev/watchdog}
";
/// The watchdog's time in seconds, as `CRM_WATCHDOG` says: short, so that the test is. On a machine that has no time
/// for its guests it has to be longer, or they are reset for that.
fn margin() -> u64 {
    std::env::var("CRM_WATCHDOG").map_or(3, |given| given.parse().unwrap())
}

/// The emulated processors need a deadtime of seconds.
pub(crate) fn times() -> String {
    let margin = margin();
    format!(
        "heartbeat: {{keepalive: 200ms, warntime: 1s, deadtime: {margin}s, initdead: 20s, lease: {}ms, \
         stop_margin: 500ms, watchdog: {margin}s, rejoin_after: 1s}}\n",
        margin * 1000 + 900
    )
}

/// (lease + stop_margin + 2 x watchdog) x 1.01 + 0.2 s: 10.7 s with a watchdog of 3 s.
fn t_out() -> Duration {
    Duration::from_millis(margin() * 3000 + 1400).mul_f64(1.01) + Duration::from_millis(200)
}

pub(crate) const NO_DEVICE: &str = "fencing: none
";
pub(crate) const DEVICES: &str = "fencing:
  alpha: {agent: command, command: /usr/local/sbin/lab-fence off alpha, timeout: 10s}
  beta: {agent: command, command: /usr/local/sbin/lab-fence off beta, timeout: 10s}
  gamma: {agent: command, command: /usr/local/sbin/lab-fence off gamma, timeout: 10s}
";

const GROUP: &str = "groups:
  web:
    prefer: [alpha, beta]
    only_preferred: true
    resources:
      - drbd: r0
      - filesystem: {device: /dev/drbd0, at: /srv/web, type: ext4}
      - process: {name: writer, command: /bin/sh /srv/web/writer}
      - process: {name: server, command: /bin/busybox httpd -f -p 80 -h /srv/web, ready_tcp: \"127.0.0.1:80\"}
      - lsb:bomb: {interval: 1s, timeouts: {status: 5s}}
      - vip: 10.9.0.100/24
";

/// Counts lines, with the name of who wrote them: a number in `acknowledged` says that this line and all before
/// it are on both disks.
pub(crate) const WRITER: &str = "cd /srv/web
hostname >served-by
number=$(tail -n 1 lines 2>/dev/null)
number=${number%% *}
while :; do
    number=$((${number:-0} + 1))
    echo $number $(hostname) >>lines
    sync lines
    echo $number >acknowledged.new && mv acknowledged.new acknowledged
    sleep 0.2
done
";

/// Stops one thread of the daemon, the one that runs the core; all others go on. It is what a deadlock looks like
/// from outside. (101 is ptrace: seize, interrupt.)
const HANG_THE_CORE: &str = "perl -e '$p = shift; syscall(101, 0x4206, $p + 0, 0, 0) == 0 or die $!; \
    syscall(101, 0x4207, $p + 0, 0, 0) == 0 or die $!; sleep 1000' $(pidof crmd)";

/// Whether anything of the group is on this machine.
pub(crate) const HOLDS: &str =
    "mountpoint -q /srv/web || ip -4 -o addr show | grep -q ' 10.9.0.100/'";

/// H16, H17, R13, I1, I5, HB15: no device. What the kernel outlives, and what it does not.
#[test]
fn h16_h17_i1_a_hung_daemon_and_a_hung_machine_are_reset() {
    let mut light = serving();
    let stop = "kill -STOP $(pidof crmd)";
    hang(&mut light, "the daemon is stopped", "alpha", Some("beta"), stop);
    freeze(&mut light, "beta", "alpha");
}

/// The same, and the same with devices. One test, since the machines need longer to be set up than to be broken.
#[test]
#[ignore = "long: some five minutes; tests/run machines-long"]
fn h16_h17_i1_a_machine_that_goes_wrong_is_gone_before_another_one_serves() {
    let mut light = serving();
    let core = "the daemon's core hangs, its other threads run";
    hang(&mut light, core, "alpha", Some("beta"), HANG_THE_CORE);
    // Of a run that came after the one that armed it, silence proves nothing: the machine has to come back.
    // At once, whatever else the processor has to do: a run that lives for a second has earned its lease.
    let loops = "exec chrt -f 50 sh -c 'while :; do kill -9 $(pidof crmd); sleep 0.05; done'";
    hang(&mut light, "the daemon crashes again and again", "beta", None, loops);

    let (owner, other) = sides(&mut light);
    apply(&mut light, DEVICES);
    shot(&mut light, "the daemon is stopped", owner, other, |node| {
        node.spawn("kill -STOP $(pidof crmd)").unwrap();
    });
    light.back(owner);
    light.wait_whole();
    shot(&mut light, "the machine stands still", other, owner, |node| node.freeze().unwrap());
}

/// Three nodes with armed watchdogs and no device; alpha serves.
pub(crate) fn serving() -> Light {
    let fill = |_: &Laboratory, tree: &Path| std::fs::write(tree.join("writer"), WRITER).unwrap();
    let configuration = format!("{CLUSTER}{}{NO_DEVICE}", times());
    let client = &Specification::bare("client");
    let configuration = &configuration;
    let parts = Parts { nodes: 3, memory: 224, volumes: 1, disk: 12, client, configuration };
    let mut light = Light::new(&parts, fill);
    for node in &mut light.nodes {
        put_bomb(node);
    }
    apply(&mut light, NO_DEVICE);
    light.wait_served_by("alpha");
    wait_all_armed(&mut light);
    light
}

/// Who serves, and who could.
pub(crate) fn sides(light: &mut Light) -> (&'static str, &'static str) {
    let alpha = light.node("alpha").run(HOLDS).unwrap().code == 0;
    if alpha { ("alpha", "beta") } else { ("beta", "alpha") }
}

pub(crate) fn apply(light: &mut Light, fencing: &str) {
    let text = format!("{CLUSTER}{}{fencing}{GROUP}", times());
    let alpha = light.node("alpha");
    alpha.ok(&format!("cat >/root/cluster.yaml <<'TEXT'\n{text}\nTEXT")).unwrap();
    println!("{}", alpha.ok("crm apply --yes /root/cluster.yaml").unwrap());
}

/// T_out counts of a node only once the record says that its watchdog is armed.
pub(crate) fn wait_all_armed(light: &mut Light) {
    for node in &mut light.nodes {
        node.until("ls -l /proc/$(pidof crmd)/fd | grep -q /dev/watchdog", LONG).unwrap();
    }
}

/// Something on `owner` goes wrong that leaves its kernel alive: the watchdog resets it within T_out, and only
/// then another node serves, or its own next boot.
pub(crate) fn hang(light: &mut Light, what: &str, owner: &str, other: Option<&str>, command: &str) {
    let acknowledged = light.acknowledged();
    let node = light.node(owner);
    node.qmp().unwrap().forget_events().unwrap();
    let fault = Instant::now();
    node.spawn(command).unwrap();
    node.wait_reset(LONG).unwrap();
    let reset = fault.elapsed();
    // From here on nothing of the old run can write: whoever holds the group now has held it alone.
    for name in ["alpha", "beta"].iter().filter(|name| **name != owner) {
        let held = light.node(name).run(HOLDS).unwrap().code == 0;
        assert!(!held, "{name} held it before {owner} was reset");
    }
    if let Some(other) = other {
        light.wait_served_by(other);
    } else {
        light.back(owner);
        light.acknowledged();
    }
    println!(
        "{what}: reset after {:.1} s (T_out {:.1} s), served by {} after {:.1} s, overlap 0 s",
        reset.as_secs_f32(),
        t_out().as_secs_f32(),
        other.unwrap_or("whom the next boot found"),
        fault.elapsed().as_secs_f32()
    );
    assert!(reset < t_out(), "T_out does not cover a reset after {reset:?}");
    light.assert_kept(acknowledged);
    if other.is_some() {
        light.back(owner);
    }
    light.wait_whole();
    wait_all_armed(light);
    println!("whole again {:.1} s after that", fault.elapsed().as_secs_f32());
}

/// The whole machine stands still, its watchdog too, and goes on when another one serves.
pub(crate) fn freeze(light: &mut Light, owner: &str, other: &str) {
    let acknowledged = light.acknowledged();
    let node = light.node(owner);
    node.qmp().unwrap().forget_events().unwrap();
    node.freeze().unwrap();
    let fault = Instant::now();
    light.wait_served_by(other);
    let served = fault.elapsed();
    assert!(served > t_out(), "taken over after {served:?}, before T_out");
    let node = light.node(owner);
    node.thaw().unwrap();
    let thawed = Instant::now();
    node.wait_reset(LONG).unwrap();
    println!(
        "the machine stands still: served by {other} after {:.1} s; reset {:.2} s after it went on: so long both \
         held the group",
        served.as_secs_f32(),
        thawed.elapsed().as_secs_f32()
    );
    light.wait_served_by(other);
    light.assert_kept(acknowledged);
    // With its copy back, and what it wrote late nowhere.
    light.back(owner);
    light.wait_whole();
    let acknowledged = light.acknowledged();
    light.assert_kept(acknowledged);
}

/// With a device: `owner` is off before anybody else holds the group.
pub(crate) fn shot(
    light: &mut Light,
    what: &str,
    owner: &str,
    other: &str,
    fault: fn(&mut Machine),
) {
    let acknowledged = light.acknowledged();
    fault(light.node(owner));
    let began = Instant::now();
    while light.node(owner).is_on() {
        assert!(began.elapsed() < LONG, "{owner} is not switched off");
        std::thread::sleep(Duration::from_millis(20));
    }
    let off = began.elapsed();
    assert_ne!(
        light.node(other).run(HOLDS).unwrap().code,
        0,
        "{other} held it before {owner} was off"
    );
    light.wait_served_by(other);
    println!(
        "with a device, {what}: off after {:.1} s, served by {other} after {:.1} s, overlap 0 s",
        off.as_secs_f32(),
        began.elapsed().as_secs_f32()
    );
    assert!(light.node(owner).thaw().is_err(), "there is something left to thaw");
    light.assert_kept(acknowledged);
}
