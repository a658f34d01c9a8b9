//! What a synthetic stream is like.

/// Timestamps are taken modulo this: 33 bits of 90 kHz ticks.
pub const WRAP_90K: u64 = 1 << 33;

/// How the video is coded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VideoCodec {
    /// ISO/IEC 14496-10, stream type 0x1B.
    H264,
    /// ISO/IEC 23008-2, stream type 0x24.
    H265,
}

/// What the first picture of a group is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keyframes {
    /// IDR with parameter sets, as encoders for streaming write them.
    Idr,
    /// IDR alone: the parameter sets came only with the very first one.
    BareIdr,
    /// No IDR: parameter sets and an intra picture for H.264, CRA for H.265.
    Open,
}

/// A synthetic stream's parameters; [`TsProfile::default`] is what ffmpeg writes for a small camera.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TsProfile {
    /// The video; `None` is audio alone.
    pub codec: Option<VideoCodec>,
    /// Pictures a second; 90,000 should be divisible by it.
    pub fps: u32,
    /// Pictures from one keyframe to the next.
    pub gop: u32,
    /// Video bits a second, about.
    pub bitrate: u64,
    /// Two pictures between references are shown out of coding order; DTS is written.
    pub b_frames: bool,
    /// What a keyframe is.
    pub keyframes: Keyframes,
    /// Whether keyframes carry the random access indicator.
    pub rai: bool,
    /// Whether pictures begin with an access unit delimiter.
    pub aud: bool,
    /// Bytes of SEI between the parameter sets and the picture; many push the picture out of the first packet.
    pub sei_bytes: usize,
    /// AAC at 48 kHz beside the video.
    pub audio: bool,
    /// Whether PAT and PMT are written directly before each keyframe.
    pub psi_each_keyframe: bool,
    /// They are also written after so many pictures, wherever that is.
    pub psi_every_frames: Option<u32>,
    /// Whether an SDT comes before the PAT.
    pub sdt: bool,
    /// A programme without video is listed first.
    pub other_programme_first: bool,
    /// A null packet follows each so many pictures.
    pub null_every_frames: Option<u32>,
    /// The first picture's PTS in 90 kHz ticks; more than 33 bits are cut off.
    pub start_pts: u64,
}

impl Default for TsProfile {
    fn default() -> Self {
        Self {
            codec: Some(VideoCodec::H264),
            fps: 30,
            gop: 30,
            bitrate: 2_000_000,
            b_frames: false,
            keyframes: Keyframes::Idr,
            rai: true,
            aud: true,
            sei_bytes: 0,
            audio: true,
            psi_each_keyframe: true,
            psi_every_frames: None,
            sdt: true,
            other_programme_first: false,
            null_every_frames: None,
            start_pts: 126_000,
        }
    }
}

impl TsProfile {
    /// A profile drawn from `seed`: every switch may be either way, but there is video, its keyframes can be
    /// recognised (by flag, IDR or parameter sets), and PAT and PMT come with the first.
    #[must_use]
    pub fn random(seed: u64) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed);
        let codec = if rng.bool() { VideoCodec::H264 } else { VideoCodec::H265 };
        Self {
            codec: Some(codec),
            fps: [10, 25, 30, 50][rng.usize(0..4)],
            gop: rng.u32(2..=40),
            bitrate: rng.u64(50_000..=3_000_000),
            b_frames: rng.bool(),
            keyframes: [Keyframes::Idr, Keyframes::BareIdr, Keyframes::Open][rng.usize(0..3)],
            rai: rng.bool(),
            aud: rng.bool(),
            sei_bytes: if rng.bool() { 0 } else { rng.usize(1..=900) },
            audio: rng.bool(),
            psi_each_keyframe: rng.bool(),
            psi_every_frames: rng.bool().then(|| rng.u32(1..=20)),
            sdt: rng.bool(),
            other_programme_first: rng.bool(),
            null_every_frames: rng.bool().then(|| rng.u32(1..=10)),
            start_pts: if rng.bool() { 126_000 } else { WRAP_90K - rng.u64(1..=900_000) },
        }
    }

    /// Audio and nothing else.
    #[must_use]
    pub fn audio_only() -> Self {
        Self { codec: None, ..Self::default() }
    }

    pub(super) fn frame_ticks(&self) -> u64 {
        u64::from(90_000 / self.fps.clamp(1, 90_000))
    }
}
