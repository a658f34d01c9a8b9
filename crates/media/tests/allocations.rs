//! The hot path allocates nothing per packet.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod stream;

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
};

use dashvault_media::{Segment, SegmentSink, Segmenter, SegmenterConfig};
use stream::{Plan, stream};

struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

// SAFETY: every call is passed on to the system allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.with(|count| count.set(count.get() + 1));
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

struct Nowhere;

impl SegmentSink for Nowhere {
    fn bytes(&mut self, _run: &[u8]) {}
    fn closed(&mut self, _segment: Segment) {}
}

#[test]
fn ten_thousand_packets_allocate_nothing_once_the_buffers_are_there() {
    let input = stream(&Plan { frames: 2000, sei_bytes: 600, random_access: false, ..Plan::default() });
    assert!(input.len() > 10_000 * 188);
    for split in [1, 188, 1000, 1316, 65_536, input.len()] {
        let mut segmenter = Segmenter::new(SegmenterConfig::default());
        input.chunks(split).for_each(|part| segmenter.push(part, &mut Nowhere).unwrap());
        let before = ALLOCATIONS.with(Cell::get);
        input.chunks(split).for_each(|part| segmenter.push(part, &mut Nowhere).unwrap());
        assert_eq!(ALLOCATIONS.with(Cell::get) - before, 0, "in pieces of {split} bytes");
    }
}
