//! Growth is a finding, too: what one input takes at once, and what inputs leave behind. The fuzzer's own memory (its corpus) is not
//! counted here; `-rss_limit_mb` bounds that.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// Bytes that one input may take at once.
const ONE_INPUT_MAX: usize = 64 * 1024 * 1024;

/// Bytes that all inputs together may leave behind, after the first: things that are made once and kept.
const LEFT_MAX: usize = 1024 * 1024;

static LIVE: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(0);
static AFTER_THE_FIRST: OnceLock<usize> = OnceLock::new();

/// Runs one input within the bounds.
pub fn bounded(input: impl FnOnce()) {
    let before = LIVE.load(Relaxed);
    MOST.store(before, Relaxed);
    input();
    let most = MOST.load(Relaxed) - before;
    assert!(most <= ONE_INPUT_MAX, "growth: one input takes {most} bytes at once");
    let after = LIVE.load(Relaxed);
    let left = after.saturating_sub(*AFTER_THE_FIRST.get_or_init(|| after));
    assert!(left <= LEFT_MAX, "growth: {left} bytes are left behind by inputs");
}

struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn grow(bytes: usize) {
    let live = LIVE.fetch_add(bytes, Relaxed) + bytes;
    MOST.fetch_max(live, Relaxed);
}

// SAFETY: every call goes to the system's allocator as it came; counting touches no memory of it.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        grow(layout.size());
        // SAFETY: the caller's promises are the system allocator's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        grow(layout.size());
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Relaxed);
        // SAFETY: as above.
        unsafe { System.dealloc(place, layout) }
    }

    unsafe fn realloc(&self, place: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        grow(size);
        LIVE.fetch_sub(layout.size(), Relaxed);
        // SAFETY: as above.
        unsafe { System.realloc(place, layout, size) }
    }
}
