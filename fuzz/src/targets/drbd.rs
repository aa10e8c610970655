//! Texts of DRBD, of all versions, and its configuration files. No bad copy may become eligible.

use crate::planted;
use crm_drbd::eligibility::eligibility;
use crm_drbd::generation::Generation;
use crm_drbd::refusal::Refusal;
use crm_drbd::state::{Disk, Picture};
use crm_drbd::tracker::Tracker;
use crm_drbd::{RecordWord, answers, conf, json, proc_drbd, status};
use std::collections::BTreeMap;

pub fn feed(data: &[u8]) {
    let Some((kind, data)) = data.split_first() else { return };
    let Ok(text) = std::str::from_utf8(data) else { return };
    let mut pictures: Vec<Picture> = Vec::new();
    match kind % 6 {
        0 => {
            if let Ok(proc) = proc_drbd::read(text) {
                let minors: BTreeMap<u32, u32> =
                    proc.devices.keys().map(|minor| (*minor, *minor)).collect();
                pictures.push(BTreeMap::from([("r".to_owned(), proc.resource("r", &minors))]));
            }
        }
        1 => pictures.extend(status::read(text)),
        2 => pictures.extend(json::read(text)),
        3 => {
            let mut tracker = Tracker::new();
            for line in text.lines() {
                match tracker.line(line) {
                    Ok(changes) => changes.iter().for_each(|change| drop(change.to_string())),
                    Err(_) => tracker.restart(),
                }
            }
            pictures.extend(tracker.picture().cloned());
        }
        4 => {
            let _ = (answers::role(text), answers::dstate(text), answers::cstate(text));
            let _ = Generation::read(text).map(|one| one.relation(&one));
            drop(Refusal::read(11, text).to_string());
        }
        _ => match conf::read("r0.res", text, &mut ()) {
            Ok(configuration) => drop(format!("{configuration:?}")),
            Err(error) => assert!(error.to_string().len() < 4096),
        },
    }
    let named = pictures.iter().flat_map(BTreeMap::keys);
    planted::reached({ named }.any(|name| name.bytes().any(|byte| byte.is_ascii_uppercase())));
    for resource in pictures.iter().flat_map(BTreeMap::values) {
        let answer = eligibility(resource, RecordWord::Silent);
        let good = resource.volumes.values().all(|volume| volume.disk == Disk::UpToDate);
        assert!(!answer.is_yes() || good, "{resource:#?} is eligible");
        drop((answer.to_string(), resource.out_of_sync_kib()));
        for peer in resource.peers.values() {
            peer.volumes.values().for_each(|v| drop(v.resync.map(|resync| resync.to_string())));
        }
    }
}
