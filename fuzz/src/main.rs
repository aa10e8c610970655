//! Every reader of foreign bytes under libFuzzer, in one program: `CRM_FUZZ_TARGET` chooses the reader. `tests/fuzz` runs it.
#![no_main]

mod memory;
mod planted;
mod seeds;
mod talk;
mod targets;

use std::process::exit;
use std::sync::OnceLock;
use targets::Target;

/// What this process feeds.
static CHOSEN: OnceLock<Target> = OnceLock::new();

/// Reads what the environment asks for: a target, or the seeds that real nodes make.
fn begin() {
    let asked = std::env::var("CRM_FUZZ_TARGET").unwrap_or_default();
    let Some(target) = targets::by_name(&asked) else {
        eprintln!(
            "crm-fuzz: expected CRM_FUZZ_TARGET to be one of {:?}, found {asked:?}",
            targets::names()
        );
        exit(2);
    };
    if let Some(folder) = std::env::var_os("CRM_FUZZ_SEEDS") {
        if let Err(error) = seeds::write(&asked, folder.as_ref()) {
            eprintln!("crm-fuzz: seeds into {}: {error}", folder.display());
            exit(2);
        }
        exit(0);
    }
    CHOSEN.get_or_init(|| target);
}

libfuzzer_sys::fuzz_target!(init: begin(), |data: &[u8]| {
    if let Some(target) = CHOSEN.get() {
        memory::bounded(|| target(data));
        planted::leak(data);
    }
});
