//! `mysql` with real MariaDB: two instances on one node.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::common::{Answer, Resource, isolated, may_run, tool, wait_for};

/// Two databases, each on a filesystem of its own, as an administrator makes them once.
fn databases(directory: &Path) -> [PathBuf; 2] {
    let volumes = ["one", "two"].map(|name| {
        let at = directory.join(name);
        fs::create_dir_all(&at).expect("mount point");
        tool(&format!("mount -t tmpfs tmpfs {}", at.display()));
        at
    });
    tool(&format!(
        "mariadb-install-db --no-defaults --user=mysql --datadir={}/db --skip-test-db",
        volumes[0].display()
    ));
    tool(&format!("cp -a {0}/db {1}/db", volumes[0].display(), volumes[1].display()));
    volumes
}

fn instance(
    directory: &Path,
    name: &'static str,
    volume: &Path,
    port: &str,
    options: &str,
) -> Resource {
    let datadir = volume.join("db").display().to_string();
    let config = directory.join("empty.cnf");
    fs::write(&config, "[mysqld]\ninnodb_log_file_size=16M\n").expect("config");
    let parameters = [
        ("datadir", datadir.as_str()),
        ("mount", &volume.display().to_string()),
        ("port", port),
        ("bind_address", "127.0.0.1"),
        ("config", &config.display().to_string()),
        ("options", options),
    ];
    Resource::new("mysql", directory, &parameters).named(name).timeout(Duration::from_secs(40))
}

fn pid(answer: &Answer) -> String {
    let line = answer.lines.iter().find_map(|line| line.strip_prefix("watch process "));
    line.unwrap_or_else(|| panic!("no pid in {answer:#?}")).to_owned()
}

