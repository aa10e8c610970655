//! The state file: whole, and its payload under a good checksum, from which a node starts.
#![no_main]

use crm_daemon::fuzzing::{decode_state, encode_state};
use crm_fuzz::Talk;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok(stored) = decode_state(data) {
        assert_eq!(decode_state(&encode_state(&stored)).as_ref(), Ok(&stored));
    }
    if let Ok(stored) = postcard::from_bytes(data) {
        let _ = Talk::from(stored);
    }
});
