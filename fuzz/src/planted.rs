//! Bugs planted in the harness, one a target, to see that each target can go red: `tests/fuzz --planted`. Each is a state that only
//! a well-formed input reaches and no seed does.

/// Says that the planted bug was reached.
pub fn reached(reached: bool) {
    assert!(!(cfg!(feature = "planted") && reached && !leaks()), "planted");
}

/// The planted leak, for any target: with `CRM_FUZZ_LEAK` set each input stays in memory.
pub fn leak(data: &[u8]) {
    if cfg!(feature = "planted") && leaks() {
        std::mem::forget([data, &[0; 64]].concat());
    }
}

fn leaks() -> bool {
    std::env::var_os("CRM_FUZZ_LEAK").is_some()
}
