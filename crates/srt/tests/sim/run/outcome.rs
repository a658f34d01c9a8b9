//! What a run left behind: the material of the oracles.

use std::time::Duration;

use crate::application::Consumer;
use crate::endpoint::{Counters, State};
use crate::network::traffic::Traffic;

/// A run that is over.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// Whether it ended by itself, not by the time limit.
    pub(crate) finished: bool,
    pub(crate) now: Duration,
    pub(crate) opened_at: Option<Duration>,
    pub(crate) offered_at: Option<Duration>,
    pub(crate) closed_at: Option<Duration>,
    /// Whether everything was acknowledged or dropped, both ways, when the caller was told to close.
    pub(crate) drained: bool,
    /// The initial sequence number.
    pub(crate) start: Option<u32>,
    pub(crate) caller: End,
    pub(crate) listener: End,
    pub(crate) up: Traffic,
    pub(crate) down: Traffic,
    pub(crate) to_strangers: u64,
    pub(crate) from_strangers: u64,
}

impl Outcome {
    /// How long the stream was, in seconds.
    pub(crate) fn stream_seconds(&self) -> f64 {
        let end = self.closed_at.or(self.offered_at).unwrap_or(self.now);
        end.saturating_sub(self.opened_at.unwrap_or(end)).as_secs_f64().max(0.001)
    }
}

/// One end of it.
#[derive(Debug)]
pub(crate) struct End {
    pub(crate) state: State,
    /// What its application sent.
    pub(crate) accepted: u64,
    pub(crate) accepted_bytes: u64,
    pub(crate) refused: u64,
    pub(crate) counters: Counters,
    /// What its application received.
    pub(crate) consumer: Consumer,
    pub(crate) steps: u64,
    /// Wake-ups that neither took nor sent a datagram.
    pub(crate) idle_steps: u64,
    pub(crate) socket_drops: u64,
    pub(crate) most_held: u64,
    pub(crate) most_buffered_packets: u64,
    pub(crate) most_buffered_bytes: u64,
    pub(crate) most_heap: i64,
}
