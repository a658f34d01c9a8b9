//! Takes what has arrived at a socket, as many datagrams by one call as the system gives.
//!
//! Invariant: each datagram is handed on by itself, also where the kernel has joined several (GRO).

use std::io;
use std::net::{SocketAddr, UdpSocket};

/// Larger than any datagram that SRT sends, for systems that give one at a time.
#[cfg(not(target_os = "linux"))]
const DATAGRAM_BYTES: usize = 2048;

/// The buffers that datagrams arrive in.
pub(crate) struct Inlet {
    #[cfg(target_os = "linux")]
    batch: batch::Batch,
    #[cfg(not(target_os = "linux"))]
    buffer: Vec<u8>,
}

/// What one call took.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Taken {
    /// Datagrams.
    pub(crate) datagrams: usize,
    /// Nothing more had arrived.
    pub(crate) drained: bool,
}

impl Inlet {
    /// Room for the traffic of many, from `socket`, which is asked to join what arrives and to count what it drops.
    #[cfg(target_os = "linux")]
    pub(crate) fn for_many(socket: &UdpSocket) -> Self {
        Self { batch: batch::Batch::large(socket) }
    }

    #[cfg(not(target_os = "linux"))]
    pub(crate) fn for_many(_socket: &UdpSocket) -> Self {
        Self::for_one()
    }

    /// Room for what one peer answers.
    #[cfg(target_os = "linux")]
    pub(crate) fn for_one() -> Self {
        Self { batch: batch::Batch::small() }
    }

    #[cfg(not(target_os = "linux"))]
    pub(crate) fn for_one() -> Self {
        Self { buffer: vec![0; DATAGRAM_BYTES] }
    }

    /// Hands on what has arrived, without waiting.
    ///
    /// # Errors
    /// The socket's, other than "nothing there".
    #[cfg(target_os = "linux")]
    pub(crate) fn take(
        &mut self,
        socket: &UdpSocket,
        each: impl FnMut(SocketAddr, &mut [u8]),
    ) -> io::Result<Taken> {
        self.batch.take(socket, each)
    }

    #[cfg(not(target_os = "linux"))]
    pub(crate) fn take(
        &mut self,
        socket: &UdpSocket,
        mut each: impl FnMut(SocketAddr, &mut [u8]),
    ) -> io::Result<Taken> {
        match socket.recv_from(&mut self.buffer) {
            Ok((len, from)) => {
                each(from, self.buffer.get_mut(..len).unwrap_or_default());
                Ok(Taken { datagrams: 1, drained: false })
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                Ok(Taken { datagrams: 0, drained: true })
            }
            Err(error) => Err(error),
        }
    }

    /// Datagrams that the kernel had no room for, where it says so.
    #[cfg(target_os = "linux")]
    pub(crate) fn dropped(&self) -> u64 {
        self.batch.dropped
    }

    #[cfg(not(target_os = "linux"))]
    pub(crate) fn dropped(&self) -> u64 {
        0
    }
}

#[cfg(target_os = "linux")]
mod batch {
    use std::io;
    use std::net::{SocketAddr, UdpSocket};

    use super::Taken;
    use crate::sys::linux::{Arrival, Names, SLOTS, count_drops, join_arrivals, receive};

    /// The most that the kernel joins, and a bit more, so that slots do not all fall on the same cache lines.
    const JOINED_BYTES: usize = 65_536 + 1_600;
    /// Larger than any datagram that SRT sends.
    const SINGLE_BYTES: usize = 2048;
    /// Slots for one peer's answers.
    const FEW: usize = 8;

    pub(super) struct Batch {
        slots: Vec<u8>,
        slot_bytes: usize,
        names: Names,
        arrivals: Vec<Arrival>,
        /// The kernel's count, which wraps.
        counted: u32,
        pub(super) dropped: u64,
    }

    impl Batch {
        pub(super) fn large(socket: &UdpSocket) -> Self {
            let joins = join_arrivals(socket).inspect_err(|error| tracing::debug!(%error, "no UDP GRO"));
            if let Err(error) = count_drops(socket) {
                tracing::debug!(%error, "the socket does not count what it drops");
            }
            Self::new(SLOTS, if joins.is_ok() { JOINED_BYTES } else { SINGLE_BYTES })
        }

        pub(super) fn small() -> Self {
            Self::new(FEW, SINGLE_BYTES)
        }

        fn new(slots: usize, slot_bytes: usize) -> Self {
            Self {
                // Memory comes with the first use of each page.
                slots: vec![0; slots * slot_bytes],
                slot_bytes,
                names: Names::new(slots),
                arrivals: Vec::with_capacity(slots),
                counted: 0,
                dropped: 0,
            }
        }

        pub(super) fn take(
            &mut self,
            socket: &UdpSocket,
            mut each: impl FnMut(SocketAddr, &mut [u8]),
        ) -> io::Result<Taken> {
            match receive(socket, &mut self.slots, self.slot_bytes, &mut self.names, &mut self.arrivals) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return Ok(Taken { datagrams: 0, drained: true });
                }
                Err(error) => return Err(error),
            }
            let mut datagrams = 0;
            for (arrival, slot) in self.arrivals.iter().zip(self.slots.chunks_exact_mut(self.slot_bytes)) {
                if let Some(count) = arrival.dropped {
                    self.dropped += u64::from(count.wrapping_sub(self.counted));
                    self.counted = count;
                }
                let Some(from) = arrival.from else { continue };
                let message = slot.get_mut(..arrival.len).unwrap_or_default();
                let size = if arrival.segment == 0 { arrival.len.max(1) } else { arrival.segment };
                for datagram in message.chunks_mut(size) {
                    datagrams += 1;
                    each(from, datagram);
                }
            }
            Ok(Taken { datagrams, drained: self.arrivals.len() * self.slot_bytes < self.slots.len() })
        }
    }
}
