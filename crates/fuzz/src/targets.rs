//! The targets themselves. Each one asserts what must hold for every input, not only that nothing panics.

mod srt_connection;
mod srt_key_message;
mod srt_packet;
mod srt_seeds;

pub use srt_seeds::srt_seeds;

use std::io::Cursor;

use dashvault_media::{
    PACKET_BYTES, Segment, SegmentSink, Segmenter, SegmenterConfig, VerifyOptions, parse_trailer, trailer,
    verify_pack,
};
use dashvault_wire::{AnnounceReply, AnnounceRequest, DeviceToken, StreamId, upload::PackTarget};

/// A name, as in `fuzz/corpus/<name>`, and what to do with an input.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// The folder of its seeds.
    pub name: &'static str,
    /// Panics if the input breaks a promise.
    pub run: fn(&[u8]),
}

/// Every target.
pub const TARGETS: &[Target] = &[
    Target { name: "segmenter", run: segmenter },
    Target { name: "trailer", run: pack_trailer },
    Target { name: "pack", run: pack },
    Target { name: "stream_id", run: stream_id },
    Target { name: "announce", run: announce },
    Target { name: "upload", run: upload },
    Target { name: "srt_url", run: srt_url },
    Target { name: "srt_packet", run: srt_packet::run },
    Target { name: "srt_key_message", run: srt_key_message::run },
    Target { name: "srt_connection", run: srt_connection::run },
];

/// TS, PSI, PES and the cut: any split gives the same segments, and every byte given out came in.
fn segmenter(input: &[u8]) {
    let whole = cut(input, input.len().max(1));
    let split = usize::from(input.first().copied().unwrap_or(1)).max(1);
    assert_eq!(whole, cut(input, split), "the segments depend on how the bytes were split");
    assert!(whole.bytes <= input.len() as u64, "more came out than went in");
    assert_eq!(whole.bytes % PACKET_BYTES as u64, 0, "a torn packet came out");
}

#[derive(Debug, Default, PartialEq)]
struct Cut {
    segments: Vec<Segment>,
    bytes: u64,
}

impl SegmentSink for Cut {
    fn bytes(&mut self, run: &[u8]) {
        self.bytes += run.len() as u64;
    }

    fn closed(&mut self, segment: Segment) {
        self.segments.push(segment);
    }
}

fn cut(input: &[u8], split: usize) -> Cut {
    let mut sink = Cut::default();
    let mut segmenter =
        Segmenter::new(SegmenterConfig { max_segment_bytes: 64 * PACKET_BYTES, ..Default::default() });
    for piece in input.chunks(split) {
        if segmenter.push(piece, &mut sink).is_err() {
            return sink;
        }
    }
    segmenter.finish(&mut sink);
    sink
}

/// What parses as the trailer at the end of some bytes is written back as those bytes.
fn pack_trailer(input: &[u8]) {
    if let Ok(signed) = parse_trailer(input) {
        assert!(input.ends_with(&trailer(&signed)), "two trailers say the same");
    }
}

/// A whole pack file.
fn pack(input: &[u8]) {
    let _ = verify_pack(&mut Cursor::new(input), &VerifyOptions::default());
}

/// What parses as a stream id is written back as one that says the same.
fn stream_id(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    if let Ok(id) = StreamId::parse(text) {
        assert_eq!(StreamId::parse(&id.reveal()).as_ref(), Ok(&id));
    }
    let _ = text.parse::<DeviceToken>();
}

/// Announcements and replies.
fn announce(input: &[u8]) {
    if let Ok(request) = serde_json::from_slice::<AnnounceRequest>(input) {
        let _ = request.validate();
    }
    let _ = serde_json::from_slice::<AnnounceReply>(input);
}

/// Upload metadata.
fn upload(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    if let Ok(target) = PackTarget::from_metadata(text) {
        assert_eq!(PackTarget::from_metadata(&target.to_metadata()), Ok(target));
    }
}

/// `srt://` addresses.
fn srt_url(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let _ = text.parse::<dashvault_srt::SrtUrl>();
}
