//! What a segmenter has met so far.

/// Counts since a segmenter's start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Packets taken.
    pub packets: u64,
    /// Of these, null packets (PID 0x1FFF).
    pub null_packets: u64,
    /// Times the packet rhythm was lost.
    pub resyncs: u64,
    /// Bytes between packets, or of a torn last packet, that are in no segment.
    pub skipped_bytes: u64,
    /// Times that somebody said bytes were missing.
    pub gaps: u64,
    /// Jumps of a continuity counter.
    pub continuity_errors: u64,
    /// Packets that say themselves that they are broken.
    pub transport_errors: u64,
    /// PAT or PMT sections with a wrong CRC or form.
    pub psi_errors: u64,
    /// PES headers that are none.
    pub pes_errors: u64,
    /// Keyframes found.
    pub keyframes: u64,
    /// Segments closed because of their size.
    pub forced_cuts: u64,
    /// Segments closed.
    pub segments: u64,
}
