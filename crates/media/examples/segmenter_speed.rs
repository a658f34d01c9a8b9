//! Measures the segmenter with its hash, and BLAKE3 alone, on one core over 256 MiB in memory.
//!
//! `cargo run --release -p dashvault-media --example segmenter_speed`

#[path = "../tests/stream/mod.rs"]
mod stream;

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use dashvault_media::{Segment, SegmentSink, Segmenter, SegmenterConfig};
use stream::{Plan, stream};

const STREAM_BYTES: usize = 256 << 20;
/// As a pipe is read.
const READ_BYTES: usize = 64 * 1024;
const ROUNDS: usize = 5;

/// Touches what it gets, and keeps nothing.
#[derive(Default)]
struct Counted {
    bytes: u64,
    segments: u64,
}

impl SegmentSink for Counted {
    fn bytes(&mut self, run: &[u8]) {
        self.bytes += black_box(run).len() as u64;
    }

    fn closed(&mut self, segment: Segment) {
        black_box(segment);
        self.segments += 1;
    }
}

fn main() {
    // About 8 Mbit/s with a keyframe each second.
    let plan = Plan { frames: 300, gop: 30, frame_bytes: 32_000, ..Plan::default() };
    let part = stream(&plan);
    let input = part.repeat(STREAM_BYTES.div_ceil(part.len()));

    let mut counted = Counted::default();
    let segmenter = fastest(|| {
        counted = Counted::default();
        let mut segmenter = Segmenter::new(SegmenterConfig::default());
        for piece in input.chunks(READ_BYTES) {
            segmenter.push(piece, &mut counted).expect("a transport stream");
        }
        segmenter.finish(&mut counted);
    });
    let blake3 = fastest(|| {
        let mut hasher = blake3::Hasher::new();
        input.chunks(READ_BYTES).for_each(|piece| {
            hasher.update(piece);
        });
        black_box(hasher.finalize());
    });

    assert_eq!(counted.bytes, input.len() as u64);
    let gigabytes = |time: Duration| input.len() as f64 / 1e9 / time.as_secs_f64();
    println!("{} MiB, {} segments, in pieces of {READ_BYTES} bytes", input.len() >> 20, counted.segments);
    println!("segmenter with hash  {:6.2} GB/s", gigabytes(segmenter));
    println!("BLAKE3 alone         {:6.2} GB/s", gigabytes(blake3));
    println!("ratio                {:6.2}", gigabytes(segmenter) / gigabytes(blake3));
}

fn fastest(mut work: impl FnMut()) -> Duration {
    let times = (0..ROUNDS).map(|_| {
        let start = Instant::now();
        work();
        start.elapsed()
    });
    times.min().unwrap_or_default()
}
