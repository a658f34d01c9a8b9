//! A 188-byte packet: header, adaptation field, PCR (ISO/IEC 13818-1 §2.4.3.2 to §2.4.3.5).
//!
//! Belongs here: a view over one packet's bytes. Does not: what a PID means.
//! Invariant: lengths inside the packet are checked against its 188 bytes; a lie gives an empty payload.

/// Length of a packet.
pub const PACKET_BYTES: usize = 188;

/// The first byte of every packet.
pub const SYNC_BYTE: u8 = 0x47;

/// A 13-bit packet identifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Pid(u16);

impl Pid {
    /// The Program Association Table's.
    pub const PAT: Self = Self(0);
    /// The Service Description Table's (DVB; ffmpeg writes one).
    pub const SDT: Self = Self(0x11);
    /// Stuffing that means nothing.
    pub const NULL: Self = Self(0x1FFF);

    /// The low 13 bits of two bytes of a header or table.
    #[must_use]
    pub const fn from_bytes(high: u8, low: u8) -> Self {
        Self(u16::from_be_bytes([high & 0x1F, low]))
    }

    /// The number, below 8192.
    #[must_use]
    pub const fn number(self) -> u16 {
        self.0
    }
}

/// A view over one packet.
#[derive(Debug, Clone, Copy)]
pub struct Packet<'a>(&'a [u8; PACKET_BYTES]);

/// What an adaptation field says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AdaptationField {
    /// The continuity counter may jump here, or a new clock starts.
    pub discontinuity: bool,
    /// Decoding can start here.
    pub random_access: bool,
    /// Program clock reference in 27 MHz ticks.
    pub pcr_27m: Option<u64>,
}

impl<'a> Packet<'a> {
    /// The view, if the packet starts with the sync byte.
    #[must_use]
    pub const fn parse(bytes: &'a [u8; PACKET_BYTES]) -> Option<Self> {
        if bytes[0] == SYNC_BYTE { Some(Self(bytes)) } else { None }
    }

    /// A demodulator marked it as broken.
    #[must_use]
    pub const fn transport_error(self) -> bool {
        self.0[1] & 0x80 != 0
    }

    /// A PES packet or section starts in it.
    #[must_use]
    pub const fn unit_start(self) -> bool {
        self.0[1] & 0x40 != 0
    }

    /// Which stream it belongs to.
    #[must_use]
    pub const fn pid(self) -> Pid {
        Pid::from_bytes(self.0[1], self.0[2])
    }

    /// Its payload is encrypted.
    #[must_use]
    pub const fn scrambled(self) -> bool {
        self.0[3] & 0xC0 != 0
    }

    /// It has a payload, as its header says.
    #[must_use]
    pub const fn has_payload(self) -> bool {
        self.0[3] & 0x10 != 0
    }

    /// The 4-bit continuity counter.
    #[must_use]
    pub const fn continuity_counter(self) -> u8 {
        self.0[3] & 0x0F
    }

    /// The adaptation field, where there is one of at least its flags.
    #[must_use]
    pub fn adaptation_field(self) -> Option<AdaptationField> {
        let len = usize::from(self.0[4]);
        if self.0[3] & 0x20 == 0 || len == 0 || len > PACKET_BYTES - 5 {
            return None;
        }
        let field = &self.0[5..5 + len];
        let flags = field[0];
        Some(AdaptationField {
            discontinuity: flags & 0x80 != 0,
            random_access: flags & 0x40 != 0,
            pcr_27m: if flags & 0x10 != 0 { field.get(1..7).and_then(pcr_27m) } else { None },
        })
    }

    /// The payload; empty where there is none, or where the adaptation field's length cannot be.
    #[must_use]
    pub fn payload(self) -> &'a [u8] {
        if !self.has_payload() {
            return &[];
        }
        let start = if self.0[3] & 0x20 == 0 { 4 } else { 5 + usize::from(self.0[4]) };
        self.0.get(start..).unwrap_or(&[])
    }
}

/// 33 bits of 90 kHz, 6 reserved, 9 bits of 27 MHz.
fn pcr_27m(bytes: &[u8]) -> Option<u64> {
    let bits = bytes.iter().take(6).fold(0u64, |bits, byte| bits << 8 | u64::from(*byte));
    let (base, extension) = (bits >> 15, bits & 0x1FF);
    (extension < 300).then_some(base * 300 + extension)
}
