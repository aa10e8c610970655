//! Every text of one recorded state tells the same.

mod common;

use std::collections::BTreeMap;

use common::{STATES, answer, first_answer};
use crm_drbd::eligibility::eligibility;
use crm_drbd::state::{Connection, Disk, Picture, Replication, Resource, Role};
use crm_drbd::tracker::Tracker;
use crm_drbd::{RecordWord, answers, json, proc_drbd, status};

/// With statistics where they were recorded.
const EVENTS: &[&str] = &["drbdsetup events2 --now --stat", "drbdsetup events2"];
const STATUS: &[&str] = &["drbdsetup status", "drbdadm status"];

fn one(picture: &Picture) -> Resource {
    assert_eq!(picture.keys().collect::<Vec<_>>(), ["r0"]);
    picture["r0"].clone()
}

fn from_events(text: &str) -> Resource {
    let mut tracker = Tracker::new();
    for line in text.lines() {
        tracker.line(line).unwrap_or_else(|error| panic!("{error}"));
    }
    one(tracker.picture().expect("whole"))
}

#[test]
fn all_texts_of_a_state_agree() {
    for state in STATES {
        let verbose = one(&status::read(&first_answer(state, STATUS).output).expect("readable"));
        let events = from_events(&first_answer(state, EVENTS).output);
        let plain = from_events(&answer(state, "drbdsetup events2").output);
        let short = one(&status::read(&answer(state, "drbdadm status").output).expect("readable"));
        let proc = proc_drbd::read(&answer(state, "cat /proc/drbd").output).expect("readable");
        let proc = proc.resource("r0", &BTreeMap::from([(0, 0)]));
        let others =
            [("events", &events), ("plain events", &plain), ("short", &short), ("proc", &proc)];
        for (name, other) in others {
            let what = format!("{state}: {name}");
            assert_eq!(other.role, verbose.role, "{what}");
            assert_eq!(other.volumes[&0].disk, verbose.volumes[&0].disk, "{what}");
            assert!(!other.role.is_unknown() && !other.volumes[&0].disk.is_unknown(), "{what}");
            assert_eq!(other.stands_alone(), verbose.stands_alone(), "{what}");
            assert_eq!(
                eligibility(other, RecordWord::Silent).word(),
                eligibility(&verbose, RecordWord::Silent).word(),
                "{what}"
            );
            // A connection that was cut is not shown at all by `status`.
            let (Some(peer), Some(expected)) = (other.peers.get("peer"), verbose.peers.get("peer"))
            else {
                assert!(other.stands_alone(), "{what}");
                continue;
            };
            assert_eq!(peer.connection, expected.connection, "{what}");
            assert_eq!(peer.role, expected.role, "{what}");
            if let (Some(seen), Some(expected)) = (peer.volumes.get(&0), expected.volumes.get(&0)) {
                assert_eq!(seen.disk, expected.disk, "{what}");
                assert_eq!(seen.replication, expected.replication, "{what}");
            }
        }
        if !state.starts_with("05") {
            answers_agree(state, &proc);
        }
    }
}

fn answers_agree(state: &str, proc: &Resource) {
    let (role, peer_role) = answers::role(&answer(state, "drbdadm role").output).expect("role");
    assert_eq!(role, proc.role, "{state}");
    assert_eq!(peer_role.as_ref(), Some(&proc.peers["peer"].role), "{state}");
    let disks = answers::dstate(&answer(state, "drbdadm dstate").output).expect("dstate");
    assert_eq!(disks.len(), 1, "{state}");
    assert_eq!(disks[0].0, proc.volumes[&0].disk, "{state}");
    let connections = answers::cstate(&answer(state, "drbdadm cstate").output).expect("cstate");
    assert_eq!(connections[0].0, proc.peers["peer"].connection, "{state}");
}

#[test]
fn i8_who_is_eligible_in_each_state() {
    let told: BTreeMap<&str, &str> = STATES
        .iter()
        .map(|state| {
            let text = first_answer(state, EVENTS).output;
            (*state, eligibility(&from_events(&text), RecordWord::Silent).word())
        })
        .collect();
    let not: Vec<&str> =
        told.iter().filter(|(_, word)| **word != "yes").map(|(state, _)| *state).collect();
    assert_eq!(
        not,
        [
            "02-a-up-alone-wfconnection.a",
            "03-connected-both-inconsistent.a",
            "05-syncing-b-target.b",
            "17-b-diskless.b",
            "18-b-disconnected.b",
            "19-b-outdated.b",
        ]
    );
    assert!(told.values().all(|word| *word != "unknown"));
}

