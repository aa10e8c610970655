//! What agents and fencing devices are told, and what they answer.

use crate::planted;
use crm_daemon::fuzzing;
use std::collections::BTreeMap;

pub fn feed(data: &[u8]) {
    let Some((kind, data)) = data.split_first() else { return };
    match kind % 4 {
        0 => fuzzing::agent_speaks(data),
        1 => fuzzing::journal_entry(data),
        2 => {
            let text = String::from_utf8_lossy(data);
            fuzzing::agent_prints(&text);
            if let Ok(meta) = crm_agents::metadata::MetaData::parse(&text) {
                drop((meta.to_json(), meta.to_xml(), meta.check(&BTreeMap::new())));
                planted::reached(meta.name.bytes().any(|byte| byte.is_ascii_digit()));
            }
        }
        _ => {
            let text = String::from_utf8_lossy(data);
            let mut words = text.split('\u{1}');
            let mut given = BTreeMap::new();
            while let (Some(name), Some(value)) = (words.next(), words.next()) {
                given.insert(name.to_owned(), value.to_owned());
            }
            // No file of this machine is a password here.
            given.remove("password_file");
            if let Ok(input) = fuzzing::fence_input(&given, "beta") {
                let lines = input.split(|byte| *byte == b'\n').count();
                let names = given.len() + usize::from(!given.contains_key("nodename"))
                    - usize::from(given.contains_key("action"));
                assert_eq!(lines, names + 2, "a parameter made a line of its own");
                assert!(input.starts_with(b"action=off\n"));
            }
        }
    }
}
