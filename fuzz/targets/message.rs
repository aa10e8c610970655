//! Packets of peers that hold the key: each is decoded as the daemon does, and given to a real node.
#![no_main]

use crm_fuzz::Talk;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((first, rest)) = data.split_first() else { return };
    let mut talk = Talk::new(*first);
    talk.play(rest);
});
