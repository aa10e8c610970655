//! Who may lead: asking first, voting once, following the higher epoch (R1, R2, R3).

use crate::cluster::Lab;
use crm_core::id::{Epoch, NodeId};
use crm_core::packet::Message;
use crm_core::time::Span;
use std::collections::BTreeMap;

/// Nine elections: the coordinator dies and comes back, again and again.
fn elections() -> Lab {
    let mut lab = Lab::new("device a b c | g@a h@b");
    lab.watching = true;
    lab.run(Span::secs(4));
    for _ in 0..8 {
        let first = lab.coordinators().into_iter().next().unwrap();
        lab.crash(&first.as_str().into());
        lab.run(Span::secs(4));
        lab.boot(&first.as_str().into());
        lab.run(Span::secs(4));
    }
    lab
}

fn epoch_of(lab: &Lab, name: &str) -> Epoch {
    lab.machines[&NodeId::new(name)].disk.epoch
}

/// Whoever hears a coordinator whose lease holds refuses, so a node with one bad link changes nothing.
#[test]
fn r1_a_node_that_alone_misses_the_coordinator_deposes_nobody() {
    let mut lab = Lab::new("device a b c");
    lab.run(Span::secs(4));
    let leader = lab.coordinators().into_iter().next().unwrap();
    let deaf = ["a", "b", "c"].into_iter().find(|name| *name != leader).unwrap();
    let before = epoch_of(&lab, deaf);
    lab.watching = true;
    lab.cut(&leader, deaf);
    lab.run(Span::secs(20));
    let asked = |from: &str| {
        let asks = |m: &Message| matches!(m, Message::PreVote { .. });
        lab.sent.iter().filter(|sent| sent.from.as_str() == from && asks(&sent.message)).count()
    };
    assert!(asked(deaf) > 0, "it did not even ask\n{}", lab.log.join("\n"));
    let granted = |m: &Message| matches!(m, Message::PreVoteReply { granted: true, .. });
    assert!(!lab.sent.iter().any(|sent| granted(&sent.message)));
    for name in ["a", "b", "c"] {
        assert_eq!(epoch_of(&lab, name), before, "{name} raised its epoch");
    }
}

/// Cut off from everybody it asks, gets no answer, and comes back with the epoch that it had.
#[test]
fn r1_asking_changes_nothing_on_any_disk() {
    let mut lab = Lab::new("device a b c");
    lab.run(Span::secs(4));
    let leader = lab.coordinators().into_iter().next().unwrap();
    let lonely = ["a", "b", "c"].into_iter().find(|name| *name != leader).unwrap();
    let before = epoch_of(&lab, lonely);
    for other in ["a", "b", "c"] {
        lab.cut(lonely, other);
    }
    lab.run(Span::secs(20));
    assert_eq!(epoch_of(&lab, lonely), before);
    lab.cut.clear();
    lab.run(Span::secs(4));
    assert_eq!(lab.coordinators(), [leader].into(), "{}", lab.log.join("\n"));
    assert_eq!(epoch_of(&lab, lonely), before);
}

/// A vote is on the disk before it is sent, and each voter gives one for an epoch.
#[test]
fn r2_a_vote_is_durable_before_it_is_given_and_given_once() {
    let lab = elections();
    let mut given: BTreeMap<(NodeId, Epoch), NodeId> = BTreeMap::new();
    for sent in &lab.sent {
        let Message::Vote { epoch, .. } = &sent.message else { continue };
        let disk = &sent.disks[&sent.from];
        assert_eq!(disk.epoch, *epoch, "{} voted before its epoch was on its disk", sent.from);
        assert_eq!(disk.vote.as_ref(), Some(&sent.to), "{} voted before its disk knew", sent.from);
        let before = given.insert((sent.from.clone(), *epoch), sent.to.clone());
        assert!(before.is_none_or(|to| to == sent.to), "{} voted twice in {epoch:?}", sent.from);
    }
    assert!(given.len() >= 8, "only {} votes", given.len());
}

/// R4 beside it: who asks for votes has its own on the disk.
#[test]
fn r4_who_stands_has_voted_for_itself_on_its_disk() {
    let lab = elections();
    let mut asked = 0;
    for sent in &lab.sent {
        let Message::VoteRequest { epoch } = &sent.message else { continue };
        let disk = &sent.disks[&sent.from];
        assert_eq!((disk.epoch, disk.vote.as_ref()), (*epoch, Some(&sent.from)));
        asked += 1;
    }
    assert!(asked >= 8, "only {asked} requests");
}

/// A record of a higher epoch is followed once that epoch and the record are on the disk; a deposed
/// coordinator that does not know it yet is refused and told the epoch.
#[test]
fn r3_the_higher_epoch_is_durable_before_the_answer_and_the_lower_one_is_refused() {
    let lab = elections();
    let mut followed = 0;
    for sent in &lab.sent {
        let Message::Accepted { epoch, stamp, .. } = &sent.message else { continue };
        let disk = &sent.disks[&sent.from];
        assert!(disk.epoch >= *epoch, "{} answered before its disk", sent.from);
        assert_eq!(disk.record.as_ref().map(|record| record.stamp), Some(*stamp));
        followed += 1;
    }
    assert!(followed >= 16, "only {followed} answers");

    let mut lab = Lab::new("device a b c");
    lab.run(Span::secs(4));
    let old = lab.coordinators().into_iter().next().unwrap();
    let old_epoch = epoch_of(&lab, &old);
    // A way only: it hears nobody, but they hear it, and it still proposes.
    for other in ["a", "b", "c"] {
        lab.cut.insert((other.into(), old.as_str().into()));
    }
    lab.watching = true;
    lab.run(Span::secs(20));
    let others: Vec<&str> = ["a", "b", "c"].into_iter().filter(|name| *name != old).collect();
    let new_epoch = epoch_of(&lab, others[0]);
    assert!(new_epoch > old_epoch, "{}", lab.log.join("\n"));
    let late = |message: &Message| matches!(message, Message::Propose { epoch, .. } if *epoch == old_epoch);
    for sent in
        lab.sent.iter().filter(|sent| late(&sent.message) && sent.disks[&sent.to].epoch > old_epoch)
    {
        let refusals = lab.sent.iter().filter(|answer| {
            answer.from == sent.to
                && matches!(answer.message, Message::Behind { epoch } if epoch > old_epoch)
        });
        assert!(refusals.count() > 0, "{} did not refuse", sent.to);
    }
    for name in others {
        let record = lab.machines[&NodeId::new(name)].disk.record.as_ref().unwrap();
        assert_eq!(record.stamp.epoch, new_epoch, "{name} went back");
    }
}
