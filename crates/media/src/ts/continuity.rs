//! Continuity counters: whether packets of a PID are missing (ISO/IEC 13818-1 §2.4.3.3).
//!
//! Invariant: one byte for each of the 8192 PIDs, so that no stream can make it grow.

use super::{AdaptationField, Packet, Pid};

const PIDS: usize = 8192;
const UNSEEN: u8 = 0xFF;
const REPEATED: u8 = 0x10;

/// The last counter of every PID.
#[derive(Clone)]
pub struct Continuity(Box<[u8; PIDS]>);

impl Continuity {
    /// Nothing seen yet.
    #[must_use]
    pub fn new() -> Self {
        Self(Box::new([UNSEEN; PIDS]))
    }

    /// Takes the next packet; false where packets of its PID are missing before it.
    ///
    /// One repetition of a packet is allowed, and the counter stands still in packets without payload.
    pub fn follows(&mut self, packet: Packet<'_>, adaptation: Option<&AdaptationField>) -> bool {
        let pid = packet.pid();
        let Some(last) = self.0.get_mut(usize::from(pid.number())) else { return true };
        if pid == Pid::NULL {
            return true;
        }
        let counter = packet.continuity_counter();
        let before = std::mem::replace(last, counter);
        if before == UNSEEN || adaptation.is_some_and(|field| field.discontinuity) {
            return true;
        }
        let (expected, repeated) = (before & 0x0F, before & REPEATED != 0);
        if !packet.has_payload() {
            *last = before;
            return counter == expected;
        }
        if counter == expected {
            *last |= REPEATED;
            return !repeated;
        }
        counter == (expected + 1) & 0x0F
    }
}

impl Default for Continuity {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for Continuity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let seen = self.0.iter().filter(|last| **last != UNSEEN).count();
        write!(f, "Continuity({seen} PIDs)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::PACKET_BYTES;

    fn follows(continuity: &mut Continuity, control: u8) -> bool {
        let mut bytes = [0xFF; PACKET_BYTES];
        // With an adaptation field: one flag byte, no flags.
        bytes[..6].copy_from_slice(&[0x47, 0x01, 0x00, control, 1, 0]);
        let packet = Packet::parse(&bytes).unwrap();
        continuity.follows(packet, packet.adaptation_field().as_ref())
    }

    #[test]
    fn counting_up_and_round_is_continuous() {
        let mut continuity = Continuity::new();
        assert!((0..40u8).all(|count| follows(&mut continuity, 0x10 | (count % 16))));
    }

    #[test]
    fn one_repetition_is_allowed_and_a_second_is_not() {
        let mut continuity = Continuity::new();
        assert!(follows(&mut continuity, 0x13));
        assert!(follows(&mut continuity, 0x13));
        assert!(!follows(&mut continuity, 0x13));
    }

    #[test]
    fn a_jump_is_told_once() {
        let mut continuity = Continuity::new();
        assert!(follows(&mut continuity, 0x10));
        assert!(!follows(&mut continuity, 0x12));
        assert!(follows(&mut continuity, 0x13));
    }

    #[test]
    fn a_jump_that_the_stream_announces_is_none() {
        let mut continuity = Continuity::new();
        assert!(follows(&mut continuity, 0x10));
        let mut bytes = [0xFF; PACKET_BYTES];
        bytes[..6].copy_from_slice(&[0x47, 0x01, 0x00, 0x37, 1, 0x80]);
        let packet = Packet::parse(&bytes).unwrap();
        assert!(continuity.follows(packet, packet.adaptation_field().as_ref()));
        assert!(follows(&mut continuity, 0x18));
    }

    #[test]
    fn the_counter_stands_still_without_payload() {
        let mut continuity = Continuity::new();
        assert!(follows(&mut continuity, 0x15));
        assert!(follows(&mut continuity, 0x25));
        assert!(follows(&mut continuity, 0x16));
        assert!(!follows(&mut continuity, 0x29));
    }
}
