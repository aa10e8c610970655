//! How a record comes into force: stamped anew, committed by a deciding set, accepted, obeyed (R7 to R10).

use crate::cluster::{Lab, Sent};
use crm_core::Input;
use crm_core::id::{Epoch, NodeId, RequestId, Stamp};
use crm_core::operator::{Command, Outcome};
use crm_core::packet::Message;
use crm_core::record::{GrantState, Record, Stored};
use crm_core::time::Span;
use std::collections::BTreeMap;

fn proposals(sent: &[Sent]) -> impl Iterator<Item = (&Sent, &Record)> {
    sent.iter().filter_map(|sent| match &sent.message {
        Message::Propose { record, .. } => Some((sent, record.as_ref())),
        _ => None,
    })
}

/// How many disks hold this record or a newer one.
fn holding(disks: &BTreeMap<NodeId, Stored>, stamp: Stamp) -> usize {
    let has = |disk: &&Stored| disk.record.as_ref().is_some_and(|record| record.stamp >= stamp);
    disks.values().filter(has).count()
}

/// Groups move, coordinators die and come back.
fn busy() -> Lab {
    let mut lab = Lab::new("device a b c | g@a h@b i@c");
    lab.watching = true;
    lab.run(Span::secs(4));
    for round in 0..6 {
        let first = lab.coordinators().into_iter().next().unwrap();
        let to = ["a", "b", "c"].into_iter().find(|name| *name != first).unwrap();
        let command = Command::Migrate { group: "g".into(), to: Some(to.into()) };
        let input = Input::Operator { request: RequestId(round), command };
        lab.handle(&first.as_str().into(), input);
        lab.run(Span::millis(3 + 20 * round));
        lab.crash(&first.as_str().into());
        lab.run(Span::secs(4));
        lab.boot(&first.as_str().into());
        lab.run(Span::secs(4));
    }
    lab
}

/// The first record of an epoch changes its stamp and nothing else.
#[test]
fn r7_the_first_record_of_an_epoch_is_the_newest_one_stamped_anew() {
    let lab = busy();
    let mut first: BTreeMap<Epoch, Stamp> = BTreeMap::new();
    for (sent, record) in proposals(&lab.sent) {
        if first.contains_key(&record.stamp.epoch) {
            continue;
        }
        first.insert(record.stamp.epoch, record.stamp);
        assert_eq!(record.stamp.epoch, sent.disks[&sent.from].epoch, "the own epoch");
        let best = sent
            .disks
            .values()
            .filter_map(|disk| disk.record.as_ref())
            .filter(|known| known.stamp.epoch < record.stamp.epoch)
            .max_by_key(|known| known.stamp);
        let Some(best) = best else { continue };
        assert_eq!(record.stamp.version, best.stamp.version + 1);
        assert_eq!((&record.voters, &record.old_voters), (&best.voters, &best.voters));
        assert_eq!(record.grants, best.grants);
        assert_eq!(record.intents, best.intents);
        assert_eq!(record.config.digest, best.config.digest);
    }
    assert!(first.len() >= 6, "{first:?}");
}

/// In a tie the one that was shot loses its vote and what it owned, in that same record.
#[test]
fn r7_after_a_tie_the_first_record_empties_what_the_dead_owned() {
    let mut lab = Lab::new("device a b | g@a h@b");
    lab.run(Span::secs(4));
    let dead = lab.coordinators().into_iter().next().unwrap();
    let survivor = NodeId::new(if dead == "a" { "b" } else { "a" });
    lab.crash(&dead.as_str().into());
    let (epoch, dead) = (lab.machines[&survivor].disk.epoch, NodeId::new(&dead));
    let first = (0..8000).find_map(|_| {
        lab.run(Span::millis(1));
        let record = lab.machines[&survivor].disk.record.clone().unwrap();
        (record.stamp.epoch > epoch).then_some(record)
    });
    let first = first.unwrap_or_else(|| panic!("{}", lab.log.join("\n")));
    assert_eq!(lab.fenced.as_slice(), std::slice::from_ref(&dead));
    assert!(!first.voters.contains_key(&dead) && first.old_voters.contains_key(&dead));
    assert!(first.grants.values().all(|grant| grant.owner == survivor), "{:?}", first.grants);
    lab.run(Span::secs(2));
    assert_eq!(lab.holders("g"), lab.holders("h"));
}

