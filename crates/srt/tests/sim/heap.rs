//! Counts what this thread allocates, so that a run can tell what the ends hold and how often they allocate.
//!
//! Belongs here: the allocator of the test binary and the meter to read it by. Counts are a thread's own: tests run
//! side by side.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

thread_local! {
    static HELD: Cell<i64> = const { Cell::new(0) };
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

/// What happened to the heap between two looks, summed over many pairs of looks.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Meter {
    /// Bytes allocated and not freed.
    pub(crate) held_bytes: i64,
    pub(crate) allocations: u64,
}

impl Meter {
    /// Runs something and counts what it does to the heap.
    pub(crate) fn watch<T>(&mut self, work: impl FnOnce() -> T) -> T {
        let (held, allocations) = (HELD.get(), ALLOCATIONS.get());
        let result = work();
        self.held_bytes += HELD.get() - held;
        self.allocations += ALLOCATIONS.get() - allocations;
        result
    }
}

struct Counting;

#[global_allocator]
static COUNTING: Counting = Counting;

fn count(bytes: i64) {
    // A thread that is going away has no counters any more, and nobody asks.
    let _ = HELD.try_with(|held| held.set(held.get() + bytes));
    if bytes > 0 {
        let _ = ALLOCATIONS.try_with(|all| all.set(all.get() + 1));
    }
}

// SAFETY: every call is handed on to the system's allocator unchanged; counting neither allocates nor panics.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as i64);
        // SAFETY: the caller's promises are the system allocator's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(-(layout.size() as i64));
        // SAFETY: the caller's promises are the system allocator's.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size as i64 - layout.size() as i64);
        // SAFETY: the caller's promises are the system allocator's.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[test]
fn the_meter_sees_what_is_kept() {
    let mut meter = Meter::default();
    let kept = meter.watch(|| {
        drop(vec![0_u8; 5_000]);
        vec![0_u8; 1_000]
    });
    assert_eq!((meter.held_bytes, meter.allocations), (1_000, 2));
    drop(kept);
}
