//! The open segment: shows its packets to the rule, carries out cuts, and tells the sink.
//!
//! Belongs here: everything behind the packet rhythm. Does not: finding packets in bytes.
//! Invariant: packets before `cursor` were shown to the rule since its last reset; between calls these are all.

use dashvault_base::{ContentHash, Pts};

use super::{
    ClosedBy, Counters, Segment, SegmentSink, SegmenterConfig,
    held::{Held, Window},
    losses::Losses,
    rule::{Cut, Rule},
};
use crate::{
    PACKET_BYTES, Packet, Pid, StreamInfo,
    ts::{AdaptationField, continuity::Continuity},
};

/// Runs are given out once they are this long, while they are in the processor's cache.
const RUN_BYTES: usize = 128 * 1024;

/// See the module.
#[derive(Debug)]
pub(super) struct Open {
    max_packets: u64,
    held: Held,
    rule: Rule,
    continuity: Continuity,
    losses: Losses,
    streams: Option<StreamInfo>,
    frame_90k: Option<i64>,
    /// Packets of the open segment.
    packets: u64,
    /// The next one to show to the rule; smaller than `packets` just after a cut.
    cursor: u64,
    keyframe: bool,
    /// The start as the cut knew it, for a segment that begins without PSI.
    cut_pts: Option<Pts>,
    pub(super) counters: Counters,
}

impl Open {
    pub(super) fn new(config: SegmenterConfig) -> Self {
        // A segment is longer than what may be held back, and its length fits 32 bits.
        const LEAST: usize = 1024;
        const MOST: usize = (u32::MAX as usize) / PACKET_BYTES;
        let max_packets = (config.max_segment_bytes / PACKET_BYTES).clamp(LEAST, MOST);
        Self {
            max_packets: max_packets as u64,
            held: Held::new(),
            rule: Rule::new(config.audio_only_segment_90k),
            continuity: Continuity::new(),
            losses: Losses::default(),
            streams: None,
            frame_90k: None,
            packets: 0,
            cursor: 0,
            keyframe: false,
            cut_pts: None,
            counters: Counters::default(),
        }
    }

    pub(super) const fn set_epoch(&mut self, near: Pts) {
        self.rule.set_epoch(near);
    }

    pub(super) const fn given_packets(&self) -> u64 {
        self.held.given()
    }

    pub(super) fn start_pts(&self) -> Option<Pts> {
        self.cut_pts.or(self.rule.times().start())
    }

    pub(super) const fn opens_with_keyframe(&self) -> bool {
        self.keyframe
    }

    pub(super) fn hash(&self) -> ContentHash {
        self.held.hash()
    }

    pub(super) const fn streams(&self) -> Option<StreamInfo> {
        self.streams
    }

    /// Bytes are missing, or garbage, before the next packet.
    pub(super) fn lost_bytes(&mut self) {
        self.losses.gap_before(self.packets);
    }

    /// Takes the next packet of the window, which the caller knows to be one.
    pub(super) fn take(&mut self, window: &mut Window<'_>, sink: &mut impl SegmentSink) {
        if self.packets >= self.max_packets {
            self.force(window, sink);
        }
        let Some(packet) = window.take().and_then(Packet::parse) else { return };
        let adaptation = packet.adaptation_field();
        self.count(packet, adaptation.as_ref());
        let index = self.packets;
        self.packets += 1;
        self.cursor += 1;
        if let Some(cut) = self.rule.step(index, packet, adaptation.as_ref(), &mut self.counters) {
            self.carry_out(cut, window, sink);
            self.catch_up(window, sink);
        }
        if let streams @ Some(_) = self.rule.streams() {
            self.streams = streams;
        }
        if window.waiting() >= RUN_BYTES {
            self.release(window, sink);
        }
    }

    /// Gives out what need not be held back, and copies the rest: the window ends or is interrupted.
    pub(super) fn settle(&mut self, window: &mut Window<'_>, skipped: usize, sink: &mut impl SegmentSink) {
        self.release(window, sink);
        self.held.settle(window, skipped);
    }

