//! A real database on a real filesystem, by the agent `mysql`, and a client that only knows its address.

use super::support::{THREE, TWO, WEB, bring_back, patient, pids, say, wait_whole, with_device};
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

/// Its own option file, on the volume.
const OPTIONS: &str = "[mysqld]\\ntmpdir=/run/lock/data/tmp\\ninit-file=/run/lock/data/accounts.sql\\n\
    innodb-buffer-pool-size=32M\\ninnodb-log-file-size=16M\\nskip-name-resolve\\n";

/// Puts an empty database on the disk, as an administrator would before the cluster manages it.
fn install(disk: &Disk) {
    let admin = Keeper::start("admin").expect("a place to mount the disk");
    // Its temporary files are named after its process number, which two namespaces may share.
    let steps = format!(
        "set -e; mkdir -p {AT}; mount {} {AT}; mkdir {AT}/tmp; export TMPDIR={AT}/tmp; \
         mariadb-install-db --no-defaults --user=root --datadir={AT}/db --skip-test-db \
         --auth-root-authentication-method=normal >&2; \
         cat >{AT}/accounts.sql; printf '{OPTIONS}' >{AT}/my.cnf; umount {AT}",
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

fn group(disk: &Disk, prefer: &str) -> String {
    let device = disk.device.display();
    format!(
        "  database:\n    prefer: [{prefer}]\n    resources:\n\
         \x20     - filesystem: {{device: {device}, at: {AT}, type: ext4}}\n\
         \x20     - mysql: {{datadir: {AT}/db, mount: {AT}, port: 3306, user: root, config: {AT}/my.cnf}}\n\
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

/// The server's process, by the number that its node gives it.
fn server(lab: &Laboratory, node: &str) -> Vec<String> {
    pids(lab, node, "mariadbd")
}

fn the_database_of_a_killed_node_goes_on(names: &[&str]) {
    let mut lab = Laboratory::new(Options::new(names, 1));
    let disk = Disk::ext4(&lab.directory, 256);
    install(&disk);
    let config = patient(&with_device(&lab, &group(&disk, &names.join(", "))));
    lab.found(&config);
    lab.wait_running("database", "alpha");
    orders(&lab, 0..20);

    // A daemon that is killed and comes back touches nothing (R17): the server is the same one.
    let before = server(&lab, "alpha");
    assert_eq!(before.len(), 1);
    lab.node_mut("alpha").kill_daemon();
    lab.node_mut("alpha").start_daemon(&[]);
    wait_whole(&lab);
    lab.wait_running("database", "alpha");
    orders(&lab, 20..25);
    assert_eq!(server(&lab, "alpha"), before, "{}", lab.logs());

    // The client puts orders in while its server's machine is ended, in the middle of one or not.
    let killed = std::sync::atomic::AtomicBool::new(false);
    let (worst, taken) = std::thread::scope(|scope| {
        let client = scope.spawn(|| {
            let mut worst = Duration::ZERO;
            let mut next = 25;
            // Some before, and enough after it to be sure that it goes on.
            let mut after = 0;
            let begun = Instant::now();
            while after < 20 && begun.elapsed() < Duration::from_secs(120) {
                after += u32::from(killed.load(std::sync::atomic::Ordering::SeqCst));
                worst = worst.max(orders(&lab, next..next + 1));
                next += 1;
            }
            assert_eq!(after, 20, "nobody killed its server");
            (worst, next)
        });
        lab.wait("the client is at work", Duration::from_secs(20), |lab| {
            let count = sql(lab, "SELECT COUNT(*) FROM orders WHERE number > 27");
            count.is_some_and(|count| count.trim() != "0")
        });
        lab.power_off("alpha");
        killed.store(true, std::sync::atomic::Ordering::SeqCst);
        client.join().expect("the client ended well")
    });
    say(format!("{} nodes: the worst order took {worst:?}, with retries", names.len()));
    lab.wait_running("database", "beta");
    assert!(!lab.node("alpha").is_up());
    assert_eq!(numbers(&lab), (0..taken).collect(), "rows are missing\n{}", lab.logs());

    // A planned move stops the server and unmounts before the other mounts (I1).
    bring_back(&mut lab, "alpha");
    lab.wait("alpha may run it", Duration::from_secs(30), |lab| {
        lab.view().is_some_and(|status| {
            let mut verdicts = status.groups.iter().flat_map(|group| &group.verdicts);
            verdicts.any(|verdict| verdict.node.as_str() == "alpha" && verdict.possible)
        })
    });
    lab.node("beta").crm(&["migrate", "database", "alpha"]);
    lab.wait_running("database", "alpha");
    orders(&lab, taken..taken + 5);
    assert_eq!(numbers(&lab), (0..taken + 5).collect());
    for node in names.iter().filter(|name| **name != "alpha") {
        let mounts = lab.node(node).run("cat", &["/proc/mounts"]).stdout;
        assert!(!mounts.contains(AT), "{node} still has it mounted: {mounts}");
        assert!(server(&lab, node).is_empty(), "{node} still runs a server");
    }
}

fn numbers(lab: &Laboratory) -> BTreeSet<u32> {
    let mut rows = None;
    lab.wait("the rows are told", Duration::from_secs(20), |lab| {
        rows = sql(lab, "SELECT number FROM orders");
        rows.is_some()
    });
    let rows = rows.unwrap_or_default();
    rows.lines().filter_map(|line| line.parse().ok()).collect()
}

#[test]
fn hb15_of_two_nodes_a_client_that_retries_goes_on_with_the_database_of_a_killed_one() {
    the_database_of_a_killed_node_goes_on(TWO);
}

#[test]
fn hb15_of_three_nodes_a_client_that_retries_goes_on_with_the_database_of_a_killed_one() {
    the_database_of_a_killed_node_goes_on(THREE);
}