/// Nobody is told to obey what a deciding set has not on its disks.
#[test]
fn r8_committed_is_what_a_deciding_set_has_on_its_disks() {
    let lab = busy();
    let mut commits = 0;
    for sent in &lab.sent {
        let Message::Committed { stamp, .. } = &sent.message else { continue };
        commits += 1;
        assert!(holding(&sent.disks, *stamp) >= 2, "{stamp} told by {} too early", sent.from);
        let own = sent.disks[&sent.from].record.as_ref().unwrap();
        assert!(own.stamp >= *stamp, "the coordinator's own disk comes first");
    }
    assert!(commits >= 20, "only {commits}");
}

/// The next version is not sent before this one is on the disks of a deciding set.
#[test]
fn r8_one_version_is_in_flight() {
    let lab = busy();
    let mut last: BTreeMap<Epoch, Stamp> = BTreeMap::new();
    for (sent, record) in proposals(&lab.sent) {
        let stamp = record.stamp;
        if let Some(before) = last.insert(stamp.epoch, stamp).filter(|before| *before < stamp) {
            assert_eq!(stamp.version, before.version + 1, "a version was left out");
            assert!(holding(&sent.disks, before) >= 2, "{stamp} was sent before {before} stood");
        }
    }
    assert!(last.len() >= 6);
}

/// What a coordinator wrote down alone is overwritten by the epoch that followed, and whoever asked for it
/// was not told that it is done.
#[test]
fn r9_what_only_a_deposed_coordinator_has_is_overwritten() {
    let mut lab = Lab::new("none a b c");
    lab.run(Span::secs(4));
    let old = lab.coordinators().into_iter().next().unwrap();
    let name = NodeId::new(&old);
    for other in ["a", "b", "c"] {
        lab.cut(&old, other);
    }
    let text = "none a b c | g@a".to_owned();
    let command = Command::Apply { text, base: None };
    lab.handle(&name, Input::Operator { request: RequestId(7), command });
    lab.run(Span::millis(20));
    let alone = lab.machines[&name].disk.record.clone().unwrap();
    assert!(alone.config.text.contains("g@a"), "{:?}", alone.config.text);
    lab.run(Span::secs(10));
    lab.cut.clear();
    lab.run(Span::secs(4));
    let now = lab.machines[&name].disk.record.clone().unwrap();
    assert!(now.stamp.epoch > alone.stamp.epoch, "{} after {}", now.stamp, alone.stamp);
    assert!(!now.config.text.contains("g@a"), "what nobody else had came into force");
    let done = |outcome: &Outcome| matches!(outcome, Outcome::Done { .. });
    assert!(!lab.replies.iter().any(|(_, request, outcome)| *request == 7 && done(outcome)));
}

/// A start is asked for only where the node's own disk and those of a deciding set grant the group to it,
/// in the epoch that the node is in.
#[test]
fn r10_a_start_stands_on_a_committed_grant_of_the_newest_record() {
    let lab = busy();
    assert!(lab.asked_to_start.len() >= 10, "only {} starts", lab.asked_to_start.len());
    for (node, group, disks) in &lab.asked_to_start {
        let own = disks[node].record.as_ref().unwrap();
        let grant = &own.grants[&group.as_str().into()];
        assert_eq!((&grant.owner, grant.state), (node, GrantState::Held), "{group} on {node}");
        assert_eq!(own.stamp.epoch, disks[node].epoch, "{group} on {node}: of an older epoch");
        assert!(
            holding(disks, own.stamp) >= 2,
            "{group} on {node}: {} is not committed",
            own.stamp
        );
    }
}

/// Who is not told of the commit starts nothing, though the record that grants is on its disk.
#[test]
fn r10_a_record_that_is_only_persisted_is_not_obeyed() {
    let mut lab = Lab::new("none a b c | g@a");
    lab.run(Span::secs(4));
    assert_eq!(lab.holders("g"), ["a"]);
    lab.loses = Some(|_, packet| match &packet.message {
        Message::Committed { .. } => packet.to == "c".into(),
        Message::Heartbeat(beat) => packet.to == "c".into() && beat.leading.is_some(),
        _ => false,
    });
    let command = Command::Migrate { group: "g".into(), to: Some("c".into()) };
    lab.handle(&"a".into(), Input::Operator { request: RequestId(1), command });
    lab.run(Span::millis(500));
    let disk = lab.machines[&"c".into()].disk.record.clone().unwrap();
    let grant = &disk.grants[&"g".into()];
    assert_eq!(
        (&grant.owner, grant.state),
        (&"c".into(), GrantState::Held),
        "{}",
        lab.log.join("\n")
    );
    assert_eq!(lab.holders("g"), Vec::<String>::new(), "it obeyed what nobody told it");
    lab.loses = None;
    lab.run(Span::secs(3));
    assert_eq!(lab.holders("g"), ["c"], "{}", lab.log.join("\n"));
}
