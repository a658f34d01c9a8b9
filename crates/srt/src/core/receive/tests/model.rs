//! Whatever arrives, in whatever order, the output is the sent packets minus the reported ranges, in order, once each.

use proptest::prelude::*;

use super::*;
use crate::core::receive::window::Slot;

/// Adds the output up: each packet exactly once, in order.
#[derive(Debug)]
struct Tally {
    next: Seq,
    delivered: Vec<u32>,
    lost: u64,
}

impl Sink for Tally {
    fn data(&mut self, payload: &[u8]) {
        let seq = u32::from_be_bytes(payload.try_into().unwrap());
        assert_eq!(seq, self.next.raw());
        self.delivered.push(seq);
        self.next = self.next.plus(1);
    }

    fn lost(&mut self, range: SeqRange) {
        assert_eq!(range.first, self.next);
        self.lost += u64::from(range.len());
        self.next = range.last.plus(1);
    }
}

impl Window {
    /// What must hold after each call.
    fn check(&self, capacity: usize, mode: DeliveryMode) {
        assert!(self.len() <= capacity);
        let slots: Vec<_> = (0..self.len()).filter_map(|index| self.slot(index)).collect();
        let held = slots.iter().filter(|slot| matches!(slot, Slot::Held { .. })).count();
        assert_eq!(held, self.held());
        let settled = slots.iter().take_while(|slot| !matches!(slot, Slot::Missing { .. })).count();
        assert_eq!(settled, self.settled());
        assert!(
            !matches!(slots.last(), Some(Slot::Missing { .. })),
            "what is missing has something behind it"
        );
        assert!(!matches!(slots.first(), Some(Slot::Dropped)), "a loss at the front is told");
        if mode == DeliveryMode::Hold {
            assert_eq!(settled, 0, "the front could go out");
        }
        let since: Vec<_> = slots
            .iter()
            .filter_map(|slot| if let Slot::Missing { since } = slot { Some(*since) } else { None })
            .collect();
        assert!(since.is_sorted());
    }
}

#[derive(Debug, Clone)]
enum Step {
    Data { offset: u32, stamp: u32, again: bool },
    Drop(u32, u32),
    Pass(u64),
    AckAck(u32),
    Room(u32),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let data = |offset| {
        (offset, any::<u32>(), any::<bool>()).prop_map(|(offset, stamp, again)| Step::Data {
            offset,
            stamp,
            again,
        })
    };
    let step = prop_oneof![
        20 => data((0_u32..120).boxed()),
        1 => data(any::<u32>().boxed()),
        1 => (any::<u32>(), any::<u32>()).prop_map(|(a, b)| Step::Drop(a, b)),
        1 => (0_u32..120, 0_u32..120).prop_map(|(a, b)| Step::Drop(a, b)),
        2 => (0_u64..4000).prop_map(Step::Pass),
        1 => any::<u32>().prop_map(Step::AckAck),
        1 => (0_u32..20).prop_map(Step::AckAck),
        1 => any::<u32>().prop_map(Step::Room),
    ];
    proptest::collection::vec(step, 0..300)
}

fn modes() -> impl Strategy<Value = DeliveryMode> {
    prop_oneof![
        Just(DeliveryMode::Hold),
        Just(DeliveryMode::Tsbpd { drop_too_late: true }),
        Just(DeliveryMode::Tsbpd { drop_too_late: false }),
    ]
}

/// One packet sent through a link that loses, delays and doubles; lost ones are sent again when asked for.
struct Link {
    random: fastrand::Rng,
    loss_percent: u8,
    jitter_us: u64,
    trip_us: u64,
    /// Arrivals by time.
    on_its_way: std::collections::BTreeMap<(u64, u64), (Seq, Stamp, bool)>,
    sent: u64,
}

impl Link {
    fn send(&mut self, now_us: u64, seq: Seq, stamp: Stamp, again: bool) {
        let copies = if self.random.u8(0..50) == 0 { 2 } else { 1 };
        for _ in 0..copies {
            self.sent += 1;
            if self.random.u8(0..100) >= self.loss_percent {
                let way = self.trip_us / 2 + self.random.u64(0..=self.jitter_us);
                self.on_its_way.insert((now_us + way, self.sent), (seq, stamp, again));
            }
        }
    }
}

