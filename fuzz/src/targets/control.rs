//! Lines on the control socket, both ways; commands go to a real node.

use crate::planted;
use crate::talk::Talk;
use crm_api::{ReplyLine, Request, RequestLine, decode, encode};
use crm_core::operator::Command;

pub fn feed(data: &[u8]) {
    let mut talk = None;
    for line in data.split(|byte| *byte == b'\n').take(16) {
        if let Ok(request) = decode::<RequestLine>(line) {
            let again = encode(&request).expect("what was read can be written");
            let again = again.strip_suffix(b"\n").unwrap_or(&again);
            assert_eq!(decode::<RequestLine>(again).expect("and read again"), request);
            if let Request::Command(command) = request.request {
                let known = ["alpha", "beta", "gamma"];
                planted::reached(
                    matches!(&*command, Command::Fence { node } if !known.contains(&node.as_str())),
                );
                talk.get_or_insert_with(|| Talk::new(1)).operator(*command);
            }
        }
        if let Ok(reply) = decode::<ReplyLine>(line) {
            let _ = encode(&reply);
        }
    }
}
