//! Doors for `fuzz/`.

use super::judge::{Judge, judge};
use super::speech::Speech;
use super::tail::{Tail, last_line};
use crm_core::operation::Action;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

/// Descriptor 3, in pieces.
pub fn agent_speaks(bytes: &[u8]) {
    let mut speech = Speech::default();
    bytes.chunks(100).for_each(|piece| speech.feed(piece));
    speech.finish();
    assert!(speech.watches.len() <= 64 && speech.attributes.len() <= 64);
}

/// Standard output of an agent, judged as every class judges it.
pub fn agent_prints(text: &str) {
    let mut tail = Tail::default();
    text.as_bytes().chunks(100).for_each(|piece| tail.feed(piece));
    drop((tail.text(), last_line(text)));
    for class in [Judge::Ocf, Judge::Lsb, Judge::Check, Judge::Words] {
        for code in [0, 1, 3, 7] {
            let status = ExitStatus::from_raw(code << 8);
            drop(judge(class, Action::Status, status, text));
        }
    }
    let _ = super::procfs::parse(1, text);
}

/// An open call that an earlier daemon left.
pub fn journal_entry(bytes: &[u8]) {
    drop(super::journal::understand(bytes));
}
