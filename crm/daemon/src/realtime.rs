//! Memory that is never paged out and a priority that a busy machine cannot starve: both help to
//! send heartbeats in time and neither is required.

use nix::sys::mman::{MlockAllFlags, mlockall};
use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit, setrlimit};

/// Lowest real-time priority: above everything ordinary, below everything that asked for more.
const PRIORITY: i32 = 1;

/// Does what is permitted; returns one line about what was not, for the debug log.
pub(crate) fn acquire() -> Vec<String> {
    let mut refused = Vec::new();
    // Under a limit, MCL_FUTURE would make later allocations fail: all or nothing.
    let unlimited = setrlimit(Resource::RLIMIT_MEMLOCK, RLIM_INFINITY, RLIM_INFINITY).is_ok()
        || getrlimit(Resource::RLIMIT_MEMLOCK).is_ok_and(|(soft, _)| soft == RLIM_INFINITY);
    // Pages are locked once they are touched: stacks and mappings that are never used cost nothing.
    let on_fault = MlockAllFlags::from_bits_retain(nix::libc::MCL_ONFAULT);
    let flags = MlockAllFlags::MCL_CURRENT | MlockAllFlags::MCL_FUTURE | on_fault;
    if !unlimited {
        refused.push("memory is not locked: RLIMIT_MEMLOCK is limited".to_owned());
    } else if let Err(error) = mlockall(flags) {
        refused.push(format!("memory is not locked: {error}"));
    }
    if let Err(error) = crate::sys::round_robin(PRIORITY) {
        refused.push(format!("no real-time priority: {error}"));
    }
    refused
}
