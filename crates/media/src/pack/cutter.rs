//! Where a new pack begins: a pure rule over closed segments.

use crate::{ClosedBy, Segment};

use super::MAX_SEGMENTS_PER_PACK;

/// When a pack is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PackLimits {
    /// A pack ends at the first keyframe once it lasts this long; 60 s unless said otherwise.
    pub target_90k: u64,
    /// A pack ends at the first keyframe once it has this many bytes; 256 MiB unless said otherwise.
    pub max_bytes: u64,
}

impl Default for PackLimits {
    fn default() -> Self {
        Self { target_90k: 60 * 90_000, max_bytes: 256 << 20 }
    }
}

/// Says after each segment whether the next one begins a new pack.
///
/// Normally at a keyframe once a limit is reached. Where none comes, at any cut once twice the limit is reached;
/// and always after [`MAX_SEGMENTS_PER_PACK`] segments.
#[derive(Debug, Clone)]
pub struct PackCutter {
    limits: PackLimits,
    duration_90k: u64,
    bytes: u64,
    segments: usize,
}

impl PackCutter {
    /// A cutter at the start of a pack.
    #[must_use]
    pub const fn new(limits: PackLimits) -> Self {
        Self { limits, duration_90k: 0, bytes: 0, segments: 0 }
    }

    /// Adds a closed segment to the pack; true when the next segment begins a new one (and counting starts anew).
    pub fn closed(&mut self, segment: &Segment) -> bool {
        self.duration_90k += u64::from(segment.duration.0);
        self.bytes += u64::from(segment.len);
        self.segments += 1;
        let reached = |times: u64| {
            self.duration_90k >= self.limits.target_90k.saturating_mul(times)
                || self.bytes >= self.limits.max_bytes.saturating_mul(times)
        };
        let ends = match segment.closed_by {
            ClosedBy::End => true,
            ClosedBy::Keyframe => reached(1),
            ClosedBy::Size => reached(2),
        } || self.segments >= MAX_SEGMENTS_PER_PACK;
        if ends {
            *self = Self::new(self.limits);
        }
        ends
    }
}

impl Default for PackCutter {
    fn default() -> Self {
        Self::new(PackLimits::default())
    }
}
