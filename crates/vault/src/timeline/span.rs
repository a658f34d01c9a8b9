//! The values of a timeline: ranges, states, spans.

use dashvault_base::{LossCause, RecordingId, WallMs};

/// A half-open range of wall time; `to` is after `from`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct WallRange {
    pub(crate) from: WallMs,
    pub(crate) to: WallMs,
}

/// Why something is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Cause {
    /// As it was told.
    Told(LossCause),
    /// It was stored, and the vault has lost its object.
    Missing,
}

/// What a moment is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum State {
    /// Here, and it came as it was recorded.
    Live,
    /// Here, and it came later.
    Backfilled,
    /// Announced, not here.
    OnVehicle,
    /// It will never be whole.
    Lost {
        cause: Cause,
        /// What is left of it is stored and plays.
        partly: bool,
    },
    /// No camera ran, or nobody knows that one did.
    NotRecorded {
        /// It was stored once, and was deleted.
        deleted: bool,
    },
}

/// A range in one state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) range: WallRange,
    pub(crate) state: State,
    /// Whose footage it is.
    pub(crate) recordings: Recordings,
    /// About how many bytes: a segment that is cut counts in proportion.
    pub(crate) bytes: u64,
}

/// Recordings in order, each once. Most spans are of one and a month has tens of thousands of spans: no tree for each.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Recordings(Vec<RecordingId>);

/// How much of a range is what, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Totals {
    pub(crate) live_ms: u64,
    pub(crate) backfilled_ms: u64,
    pub(crate) on_vehicle_ms: u64,
    pub(crate) lost_ms: u64,
    pub(crate) not_recorded_ms: u64,
}

impl WallRange {
    /// All time.
    pub(crate) const ALL: Self = Self { from: WallMs(i64::MIN), to: WallMs(i64::MAX) };

    /// `None` where it would be empty.
    pub(crate) fn new(from: WallMs, to: WallMs) -> Option<Self> {
        (from < to).then_some(Self { from, to })
    }

    pub(crate) fn len_ms(self) -> u64 {
        self.to.0.abs_diff(self.from.0)
    }

    /// What both have.
    pub(crate) fn intersection(self, other: Self) -> Option<Self> {
        Self::new(self.from.max(other.from), self.to.min(other.to))
    }
}

impl Recordings {
    pub(crate) const fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn extend(&mut self, others: impl IntoIterator<Item = RecordingId>) {
        for other in others {
            if self.0.last() == Some(&other) {
                continue;
            }
            if let Err(at) = self.0.binary_search(&other) {
                self.0.insert(at, other);
            }
        }
    }
}

impl IntoIterator for Recordings {
    type Item = RecordingId;
    type IntoIter = std::vec::IntoIter<RecordingId>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl From<Option<RecordingId>> for Recordings {
    fn from(recording: Option<RecordingId>) -> Self {
        Self(recording.into_iter().collect())
    }
}

impl Cause {
    /// The name in JSON.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Told(cause) => cause.name(),
            Self::Missing => "missing",
        }
    }
}

impl State {
    /// The name in JSON.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Backfilled => "backfilled",
            Self::OnVehicle => "on_vehicle",
            Self::Lost { .. } => "lost",
            Self::NotRecorded { .. } => "not_recorded",
        }
    }
}

impl Totals {
    pub(crate) fn of(spans: &[Span]) -> Self {
        let mut totals = Self::default();
        for span in spans {
            let total = match span.state {
                State::Live => &mut totals.live_ms,
                State::Backfilled => &mut totals.backfilled_ms,
                State::OnVehicle => &mut totals.on_vehicle_ms,
                State::Lost { .. } => &mut totals.lost_ms,
                State::NotRecorded { .. } => &mut totals.not_recorded_ms,
            };
            *total += span.range.len_ms();
        }
        totals
    }
}
