//! Memory that is there before it is needed and never paged out, and a priority that a busy machine
//! cannot starve: they help to send heartbeats in time and none is required.

use nix::sys::mman::{MlockAllFlags, mlockall};
use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit, setrlimit};

/// Above everything ordinary and the own agents, below everything that asked for more.
const PRIORITY: i32 = 2;
/// Lowest real-time priority, for the agents built in.
const AGENTS: i32 = 1;

/// What a daemon with a full history uses of the heap beyond its first minute, in bytes.
const RESERVE: usize = 1792 * 1024;
/// Smaller than what the allocator takes from the kernel apart.
const PIECE: usize = 64 * 1024;

/// Takes from the kernel at once what the heap will need: a machine that is short of memory makes a process
/// wait for every new page. Heartbeat did the same.
pub(crate) fn reserve() {
    crate::sys::keep_one_heap();
    // Written and looked at, or neither the compiler nor the kernel would give any memory.
    let pieces: Vec<Vec<u8>> = (0..RESERVE / PIECE).map(|_| vec![1; PIECE]).collect();
    std::hint::black_box(&pieces);
}

/// Does what is permitted, and returns the agents' priority if it is; what is not is in the debug log.
pub(crate) fn acquire() -> Option<i32> {
    // Under a limit, MCL_FUTURE would make later allocations fail: all or nothing.
    let unlimited = setrlimit(Resource::RLIMIT_MEMLOCK, RLIM_INFINITY, RLIM_INFINITY).is_ok()
        || getrlimit(Resource::RLIMIT_MEMLOCK).is_ok_and(|(soft, _)| soft == RLIM_INFINITY);
    // Pages are locked once they are touched: stacks and mappings that are never used cost nothing.
    let on_fault = MlockAllFlags::from_bits_retain(nix::libc::MCL_ONFAULT);
    let flags = MlockAllFlags::MCL_CURRENT | MlockAllFlags::MCL_FUTURE | on_fault;
    if !unlimited {
        tracing::debug!("memory is not locked: RLIMIT_MEMLOCK is limited");
    } else if let Err(error) = mlockall(flags) {
        tracing::debug!("memory is not locked: {error}");
    }
    let refused = crate::sys::round_robin(0, PRIORITY).err();
    if let Some(error) = &refused {
        tracing::debug!("no real-time priority: {error}");
    }
    refused.is_none().then_some(AGENTS)
}
