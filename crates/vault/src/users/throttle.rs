//! How often a name or an address may be wrong: token buckets on handed-in time.
//!
//! An attempt is charged before its work and given back when it was right, so that parallel guesses count. A bucket is
//! one instant: until when its debt lasts. One whose debt is over is the same as none, so that only guessers take room;
//! when all room is taken, the smallest debt is forgiven.

use std::{
    collections::HashMap,
    hash::Hash,
    net::{IpAddr, Ipv6Addr},
    time::{Duration, Instant},
};

/// How many attempts at once, and how long each one counts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Allowance {
    pub(crate) at_once: u32,
    pub(crate) each: Duration,
}

/// Buckets by key.
#[derive(Debug)]
pub(crate) struct Throttle<K> {
    allowance: Allowance,
    room: usize,
    until: HashMap<K, Instant>,
}

impl<K: Hash + Eq + Clone> Throttle<K> {
    /// Buckets for at most `room` keys.
    pub(crate) fn new(allowance: Allowance, room: usize) -> Self {
        Self { allowance, room, until: HashMap::new() }
    }

    /// Charges an attempt.
    ///
    /// # Errors
    /// How long to wait when it is one too many; nothing is charged then.
    pub(crate) fn charge(&mut self, now: Instant, key: &K) -> Result<(), Duration> {
        let Allowance { at_once, each } = self.allowance;
        let debt = self.debt(now, key);
        let most = each * at_once.saturating_sub(1);
        if debt > most {
            return Err(debt - most);
        }
        self.make_room(now, key);
        self.until.insert(key.clone(), now + debt + each);
        Ok(())
    }

    /// Gives an attempt back, since it was right.
    pub(crate) fn give_back(&mut self, now: Instant, key: &K) {
        let left = self.debt(now, key).saturating_sub(self.allowance.each);
        if left.is_zero() {
            self.until.remove(key);
        } else {
            self.until.insert(key.clone(), now + left);
        }
    }

    fn debt(&self, now: Instant, key: &K) -> Duration {
        self.until.get(key).map_or(Duration::ZERO, |until| until.saturating_duration_since(now))
    }

    fn make_room(&mut self, now: Instant, key: &K) {
        if self.until.len() < self.room || self.until.contains_key(key) {
            return;
        }
        self.until.retain(|_, until| *until > now);
        if self.until.len() >= self.room {
            let least = self.until.iter().min_by_key(|(_, until)| **until).map(|(key, _)| key.clone());
            least.map(|key| self.until.remove(&key));
        }
    }
}

/// Whose attempts count together: an IPv4 address, or the /64 that one IPv6 customer has.
pub(crate) fn neighbourhood(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ALLOWANCE: Allowance = Allowance { at_once: 3, each: Duration::from_secs(10) };

    #[test]
    fn after_the_attempts_at_once_each_waits_its_turn() {
        let (mut throttle, start) = (Throttle::new(ALLOWANCE, 8), Instant::now());
        assert_eq!([(); 3].map(|()| throttle.charge(start, &"anna")), [Ok(()); 3]);
        assert_eq!(throttle.charge(start, &"anna"), Err(Duration::from_secs(10)));
        assert_eq!(throttle.charge(start, &"bert"), Ok(()));
        let later = start + Duration::from_secs(4);
        assert_eq!(throttle.charge(later, &"anna"), Err(Duration::from_secs(6)));
        assert_eq!(throttle.charge(start + Duration::from_secs(10), &"anna"), Ok(()));
        assert!(throttle.charge(start + Duration::from_secs(10), &"anna").is_err());
    }

    #[test]
    fn right_attempts_cost_nothing() {
        let (mut throttle, now) = (Throttle::new(ALLOWANCE, 8), Instant::now());
        for _ in 0..100 {
            throttle.charge(now, &1).unwrap();
            throttle.give_back(now, &1);
        }
        assert!(throttle.until.is_empty());
    }

    #[test]
    fn a_flood_of_keys_forgives_the_smallest_debt_only() {
        let (mut throttle, now) = (Throttle::new(ALLOWANCE, 4), Instant::now());
        for _ in 0..3 {
            throttle.charge(now, &0).unwrap();
        }
        for flood in 1..1000 {
            let _ = throttle.charge(now, &flood);
            assert!(throttle.until.len() <= 4);
        }
        assert!(throttle.charge(now, &0).is_err(), "the guesser went free");
    }

    #[test]
    fn one_customer_is_one_neighbourhood() {
        let of = |text: &str| neighbourhood(text.parse().unwrap());
        assert_eq!(of("2001:db8:1:2:aaaa::1"), of("2001:db8:1:2:bbbb::2"));
        assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
        assert_eq!(of("::ffff:10.0.0.1"), of("10.0.0.1"));
        assert_ne!(of("10.0.0.1"), of("10.0.0.2"));
    }

    proptest! {
        /// Whatever the pattern, in any stretch of time no more wrong attempts pass than the bucket and its refill give.
        #[test]
        fn no_pattern_of_attempts_gets_more_than_its_allowance(
            gaps in proptest::collection::vec(0u64..20_000, 1..200),
        ) {
            let (mut throttle, start) = (Throttle::new(ALLOWANCE, 8), Instant::now());
            let (mut now, mut passed) = (start, Vec::new());
            for gap in gaps {
                now += Duration::from_millis(gap);
                match throttle.charge(now, &()) {
                    Ok(()) => passed.push(now),
                    Err(wait) => {
                        prop_assert!(wait > Duration::ZERO && wait <= ALLOWANCE.each);
                        prop_assert!(throttle.charge(now + wait - Duration::from_nanos(1), &()).is_err());
                    }
                }
            }
            for (first, from) in passed.iter().enumerate() {
                for (last, to) in passed.iter().enumerate().skip(first) {
                    let most = u64::from(ALLOWANCE.at_once)
                        + (*to - *from).as_millis() as u64 / ALLOWANCE.each.as_millis() as u64;
                    prop_assert!((last - first + 1) as u64 <= most);
                }
            }
        }

        /// Who waits as told is let in.
        #[test]
        fn who_waits_as_told_passes(attempts in 1usize..50) {
            let (mut throttle, mut now) = (Throttle::new(ALLOWANCE, 8), Instant::now());
            for _ in 0..attempts {
                if let Err(wait) = throttle.charge(now, &()) {
                    now += wait;
                    prop_assert_eq!(throttle.charge(now, &()), Ok(()));
                }
            }
        }
    }
}
