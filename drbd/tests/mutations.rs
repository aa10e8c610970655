//! No text makes any reader panic, and none makes a bad copy eligible: recorded texts, damaged at
//! random from fixed seeds.

mod common;

use std::collections::BTreeMap;

use common::Random;
use crm_drbd::eligibility::eligibility;
use crm_drbd::generation::Generation;
use crm_drbd::refusal::Refusal;
use crm_drbd::state::{Disk, Picture};
use crm_drbd::tracker::Tracker;
use crm_drbd::{RecordWord, answers, json, proc_drbd, status};

const ROUNDS: u64 = 60;
const PUNCTUATION: &[u8] = b" \n:/-,.%()[]{};\"\\#0919azZ\t\0";

/// Everything that reads text from outside; what comes of it is used in full.
fn read_with_everything(text: &str) {
    let mut pictures: Vec<Picture> = Vec::new();
    if let Ok(proc) = proc_drbd::read(text) {
        let minors: BTreeMap<u32, u32> =
            proc.devices.keys().map(|minor| (*minor, *minor)).collect();
        pictures.push(BTreeMap::from([("r".to_owned(), proc.resource("r", &minors))]));
    }
    pictures.extend(status::read(text));
    pictures.extend(json::read(text));
    let mut tracker = Tracker::new();
    for line in text.lines() {
        match tracker.line(line) {
            Ok(changes) => changes.iter().for_each(|change| drop(change.to_string())),
            Err(_) => tracker.restart(),
        }
    }
    pictures.extend(tracker.picture().cloned());
    for resource in pictures.iter().flat_map(BTreeMap::values) {
        let answer = eligibility(resource, RecordWord::Silent);
        let good = resource.volumes.values().all(|volume| volume.disk == Disk::UpToDate);
        assert!(!answer.is_yes() || good, "{resource:#?} is eligible");
        let _ = (serde_json::to_string(resource), answer.to_string(), resource.out_of_sync_kib());
        for peer in resource.peers.values() {
            peer.volumes.values().for_each(|v| drop(v.resync.map(|resync| resync.to_string())));
        }
    }
    let _ = (answers::role(text), answers::dstate(text), answers::cstate(text));
    let _ = Generation::read(text).map(|one| one.relation(&one));
    let _ = Refusal::read(11, text).to_string();
}

fn damage(random: &mut Random, text: &str, others: &[(String, String)]) -> String {
    let mut bytes = text.as_bytes().to_vec();
    for _ in 0..=random.below(6) {
        let at = random.below(bytes.len());
        match random.below(8) {
            0 => bytes.truncate(at),
            1 if !bytes.is_empty() => bytes[at] = PUNCTUATION[random.below(PUNCTUATION.len())],
            2 if !bytes.is_empty() => bytes[at] = random.next().to_le_bytes()[0],
            3 => drop(bytes.splice(at..at, b"99999999999999999999".iter().copied())),
            4 => {
                let end = (at + random.below(40)).min(bytes.len());
                let part = bytes[at.min(end)..end].to_vec();
                bytes.splice(at..at, part);
            }
            5 => {
                let end = (at + random.below(40)).min(bytes.len());
                bytes.drain(at.min(end)..end);
            }
            6 => {
                let other = others[random.below(others.len())].1.as_bytes();
                let from = random.below(other.len());
                let end = (from + random.below(200)).min(other.len());
                bytes.splice(at..at, other[from..end].iter().copied());
            }
            _ => drop(bytes.splice(at..at, "최ß\u{2028}".bytes())),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[test]
fn damaged_texts_neither_panic_nor_promote() {
    let files = common::all();
    for (number, (name, text)) in files.iter().enumerate() {
        // Long streams are cut, so that each round costs little.
        let text: String = text.chars().take(4000).collect();
        read_with_everything(&text);
        for round in 0..ROUNDS {
            let seed = 0x9e37_79b9_7f4a_7c15 ^ (number as u64 + 1) << 32 ^ (round + 1);
            let damaged = damage(&mut Random(seed), &text, &files);
            let outcome = std::panic::catch_unwind(|| read_with_everything(&damaged));
            assert!(outcome.is_ok(), "{name}, seed {seed:#x}:\n{damaged}");
        }
    }
}

#[test]
fn extremes_do_no_harm() {
    let deep = "[".repeat(100_000);
    let wide = "a:b ".repeat(100_000);
    let tall = "x\n".repeat(100_000);
    for text in ["", " ", "\0", "\u{feff}version: 8.4", &deep, &wide, &tall] {
        read_with_everything(text);
    }
}
