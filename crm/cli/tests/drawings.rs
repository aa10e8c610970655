//! What the commands print for people, as files in `tests/drawings`. `UPDATE=1` rewrites them; the
//! difference is then read and committed. Times, numbers of records and addresses are replaced.

mod support;

use std::path::Path;
use support::{Machine, said};

const GROUPS: &str = "  web:\n    resources:\n      - ocf:test:switch\n";

/// Compares with `tests/drawings/NAME.txt`.
fn compare(name: &str, seen: &str) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/drawings");
    let file = folder.join(format!("{name}.txt"));
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&file, seen).expect("written");
        return;
    }
    let wanted = std::fs::read_to_string(&file)
        .unwrap_or_else(|error| panic!("{}: {error}; UPDATE=1 writes it", file.display()));
    assert_eq!(wanted, seen, "{}; UPDATE=1 rewrites it", file.display());
}

/// The words that differ from run to run, by what they are. Columns keep their places only where
/// no such word stands before them.
fn normal(machine: &Machine, text: &str) -> String {
    let text = text
        .replace(&machine.address(), "ADDRESS")
        .replace(&machine.home.display().to_string(), "HOME")
        .replace(&me(), "USER");
    let lines = text.lines().map(|line| {
        let words: Vec<String> = line.split(' ').map(normal_word).collect();
        words.join(" ") + "\n"
    });
    lines.collect()
}

/// As the daemon names who asked.
fn me() -> String {
    let uid = nix::unistd::Uid::effective();
    let user = nix::unistd::User::from_uid(uid).ok().flatten();
    user.map_or_else(|| format!("uid {uid}"), |user| format!("{} ({uid})", user.name))
}

fn normal_word(word: &str) -> String {
    let core = word.trim_end_matches([',', ';', ':', ')', '.']);
    let tail = word.get(core.len()..).unwrap_or_default();
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let unit = ["us", "ms", "s"].into_iter().find_map(|unit| core.strip_suffix(unit));
    let name = if core.len() == 24 && core.ends_with('Z') && core.contains('T') {
        "TIME"
    } else if core.len() == 8
        && core.contains(|c: char| c.is_ascii_digit())
        && core.bytes().all(|b| b.is_ascii_hexdigit())
    {
        "INCARNATION"
    } else if core.split_once('.').is_some_and(|(e, v)| digits(e) && digits(v)) {
        "RECORD"
    } else if unit.is_some_and(|n| n.split('.').all(digits)) {
        "SPAN"
    } else {
        core
    };
    format!("{name}{tail}")
}

fn draw(machine: &Machine, arguments: &[&str]) -> String {
    normal(machine, &said(&machine.crm(arguments)))
}

#[test]
fn status_and_why_of_a_group_in_each_of_its_states() {
    let machine = Machine::start(GROUPS);
    machine.wait_for("web", "running");
    compare("status-running", &draw(&machine, &["status"]));
    compare("why-running", &draw(&machine, &["why", "web"]));
    assert!(machine.crm(&["stop", "web"]).status.success());
    compare("status-stopped", &draw(&machine, &["status"]));
    machine.write("broken", "");
    assert_eq!(machine.crm(&["start", "web"]).status.code(), Some(1));
    compare("status-failed", &draw(&machine, &["status"]));
    // The resource's last words stay until somebody looks at it again, which may be by now.
    let why = draw(&machine, &["why", "web"]);
    let why = why.split_inclusive('\n').filter(|line| !line.starts_with("  switch "));
    compare("why-failed", &why.collect::<String>());
    compare("why-unknown", &draw(&machine, &["why", "wob"]));
    let on = machine.crm(&["maintenance", "on", "--for", "1h"]);
    assert!(on.status.success(), "{}", said(&on));
    compare("maintenance", draw(&machine, &["status"]).split("\n\n").next().unwrap_or_default());
}

#[test]
fn hb27_what_serves_but_not_as_it_should_says_so_in_status_and_why() {
    let machine = Machine::start(&GROUPS.replace("switch", "switch: {interval: 1s}"));
    let reason = "volume 0 has lost its disk and is served through the peer";
    machine.write("degraded", &format!("attribute degraded {reason}\n"));
    machine.wait_for("web", "running");
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
    let told = format!("degraded: web, switch: {reason}\n");
    loop {
        let status = said(&machine.crm(&["status"]));
        if status.ends_with(&told) {
            break;
        }
        assert!(std::time::Instant::now() < deadline, "expected {told}found {status}");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    let why = said(&machine.crm(&["why", "web"]));
    assert!(why.lines().any(|line| line.contains("running") && line.ends_with(reason)), "{why}");
}

#[test]
fn events_tell_a_life_in_order() {
    let machine = Machine::start(GROUPS);
    machine.wait_for("web", "running");
    assert!(machine.crm(&["stop", "web"]).status.success());
    compare("events", &draw(&machine, &["events"]));
    let last = draw(&machine, &["events", "-n", "1"]);
    let all = draw(&machine, &["events"]);
    assert_eq!(all.lines().last(), last.lines().last(), "-n 1 is the last one");
}

#[test]
fn a_mistake_in_a_configuration_is_shown_where_it_is() {
    let machine = Machine::start(GROUPS);
    let text = std::fs::read_to_string(machine.home.join("etc/cluster.yaml")).expect("read");
    machine.write("bad.yaml", &text.replace("resources:", "resorces:"));
    let file = machine.home.join("bad.yaml").display().to_string();
    let output = machine.crm(&["check", &file]);
    assert!(!output.status.success());
    compare("check-error", &normal(&machine, &said(&output)));
    let fine = machine.home.join("etc/cluster.yaml").display().to_string();
    compare("check-fine", &draw(&machine, &["check", &fine]));
}

#[test]
fn without_a_daemon_the_way_out_is_named() {
    let machine = Machine::start(GROUPS);
    let output = machine.crm(&["--socket", "/nowhere/crm.sock", "status"]);
    assert_eq!(output.status.code(), Some(6));
    compare("no-daemon", &normal(&machine, &said(&output)));
}
