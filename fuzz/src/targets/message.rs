//! Packets of peers that hold the key: each is decoded as the daemon does, and given to a real node.

use crate::planted;
use crate::talk::Talk;
use crm_core::packet::Message;

pub fn feed(data: &[u8]) {
    let Some((first, rest)) = data.split_first() else { return };
    let mut talk = Talk::new(*first);
    talk.said = cfg!(feature = "planted").then(Vec::new);
    talk.play(rest);
    let said = talk.said.unwrap_or_default();
    planted::reached(
        said.iter().any(|packet| matches!(packet.message, Message::StatusReply { .. })),
    );
}
