//! The applications at both ends: a source of payloads that name themselves, and a consumer that checks them.
//!
//! Belongs here: what a payload looks like and the exactness of what comes out. A payload carries its index, the time
//! of its sending and a pattern that follows from the index, so that nothing needs to be kept to compare it.

use std::time::Duration;

const INDEX_BYTES: usize = 8;
const HEAD_BYTES: usize = 16;
const SYNC: u64 = 0x47 << 56;
/// More faults than this are not noted.
const MAX_FAULTS: usize = 5;

/// How long payloads are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sizes {
    Fixed(usize),
    /// From 16 to this, by the index.
    Varied(usize),
}

/// A part of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Phase {
    pub(crate) payloads: u64,
    /// A burst each so long.
    pub(crate) every: Duration,
    /// Payloads in a burst.
    pub(crate) burst: u64,
}

/// What an application sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stream {
    pub(crate) sizes: Sizes,
    pub(crate) phases: Vec<Phase>,
}

impl Stream {
    /// One 1316-byte payload each so long.
    pub(crate) fn steady(payloads: u64, every_us: u64) -> Self {
        let phase = Phase { payloads, every: Duration::from_micros(every_us), burst: 1 };
        Self { sizes: Sizes::Fixed(1316), phases: vec![phase] }
    }

    pub(crate) fn none() -> Self {
        Self { sizes: Sizes::Fixed(1316), phases: Vec::new() }
    }

    pub(crate) fn payloads(&self) -> u64 {
        self.phases.iter().map(|phase| phase.payloads).sum()
    }

    /// How long it takes to offer everything.
    pub(crate) fn length(&self) -> Duration {
        self.phases.iter().map(|phase| phase.every.mul_f64(phase.payloads.div_ceil(phase.burst) as f64)).sum()
    }
}

/// An application that sends.
pub(crate) struct Producer {
    stream: Stream,
    phase: usize,
    offered_in_phase: u64,
    due: Option<Duration>,
    /// Payloads accepted so far: the index of the next one.
    pub(crate) accepted: u64,
    pub(crate) accepted_bytes: u64,
    pub(crate) refused: u64,
    buffer: Vec<u8>,
}

impl Producer {
    pub(crate) fn new(stream: Stream) -> Self {
        Self {
            stream,
            phase: 0,
            offered_in_phase: 0,
            due: None,
            accepted: 0,
            accepted_bytes: 0,
            refused: 0,
            buffer: Vec::new(),
        }
    }

    pub(crate) fn start(&mut self, now: Duration) {
        self.due = Some(now);
        self.skip_finished_phases();
    }

    /// When the next payload is due; none once all have been offered.
    pub(crate) fn due(&self) -> Option<Duration> {
        self.due
    }

    pub(crate) fn is_done(&self) -> bool {
        self.due.is_none()
    }

    pub(crate) fn stop(&mut self) {
        self.due = None;
    }

    /// The payload that is due.
    pub(crate) fn payload(&mut self, now: Duration) -> &[u8] {
        fill(self.accepted, now, self.stream.sizes, &mut self.buffer);
        &self.buffer
    }

    /// Goes on to the next payload. A refused one is never offered again: its index is.
    pub(crate) fn advance(&mut self, accepted: bool) {
        if accepted {
            self.accepted += 1;
            self.accepted_bytes += self.buffer.len() as u64;
        } else {
            self.refused += 1;
        }
        let Some(phase) = self.stream.phases.get(self.phase) else { return };
        self.offered_in_phase += 1;
        if self.offered_in_phase.is_multiple_of(phase.burst) {
            self.due = self.due.map(|due| due + phase.every);
        }
        self.skip_finished_phases();
    }

    fn skip_finished_phases(&mut self) {
        while self.stream.phases.get(self.phase).is_some_and(|phase| self.offered_in_phase >= phase.payloads)
        {
            self.phase += 1;
            self.offered_in_phase = 0;
        }
        if self.phase >= self.stream.phases.len() {
            self.due = None;
        }
    }
}

