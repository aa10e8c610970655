//! `crm init` under the same power cuts.

use super::fault_disk::{Fault, FaultDisk, Skips, Snapshot};
use super::replay::DIRECTORY;
use crate::founding::found_on;
use crate::store::Store;
use crm_core::id::{NodeId, StoreId};
use std::path::Path;

fn found(disk: &FaultDisk) -> Result<(), String> {
    let node = NodeId::new("alpha");
    found_on(disk.clone(), Path::new(DIRECTORY), &node, "cluster: x\n", StoreId(7))
}

fn load(disk: &FaultDisk) -> Result<bool, String> {
    Ok(Store::on(disk.clone(), Path::new(DIRECTORY)).load()?.is_some())
}

/// A machine on which nobody has made the directory yet.
fn fresh() -> Snapshot {
    Snapshot::with(&[(Path::new("/var/lib/misc"), Vec::new())])
}

/// How many disks were tried.
fn every_cut(skips: Option<Skips>) -> Result<u64, String> {
    let disk = FaultDisk::holding(fresh(), skips);
    disk.watch();
    found(&disk)?;
    let mut tried = 0;
    let mut steps = vec![(fresh(), false)];
    steps.extend(disk.watched().into_iter().map(|step| (step, false)));
    steps.push((disk.now(), true));
    for (step, told) in steps {
        for found_after in step.aftermaths() {
            tried += 1;
            let disk = FaultDisk::holding(found_after, skips);
            match load(&disk)? {
                true => {
                    let again = found(&disk).expect_err("founded twice");
                    assert!(again.contains("is there already"), "{again}");
                }
                false if told => return Err("forgotten".to_owned()),
                false => {
                    found(&disk)?;
                    assert_eq!(load(&disk), Ok(true));
                }
            }
        }
    }
    Ok(tried)
}

#[test]
fn as1_a_power_cut_while_founding_leaves_a_cluster_or_none_and_never_half_of_one() {
    let tried = every_cut(None).expect("sound");
    assert!(tried > 30, "{tried} disks");
    for skips in [Skips::FileSync, Skips::DirectorySync, Skips::Rename, Skips::ParentSync] {
        assert!(every_cut(Some(skips)).is_err(), "nobody notices without {skips:?}");
    }
}

#[test]
fn as1_a_founding_that_fails_says_so_and_can_be_done_again() {
    for number in 1.. {
        for fault in [Fault::Full, Fault::Fails, Fault::FailsDone] {
            let disk = FaultDisk::holding(fresh(), None);
            disk.fail(number, fault);
            let first = found(&disk);
            if disk.operations() < number {
                assert!(number > 10, "only {number} operations");
                return;
            }
            let error = first.expect_err("an error was swallowed");
            assert!(error.contains(DIRECTORY), "{error}");
            if !load(&disk).expect("whole or not there") {
                found(&disk).expect("again");
            }
        }
    }
}
