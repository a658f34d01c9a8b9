//! What went into the link, what came out, and what became of the rest.

/// Packets and their payload bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Count {
    /// Datagrams; for TCP an estimate, full segments of 1,448 bytes to each read.
    pub packets: u64,
    /// Payload bytes.
    pub bytes: u64,
}

impl Count {
    pub(super) const fn add(&mut self, packets: u64, bytes: u64) {
        self.packets += packets;
        self.bytes += bytes;
    }
}

/// One protocol in one direction.
///
/// For UDP `offered + duplicated = delivered + lost + overflowed + cut`, but for what is still on its way.
/// For TCP `offered = delivered + cut`, with the same exception.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// Sent into the link by the sender: its payload on the wire.
    pub offered: Count,
    /// Handed to the receiver, copies included.
    pub delivered: Count,
    /// Random loss. For TCP nothing is dropped: these bytes were delayed as if a real TCP had sent them again.
    pub lost: Count,
    /// Datagrams that found the bottleneck's buffer full.
    pub overflowed: Count,
    /// Gone because the link was down, or the TCP connection was reset.
    pub cut: Count,
    /// Copies made by the link.
    pub duplicated: Count,
}

/// IPv4 and UDP headers.
const UDP_HEADER: u64 = 20 + 8;
/// IPv4 and TCP headers with timestamps.
const TCP_HEADER: u64 = 20 + 20 + 12;

/// One direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct WayTally {
    /// Datagrams.
    pub udp: Tally,
    /// Byte streams.
    pub tcp: Tally,
}

impl WayTally {
    /// Payload bytes that the sender put on the wire: its UDP datagrams (with what SRT sent again) and TCP bytes.
    #[must_use]
    pub const fn payload_bytes(&self) -> u64 {
        self.udp.offered.bytes + self.tcp.offered.bytes
    }

    /// The same with headers: 28 bytes a datagram, 52 a TCP segment, and what TCP would have sent again under
    /// the emulated loss. TCP's handshakes and bare acknowledgements are not in it.
    #[must_use]
    pub const fn wire_bytes_estimate(&self) -> u64 {
        let resent = self.tcp.lost.bytes + self.tcp.lost.packets * TCP_HEADER;
        self.payload_bytes()
            + self.udp.offered.packets * UDP_HEADER
            + self.tcp.offered.packets * TCP_HEADER
            + resent
    }
}

/// Both directions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tallies {
    /// What the vehicle sent.
    pub to_vault: WayTally,
    /// What the vault sent.
    pub to_vehicle: WayTally,
}
