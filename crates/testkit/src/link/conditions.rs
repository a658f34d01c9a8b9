//! What the link is like at one moment: its mode, and the shape of each way.
//!
//! Values only; what they do to traffic is in [`super::lane`], how they are written in [`super::text`].

use std::time::Duration;

/// Whether and how the link carries anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Mode {
    /// Traffic flows, shaped by the two [`Way`]s.
    #[default]
    Up,
    /// Packets vanish without an answer: UDP is dropped, TCP connections stall and resume later. A new TCP
    /// connection is not served until the link is up (the kernel's accept queue still completes its handshake).
    BlackHole,
    /// The far end answers with refusals, as a host that rebooted: new TCP connections are refused, an existing
    /// one is reset as soon as either side sends on it, UDP is dropped.
    Refuse,
    /// Every TCP connection is reset at once and new ones are refused; UDP is dropped.
    Cut,
}

impl Mode {
    /// All modes that carry nothing.
    pub const OUTAGES: [Self; 3] = [Self::Cut, Self::Refuse, Self::BlackHole];

    /// The word that stands for it in a script.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::BlackHole => "black-hole",
            Self::Refuse => "refuse",
            Self::Cut => "cut",
        }
    }
}

/// A direction through the link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// From the client of the proxy (the vehicle) to the server behind it.
    ToVault,
    /// From the server behind the proxy back to its client.
    ToVehicle,
}

impl Direction {
    /// Both, in the order of their indices.
    pub const BOTH: [Self; 2] = [Self::ToVault, Self::ToVehicle];

    pub(super) const fn index(self) -> usize {
        match self {
            Self::ToVault => 0,
            Self::ToVehicle => 1,
        }
    }
}

/// The shape of one direction.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Way {
    /// Share of packets that are lost, 0 to 1.
    pub loss: f64,
    /// Share of datagrams that are overtaken by later ones, 0 to 1.
    pub reorder: f64,
    /// Share of datagrams that arrive twice, 0 to 1.
    pub duplicate: f64,
    /// Time on the way.
    pub delay: Duration,
    /// Up to this much is added to the delay of each packet; does not reorder.
    pub jitter: Duration,
    /// Payload bytes a second, shared by every proxy of the link; `None` is unlimited.
    pub rate: Option<u64>,
    /// The bottleneck's buffer, in bytes; datagrams that do not fit are dropped. Streams use at most half of it.
    pub queue_bytes: u64,
}

impl Way {
    /// Carries everything at once.
    pub const PERFECT: Self = Self {
        loss: 0.0,
        reorder: 0.0,
        duplicate: 0.0,
        delay: Duration::ZERO,
        jitter: Duration::ZERO,
        rate: None,
        queue_bytes: 128 * 1024,
    };
}

impl Default for Way {
    fn default() -> Self {
        Self::PERFECT
    }
}

/// Everything about the link at one moment.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Conditions {
    /// Whether the link carries anything.
    pub mode: Mode,
    /// The vehicle's upload.
    pub to_vault: Way,
    /// The vehicle's download.
    pub to_vehicle: Way,
    /// A TCP connection is reset once it has delivered this many payload bytes, both ways together.
    pub tcp_dies_after_bytes: Option<u64>,
    /// A TCP connection is reset once it is this old.
    pub tcp_dies_after: Option<Duration>,
    /// What people call this: "tunnel". Empty: the text form of the conditions.
    pub label: String,
}

impl Conditions {
    /// Up, and perfect both ways.
    #[must_use]
    pub fn perfect() -> Self {
        Self::default()
    }

    /// Perfect but for its mode.
    #[must_use]
    pub fn down(mode: Mode) -> Self {
        Self { mode, ..Self::default() }
    }

    /// Up, with the same shape both ways.
    #[must_use]
    pub fn both_ways(way: Way) -> Self {
        Self { to_vault: way, to_vehicle: way, ..Self::default() }
    }

    /// The shape of one direction.
    #[must_use]
    pub const fn way(&self, direction: Direction) -> &Way {
        match direction {
            Direction::ToVault => &self.to_vault,
            Direction::ToVehicle => &self.to_vehicle,
        }
    }

    /// Whether traffic flows.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.mode == Mode::Up
    }

    /// The delay there and back, without jitter.
    #[must_use]
    pub fn round_trip(&self) -> Duration {
        self.to_vault.delay + self.to_vehicle.delay
    }
}
