//! The segmenter with its hash on one core, beside the hash alone and a copy.

use std::{hint::black_box, time::Instant};

use dashvault_media::{Segment, SegmentSink, Segmenter, SegmenterConfig};
use dashvault_testkit::ts::{TsProfile, TsSource};

const READ: usize = 64 << 10;
const ROUNDS: usize = 5;

#[derive(Default)]
struct Count(u64);

impl SegmentSink for Count {
    fn bytes(&mut self, run: &[u8]) {
        self.0 += run.len() as u64;
    }

    fn closed(&mut self, segment: Segment) {
        black_box(segment);
    }
}

pub(super) fn run() {
    let stream = TsSource::stream(TsProfile { bitrate: 8_000_000, ..TsProfile::default() }, 1, 200).bytes;
    let (mut cut, mut hash, mut copy) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        cut.push(rate(stream.len(), || {
            let (mut segmenter, mut sink) = (Segmenter::new(SegmenterConfig::default()), Count::default());
            for read in stream.chunks(READ) {
                segmenter.push(read, &mut sink).expect("the generator writes transport streams");
            }
            segmenter.finish(&mut sink);
            assert_eq!(sink.0, stream.len() as u64);
        }));
        hash.push(rate(stream.len(), || {
            let mut hasher = blake3::Hasher::new();
            for read in stream.chunks(READ) {
                hasher.update(read);
            }
            black_box(hasher.finalize());
        }));
        copy.push(rate(stream.len(), || drop(black_box(stream.clone()))));
    }
    let (cut, hash, copy) = (median(cut), median(hash), median(copy));
    println!("{} MB in reads of 64 KiB, median of {ROUNDS}, one core", stream.len() / 1_000_000);
    println!("segmenter with BLAKE3  {cut:.2} GB/s   (goal: at least 1)");
    println!(
        "BLAKE3 alone           {hash:.2} GB/s   the segmenter reaches {:.0} % of it",
        100.0 * cut / hash
    );
    println!("copy of the bytes      {copy:.2} GB/s");
}

fn rate(bytes: usize, work: impl FnOnce()) -> f64 {
    let since = Instant::now();
    work();
    bytes as f64 / since.elapsed().as_secs_f64() / 1e9
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values[values.len() / 2]
}
