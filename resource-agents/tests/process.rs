//! `process` with real processes, in a process namespace of its own.

mod common;

use std::fs;
use std::path::Path;
use std::time::Duration;

use common::{Answer, Resource, isolated, wait_for};

fn process(directory: &Path, parameters: &[(&str, &str)]) -> Resource {
    Resource::new("process", directory, parameters)
}

fn pid(answer: &Answer) -> i32 {
    let line = answer.lines.iter().find_map(|line| line.strip_prefix("watch process "));
    line.and_then(|pid| pid.parse().ok()).unwrap_or_else(|| panic!("no pid in {answer:#?}"))
}

/// State and command of all living processes but this one's own.
fn living(needle: &str) -> usize {
    let entries = fs::read_dir("/proc").expect("/proc").flatten();
    entries
        .filter_map(|entry| fs::read(entry.path().join("cmdline")).ok())
        .filter(|line| String::from_utf8_lossy(line).replace('\0', " ").contains(needle))
        .count()
}

fn kill(pid: i32, signal: &str) {
    common::tool(&format!("/bin/kill -{signal} {pid}"));
}

#[test]
fn starts_stops_and_tells() {
    isolated("starts_stops_and_tells", |directory| {
        let sleep = process(directory, &[("command", "sleep 6001")]);
        sleep.run("validate").ok();
        sleep.run("status").code(7).because("has not been started");
        sleep.run("stop").ok();
        let first = pid(&sleep.run("start").ok());
        assert_eq!(pid(&sleep.run("start").ok()), first, "a second start starts nothing");
        assert_eq!(pid(&sleep.run("status").ok()), first);
        assert_eq!(living("sleep 6001"), 1);
        sleep.run("stop").ok();
        assert_eq!(living("sleep 6001"), 0);
        sleep.run("status").code(7);
        sleep.run("stop").ok();
        assert_eq!(fs::read_dir(directory.join("state")).expect("state").count(), 0);
    });
}

/// What nobody could find later is not left running.
#[test]
fn a_start_that_cannot_be_remembered_leaves_nothing() {
    isolated("a_start_that_cannot_be_remembered_leaves_nothing", |directory| {
        let state = directory.join("state");
        fs::create_dir_all(&state).expect("state");
        // Full: its own root is the only file that it may hold.
        common::tool(&format!("mount -t tmpfs -o nr_inodes=1 none {}", state.display()));
        let log = directory.join("log").display().to_string();
        let sleep = process(directory, &[("command", "sleep 6003"), ("log_file", &log)]);
        sleep.run("start").code(1).because("cannot write to the state directory");
        assert_eq!(living("sleep 6003"), 0);
        common::tool(&format!("umount {}", state.display()));
        sleep.run("start").ok();
        assert_eq!(living("sleep 6003"), 1);
        sleep.run("stop").ok();
    });
}

#[test]
fn nothing_of_the_agent_is_inherited() {
    isolated("nothing_of_the_agent_is_inherited", |directory| {
        let command = format!("env > {0}/env; exec sleep 6002", directory.display());
        let shell = process(directory, &[("command", &command), ("shell", "true")])
            .with("environment", "COLOUR='dark blue'")
            .with("check", &format!("readlink /proc/$$/fd/3 > {}/three", directory.display()));
        let pid = pid(&shell.run("start").ok());
        let links = fs::read_dir(format!("/proc/{pid}/fd")).expect("fds").flatten();
        let mut open: Vec<String> = links
            .map(|link| fs::read_link(link.path()).expect("link").display().to_string())
            .collect();
        open.sort();
        let output = directory.join("state/group.process.output").display().to_string();
        assert_eq!(open, ["/dev/null", output.as_str(), output.as_str()]);
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("stat");
        let session: i32 = stat.split(' ').nth(5).and_then(|s| s.parse().ok()).expect("session");
        assert_eq!(session, pid, "a session of its own");
        let env = fs::read_to_string(directory.join("env")).expect("env");
        assert!(env.contains("COLOUR=dark blue") && env.contains("CRM_GROUP=group"), "{env}");
        assert!(!env.contains("CRM_COMMAND") && !env.contains("CRM_STATE_DIR"), "{env}");
        // Nor have short-lived commands the daemon's pipe; that it does not exist is what fails.
        shell.run("status").code(1).because("the check failed");
        assert_eq!(fs::read_to_string(directory.join("three")).expect("three"), "");
        shell.run("stop").ok();
    });
}

