//! Recorded refusals and what is made of them (HB20 to HB27).

mod common;

use common::calls;
use crm_drbd::refusal::{Kind, Refusal};

#[test]
fn every_recorded_refusal_has_its_reason() {
    for (file, command, code, kind) in [
        ("03-primary-refused-inconsistent.a", "drbdadm primary", 17, Kind::NoGoodData),
        ("06-primary-refused-peer-primary.b", "drbdadm primary", 11, Kind::OtherPrimary),
        ("07-down-refused-open.a", "drbdadm down", 11, Kind::InUse),
        ("07-secondary-refused-open.a", "drbdadm secondary", 11, Kind::InUse),
        ("15-disconnect-when-standalone.a", "drbdadm disconnect", 10, Kind::NoConnection),
        ("19-primary-refused-outdated.b", "drbdadm primary", 17, Kind::NoGoodData),
        ("00-module-loaded.a", "drbdadm status", 10, Kind::NotConfigured),
        ("00-module-loaded.a", "drbdadm role", 10, Kind::NotConfigured),
        ("00-module-loaded.a", "drbdadm cstate", 10, Kind::NotConfigured),
        ("00-json-is-refused.a", "drbdsetup status", 20, Kind::Usage),
        ("32-promote-fence-peer-1.b", "drbdadm primary", 11, Kind::PeerNotOutdated),
    ] {
        let calls = calls(&format!("8.4/{file}.txt"));
        let call = calls.iter().find(|call| call.command.starts_with(command));
        let call = call.unwrap_or_else(|| panic!("{file}: {command}"));
        assert_eq!(call.code, code, "{file}");
        let refusal = Refusal::read(call.code, &call.output);
        assert_eq!(refusal.kind, kind, "{file}: {refusal}");
        assert!(!refusal.words.contains("terminated with exit code"), "{refusal}");
        assert!(!refusal.to_string().contains('\n'), "{refusal}");
    }
}

#[test]
fn hb21_no_hint_tells_anybody_to_force() {
    for kind in [Kind::NoGoodData, Kind::PeerNotOutdated, Kind::OtherPrimary, Kind::Other] {
        let refusal = Refusal { kind, code: 17, number: None, words: String::new() };
        let text = refusal.to_string();
        assert!(!text.contains("--force") && !text.contains("--overwrite"), "{text}");
    }
}

#[test]
fn hb21_the_words_of_0_7() {
    let text = "ioctl(SET_STATE,) failed: Input/output error\n\
                Local replica is inconsistent (--do-what-I-say ?)\n";
    let refusal = Refusal::read(21, text);
    assert_eq!(refusal.kind, Kind::NoGoodData);
}

#[test]
fn what_is_not_known_keeps_the_tools_words() {
    let refusal = Refusal::read(99, "the moon is full\n");
    assert_eq!(refusal.kind, Kind::Other);
    assert!(refusal.to_string().contains("exit code 99: the moon is full"), "{refusal}");
    for output in ["State change failed: (", "Failure: (99999999999999999999)", "Failure: ()", ""] {
        let _ = Refusal::read(11, output).to_string();
    }
    assert_eq!(Refusal::read(17, "").kind, Kind::NoGoodData);
}
