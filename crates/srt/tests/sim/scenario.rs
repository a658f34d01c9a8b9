//! A scenario is data: what is sent, over what network, with what settings, and what must come of it.
//!
//! Belongs here: the fields, with defaults that are a clean stream. The scenarios themselves are in
//! [`crate::scenarios`] and, drawn by lot, in [`crate::lottery`].

use std::time::Duration;

use crate::application::Stream;
use crate::hostile::Hostile;
use crate::network::link::Path;

/// One scenario.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Scenario {
    pub(crate) seed: u64,
    pub(crate) mode: Mode,
    /// The hold's horizon, or the playout delay.
    pub(crate) latency: Duration,
    pub(crate) ack_interval: Duration,
    pub(crate) window_packets: u32,
    pub(crate) upstream: Stream,
    pub(crate) downstream: Stream,
    pub(crate) up: Path,
    pub(crate) down: Path,
    pub(crate) encryption: Option<Encryption>,
    pub(crate) rebinds: Vec<Rebind>,
    /// The caller begins at the last sequence number before the wrap.
    pub(crate) wraps: bool,
    pub(crate) hostile: Hostile,
    /// The least time between two wake-ups of a driver.
    pub(crate) wake_gap: Duration,
    /// Timers ring up to this much late.
    pub(crate) slack: Duration,
    /// What a socket's buffer takes.
    pub(crate) socket_datagrams: usize,
    /// How long the caller may take to get everything acknowledged at the end.
    pub(crate) linger: Duration,
    /// Senders drop what is older.
    pub(crate) too_late: Option<Duration>,
    pub(crate) bandwidth_bytes_per_s: u64,
    pub(crate) max_buffer_packets: u32,
    pub(crate) overhead_percent: u32,
    pub(crate) connect_timeout: Duration,
    /// How long the listener's application takes to decide.
    pub(crate) decides_after: Duration,
    pub(crate) expects: Expects,
}

/// How the receivers hand on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Hold,
    Tsbpd { drop_too_late: bool },
}

/// How the stream is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Encryption {
    pub(crate) bits: u16,
    pub(crate) gcm: bool,
    /// A new key each so many packets.
    pub(crate) refresh: Option<u32>,
}

/// The caller gets another address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rebind {
    pub(crate) at: Duration,
    /// Whether the caller notices.
    pub(crate) known: bool,
    /// Whether only the port changes.
    pub(crate) only_port: bool,
}

/// What must come of a scenario.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Expects {
    pub(crate) ends: Ends,
    pub(crate) lost: Lost,
    pub(crate) exact: Exact,
}

/// How it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ends {
    /// Everything acknowledged or dropped, then shut down.
    Clean,
    /// Somehow, but it ends.
    Somehow,
    /// The caller gives up before it is connected.
    Unconnected,
}

/// How much of the stream may be reported lost.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Lost {
    Nothing,
    /// At least one, at most this share.
    Some(f64),
    Anything,
}

/// How strictly what comes out is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exact {
    /// Sent minus lost, byte by byte.
    Yes,
    /// The attacker may write into the stream: no panic, bounded memory.
    Survives,
}

impl Scenario {
    /// 10 s of 4 Mbit/s with 60 ms round trip, nothing in its way, held.
    pub(crate) fn plain() -> Self {
        Self {
            seed: 1,
            mode: Mode::Hold,
            latency: Duration::from_secs(5),
            ack_interval: Duration::from_millis(100),
            window_packets: 8192,
            upstream: Stream::steady(3_800, 2_632),
            downstream: Stream::none(),
            up: Path::clean(30),
            down: Path::clean(30),
            encryption: None,
            rebinds: Vec::new(),
            wraps: false,
            hostile: Hostile::None,
            wake_gap: Duration::from_micros(500),
            slack: Duration::from_micros(1_000),
            socket_datagrams: 2_000,
            linger: Duration::from_secs(20),
            too_late: None,
            bandwidth_bytes_per_s: 12_500_000,
            max_buffer_packets: 25_600,
            overhead_percent: 25,
            connect_timeout: Duration::from_secs(3),
            decides_after: Duration::from_millis(2),
            expects: Expects { ends: Ends::Clean, lost: Lost::Nothing, exact: Exact::Yes },
        }
    }

    /// The same loss both ways.
    pub(crate) fn lossy(loss: f64) -> Self {
        Self { up: Path::lossy(30, loss), down: Path::lossy(30, loss), ..Self::plain() }
    }

    /// Both directions are like this.
    pub(crate) fn over(path: Path) -> Self {
        Self { up: path.clone(), down: path, ..Self::plain() }
    }

    /// Played out on time, 120 ms behind, as libsrt does.
    pub(crate) fn tsbpd(self) -> Self {
        Self {
            mode: Mode::Tsbpd { drop_too_late: true },
            latency: Duration::from_millis(120),
            ack_interval: Duration::from_millis(10),
            ..self
        }
    }

    /// When a run must be over at last.
    pub(crate) fn limit(&self) -> Duration {
        let stream = self.upstream.length().max(self.downstream.length());
        self.connect_timeout + stream + self.linger + self.latency + Duration::from_secs(15)
    }

    /// The heap that an end may hold at most: its buffers, full.
    pub(crate) fn most_heap_bytes(&self) -> i64 {
        let slots = i64::from(self.window_packets) + i64::from(self.max_buffer_packets);
        // A 1316-byte payload with its header in a buffer that may have doubled, and what belongs to a slot.
        slots * 3_200 + 1_000_000
    }
}
