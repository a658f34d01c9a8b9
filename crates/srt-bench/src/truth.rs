//! What was lost: the stream that arrived, held against the packets that a relay saw on their way.
//!
//! What does not belong here: why.
//!
//! Invariant: a stream that is not the sent one minus whole packets, in order, counts as lost from where it differs.

use std::time::{Duration, Instant};

use crate::relay::Seen;

const TS_BYTES: usize = 188;

/// What is left out at the end: a sender that stops does not always repeat its last packets.
const TAIL: Duration = Duration::from_secs(1);

#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Lost {
    /// TS packets sent.
    pub(crate) sent: usize,
    /// Of those: missing, and sent before the last second.
    pub(crate) before_the_tail: usize,
    /// Of those: missing in the last second.
    pub(crate) in_the_tail: usize,
    /// Received bytes that are nothing that was sent, or not in its order.
    pub(crate) strange_bytes: usize,
}

impl Lost {
    pub(crate) fn find(seen: &Seen, received: &[u8]) -> Self {
        let Some(end) = seen.sent.values().map(|(at, _)| *at).max() else {
            return Self { strange_bytes: received.len(), ..Self::default() };
        };
        let mut lost = Self::default();
        let (mut rest, mut expected) = (received, 0);
        for (place, (at, payload)) in &seen.sent {
            // Sequence numbers that never came by were thrown away by the sender.
            let never = place.saturating_sub(expected) as usize * payload.len();
            expected = place + 1;
            lost.sent += (payload.len() + never) / TS_BYTES;
            let mut missing = never;
            match rest.strip_prefix(payload.as_slice()) {
                Some(after) => rest = after,
                None => missing += payload.len(),
            }
            lost.add(missing / TS_BYTES, *at, end);
        }
        lost.strange_bytes = rest.len();
        lost
    }

    fn add(&mut self, packets: usize, at: Instant, end: Instant) {
        if at + TAIL < end {
            self.before_the_tail += packets;
        } else {
            self.in_the_tail += packets;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(places: &[u32]) -> Seen {
        let began = Instant::now();
        let mut seen = Seen::default();
        for place in places {
            let at = began + Duration::from_millis(500 * u64::from(*place));
            seen.sent.insert(*place, (at, vec![*place as u8; 2 * TS_BYTES]));
        }
        seen
    }

    fn received(places: &[u8]) -> Vec<u8> {
        places.iter().flat_map(|place| [*place; 2 * TS_BYTES]).collect()
    }

    #[test]
    fn nothing_is_lost_when_all_arrived() {
        let lost = Lost::find(&seen(&[0, 1, 2, 3, 4]), &received(&[0, 1, 2, 3, 4]));
        assert_eq!(lost, Lost { sent: 10, ..Lost::default() });
    }

    #[test]
    fn losses_are_told_by_when_they_were_sent() {
        let lost = Lost::find(&seen(&[0, 1, 2, 3, 4]), &received(&[0, 2, 3]));
        assert_eq!(lost, Lost { sent: 10, before_the_tail: 2, in_the_tail: 2, strange_bytes: 0 });
    }

    #[test]
    fn what_the_sender_never_sent_is_lost_too() {
        let lost = Lost::find(&seen(&[0, 2, 5]), &received(&[0, 2, 5]));
        assert_eq!(lost.before_the_tail + lost.in_the_tail, 6);
    }

    #[test]
    fn bytes_out_of_order_are_strange() {
        let lost = Lost::find(&seen(&[0, 1, 2]), &received(&[1, 0, 2]));
        assert!(lost.strange_bytes > 0);
    }
}
