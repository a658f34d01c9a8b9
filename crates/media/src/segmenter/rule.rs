//! The cut rule: where a segment may begin, packet by packet.
//!
//! Belongs here: the decision. Does not: bytes, hashes, the sink, damage.
//!
//! Invariants:
//! 1. After [`Rule::reset`] a rule is as new, but for the epoch of its timestamps. It is reset at every cut and then
//!    shown the packets from the cut on; so what follows a cut never depends on what came before it.
//! 2. It asks for at most [`MAX_HELD_PACKETS`] packets to be held back.

use dashvault_base::Pts;

use super::{Counters, programs::Programs, times::Times};
use crate::{
    Packet, Pid, StreamInfo,
    keyframe::{AccessUnitScanner, Decision},
    ts::{AdaptationField, pes::PesReader, psi::VideoCodec, pts::Unwrapper},
};

/// Packets of the video PID, from its frame's first on, within which a NAL unit must decide.
const LOOKAHEAD_PACKETS: u8 = 8;
/// PSI packets in a row that can lead a segment; a longer run starts anew.
const MAX_PSI_RUN: u64 = 64;
/// The most packets that wait for a decision.
pub(super) const MAX_HELD_PACKETS: u64 = 512;

/// A place to cut, in packets of the open segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cut {
    /// The new segment's first packet; 0 says that the open segment itself starts at a keyframe.
    pub(super) at: u64,
    /// The packet in which the keyframe's PES starts.
    pub(super) unit_at: u64,
    /// The keyframe's timestamp.
    pub(super) start_pts: Option<Pts>,
    /// By a video keyframe; else by an audio frame.
    pub(super) video: bool,
    /// Decided before the packet that was shown, which has to be shown again.
    pub(super) show_again: bool,
}

/// What is known since the last cut.
#[derive(Debug)]
pub(super) struct Rule {
    audio_only_90k: u64,
    programs: Programs,
    psi_run: Option<u64>,
    candidate: Option<Candidate>,
    video: PesReader,
    audio: PesReader,
    times: Times,
    unwrapper: Unwrapper,
}

/// A frame that may be a keyframe.
#[derive(Debug, Clone, Copy)]
struct Candidate {
    pid: Pid,
    cut_at: u64,
    unit_at: u64,
    kind: Kind,
    pts: Option<Pts>,
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Video { random_access: bool, scanner: AccessUnitScanner, packets: u8 },
    Audio,
}

impl Rule {
    pub(super) fn new(audio_only_90k: u32) -> Self {
        Self {
            audio_only_90k: audio_only_90k.into(),
            programs: Programs::default(),
            psi_run: None,
            candidate: None,
            video: PesReader::new(),
            audio: PesReader::new(),
            times: Times::default(),
            unwrapper: Unwrapper::default(),
        }
    }

    /// Unwraps the next timestamp near this one.
    pub(super) const fn set_epoch(&mut self, near: Pts) {
        self.unwrapper = Unwrapper::near(near);
    }

    /// Forgets everything but the epoch of timestamps.
    pub(super) fn reset(&mut self) {
        self.programs.reset();
        self.psi_run = None;
        self.candidate = None;
        self.video = PesReader::new();
        self.audio = PesReader::new();
        self.times = Times::default();
    }

    /// The first packet that may yet belong to the next segment.
    pub(super) fn holds_from(&self) -> Option<u64> {
        // A candidate began before any PSI run that is still open.
        self.candidate.map(|candidate| candidate.cut_at).or(self.psi_run)
    }

    pub(super) const fn times(&self) -> &Times {
        &self.times
    }

    pub(super) const fn streams(&self) -> Option<StreamInfo> {
        self.programs.chosen()
    }

    /// Shows the packet with this index in the open segment.
    pub(super) fn step(
        &mut self,
        index: u64,
        packet: Packet<'_>,
        adaptation: Option<&AdaptationField>,
        counters: &mut Counters,
    ) -> Option<Cut> {
        if packet.transport_error() {
            // Not even its PID can be believed.
            self.psi_run = None;
            return None;
        }
        if self.must_give_up(index, packet)
            && let Some(cut) = self.give_up()
        {
            return Some(Cut { show_again: true, ..cut });
        }
        if self.programs.is_psi(packet.pid()) {
            self.psi(index, packet, counters);
            return None;
        }
        let cut_at = self.psi_run.take().unwrap_or(index);
        let streams = self.programs.chosen()?;
        let pid = packet.pid();
        match (streams.video, streams.audio) {
            (Some((codec, video)), _) if video == pid => {
                let random_access = adaptation.is_some_and(|field| field.random_access);
                self.video(packet, Start { cut_at, index }, codec, random_access, counters)
            }
            (video, Some((_, audio))) if audio == pid => {
                self.audio(packet, Start { cut_at, index }, video.is_none(), counters)
            }
            _ => None,
        }
    }

    /// Decides about a frame for which no more packets come: only its random-access indicator speaks.
    pub(super) fn give_up(&mut self) -> Option<Cut> {
        match self.candidate.take()? {
            candidate @ Candidate { kind: Kind::Video { random_access: true, .. }, .. } => {
                Some(candidate.cut())
            }
            _ => None,
        }
    }

