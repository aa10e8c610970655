//! R12: authority for a later run of a node that was proved dead.

use crate::cluster::Lab;
use crate::steps::apply;
use crm_core::Input;
use crm_core::id::{NodeId, RequestId};
use crm_core::operator::Command;
use crm_core::packet::Message;
use crm_core::time::Span;

fn ask(lab: &mut Lab, node: &str, number: u64, command: Command) {
    lab.handle(&node.into(), Input::Operator { request: RequestId(number), command });
}

/// The owner of a group is proved dead and back while a record is under way that most disks have not
/// written yet. It persists that record, and its lease is renewed. Once the record is committed, the
/// next one gives the group away on the proof: until that one is committed too, the owner's new run
/// must not be told of the record before, which still grants the group to it.
#[test]
fn r12_a_committed_grant_is_not_told_while_its_move_is_under_way() {
    let mut lab = Lab::new("device a b c d e | g@e");
    lab.run(Span::secs(6));
    assert_eq!(lab.holders("g"), ["e"], "{}", lab.log.join("\n"));
    let leader = lab.coordinators().into_iter().next().unwrap();
    assert_ne!(leader, "e");
    lab.stop_takes = Span::secs(2);
    lab.fence_takes = Span::millis(100);
    let others: Vec<NodeId> = lab.machines.keys().cloned().collect();
    for other in others.iter().filter(|other| other.as_str() != leader && other.as_str() != "e") {
        lab.slow_disks.insert(other.clone(), Span::secs(3));
    }
    ask(&mut lab, &leader, 1, Command::Fence { node: "e".into() });
    lab.run(Span::millis(50));
    ask(&mut lab, &leader, 2, Command::Standby { node: "d".into() });
    lab.run(Span::millis(100));
    assert_eq!(lab.fenced, ["e".into()]);
    lab.boot(&"e".into());
    lab.run(Span::secs(2));
    lab.slow_disks.clear();
    lab.slow_disks.insert(leader.as_str().into(), Span::millis(600));
    lab.run(Span::secs(10));
    assert!(lab.twice.is_empty(), "I1: {:?}\n{}", lab.twice, lab.log.join("\n"));
    assert_eq!(lab.holders("g").len(), 1, "{}", lab.log.join("\n"));
    let voters = lab.status(&leader).nodes.iter().filter(|n| n.voter).count();
    assert_eq!(voters, 5, "{}", lab.log.join("\n"));
}

/// The owner is cut off together with the coordinator. The others elect one of their own, which has the
/// owner proved dead. It is back at once, beside the old coordinator, whose lease still holds.
#[test]
fn r12_a_deposed_coordinator_gives_a_later_run_no_authority() {
    let mut lab = Lab::new("device L=20 a b c d e | g@e");
    lab.run(Span::secs(6));
    assert_eq!(lab.holders("g"), ["e"], "{}", lab.log.join("\n"));
    let leader = lab.coordinators().into_iter().next().unwrap();
    assert_ne!(leader, "e");
    let names: Vec<NodeId> = lab.machines.keys().cloned().collect();
    let inside = |name: &NodeId| name.as_str() == leader || name.as_str() == "e";
    for other in names.iter().filter(|name| !inside(name)) {
        lab.cut(&leader, other.as_str());
        lab.cut("e", other.as_str());
    }
    for _ in 0..100 {
        lab.run(Span::millis(50));
        if lab.fenced == ["e".into()] {
            break;
        }
    }
    assert_eq!(lab.fenced, ["e".into()], "{}", lab.log.join("\n"));
    lab.boot(&"e".into());
    lab.run(Span::secs(10));
    assert!(lab.twice.is_empty(), "I1: {:?}\n{}", lab.twice, lab.log.join("\n"));
    assert_eq!(lab.holders("g").len(), 1, "{}", lab.log.join("\n"));
    lab.cut.clear();
    lab.run(Span::secs(30));
    assert_eq!(lab.holders("g").len(), 1, "{}", lab.log.join("\n"));
}

/// H6: a record that was never committed gives no authority. Its coordinator alone has it, and the other was elected
/// without it: once shot, it boots and must not shoot the one that runs everything.
#[test]
fn r16_a_node_that_boots_as_the_only_voter_of_an_uncommitted_record_waits() {
    let mut lab = Lab::new("device a b | web@a");
    lab.run(Span::secs(4));
    assert_eq!(lab.coordinators(), ["b".to_owned()].into());
    lab.loses = Some(|_, packet| match &packet.message {
        Message::Propose { record, .. } => record.voters.len() == 1,
        _ => false,
    });
    apply(&mut lab, "b", 1, "device a- b | web@a");
    while lab.machines[&NodeId::new("b")].disk.record.as_ref().is_some_and(|r| r.voters.len() == 2)
    {
        lab.run(Span::millis(1));
    }
    lab.cut("a", "b");
    lab.run(Span::secs(8));
    assert_eq!(lab.fenced, ["b".into()], "{}", lab.log.join("\n"));
    assert_eq!(lab.coordinators(), ["a".to_owned()].into(), "{}", lab.log.join("\n"));
    lab.loses = None;
    lab.boot(&"b".into());
    lab.run(Span::secs(20));
    assert_eq!(lab.fenced, ["b".into()], "{}", lab.log.join("\n"));
    assert_eq!(lab.holders("web"), ["a"]);
    lab.cut.clear();
    lab.run(Span::secs(10));
    assert_eq!(lab.coordinators(), ["a".to_owned()].into(), "{}", lab.log.join("\n"));
}
