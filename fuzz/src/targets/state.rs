//! The state file: whole, and its payload under a good checksum, from which a node starts.

use crate::planted;
use crate::talk::Talk;
use crm_core::record::Stored;
use crm_daemon::fuzzing::{decode_state, encode_state};

pub fn feed(data: &[u8]) {
    if let Ok(stored) = decode_state(data) {
        assert_eq!(decode_state(&encode_state(&stored)).as_ref(), Ok(&stored));
    }
    if let Ok(stored) = postcard::from_bytes::<Stored>(data) {
        let vote = stored.vote.clone();
        let _ = Talk::from(stored);
        let known = ["alpha", "beta", "gamma"];
        planted::reached(vote.is_some_and(|vote| !known.contains(&vote.as_str())));
    }
}
