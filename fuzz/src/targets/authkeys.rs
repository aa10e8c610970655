//! Key files, Heartbeat's too, and what `crm keygen` makes of them. No secret may show.

use crate::planted;
use crm_wire::{AuthKeys, KeyId, add_key, drop_key, import_authkeys, switch_sending};

pub fn feed(data: &[u8]) {
    let Some((number, text)) = data.split_first() else { return };
    let Ok(text) = std::str::from_utf8(text) else { return };
    match AuthKeys::parse("authkeys", text) {
        Ok(keys) => drop(format!("{keys:?}")),
        Err(error) => assert!(error.to_string().len() < 4096),
    }
    if let Err(error) = import_authkeys("authkeys", text) {
        assert!(error.to_string().len() < 4096);
    }
    let key = KeyId(*number % 16);
    for changed in [
        add_key("authkeys", text, crate::talk::random(*number)).map(|(_, text)| text),
        switch_sending("authkeys", text, key),
        drop_key("authkeys", text, key),
    ] {
        // What is written must be read again.
        if let Ok(changed) = changed {
            AuthKeys::parse("authkeys", &changed).expect("a rotation made a file that is refused");
        }
    }
    planted::reached(drop_key("authkeys", text, key).is_ok());
}