#[test]
fn an_early_end_fails_the_start_with_its_last_words() {
    isolated("an_early_end_fails_the_start_with_its_last_words", |directory| {
        let command = "echo reading the configuration; echo no such database >&2; exit 3";
        let broken = process(directory, &[("command", command), ("shell", "true")])
            .with("ready_tcp", "127.0.0.1:4711");
        let answer = broken.run("start").code(1).because("exit code 3");
        assert!(answer.reason().ends_with("no such database"), "{answer:#?}");
        broken.run("status").code(7);
        broken.run("stop").ok();
        process(directory, &[("command", "/no/such/program")])
            .run("start")
            .code(5)
            .because("/no/such/program");
    });
}

#[test]
fn start_waits_for_readiness_and_no_longer() {
    isolated("start_waits_for_readiness_and_no_longer", |directory| {
        common::tool("ip link set lo up");
        let script = directory.join("server.py");
        let text = "import socket,time\ntime.sleep(0.3)\ns=socket.socket()\n\
            s.setsockopt(socket.SOL_SOCKET,socket.SO_REUSEADDR,1)\n\
            s.bind(('127.0.0.1',4712))\ns.listen()\nopen('/proc/self/comm','w').write('up')\n\
            time.sleep(600)\n";
        fs::write(&script, text).expect("script");
        let command = format!("python3 {}", script.display());
        let server =
            process(directory, &[("command", &command)]).with("ready_tcp", "127.0.0.1:4712");
        let answer = server.run("start").ok();
        assert!(std::net::TcpStream::connect("127.0.0.1:4712").is_ok());
        assert!(answer.took >= Duration::from_millis(300), "{answer:#?}");
        server.run("stop").ok();

        let flag = directory.join("flag");
        let command = format!("sleep 0.2; touch {0}; exec sleep 6003", flag.display());
        let ready = format!("test -e {}", flag.display());
        let slow =
            process(directory, &[("command", &command), ("shell", "true")]).with("ready", &ready);
        slow.run("start").ok();
        assert!(flag.exists());
        slow.run("stop").ok();

        let never = process(directory, &[("command", "sleep 6004"), ("ready", "false")])
            .timeout(Duration::from_secs(2));
        never.run("start").code(1).because("is not ready in time");
        assert_eq!(living("sleep 6004"), 0, "a failed start leaves nothing behind");
    });
}

#[test]
fn stop_ends_the_whole_family_even_those_who_left() {
    isolated("stop_ends_the_whole_family_even_those_who_left", |directory| {
        // One child in the session, one in another session, one that heeds no TERM.
        let command = "sleep 6005 & setsid sleep 6005 & (trap '' TERM; sleep 6005; sleep 6005) & \
            trap '' TERM; while :; do sleep 6005; done";
        let family = process(directory, &[("command", command), ("shell", "true")])
            .with("stop_timeout", "200ms");
        family.run("start").ok();
        wait_for("the family", || living("sleep 6005") >= 4);
        let answer = family.run("stop").ok();
        assert_eq!(living("sleep 6005"), 0, "{answer:#?}");
        assert!(answer.lines.iter().any(|line| line.contains("killing")), "{answer:#?}");
        family.run("status").code(7);
    });
}

#[test]
fn the_stop_signal_is_the_one_that_was_asked_for() {
    isolated("the_stop_signal_is_the_one_that_was_asked_for", |directory| {
        let told = directory.join("told");
        let command = format!(
            "trap 'echo int > {}; exit 0' INT; while :; do sleep 0.05; done",
            told.display()
        );
        let service = process(directory, &[("command", &command), ("shell", "true")])
            .with("stop_signal", "INT");
        service.run("start").ok();
        service.run("stop").ok();
        assert_eq!(fs::read_to_string(&told).expect("told"), "int\n");
        process(directory, &[("command", "sleep 1"), ("stop_signal", "DANCE")]).run("stop").code(6);
    });
}

#[test]
fn a_killed_process_is_not_running_and_what_it_left_is_an_error() {
    isolated("a_killed_process_is_not_running_and_what_it_left_is_an_error", |directory| {
        let alone = process(directory, &[("command", "sleep 6006")]);
        kill(pid(&alone.run("start").ok()), "KILL");
        wait_for("the end", || alone.run("status").code == 7);
        alone.run("start").ok();
        alone.run("stop").ok();

        let command = "sleep 6007 & exec sleep 6008";
        let parent = process(directory, &[("command", command), ("shell", "true")]);
        let main = pid(&parent.run("start").ok());
        wait_for("the child", || living("sleep 6007") == 1);
        kill(main, "KILL");
        wait_for("the end", || parent.run("status").code == 1);
        parent.run("status").code(1).because("(sleep)");
        parent.run("start").code(1).because("stop it first");
        parent.run("stop").ok();
        assert_eq!(living("sleep 6007"), 0);
    });
}

