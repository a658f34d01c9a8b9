//! How much arrives: counted by the second.

use std::time::{Duration, Instant};

use crate::core::packet::Rates;

/// How long is counted.
pub(super) const PERIOD: Duration = Duration::from_secs(1);

/// Counts packets and bytes.
#[derive(Debug)]
pub(super) struct ArrivalRate {
    since: Instant,
    packets: u32,
    bytes: u64,
    /// Of the last period; the link's is the highest seen, fading.
    rates: Option<Rates>,
}

impl ArrivalRate {
    pub(super) fn new(now: Instant) -> Self {
        Self { since: now, packets: 0, bytes: 0, rates: None }
    }

    #[inline]
    pub(super) fn packet(&mut self, bytes: usize) {
        self.packets = self.packets.saturating_add(1);
        self.bytes += bytes as u64;
    }

    /// Ends a period. True while anything arrives.
    pub(super) fn roll(&mut self, now: Instant) -> bool {
        let time = now.saturating_duration_since(self.since).max(PERIOD).as_micros();
        let by_second = |count: u128| u32::try_from(count * 1_000_000 / time).unwrap_or(u32::MAX);
        let packets_per_s = by_second(self.packets.into());
        let faded = self.rates.map_or(0, |rates| rates.link_packets_per_s - rates.link_packets_per_s / 64);
        let busy = self.packets > 0;
        self.rates = Some(Rates {
            packets_per_s,
            link_packets_per_s: packets_per_s.max(faded),
            bytes_per_s: by_second(self.bytes.into()),
        });
        self.since = now;
        self.packets = 0;
        self.bytes = 0;
        busy
    }

    /// What the last period brought; nothing is known before its end.
    pub(super) fn rates(&self) -> Option<Rates> {
        self.rates
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_those_of_the_last_period() {
        let t = Instant::now();
        let mut rate = ArrivalRate::new(t);
        assert_eq!(rate.rates(), None);
        for _ in 0..500 {
            rate.packet(1316);
        }
        assert!(rate.roll(t + PERIOD));
        let rates = rate.rates().unwrap();
        assert_eq!((rates.packets_per_s, rates.bytes_per_s), (500, 658_000));
        assert!(!rate.roll(t + 2 * PERIOD));
        let rates = rate.rates().unwrap();
        assert_eq!((rates.packets_per_s, rates.link_packets_per_s), (0, 493));
    }
}
