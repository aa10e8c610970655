//! Steps that several stories take.

use crate::cluster::Lab;
use crm_core::Input;
use crm_core::id::RequestId;
use crm_core::operator::Command;
use crm_core::packet::{Message, Packet};

pub(crate) fn ask(lab: &mut Lab, node: &str, number: u64, command: Command) {
    lab.handle(&node.into(), Input::Operator { request: RequestId(number), command });
}

pub(crate) fn apply(lab: &mut Lab, node: &str, number: u64, text: &str) {
    ask(lab, node, number, Command::Apply { text: text.to_owned(), base: None });
}

pub(crate) fn stands(packet: &Packet) -> bool {
    matches!(packet.message, Message::PreVote { .. })
}

pub(crate) fn once(lab: &Lab) {
    assert!(lab.twice.is_empty(), "I1: {:?}\n{}", lab.twice, lab.log.join("\n"));
}
