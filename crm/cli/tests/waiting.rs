//! Commands that wait for their outcome, those that do not, and those that go on and on.

mod support;

use std::io::{BufRead, BufReader, Read};
use std::time::Instant;
use support::{Machine, PATIENCE, said};

const ONE: &str = "  web: {resources: [ocf:test:switch]}\n";
const TIMED_OUT: i32 = 4;

fn up() -> Machine {
    let machine = Machine::start(ONE);
    machine.wait_for("web", "running");
    machine
}

#[test]
fn a_command_waits_until_the_change_is_carried_out() {
    let machine = up();
    machine.write("hold-stop", "");
    let mut stop = machine.spawn(&["stop", "web"]);
    machine.wait_for("web", "stopping");
    assert!(!stop.has_ended(), "the group is not down yet");
    machine.remove("hold-stop");
    let output = stop.output();
    assert!(output.status.success(), "{}", said(&output));
    assert_eq!(String::from_utf8_lossy(&output.stdout), "group web is stopped\n");
    assert!(!machine.home.join("up-web").exists(), "it is down when the command says so");

    let output = machine.crm(&["start", "web"]);
    assert!(output.status.success(), "{}", said(&output));
    assert_eq!(String::from_utf8_lossy(&output.stdout), "group web runs on alpha\n");
    assert!(machine.home.join("up-web").exists(), "it is up when the command says so");
}

#[test]
fn progress_is_told_while_a_command_waits_and_not_on_the_standard_output() {
    let machine = up();
    machine.write("hold-stop", "");
    let mut stop = machine.spawn(&["stop", "web"]);
    let errors = stop.child().stderr.take().expect("a pipe");
    let mut lines = BufReader::new(errors).lines();
    assert_eq!(lines.next().expect("a line").expect("text"), "  group web is stopping");
    machine.remove("hold-stop");
    assert_eq!(lines.next().expect("a line").expect("text"), "  web: stopped");
    let output = stop.output();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "group web is stopped\n");
}

#[test]
fn no_wait_returns_when_the_change_is_committed() {
    let machine = up();
    machine.write("hold-stop", "");
    let output = machine.crm(&["stop", "web", "--no-wait"]);
    assert!(output.status.success(), "{}", said(&output));
    assert!(machine.home.join("up-web").exists(), "the stop cannot have ended");
    machine.wait_for("web", "stopping");
    machine.remove("hold-stop");
    machine.wait_for("web", "stopped");
}

#[test]
fn a_timeout_ends_the_waiting_and_not_the_change() {
    let machine = up();
    machine.write("hold-stop", "");
    let output = machine.crm(&["stop", "web", "--timeout", "1"]);
    assert_eq!(output.status.code(), Some(TIMED_OUT), "{}", said(&output));
    let told = String::from_utf8_lossy(&output.stderr);
    for words in ["after 1 s: group web is stopping", "is committed and goes on", "`crm why web`"] {
        assert!(told.contains(words), "{words}: {told}");
    }
    assert!(output.stdout.is_empty(), "nothing is said to be done: {}", said(&output));
    machine.remove("hold-stop");
    machine.wait_for("web", "stopped");
}

#[test]
fn a_start_that_fails_ends_the_waiting_with_the_agents_own_words() {
    let machine = up();
    assert!(machine.crm(&["stop", "web"]).status.success());
    machine.write("broken", "");
    let output = machine.crm(&["start", "web"]);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(told.contains("group web runs nowhere"), "{told}");
    machine.remove("broken");
    assert!(machine.crm(&["clear", "web"]).status.success());
    machine.wait_for("web", "running");
}

#[test]
fn a_watched_status_is_drawn_again_and_shows_what_changed() {
    let machine = up();
    let mut watch = machine.spawn(&["status", "--watch"]);
    let output = watch.child().stdout.take().expect("a pipe");
    let mut lines = BufReader::new(output).lines();
    let mut next_state = || {
        let begun = Instant::now();
        loop {
            let line = lines.next().expect("it goes on").expect("text");
            let mut words = line.split_whitespace();
            if words.next() == Some("web") {
                return words.next().unwrap_or_default().to_owned();
            }
            assert!(begun.elapsed() < PATIENCE, "the group is not drawn");
        }
    };
    assert_eq!(next_state(), "running");
    assert_eq!(next_state(), "running");
    assert!(machine.crm(&["stop", "web"]).status.success());
    let begun = Instant::now();
    while next_state() != "stopped" {
        assert!(begun.elapsed() < PATIENCE, "the stop is never drawn");
    }
    assert!(!watch.has_ended());
}

#[test]
fn a_reader_that_goes_away_ends_a_watch_quietly() {
    let machine = up();
    for arguments in [&["status", "--watch"][..], &["events", "--follow"]] {
        let mut watch = machine.spawn(arguments);
        let mut first = [0; 1];
        let output = watch.child().stdout.as_mut().expect("a pipe");
        output.read_exact(&mut first).expect("it prints");
        drop(watch.child().stdout.take());
        // Whatever happens next is printed, and nobody reads it.
        assert!(machine.crm(&["restart", "web"]).status.success());
        let output = watch.output();
        assert!(output.stderr.is_empty(), "{arguments:?}: {}", said(&output));
    }
}