    fn must_give_up(&self, index: u64, packet: Packet<'_>) -> bool {
        self.candidate.is_some_and(|candidate| {
            let unit_ends = packet.unit_start() && packet.pid() == candidate.pid;
            unit_ends || index - candidate.cut_at >= MAX_HELD_PACKETS - 1
        })
    }

    fn psi(&mut self, index: u64, packet: Packet<'_>, counters: &mut Counters) {
        match self.psi_run {
            Some(start) if index - start < MAX_PSI_RUN => {}
            _ => self.psi_run = Some(index),
        }
        let before = self.programs.chosen();
        if !packet.scrambled() {
            self.programs.push(packet, &mut counters.psi_errors);
        }
        if before != self.programs.chosen() {
            self.candidate = None;
            self.video = PesReader::new();
            self.audio = PesReader::new();
        }
    }

    fn video(
        &mut self,
        packet: Packet<'_>,
        start: Start,
        codec: VideoCodec,
        random_access: bool,
        counters: &mut Counters,
    ) -> Option<Cut> {
        if packet.unit_start() {
            let kind = Kind::Video { random_access, scanner: AccessUnitScanner::new(codec), packets: 0 };
            self.candidate = Some(start.candidate(packet.pid(), kind));
        }
        if self.candidate.is_none() && !self.video.waits() {
            return None;
        }
        let (elementary, stamped) = read_pes(&mut self.video, packet, counters);
        let pts = stamped.map(|wire| self.unwrapper.unwrap(wire));
        if let Some(pts) = pts {
            self.times.video.add(pts);
        }
        let candidate = self.candidate.as_mut()?;
        candidate.pts = candidate.pts.or(pts);
        let Kind::Video { scanner, packets, .. } = &mut candidate.kind else { return None };
        *packets += 1;
        let by_nal = scanner.push(elementary);
        let exhausted = *packets >= LOOKAHEAD_PACKETS;
        let no_header = !self.video.waits() && self.video.header().is_none();
        let keyframe = match by_nal {
            // The timestamp has to be known before a cut.
            _ if self.video.waits() && !exhausted => return None,
            _ if random_access_of(candidate) => true,
            Decision::Keyframe => true,
            Decision::Undecided if !exhausted && !no_header => return None,
            Decision::Undecided | Decision::Other => false,
        };
        self.candidate.take().filter(|_| keyframe).map(Candidate::cut)
    }

    fn audio(
        &mut self,
        packet: Packet<'_>,
        start: Start,
        alone: bool,
        counters: &mut Counters,
    ) -> Option<Cut> {
        if packet.unit_start() && alone {
            self.candidate = Some(start.candidate(packet.pid(), Kind::Audio));
        }
        if !packet.unit_start() && !self.audio.waits() {
            return None;
        }
        let (_, stamped) = read_pes(&mut self.audio, packet, counters);
        let base = self.times.audio.first();
        let pts = stamped.map(|wire| self.unwrapper.unwrap(wire));
        if let Some(pts) = pts {
            self.times.audio.add(pts);
        }
        if !alone || self.audio.waits() {
            return None;
        }
        let candidate = self.candidate.take()?;
        let pts = pts?;
        let long_enough =
            base.map_or(candidate.cut_at == 0, |base| pts.since(base).unsigned_abs() >= self.audio_only_90k);
        long_enough.then(|| Candidate { pts: Some(pts), ..candidate }.cut())
    }
}

/// Where a frame starts, and where its PSI does.
#[derive(Debug, Clone, Copy)]
struct Start {
    cut_at: u64,
    index: u64,
}

impl Start {
    const fn candidate(self, pid: Pid, kind: Kind) -> Candidate {
        Candidate { pid, cut_at: self.cut_at, unit_at: self.index, kind, pts: None }
    }
}

impl Candidate {
    const fn cut(self) -> Cut {
        let video = matches!(self.kind, Kind::Video { .. });
        Cut { at: self.cut_at, unit_at: self.unit_at, start_pts: self.pts, video, show_again: false }
    }
}

const fn random_access_of(candidate: &Candidate) -> bool {
    matches!(candidate.kind, Kind::Video { random_access: true, .. })
}

/// The elementary stream's bytes in this packet, and the PES packet's PTS if its header became complete.
fn read_pes<'a>(
    reader: &mut PesReader,
    packet: Packet<'a>,
    counters: &mut Counters,
) -> (&'a [u8], Option<u64>) {
    if packet.scrambled() {
        *reader = PesReader::new();
        return (&[], None);
    }
    if packet.unit_start() {
        reader.start();
    }
    let waited = reader.waits();
    match reader.push(packet.payload()) {
        Ok(elementary) => {
            let pts = reader.header().filter(|_| waited).and_then(|header| header.pts);
            (elementary, pts)
        }
        Err(_) => {
            counters.pes_errors += 1;
            (&[], None)
        }
    }
}