/// An application that receives, and checks each payload as it comes.
#[derive(Debug, Default)]
pub(crate) struct Consumer {
    /// Virtual time, set before each call of the end.
    pub(crate) now: Duration,
    /// The sequence number of payload 0.
    pub(crate) start: Option<u32>,
    /// The index that must come next, delivered or lost.
    pub(crate) next: u64,
    pub(crate) payloads: u64,
    pub(crate) delivered_bytes: u64,
    pub(crate) lost: u64,
    pub(crate) last_lost_at: Option<Duration>,
    /// From sending to delivery; the least without the last moment, when all that waits for its time is handed on.
    pub(crate) least_delay: Option<Duration>,
    least_now: Option<Duration>,
    moment: Duration,
    pub(crate) most_delay: Duration,
    pub(crate) sizes: Option<Sizes>,
    pub(crate) faults: Vec<String>,
    expected: Vec<u8>,
}

impl Consumer {
    pub(crate) fn expecting(start: Option<u32>, sizes: Sizes) -> Self {
        Self { start, sizes: Some(sizes), ..Self::default() }
    }

    /// A payload was delivered.
    pub(crate) fn delivered(&mut self, payload: &[u8]) {
        self.payloads += 1;
        self.delivered_bytes += payload.len() as u64;
        let (Some(index), Some(sent)) = (word(payload, 0), word(payload, INDEX_BYTES)) else {
            return self.fault(format!("a payload of {} bytes is too short", payload.len()));
        };
        let index = index ^ SYNC;
        if index != self.next {
            self.fault(format!("payload {index} was delivered where {} was due", self.next));
        }
        let sent = Duration::from_nanos(sent);
        let mut expected = std::mem::take(&mut self.expected);
        fill(index, sent, self.sizes.unwrap_or(Sizes::Fixed(1316)), &mut expected);
        if expected != payload {
            self.fault(format!("payload {index} was delivered with other bytes"));
        }
        self.expected = expected;
        let delay = self.now.saturating_sub(sent);
        self.most_delay = self.most_delay.max(delay);
        if self.moment != self.now {
            self.least_delay = [self.least_delay, self.least_now.take()].into_iter().flatten().min();
            self.moment = self.now;
        }
        self.least_now = Some(self.least_now.map_or(delay, |least| least.min(delay)));
        self.next = self.next.max(index.saturating_add(1));
    }

    /// A range of sequence numbers was reported lost.
    pub(crate) fn reported_lost(&mut self, first: u32, last: u32) {
        let len = u64::from(last.wrapping_sub(first) & 0x7fff_ffff) + 1;
        self.lost += len;
        self.last_lost_at = Some(self.now);
        if let Some(start) = self.start {
            let due = (u64::from(start) + self.next) & 0x7fff_ffff;
            if u64::from(first) != due {
                self.fault(format!("{first}..={last} was reported lost where {due} was due"));
            }
        }
        self.next += len;
    }

    pub(crate) fn fault(&mut self, text: String) {
        if self.faults.len() < MAX_FAULTS {
            self.faults.push(format!("at {:?}: {text}", self.now));
        }
    }
}

fn word(payload: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_be_bytes(payload.get(at..at + 8)?.try_into().ok()?))
}

/// Writes payload `index` into the buffer. It begins with the sync byte of MPEG-TS, by which a receiver may tell that
/// it decrypted well.
fn fill(index: u64, sent: Duration, sizes: Sizes, buffer: &mut Vec<u8>) {
    let len = match sizes {
        Sizes::Fixed(len) => len,
        Sizes::Varied(most) => {
            HEAD_BYTES + (index.wrapping_mul(0x9e37_79b9) % 65_537) as usize % (most - HEAD_BYTES + 1)
        }
    };
    buffer.clear();
    buffer.extend_from_slice(&(index | SYNC).to_be_bytes());
    buffer.extend_from_slice(&(sent.as_nanos() as u64).to_be_bytes());
    let mut state = index.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    while buffer.len() < len {
        state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
        buffer.extend_from_slice(&state.to_be_bytes());
    }
    buffer.truncate(len);
}
