//! A real database on a real filesystem, and a client that only knows its address.

use super::support::{WEB, with_device};
use crm_tests::namespaces::{Disk, Keeper, Laboratory, Options};
use std::collections::BTreeSet;
use std::process::Stdio;
use std::time::{Duration, Instant};

/// Run once by the server at every start; it may be run again.
const ACCOUNTS: &str = "CREATE DATABASE IF NOT EXISTS shop;\n\
    CREATE TABLE IF NOT EXISTS shop.orders (number INT PRIMARY KEY);\n\
    CREATE USER IF NOT EXISTS 'app'@'%';\n\
    GRANT ALL ON shop.* TO 'app'@'%';\n";

const AT: &str = "/run/lock/data";

/// Puts an empty database on the disk, as an administrator would before the cluster manages it.
fn install(disk: &Disk) {
    let admin = Keeper::start("admin").expect("a place to mount the disk");
    let steps = format!(
        "set -e; mkdir -p {AT}; mount {} {AT}; \
         mariadb-install-db --no-defaults --user=root --datadir={AT}/db --skip-test-db \
         --auth-root-authentication-method=normal >&2; \
         cat >{AT}/accounts.sql; umount {AT}",
        disk.device.display()
    );
    let mut child = admin
        .command("sh")
        .args(["-c", &steps])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("sh");
    let mut input = child.stdin.take().expect("its input");
    std::io::Write::write_all(&mut input, ACCOUNTS.as_bytes()).expect("accounts.sql");
    drop(input);
    let done = child.wait_with_output().expect("sh");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

fn group(disk: &Disk) -> String {
    let device = disk.device.display();
    let server = format!(
        "mariadbd --no-defaults --user=root --datadir={AT}/db --socket={AT}/sock --port=3306 \
         --pid-file={AT}/pid --init-file={AT}/accounts.sql --innodb-buffer-pool-size=32M \
         --innodb-log-file-size=16M --skip-name-resolve"
    );
    format!(
        "  database:\n    prefer: [alpha, beta]\n    resources:\n\
         \x20     - filesystem: {{device: {device}, at: {AT}, type: ext4}}\n\
         \x20     - process: {{command: \"{server}\", ready_tcp: \"127.0.0.1:3306\"}}\n\
         \x20     - vip: {WEB}/24\n"
    )
}

/// One statement from the client's machine; `None` if it was not answered.
fn sql(lab: &Laboratory, statement: &str) -> Option<String> {
    let done = lab
        .client("timeout")
        .args(["3", "mariadb", "--no-defaults", "--connect-timeout=1", "--skip-column-names"])
        .args(["--batch", "-h", WEB, "-u", "app", "shop", "-e", statement])
        .output()
        .expect("the mariadb client");
    done.status.success().then(|| String::from_utf8_lossy(&done.stdout).into_owned())
}

/// Puts rows in, one after the other, each until it is acknowledged; says how long the worst took.
fn orders(lab: &Laboratory, numbers: std::ops::Range<u32>) -> Duration {
    let mut worst = Duration::ZERO;
    for number in numbers {
        let asked = Instant::now();
        // The same row again is no second order: its answer may be what was lost.
        let statement = format!("INSERT IGNORE INTO orders VALUES ({number})");
        while sql(lab, &statement).is_none() {
            let waited = asked.elapsed();
            assert!(waited < Duration::from_secs(40), "order {number}\n{}", lab.logs());
            std::thread::sleep(Duration::from_millis(20));
        }
        worst = worst.max(asked.elapsed());
    }
    worst
}

#[test]
fn hb15_a_client_that_retries_goes_on_with_the_database_of_a_killed_node() {
    let mut lab = Laboratory::new(Options::new(&["alpha", "beta"], 1));
    let disk = Disk::ext4(&lab.directory, 256);
    install(&disk);
    let config = with_device(&lab, &group(&disk));
    lab.found(&config);
    lab.wait_running("database", "alpha");
    orders(&lab, 0..20);
    lab.power_off("alpha");
    let outage = orders(&lab, 20..40);
    println!("the worst order took {outage:?}");
    lab.wait_running("database", "beta");
    assert!(!lab.node("alpha").is_up());
    let kept = sql(&lab, "SELECT number FROM orders").expect("the rows");
    let kept: BTreeSet<u32> = kept.lines().filter_map(|line| line.parse().ok()).collect();
    assert_eq!(kept, (0..40).collect(), "acknowledged rows are missing\n{}", lab.logs());
    // A planned move stops the server and unmounts before the other mounts (I1).
    lab.power_on("alpha");
    lab.node_mut("alpha").start_daemon(&[]);
    lab.wait("alpha may run it", Duration::from_secs(30), |lab| {
        lab.view().is_some_and(|status| {
            status.groups.iter().flat_map(|group| &group.verdicts).all(|verdict| verdict.possible)
        })
    });
    lab.node("beta").crm(&["migrate", "database", "alpha"]);
    lab.wait_running("database", "alpha");
    orders(&lab, 40..45);
    let mounts = lab.node("beta").run("cat", &["/proc/mounts"]).stdout;
    assert!(!mounts.contains(AT), "beta still has it mounted: {mounts}");
}