#[test]
fn what_is_not_up_is_no_picture_of_a_resource() {
    for state in ["00-module-loaded.a", "20-down.a"] {
        let call = answer(state, "drbdadm status");
        assert_eq!(call.code, 10);
        assert!(status::read(&call.output).is_err(), "{state}");
        assert!(answers::role(&answer(state, "drbdadm role").output).is_err(), "{state}");
    }
    let mut tracker = Tracker::new();
    for line in answer("00-module-loaded.a", "drbdsetup events2").output.lines() {
        tracker.line(line).expect("fits");
    }
    assert!(tracker.picture().expect("whole").is_empty());
    assert!(status::read("# No currently configured DRBD found.\n").expect("fits").is_empty());
}

#[test]
fn i_o_held_back_by_fencing_is_seen() {
    let text = common::text("8.4/30-fencing-io-suspended.a.proc_drbd.txt");
    let events: String =
        text.lines().filter(|line| line.starts_with("exists ")).map(|l| format!("{l}\n")).collect();
    let resource = from_events(&events);
    assert_eq!(resource.suspended.iter().collect::<Vec<_>>(), ["fencing"]);
}

#[test]
fn the_texts_of_9_agree() {
    let json = json::read(&common::text("9/status.json")).expect("readable");
    let verbose = status::read(&common::text("9/status.txt")).expect("readable");
    let short = status::read(&common::text("9/short.txt")).expect("readable");
    for picture in [&json, &verbose, &short] {
        let r0 = &picture["r0"];
        assert_eq!(r0.role, Role::Secondary);
        assert!(r0.suspended.is_empty());
        assert_eq!(r0.volumes[&1].disk, Disk::Inconsistent);
        assert_eq!(r0.peers["beta"].connection, Connection::Connected);
        assert_eq!(r0.peers["beta"].role, Role::Primary);
        assert_eq!(r0.peers["beta"].volumes[&0].replication, Replication::Established);
        assert_eq!(r0.peers["gamma"].connection, Connection::Connecting);
        assert_eq!(r0.peers["gamma"].role, Role::Unseen);
        let answer = eligibility(r0, RecordWord::Silent);
        assert!(answer.reason().contains("resync from beta is 45.7 % done"), "{answer}");
        let r1 = &picture["r1"];
        assert_eq!(r1.suspended.iter().collect::<Vec<_>>(), ["quorum"]);
        assert_eq!(eligibility(r1, RecordWord::Silent).word(), "no", "it lost its quorum");
    }
    assert_eq!(json["r0"].out_of_sync_kib(), Some(71_044));
    assert_eq!(
        json["r0"].peers["beta"].volumes,
        verbose["r0"].peers["beta"]
            .volumes
            .clone()
            .into_iter()
            .map(|(number, mut volume)| {
                // Only the JSON tells when it will be done and what is left of it.
                if let Some(resync) = &mut volume.resync {
                    resync.left_kib = volume.statistics.out_of_sync_kib;
                    resync.finish = Some(std::time::Duration::from_secs(12));
                }
                (number, volume)
            })
            .collect()
    );
}

#[test]
fn json_that_8_4_does_not_have_is_an_error() {
    let usage = common::text("8.4/00-json-is-refused.a.txt");
    for text in [usage.as_str(), "", "{}", "[{}]", "[{\"name\":\"\"}]", "[3]", "null"] {
        assert!(json::read(text).is_err(), "{text:.40}");
    }
    let twice = "[{\"name\":\"r0\"},{\"name\":\"r0\"}]";
    assert!(json::read(twice).is_err());
    let bare =
        json::read("[{\"name\":\"r0\",\"role\":7,\"devices\":[{\"volume\":0}]}]").expect("read");
    assert_eq!(eligibility(&bare["r0"], RecordWord::Freshest).word(), "unknown");
}