    /// The stream ends: decides what waits, and closes.
    pub(super) fn finish(&mut self, sink: &mut impl SegmentSink) {
        let mut window = Window::new(&[]);
        while let Some(cut) = self.rule.give_up() {
            self.carry_out(cut, &mut window, sink);
            self.catch_up(&mut window, sink);
        }
        self.held.release(self.packets, &mut window, sink);
        if self.packets > 0 {
            let damaged = self.losses.any();
            self.close(ClosedBy::End, None, damaged, sink);
        }
        self.held.reset();
        self.rule.reset();
        self.continuity = Continuity::new();
        self.losses = Losses::default();
    }

    fn count(&mut self, packet: Packet<'_>, adaptation: Option<&AdaptationField>) {
        self.counters.packets += 1;
        if packet.pid() == Pid::NULL {
            self.counters.null_packets += 1;
        }
        if packet.transport_error() {
            self.counters.transport_errors += 1;
            self.losses.jump_at(self.packets);
        } else if !self.continuity.follows(packet, adaptation) {
            self.counters.continuity_errors += 1;
            self.losses.jump_at(self.packets);
        }
    }

    /// Shows the rule the packets that it has not seen since its last reset.
    fn catch_up(&mut self, window: &mut Window<'_>, sink: &mut impl SegmentSink) {
        while self.cursor < self.packets {
            let Some(bytes) = self.held.packet(self.cursor, window) else { return };
            let Some(packet) = Packet::parse(&bytes) else { return };
            let index = self.cursor;
            self.cursor += 1;
            // What the packet counts for was counted when it came.
            let mut counted = Counters::default();
            let adaptation = packet.adaptation_field();
            if let Some(cut) = self.rule.step(index, packet, adaptation.as_ref(), &mut counted) {
                self.carry_out(cut, window, sink);
            }
        }
    }

    fn carry_out(&mut self, cut: Cut, window: &mut Window<'_>, sink: &mut impl SegmentSink) {
        if cut.video && !(cut.at == 0 && self.keyframe) {
            self.counters.keyframes += 1;
        }
        if cut.show_again {
            self.cursor -= 1;
        }
        if cut.at > 0 {
            self.held.release(cut.at, window, sink);
            let (damaged, behind) = self.losses.split(cut.at, cut.unit_at);
            self.losses = behind;
            self.close(ClosedBy::Keyframe, cut.start_pts, damaged, sink);
        }
        self.keyframe = true;
        self.cut_pts = cut.start_pts;
    }

    /// The segment is as long as one may be: cuts where packets are held back, else before the next packet.
    fn force(&mut self, window: &mut Window<'_>, sink: &mut impl SegmentSink) {
        let at = self.rule.holds_from().filter(|from| *from > 0).unwrap_or(self.packets);
        self.held.release(at, window, sink);
        let (damaged, behind) = self.losses.split(at, at);
        self.losses = behind;
        self.counters.forced_cuts += 1;
        self.close(ClosedBy::Size, None, damaged, sink);
        self.catch_up(window, sink);
    }

    /// Closes what was given out; what is held back is the new segment's.
    fn close(&mut self, closed_by: ClosedBy, next: Option<Pts>, damaged: bool, sink: &mut impl SegmentSink) {
        let start_pts = self.start_pts();
        let duration = self.rule.times().duration(start_pts, next, &mut self.frame_90k);
        let (packets, hash) = self.held.close();
        let bytes = packets * PACKET_BYTES as u64;
        let len = u32::try_from(bytes).expect("a segment has at most u32::MAX / 188 packets");
        self.packets -= packets;
        self.counters.segments += 1;
        sink.closed(Segment { len, hash, start_pts, duration, keyframe: self.keyframe, damaged, closed_by });
        self.rule.reset();
        self.cursor = 0;
        self.keyframe = false;
        self.cut_pts = None;
    }

    fn release(&mut self, window: &mut Window<'_>, sink: &mut impl SegmentSink) {
        let up_to = self.rule.holds_from().unwrap_or(self.cursor);
        self.held.release(up_to, window, sink);
    }
}