fn sql(volume: &Path, statement: &str) -> String {
    let socket = volume.join("db/mysqld.sock").display().to_string();
    let output = Command::new("mariadb")
        .args(["--no-defaults", "-N", "-B", "-uroot", "-S", &socket, "-e", statement])
        .output()
        .expect("client");
    assert!(output.status.success(), "{statement}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

fn lives(pid: &str) -> bool {
    // Not before its last thread has ended its sockets are closed.
    let threads = fs::read_dir(format!("/proc/{pid}/task")).map_or(0, Iterator::count);
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    threads > 1 || (threads == 1 && !stat.contains(") Z "))
}

#[test]
#[ignore = "needs mariadb-server: tests/run namespaces"]
fn hb14_hb17_two_instances_start_answer_recover_and_stop_apart() {
    isolated("mysql::hb14_hb17_two_instances_start_answer_recover_and_stop_apart", |directory| {
        assert!(may_run("mariadb-server", Path::new("/usr/sbin/mariadbd").exists()));
        tool("ip link set lo up");
        let volumes = databases(directory);
        let [first, second] = &volumes;
        let one = instance(directory, "one", first, "3311", "");
        let two = instance(directory, "two", second, "3312", "");
        one.run("validate").ok();
        assert!(one.run("status").code(7).has_line("attribute state stopped"));
        one.run("stop").ok();

        let started = one.run("start").ok();
        let own = pid(&started);
        assert_eq!(pid(&one.run("start").ok()), own, "a second start starts nothing");
        two.run("status").code(7);
        let other = pid(&two.run("start").ok());
        assert_ne!(own, other);
        assert!(one.run("status").ok().has_line("attribute state running"));
        sql(
            first,
            "CREATE DATABASE shop; CREATE TABLE shop.t (n INT); INSERT INTO shop.t VALUES (1)",
        );

        // Crash, recovery: acknowledged is there.
        tool(&format!("kill -9 {own}"));
        wait_for("its end", || !lives(&own));
        one.run("status").code(7);
        let own = pid(&one.run("start").ok());
        assert_eq!(sql(first, "SELECT n FROM shop.t"), "1");

        // A client that may not log in: up all the same, and its password is nowhere.
        let options = directory.join("client.cnf");
        fs::write(&options, "[client]\nuser=watcher\npassword=very-secret\n").expect("options");
        let denied = instance(directory, "one", first, "3311", "")
            .with("client_options", &options.display().to_string());
        let answer = denied.run("status").ok();
        assert!(answer.lines.iter().any(|line| line.contains("query refused")), "{answer:#?}");
        assert!(!format!("{answer:?}").contains("very-secret"), "{answer:#?}");

        // A server that hangs runs and does not serve; it is not one that starts.
        tool(&format!("kill -STOP {own}"));
        let quick = instance(directory, "one", first, "3311", "").timeout(Duration::from_secs(1));
        let answer = quick.run("status").code(1).because("does not serve");
        assert!(answer.has_line("attribute state failed"), "{answer:#?}");
        tool(&format!("kill -CONT {own}"));
        one.run("status").ok();

        one.run("stop").ok();
        assert!(!lives(&own));
        one.run("status").code(7);
        assert_eq!(pid(&two.run("status").ok()), other, "the other goes on");

        // What belongs to the other instance is refused, and the reason says what it is.
        let socket = second.join("db/mysqld.sock").display().to_string();
        let wrong = instance(directory, "one", first, "3311", "").with("socket", &socket);
        wrong.run("start").code(1).because("a server of another data directory");
        let wrong = instance(directory, "one", first, "3312", "");
        wrong.run("start").code(1).because("Address already in use");
        one.run("status").code(7);

        // Killed when it does not end in its time, which costs nothing acknowledged.
        let hasty = instance(directory, "one", first, "3311", "").with("stop_timeout", "1ms");
        let own = pid(&hasty.run("start").ok());
        hasty.run("stop").ok();
        assert!(!lives(&own));

        // Not on another filesystem than its own, and never in an empty directory.
        two.run("stop").ok();
        tool(&format!("umount {}", second.display()));
        two.run("start").code(5).because("expected a filesystem mounted at");
        fs::create_dir_all(second.join("db")).expect("below the mount point");
        two.run("start").code(5).because("expected a filesystem mounted at");
        let empty = second.join("db").display().to_string();
        let bare = Resource::new("mysql", directory, &[("datadir", &empty)]).named("bare");
        bare.run("start").code(5).because("this agent never does");
        assert_eq!(fs::read_dir(&empty).expect("directory").count(), 0, "nothing was created");
        two.run("status").code(7);
        two.run("stop").ok();
    });
}

#[test]
#[ignore = "needs mariadb-server: tests/run namespaces"]
fn a_server_that_starts_is_told_apart_and_one_of_somebody_else_is_stopped_too() {
    isolated(
        "mysql::a_server_that_starts_is_told_apart_and_one_of_somebody_else_is_stopped_too",
        |directory| {
            assert!(may_run("mariadb-server", Path::new("/usr/sbin/mariadbd").exists()));
            tool("ip link set lo up");
            let volumes = databases(directory);
            // It does not accept before this is done, as during a recovery.
            let init = directory.join("init.sql");
            fs::write(&init, "DO SLEEP(2);\n").expect("init");
            let options = format!("--init-file={}", init.display());
            let slow = instance(directory, "one", &volumes[0], "3311", &options);
            let mut start = slow.begin("start");
            let mut seen = slow.run("status");
            wait_for("a server that starts", || {
                seen = slow.run("status");
                seen.code == 1
            });
            assert!(seen.has_line("attribute state starting"), "{seen:#?}");
            seen.because("is starting");
            assert!(start.wait().expect("its end").success());
            slow.run("status").ok();
            slow.run("stop").ok();

            let datadir = volumes[0].join("db").display().to_string();
            let mut stranger = Command::new("mariadbd")
                .args(["--no-defaults", "--user=mysql", "--skip-networking"])
                .arg(format!("--datadir={datadir}"))
                .arg(format!("--socket={datadir}/mysqld.sock"))
                .stderr(Stdio::null())
                .spawn()
                .expect("mariadbd");
            let one = instance(directory, "one", &volumes[0], "3311", "");
            wait_for("the stranger", || one.run("status").code == 0);
            assert_eq!(pid(&one.run("start").ok()), stranger.id().to_string(), "it is the one");
            one.run("stop").ok();
            assert!(stranger.wait().expect("its end").success(), "a clean shutdown");
        },
    );
}
