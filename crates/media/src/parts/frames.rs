//! [`Frames`]: where frames start in the bytes that the segmenter gave, and when.
//!
//! Belongs here: finding PES starts of the stream that is cut by, and their times. Does not: what a frame ends.
//! Invariant: every packet is looked at once.

use dashvault_base::Pts;

use crate::{
    PACKET_BYTES, Packet, Pid, StreamInfo,
    ts::{pes::PesReader, pts::Unwrapper},
};

/// A frame's start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Frame {
    /// Where its first packet lies.
    pub(super) at: usize,
    /// When it is decoded, which goes forward from frame to frame.
    pub(super) time: i64,
    /// When it is shown.
    pub(super) pts: Pts,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Frames {
    streams: Option<StreamInfo>,
    reader: PesReader,
    /// A frame whose header is not complete.
    begun: Option<usize>,
    unwrapper: Unwrapper,
    /// Up to here bytes were looked at.
    seen: usize,
    /// Frames of the archive's open segment.
    of_segment: u32,
    changed: bool,
}

impl Frames {
    /// The streams as they are now.
    pub(super) fn follow(&mut self, streams: Option<StreamInfo>) {
        if streams.is_none() || streams == self.streams {
            return;
        }
        self.changed |= self.streams.is_some();
        self.streams = streams;
        self.reader = PesReader::new();
        self.begun = None;
    }

    /// Whether other streams are cut by than before; says so once.
    pub(super) const fn take_changed(&mut self) -> bool {
        std::mem::replace(&mut self.changed, false)
    }

    pub(super) const fn seen(&self) -> usize {
        self.seen
    }

    pub(super) const fn of_segment(&self) -> u32 {
        self.of_segment
    }

    /// The next frame of `open` whose header is complete before `until`.
    pub(super) fn next(&mut self, open: &[u8], until: usize) -> Option<Frame> {
        let pid = main_pid(self.streams?)?;
        while let Some(packet) = open.get(self.seen..until).and_then(<[u8]>::first_chunk) {
            let at = self.seen;
            self.seen += PACKET_BYTES;
            let found = Packet::parse(packet).filter(|packet| packet.pid() == pid && !packet.scrambled());
            if let Some(frame) = found.and_then(|packet| self.packet(packet, at)) {
                self.of_segment += 1;
                return Some(frame);
            }
        }
        None
    }

    /// The first `bytes` of what is looked at are gone.
    pub(super) fn drained(&mut self, bytes: usize) {
        self.seen = self.seen.saturating_sub(bytes);
        self.begun = self.begun.and_then(|at| at.checked_sub(bytes));
    }

    /// The archive's segment ends here.
    pub(super) fn segment_ended(&mut self) {
        self.reader = PesReader::new();
        self.begun = None;
        self.of_segment = 0;
    }

    /// Another session begins, with nothing to look at yet. Its timestamps may go on.
    pub(super) fn start_over(&mut self) {
        self.segment_ended();
        self.seen = 0;
    }

    /// Goes on at `seen`, within a segment.
    pub(super) const fn go_on_at(&mut self, seen: usize) {
        self.seen = seen;
        self.begun = None;
        self.of_segment = 1;
    }

    fn packet(&mut self, packet: Packet<'_>, at: usize) -> Option<Frame> {
        if packet.unit_start() {
            self.reader.start();
            self.begun = Some(at);
        }
        if !self.reader.waits() {
            return None;
        }
        let read = self.reader.push(packet.payload());
        if read.is_err() || self.reader.waits() {
            return None;
        }
        let header = self.reader.header()?;
        let shown = header.pts?;
        let time = self.unwrapper.unwrap(header.dts.unwrap_or(shown)).0;
        // Shown no earlier than decoded, and soon after.
        let ahead = shown.wrapping_sub(header.dts.unwrap_or(shown)) & ((1 << 33) - 1);
        let ahead = i64::try_from(ahead).ok().filter(|ahead| *ahead < 1 << 32).unwrap_or(0);
        Some(Frame { at: self.begun.take()?, time, pts: Pts(time.saturating_add(ahead)) })
    }
}

/// The stream whose frames count.
fn main_pid(streams: StreamInfo) -> Option<Pid> {
    streams.video.map(|(_, pid)| pid).or(streams.audio.map(|(_, pid)| pid))
}
