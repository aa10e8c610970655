//! A daemon that must not start says why, and what to do.

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use support::Machine;

#[test]
fn without_store_and_contact_it_names_init_and_join() {
    let machine = Machine::bare("alpha");
    let (code, text) = machine.refused();
    assert_eq!(code, Some(1));
    assert!(text.contains("crm init") && text.contains("crm join"), "{text}");
}

#[test]
fn hb2_a_key_file_that_others_may_read_is_refused() {
    let machine = Machine::bare("alpha");
    let keys = machine.dir("etc/authkeys");
    fs::set_permissions(&keys, fs::Permissions::from_mode(0o640)).expect("mode");
    let (code, text) = machine.refused();
    assert_eq!(code, Some(1));
    assert!(text.contains("authkeys") && text.contains("640") && text.contains("600"), "{text}");
}

#[test]
fn h22_a_damaged_store_is_refused_with_its_path_and_the_way_out() {
    let machine = Machine::founded("  g: {resources: [ocf:test:a]}");
    let state = machine.dir("state/state");
    let mut bytes = fs::read(&state).expect("read");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&state, bytes).expect("write");
    let (code, text) = machine.refused();
    assert_eq!(code, Some(1));
    assert!(text.contains("state/state") && text.contains("crm join"), "{text}");
}

#[test]
fn a_second_daemon_on_the_same_store_is_refused() {
    let mut machine = Machine::founded("  g: {resources: [ocf:test:a]}");
    machine.start();
    let (code, text) = machine.refused();
    assert_eq!(code, Some(1));
    assert!(text.contains("lock") && text.contains("another daemon"), "{text}");
    assert!(machine.status().is_some(), "the first one is not disturbed");
}

#[test]
fn a_wrong_option_is_a_usage_error() {
    let output = Machine::bare("alpha").command().arg("--nonsense").output().expect("crmd");
    assert_eq!(output.status.code(), Some(2));
}
