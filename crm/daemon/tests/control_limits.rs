//! The control socket under clients that are too many, too long, too strange or too slow.

mod support;

use crm_api::{ApiError, Client, Refusal, Reply, Request};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use support::{Machine, PATIENCE};

fn machine() -> Machine {
    let mut machine = Machine::founded("  g: {resources: [ocf:test:none]}");
    machine.start();
    machine
}

fn raw(machine: &Machine, line: &[u8]) -> String {
    let mut stream = UnixStream::connect(machine.socket()).expect("connect");
    stream.set_read_timeout(Some(PATIENCE)).expect("timeout");
    // The daemon may hang up before it has read everything.
    let _ = stream.write_all(line);
    let mut reply = String::new();
    let _ = BufReader::new(stream).read_line(&mut reply);
    reply
}

#[test]
fn the_socket_is_for_its_owner_and_its_group_only() {
    let machine = machine();
    let mode = std::fs::metadata(machine.socket()).expect("socket").permissions().mode();
    assert_eq!(mode & 0o777, 0o660);
}

#[test]
fn nonsense_is_answered_and_the_connection_goes_on() {
    let machine = machine();
    let stream = UnixStream::connect(machine.socket()).expect("connect");
    stream.set_read_timeout(Some(PATIENCE)).expect("timeout");
    let mut reader = BufReader::new(stream);
    for (line, expected) in [
        ("fly\n", "bad-request"),
        ("{\"v\":9,\"request\":\"status\"}\n", "bad-request"),
        ("{\"v\":1,\"request\":\"version\"}\n", "\"version\""),
    ] {
        reader.get_mut().write_all(line.as_bytes()).expect("write");
        let mut reply = String::new();
        reader.read_line(&mut reply).expect("reply");
        assert!(reply.contains(expected), "{line}: {reply}");
    }
}

#[test]
fn a_line_that_is_too_long_is_refused_and_the_daemon_goes_on() {
    let machine = machine();
    let reply = raw(&machine, &vec![b'x'; crm_api::LINE_BYTES_MAX + 2]);
    assert!(reply.contains("limit"), "{reply}");
    assert!(machine.status().is_some());
}

#[test]
fn more_connections_than_allowed_are_refused_with_a_reason_and_room_comes_back() {
    let machine = machine();
    let mut open: Vec<Client> = Vec::new();
    let refused = loop {
        assert!(open.len() < 200, "no limit");
        let mut client = machine.client();
        match client.request(Request::Version) {
            Ok(_) => open.push(client),
            Err(ApiError::Problem(problem)) => break problem,
            Err(error) => panic!("{error}"),
        }
    };
    assert_eq!(refused.kind, Refusal::Limit);
    assert_eq!(open.len(), 64);
    drop(open);
    support::wait_until("room", || machine.status().is_some());
}

/// DRBD's handler and the operator still get in while everybody watches.
#[test]
fn h24_followers_of_the_events_leave_room_for_short_requests() {
    let machine = machine();
    let mut followers = Vec::new();
    let refused = loop {
        assert!(followers.len() <= 60, "as many follow as may connect");
        let mut stream = machine.client().stream(None, true).expect("stream");
        match stream.next().expect("an answer") {
            Ok(_) => followers.push(stream),
            Err(ApiError::Problem(problem)) => break problem,
            Err(error) => panic!("{error}"),
        }
    };
    assert_eq!(refused.kind, Refusal::Limit);
    assert!(refused.reason.contains("too many followers"), "{}", refused.reason);
    assert_eq!(followers.len(), 48);
    // None of them is asked to go for it.
    assert!(machine.status().is_some());
    drop(followers);
    support::wait_until("room to follow", || {
        let mut stream = machine.client().stream(None, true).expect("stream");
        stream.next().is_some_and(|event| event.is_ok())
    });
}

#[test]
fn events_are_numbered_stamped_and_followed() {
    let machine = machine();
    let mut stream = machine.client().stream(None, true).expect("stream");
    let first = stream.next().expect("one").expect("event");
    assert_eq!(first.number, 1);
    assert!(first.time.ends_with('Z') && first.time.len() == 24, "{}", first.time);
    let stop = crm_core::operator::Command::Stop { group: "g".into() };
    machine.client().request(Request::Command(Box::new(stop))).expect("answered");
    let found = stream.find(|event| event.as_ref().is_ok_and(|e| e.event.kind == "operator"));
    assert!(found.is_some_and(|event| event.is_ok_and(|e| e.event.text.contains("root"))));
}

#[test]
fn links_and_configuration_are_reported() {
    let machine = machine();
    let Ok(Reply::Links(links)) = machine.client().request(Request::Links) else {
        panic!("no links")
    };
    assert_eq!(links.links.len(), 1);
    assert!(links.links[0].address.starts_with(&machine.address()), "{links:?}");
    assert_eq!(links.links[0].problem, None);
    let Ok(Reply::Config(config)) = machine.client().request(Request::Config) else {
        panic!("no configuration")
    };
    assert!(config.text.is_some_and(|text| text.contains("cluster: test")));
}
