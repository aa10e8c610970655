//! One of a pair is back within the deadtime with an empty disk: the vote that is missing is of the disk that is gone (R18, H22).

use crate::cluster::Lab;
use crate::steps::ask;
use crm_core::id::{NodeId, StoreId};
use crm_core::operator::Command;
use crm_core::record::Stored;
use crm_core::time::Span;

/// Nobody leads, and the silence that would let the other one go on has not come.
fn back_at_once_with_an_empty_disk(config: &str) -> (Lab, NodeId, NodeId) {
    let mut lab = Lab::new(config);
    lab.run(Span::secs(6));
    let stays = NodeId::new(lab.coordinators().first().expect("a coordinator"));
    let emptied = NodeId::new(if stays.as_str() == "a" { "b" } else { "a" });
    lab.crash(&emptied);
    lab.run(Span::millis(300));
    if let Some(machine) = lab.machines.get_mut(&emptied) {
        machine.disk = Stored::new(StoreId(99));
    }
    lab.boot(&emptied);
    lab.run(Span::secs(60));
    assert_eq!(lab.coordinators(), ["-".to_owned()].into(), "{}", lab.log.join("\n"));
    let told = lab.status(stays.as_str()).warnings.join("\n");
    assert!(told.contains(&format!("node {emptied} is back with another disk")), "{told}");
    let word = told.contains(&format!("`crm confirm-dead {emptied}`"));
    assert_eq!(word, config.starts_with("none"), "{told}");
    (lab, stays, emptied)
}

fn both_vote(lab: &Lab, on: &NodeId) -> bool {
    lab.status(on.as_str()).nodes.iter().filter(|node| node.voter).count() == 2
}

#[test]
fn r18_with_a_device_it_must_be_off_for_as_long_as_it_takes_to_be_fenced() {
    let (mut lab, stays, emptied) = back_at_once_with_an_empty_disk("device a b | web@a");
    lab.crash(&emptied);
    lab.run(Span::secs(5));
    assert_eq!(lab.holders("web"), [stays.to_string()], "{}", lab.log.join("\n"));
    lab.boot(&emptied);
    lab.run(Span::secs(10));
    assert!(both_vote(&lab, &stays), "{}", lab.log.join("\n"));
    let told = lab.status(stays.as_str()).warnings.join("\n");
    assert!(!told.contains("another disk"), "{told}");
}

#[test]
fn r18_without_a_device_it_must_be_off_and_called_dead() {
    let (mut lab, stays, emptied) = back_at_once_with_an_empty_disk("none a b | web@a");
    lab.crash(&emptied);
    lab.run(Span::secs(5));
    let word = Command::ConfirmDead { node: emptied.clone() };
    ask(&mut lab, stays.as_str(), 1, word);
    lab.run(Span::secs(5));
    assert_eq!(lab.holders("web"), [stays.to_string()], "{}", lab.log.join("\n"));
    lab.boot(&emptied);
    lab.run(Span::secs(10));
    assert!(both_vote(&lab, &stays), "{}", lab.log.join("\n"));
}