proptest! {
    #[test]
    fn whatever_arrives_the_output_is_in_order_and_adds_up(
        steps in steps(),
        start in any::<u32>(),
        mode in modes(),
    ) {
        let mut b = Bench::with(start, 32, mode, LATENCY);
        let mut tally = Tally { next: Seq::new(start), delivered: Vec::new(), lost: 0 };
        let mut ranges = Vec::new();
        for step in steps {
            match step {
                Step::Data { offset, stamp, again } => {
                    let seq = Seq::new(start.wrapping_add(offset));
                    let stamp = Stamp::of_micros(stamp.into());
                    let payload = seq.raw().to_be_bytes();
                    b.receiver.data(b.now, seq, stamp, again, &payload, &mut tally);
                }
                Step::Drop(first, last) => {
                    let at = |offset: u32| Seq::new(start.wrapping_add(offset));
                    if let Some(range) = SeqRange::new(at(first), at(last)) {
                        b.receiver.drop_request(b.now, range, &mut tally);
                    }
                }
                Step::Pass(ms) => {
                    b.now += Duration::from_millis(ms);
                    b.receiver.handle_timeout(b.now, &mut tally);
                }
                Step::AckAck(number) => b.receiver.ackack(b.now, number),
                Step::Room(packets) => b.receiver.set_room(packets),
            }
            b.receiver.poll_ack(b.now);
            ranges.clear();
            b.receiver.poll_nak(b.now, &mut ranges);
            for range in &ranges {
                let from = usize::try_from(range.first.offset_from(tally.next)).unwrap();
                for index in from..from + range.len() as usize {
                    let slot = b.receiver.window.slot(index);
                    prop_assert!(matches!(slot, Some(Slot::Missing { .. })), "asked for what is not missing");
                }
            }
            b.receiver.window.check(32, mode);
            prop_assert_eq!(b.receiver.window.head(), tally.next);
        }
        // Everything ends by its timers alone.
        for _ in 0..2000 {
            let Some(at) = b.receiver.next_timeout() else { break };
            b.now = b.now.max(at);
            b.receiver.handle_timeout(b.now, &mut tally);
            b.receiver.poll_ack(b.now);
            b.receiver.poll_nak(b.now, &mut ranges);
            let told = b.receiver.ack.number();
            b.receiver.ackack(b.now, told);
        }
        prop_assert_eq!(b.receiver.next_timeout(), None);
        prop_assert!(b.receiver.window.is_empty());
        prop_assert_eq!(b.receiver.window.heap_bytes(), 0);
        prop_assert_eq!(b.receiver.stats().lost_packets, tally.lost);
        prop_assert_eq!(b.receiver.stats().delivered_bytes, 4 * tally.delivered.len() as u64);
    }

    #[test]
    fn through_a_bad_link_everything_arrives_or_is_reported_within_the_latency(
        seed in any::<u64>(),
        loss_percent in 0_u8..40,
        jitter_us in 0_u64..60_000,
        mode in modes(),
        before_wrap in 0_u32..3000,
    ) {
        const PACKETS: u32 = 3000;
        const EACH_US: u64 = 500;
        const LATENCY_US: u64 = 600_000;
        let start = Seq::new(0).minus(before_wrap);
        let mut b = Bench::with(start.raw(), 8192, mode, Duration::from_micros(LATENCY_US));
        let mut tally = Tally { next: start, delivered: Vec::new(), lost: 0 };
        let mut link = Link {
            random: fastrand::Rng::with_seed(seed),
            loss_percent,
            jitter_us,
            trip_us: 60_000,
            on_its_way: std::collections::BTreeMap::new(),
            sent: 0,
        };
        let mut stamps = Vec::new();
        let mut asked = std::collections::VecDeque::new();
        let mut ranges = Vec::new();
        let end_us = u64::from(PACKETS) * EACH_US + 20_000_000;
        for now_us in (0..end_us).step_by(500) {
            b.now = b.began + Duration::from_micros(now_us);
            if stamps.len() < PACKETS as usize {
                let stamp = Stamp::of_micros(now_us);
                let seq = start.plus(u32::try_from(stamps.len()).unwrap());
                stamps.push(stamp);
                link.send(now_us, seq, stamp, false);
            }
            while asked.front().is_some_and(|(at, _)| *at <= now_us) {
                let (_, seq): (u64, Seq) = asked.pop_front().unwrap();
                let stamp = stamps[usize::try_from(seq.offset_from(start)).unwrap()];
                link.send(now_us, seq, stamp, true);
            }
            while let Some(entry) = link.on_its_way.first_entry().filter(|entry| entry.key().0 <= now_us) {
                let (seq, stamp, again) = entry.remove();
                b.receiver.data(b.now, seq, stamp, again, &seq.raw().to_be_bytes(), &mut tally);
            }
            b.receiver.handle_timeout(b.now, &mut tally);
            if let Some(AckOut::Full(ack)) = b.receiver.poll_ack(b.now) {
                b.receiver.ackack(b.now, ack.number);
            }
            ranges.clear();
            b.receiver.poll_nak(b.now, &mut ranges);
            for seq in ranges.iter().flat_map(|range| range.iter()) {
                if link.random.u8(0..100) >= loss_percent {
                    asked.push_back((now_us + link.trip_us / 2, seq));
                }
            }
            if mode == DeliveryMode::Hold && now_us % 5_000 == 0 {
                let oldest = b.receiver.window.slot(0);
                let in_time = |since: Instant| b.now - since <= Duration::from_micros(LATENCY_US);
                let open = oldest.is_none_or(|slot| matches!(slot, Slot::Missing { since } if in_time(*since)));
                prop_assert!(open, "a gap outlives the latency");
            }
        }
        b.receiver.finish(b.now, &mut tally);
        prop_assert!(b.receiver.window.is_empty());
        let told = tally.delivered.len() as u64 + tally.lost;
        prop_assert!(told <= u64::from(PACKETS));
        prop_assert_eq!(start.plus(u32::try_from(told).unwrap()), tally.next);
        // Only the tail can be missing without a trace: nothing came behind it.
        prop_assert!(u64::from(PACKETS) - told < 40);
        if loss_percent == 0 {
            prop_assert_eq!(told, u64::from(PACKETS));
            prop_assert_eq!(tally.lost, 0);
        }
        if loss_percent < 10 {
            prop_assert!(tally.lost <= 3, "{} lost", tally.lost);
        }
    }
}
