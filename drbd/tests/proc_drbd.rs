//! `/proc/drbd` of every generation (HB28).

mod common;

use std::collections::BTreeMap;
use std::time::Duration;

use crm_drbd::proc_drbd::{Device, ProcDrbd, read};
use crm_drbd::state::{Percent, Resource};
use crm_drbd::{RecordWord, eligibility::eligibility};

fn file(name: &str) -> ProcDrbd {
    read(&common::text(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn zero(name: &str) -> Device {
    file(name).devices.remove(&0).unwrap_or_else(|| panic!("{name}: no device 0"))
}

fn summary(device: &Device) -> String {
    format!(
        "{}/{} {} {} {}",
        device.role, device.peer_role, device.connection, device.replication, device.disk
    )
}

#[test]
fn hb28_the_texts_of_0_7() {
    for (name, expected, done, left, finish, speed) in [
        ("source", "Secondary/Secondary Connected SyncSource Consistent", "4.6", 16891, 2543, 6716),
        (
            "target",
            "Secondary/Secondary Connected SyncTarget Inconsistent",
            "5.7",
            16703,
            2138,
            7996,
        ),
        (
            "primary-source",
            "Primary/Secondary Connected SyncSource Consistent",
            "12.3",
            15543,
            39790,
            36,
        ),
        (
            "target-of-primary",
            "Secondary/Primary Connected SyncTarget Inconsistent",
            "12.6",
            15486,
            2439,
            6404,
        ),
    ] {
        let device = zero(&format!("0.7/{name}.txt"));
        assert_eq!(summary(&device), expected, "{name}");
        let resync = device.resync.unwrap_or_else(|| panic!("{name}: no resync"));
        assert_eq!(resync.done, Percent::read(done), "{name}");
        assert_eq!(resync.left_kib, Some(left * 1024), "{name}");
        assert_eq!(resync.total_kib, Some(17696 * 1024), "{name}");
        assert_eq!(resync.finish, Some(Duration::from_secs(finish)), "{name}");
        assert_eq!(resync.speed_kib, Some(speed), "{name}");
    }
    for (name, expected) in [
        ("waiting", "Secondary/Unknown Connecting Off Inconsistent"),
        ("peer-gone", "Secondary/Unknown Connecting Off Consistent"),
        ("peer-gone-primary", "Primary/Unknown Connecting Off Consistent"),
        ("connected", "Secondary/Primary Connected Established Consistent"),
    ] {
        let device = zero(&format!("0.7/{name}.txt"));
        assert_eq!(summary(&device), expected, "{name}");
        assert_eq!(device.resync, None, "{name}");
    }
    assert_eq!(file("0.7/source.txt").version, "0.7.5");
    assert_eq!(zero("0.7/peer-gone.txt").statistics.received_kib, Some(696));
}

#[test]
fn hb20_consistent_alone_is_for_the_record_to_decide() {
    let resource = resource("0.7/peer-gone.txt");
    assert_eq!(eligibility(&resource, RecordWord::Silent).word(), "no");
    assert_eq!(eligibility(&resource, RecordWord::Freshest).word(), "yes");
}

#[test]
fn hb21_an_inconsistent_replica_is_never_eligible() {
    let resource = resource("0.7/target.txt");
    for word in [RecordWord::Silent, RecordWord::Freshest] {
        let answer = eligibility(&resource, word);
        assert_eq!(answer.word(), "no");
        let reason = "resync from peer is 5.7 % done, about 35 min left at 7.8 MiB/s";
        assert!(answer.reason().contains(reason), "{answer}");
    }
}

fn resource(name: &str) -> Resource {
    file(name).resource("drbd0", &BTreeMap::from([(0, 0)]))
}

#[test]
fn hb28_8_0_and_8_3() {
    let two = file("8.0/two.txt");
    assert_eq!(two.version, "8.0.14");
    let first = &two.devices[&0];
    assert_eq!(summary(first), "Primary/Secondary Connected Established UpToDate");
    assert_eq!(first.protocol, Some('C'));
    assert!(!first.suspended);
    assert_eq!(summary(&two.devices[&1]), "Secondary/Unknown Connecting Off UpToDate");
    let unconfigured = &two.devices[&2];
    assert!(unconfigured.connection.is_unknown() && unconfigured.disk.is_unknown());

    let syncing = file("8.3/syncing.txt");
    let stalled = syncing.devices[&0].resync.expect("a resync");
    assert!(stalled.stalled);
    assert_eq!(stalled.to_string(), "14.1 % done, stalled");
    assert_eq!(syncing.devices[&0].statistics.out_of_sync_kib, Some(30_172_998));
    let paused = &syncing.devices[&3];
    assert_eq!(summary(paused), "Secondary/Secondary Connected PausedSyncT Inconsistent");
    assert_eq!(paused.protocol, Some('A'));
}

#[test]
fn hb28_8_4() {
    let state = "05-syncing-b-target.b";
    let text = common::answer(state, "cat /proc/drbd").output;
    let device = read(&text).expect("readable").devices.remove(&0).expect("device 0");
    assert_eq!(summary(&device), "Secondary/Secondary Connected SyncTarget Inconsistent");
    assert_eq!(
        device.resync.map(|resync| resync.to_string()).as_deref(),
        Some("18.8 % done, about 9 s left at 5.5 MiB/s")
    );
    assert_eq!(device.statistics.out_of_sync_kib, Some(54_232));
    let suspended = common::text("8.4/30-fencing-io-suspended.a.proc_drbd.txt");
    let suspended = read(&suspended).expect("readable").devices.remove(&0).expect("device 0");
    assert!(suspended.suspended);
}

#[test]
fn a_file_without_devices_is_empty_and_other_text_is_an_error() {
    let loaded = common::answer("00-module-loaded.a", "cat /proc/drbd").output;
    assert!(read(&loaded).expect("readable").devices.is_empty());
    for text in
        ["", "\n\n", "cat: /proc/drbd: No such file or directory", "version: none", "version:"]
    {
        assert!(read(text).is_err(), "{text:?}");
    }
    let twice = " 0: cs:Connected ro:Primary/Secondary ds:UpToDate/UpToDate C r-----\n".repeat(2);
    assert!(read(&format!("version: 8.4.11 (api:1)\n{twice}")).is_err());
}

#[test]
fn a_device_that_is_not_there_is_unknown() {
    let loaded = common::answer("00-module-loaded.a", "cat /proc/drbd").output;
    let proc = read(&loaded).expect("readable");
    let resource = proc.resource("r0", &BTreeMap::from([(0, 0)]));
    assert_eq!(eligibility(&resource, RecordWord::Freshest).word(), "unknown");
}
