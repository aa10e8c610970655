//! `systemd:` with the real systemd, which runs a process namespace of its own.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::common::{Resource, isolated, may_run, wait_for};

/// Units, each with one thing that the agent must see.
const UNITS: [(&str, &str); 4] = [
    ("good.service", "ExecStart=/bin/sleep 6200"),
    ("bad.service", "ExecStart=/bin/false\nType=oneshot"),
    ("slow.service", "ExecStart=/bin/sleep 6201\nExecStartPost=/bin/sleep 2"),
    ("short.service", "ExecStart=/bin/true"),
];

/// Becomes systemd as process 1 of this namespace, with a child that runs the test there.
const INSIDE: &str = r#"set -e
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount -t tmpfs tmpfs /run
export SYSTEMD_UNIT_PATH=$1/units container=lab
(code=0
 "$2" --exact systemd::inside --include-ignored --nocapture --test-threads=1 >$1/said 2>&1 || code=$?
 echo $code >$1/code.new; mv $1/code.new $1/code) &
exec /lib/systemd/systemd --unit=nothing.target --log-target=null --show-status=0
"#;

#[test]
#[ignore = "needs systemd: tests/run namespaces"]
fn a_units_job_counts_and_its_state_is_told() {
    assert!(may_run("systemd", Path::new("/lib/systemd/systemd").exists()));
    isolated("systemd::a_units_job_counts_and_its_state_is_told", |directory| {
        let units = directory.join("units");
        fs::create_dir_all(&units).expect("units");
        let unit = "[Unit]\nDefaultDependencies=no\n";
        fs::write(units.join("nothing.target"), unit).expect("unit");
        for (name, text) in UNITS {
            fs::write(units.join(name), format!("{unit}[Service]\n{text}\n")).expect("unit");
        }
        let script = directory.join("inside");
        fs::write(&script, INSIDE).expect("script");
        let place = directory.display().to_string();
        let mut machine = Command::new("unshare")
            .args(["-m", "-p", "-C", "-u", "-i", "-n", "--fork", "--kill-child", "--mount-proc"])
            .arg("bash")
            .arg(&script)
            .arg(&place)
            .arg(std::env::current_exe().expect("own path"))
            .env("CRM_TEST_SYSTEMD", &place)
            .env_remove("CRM_TEST_INSIDE")
            .spawn()
            .expect("unshare");
        let until = Instant::now() + Duration::from_secs(60);
        while !directory.join("code").exists() && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(20));
        }
        // Its first process ends with it, and so does the namespace.
        machine.kill().expect("kill");
        machine.wait().expect("its end");
        let read = |name| fs::read_to_string(directory.join(name)).unwrap_or_default();
        assert_eq!(read("code").trim(), "0", "{}", read("said"));
        assert!(read("said").contains("1 passed"), "{}", read("said"));
    });
}

/// What runs under systemd; alone it does nothing.
#[test]
#[ignore = "runs under the systemd of another test"]
fn inside() {
    let Ok(place) = std::env::var("CRM_TEST_SYSTEMD") else { return };
    let directory = Path::new(&place);
    wait_for("systemd", || Path::new("/run/systemd/private").exists());
    let unit = |name: &str| {
        Resource::new("systemd", directory, &[("unit", name)]).timeout(Duration::from_secs(15))
    };
    let good = unit("good");
    good.run("validate").ok();
    assert!(good.run("status").code(7).has_line("watch unit good.service"));
    good.run("stop").ok();
    good.run("start").ok();
    good.run("start").ok();
    assert!(good.run("status").ok().has_line("watch unit good.service"));
    good.run("stop").ok();
    good.run("status").code(7);

    unit("bad").run("start").code(1).because("found `failed` (exit-code)");
    unit("bad").run("status").code(7).because("state `failed`");
    unit("bad").run("stop").ok();
    // For systemd it has started; that it ended is its state a moment later.
    let short = unit("short");
    short.run("start");
    wait_for("its end", || short.run("status").code == 7);
    unit("none").run("start").code(5).because("not-found");
    unit("none").run("status").code(7);
    unit("none").run("stop").ok();

    // A job that outlasts the action, and a unit that is between two states meanwhile.
    let slow = unit("slow");
    let quick = unit("slow").timeout(Duration::from_secs(1));
    quick.run("start").code(1).because("did not end");
    slow.run("status").code(1).because("activating");
    slow.run("start").ok();
    slow.run("status").ok();
    slow.run("stop").ok();
}