#[test]
fn a_pid_that_was_given_to_another_is_neither_reported_nor_killed() {
    isolated("a_pid_that_was_given_to_another_is_neither_reported_nor_killed", |directory| {
        let sleep = process(directory, &[("command", "sleep 6009")]);
        let first = pid(&sleep.run("start").ok());
        let file = directory.join("state/group.process.process");
        let text = fs::read_to_string(&file).expect("record");
        kill(first, "KILL");
        wait_for("the end", || sleep.run("status").code == 7);
        // As if the kernel had given the number to an innocent process.
        let mut innocent =
            std::process::Command::new("setsid").args(["sleep", "6010"]).spawn().expect("sleep");
        wait_for("the innocent", || living("sleep 6010") == 1);
        let other = innocent.id().to_string();
        let mut forged = text.replace(&format!("pid {first} "), &format!("pid {other} "));
        forged = forged.replace(&format!("session {first} "), &format!("session {other} "));
        assert_eq!(forged.matches(&format!(" {other} ")).count(), 2, "{forged}");
        fs::write(&file, forged).expect("record");
        sleep.run("status").code(7);
        sleep.run("stop").ok();
        assert!(innocent.try_wait().expect("wait").is_none(), "the innocent was hit");
        innocent.kill().expect("kill");
        innocent.wait().expect("wait");
        fs::write(&file, "pid 1 1").expect("record");
        sleep.run("status").code(1).because("is damaged");
    });
}

#[test]
fn a_command_that_goes_to_the_background_is_followed_by_its_pid_file() {
    isolated("a_command_that_goes_to_the_background_is_followed_by_its_pid_file", |directory| {
        let file = directory.join("pid");
        let command = format!("setsid sleep 6011 & echo $! > {}", file.display());
        let service = process(directory, &[("command", &command), ("shell", "true")])
            .with("pid_file", &file.display().to_string());
        let main = pid(&service.run("start").ok());
        assert_eq!(fs::read_to_string(&file).expect("pid").trim(), main.to_string());
        assert_eq!(pid(&service.run("status").ok()), main);
        service.run("stop").ok();
        assert_eq!(living("sleep 6011"), 0);
    });
}

#[test]
fn runs_as_the_user_that_was_asked_for() {
    isolated("runs_as_the_user_that_was_asked_for", |directory| {
        let service = process(directory, &[("command", "sleep 6012"), ("user", "nobody")]);
        let pid = pid(&service.run("start").ok());
        let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("status");
        let nobody = nix::unistd::User::from_name("nobody").expect("lookup").expect("nobody");
        for (name, id) in [("Uid:", nobody.uid.as_raw()), ("Gid:", nobody.gid.as_raw())] {
            let line = status.lines().find(|line| line.starts_with(name)).expect(name);
            assert!(line.split_whitespace().skip(1).all(|word| word == id.to_string()), "{line}");
        }
        service.run("stop").ok();
        process(directory, &[("command", "sleep 1"), ("user", "no-such-user")])
            .run("start")
            .code(5)
            .because("no-such-user");
    });
}

#[test]
fn the_check_decides_about_health() {
    isolated("the_check_decides_about_health", |directory| {
        let flag = directory.join("healthy");
        let service = process(directory, &[("command", "sleep 6013")])
            .with("check", &format!("test -e {}", flag.display()));
        service.run("start").ok();
        service.run("status").code(1).because("the check failed");
        fs::write(&flag, "").expect("flag");
        service.run("status").ok();
        service.run("stop").ok();
    });
}

#[test]
fn a_talkative_service_does_not_fill_the_state_directory() {
    isolated("a_talkative_service_does_not_fill_the_state_directory", |directory| {
        let command = "yes | head -c 3000000; exec sleep 6014";
        let service = process(directory, &[("command", command), ("shell", "true")]);
        service.run("start").ok();
        let output = directory.join("state/group.process.output");
        let length = || fs::metadata(&output).map(|meta| meta.len()).unwrap_or(0);
        wait_for("the output", || length() >= 1_000_000 && living("head -c") == 0);
        service.run("status").ok();
        assert!(length() < 100_000, "{}", length());
        service.run("stop").ok();

        let log = directory.join("log");
        fs::write(&log, "before\n").expect("log");
        let service = process(directory, &[("command", "echo out; exec sleep 6015")])
            .with("shell", "true")
            .with("log_file", &log.display().to_string());
        service.run("start").ok();
        wait_for("the log", || fs::read_to_string(&log).expect("log") == "before\nout\n");
        service.run("stop").ok();
        assert!(log.exists(), "the administrator's file stays");
    });
}
