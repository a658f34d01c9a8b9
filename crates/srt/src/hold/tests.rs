//! The hold buffer on a clock that the test moves.

use proptest::prelude::*;

use super::*;

#[derive(Debug, Default, PartialEq, Eq)]
struct Record(Vec<Item>);

#[derive(Debug, PartialEq, Eq, Clone)]
enum Item {
    Packet(u32),
    Lost(u32, u64),
}

impl HoldSink for Record {
    fn packet(&mut self, datagram: &[u8]) {
        self.0.push(Packet(u32::from_be_bytes(datagram.try_into().unwrap())));
    }
    fn lost(&mut self, first: Seq, packets: u64) {
        self.0.push(Lost(first.get(), packets));
    }
}

const HORIZON: Duration = Duration::from_secs(3);

struct Bench {
    buffer: HoldBuffer,
    record: Record,
    now: Instant,
}

impl Bench {
    fn new(initial: u32, capacity: usize) -> Self {
        Self {
            buffer: HoldBuffer::new(Seq::new(initial), capacity, HORIZON),
            record: Record::default(),
            now: Instant::now(),
        }
    }

    fn insert(&mut self, seq: u32) -> Arrival {
        let seq = Seq::new(seq);
        self.buffer.insert(self.now, seq, &seq.get().to_be_bytes(), &mut self.record)
    }

    fn drop_range(&mut self, first: u32, last: u32) {
        self.buffer.drop_range(self.now, Seq::new(first), Seq::new(last), &mut self.record);
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        self.buffer.expire(self.now, &mut self.record);
    }

    fn taken(&mut self) -> Vec<Item> {
        std::mem::take(&mut self.record.0)
    }
}

use Item::{Lost, Packet};

#[test]
fn packets_without_a_gap_are_delivered_at_once() {
    let mut b = Bench::new(7, 16);
    for seq in 7..20 {
        assert_eq!(b.insert(seq), Arrival::InOrder);
        assert_eq!(b.taken(), [Packet(seq)]);
    }
    assert_eq!(b.buffer.next_expiry(), None);
}

#[test]
fn a_gap_is_held_until_it_is_filled() {
    let mut b = Bench::new(0, 16);
    assert_eq!(b.insert(0), Arrival::InOrder);
    assert_eq!(b.insert(2), Arrival::Held);
    assert_eq!(b.insert(3), Arrival::Held);
    b.pass(HORIZON - Duration::from_millis(1));
    assert_eq!(b.taken(), [Packet(0)]);
    assert!(b.buffer.is_missing(Seq::new(1)));
    assert_eq!(b.insert(1), Arrival::Filled);
    assert_eq!(b.taken(), [Packet(1), Packet(2), Packet(3)]);
    assert_eq!(b.insert(1), Arrival::Late);
    assert_eq!(b.buffer.held(), 0);
}

#[test]
fn a_gap_is_given_up_after_the_horizon_and_only_then() {
    let mut b = Bench::new(0, 16);
    b.insert(0);
    b.insert(3);
    b.pass(HORIZON - Duration::from_millis(1));
    assert_eq!(b.taken(), [Packet(0)]);
    assert_eq!(b.buffer.next_expiry(), Some(b.now + Duration::from_millis(1)));
    b.pass(Duration::from_millis(1));
    assert_eq!(b.taken(), [Lost(1, 2), Packet(3)]);
    assert_eq!(b.insert(1), Arrival::Late);
    assert_eq!(b.taken(), []);
}

#[test]
fn each_gap_has_its_own_horizon() {
    let mut b = Bench::new(0, 16);
    b.insert(1);
    b.pass(Duration::from_secs(2));
    b.insert(3);
    b.pass(Duration::from_secs(1));
    assert_eq!(b.taken(), [Lost(0, 1), Packet(1)]);
    b.pass(Duration::from_secs(2));
    assert_eq!(b.taken(), [Lost(2, 1), Packet(3)]);
}

#[test]
fn a_drop_request_ends_a_gap_at_once() {
    let mut b = Bench::new(0, 16);
    b.insert(0);
    b.insert(4);
    b.drop_range(1, 2);
    assert_eq!(b.taken(), [Packet(0), Lost(1, 2)]);
    assert_eq!(b.insert(3), Arrival::Filled);
    assert_eq!(b.taken(), [Packet(3), Packet(4)]);
}

#[test]
fn a_drop_request_spares_what_has_arrived_and_is_bounded() {
    let mut b = Bench::new(0, 8);
    b.insert(2);
    b.drop_range(0, 5_000_000);
    assert_eq!(b.taken(), [Lost(0, 2), Packet(2), Lost(3, 5)]);
    b.drop_range(100, 200);
    b.drop_range(20, 10);
    b.drop_range(0, 3);
    assert_eq!(b.taken(), []);
    assert_eq!(b.insert(8), Arrival::InOrder);
}

#[test]
fn sequence_numbers_wrap() {
    let mut b = Bench::new(Seq::MAX - 1, 16);
    b.insert(Seq::MAX - 1);
    b.insert(1);
    b.insert(0);
    assert_eq!(b.taken(), [Packet(Seq::MAX - 1)]);
    b.insert(Seq::MAX);
    assert_eq!(b.taken(), [Packet(Seq::MAX), Packet(0), Packet(1)]);
    b.insert(3);
    b.pass(HORIZON);
    assert_eq!(b.taken(), [Lost(2, 1), Packet(3)]);
}

#[test]
fn one_foreign_sequence_number_moves_nothing() {
    let mut b = Bench::new(0, 16);
    b.insert(0);
    assert_eq!(b.insert(1_000_000), Arrival::Refused);
    assert_eq!(b.insert(1), Arrival::InOrder);
    assert_eq!(b.insert(1_000_001), Arrival::Refused);
    assert_eq!(b.insert(2), Arrival::InOrder);
    assert_eq!(b.taken(), [Packet(0), Packet(1), Packet(2)]);
}

#[test]
fn a_confirmed_jump_is_followed_and_counted() {
    let mut b = Bench::new(0, 16);
    b.insert(0);
    b.insert(2);
    assert_eq!(b.insert(1000), Arrival::Refused);
    assert_eq!(b.insert(1001), Arrival::Filled);
    assert_eq!(b.taken(), [Packet(0), Lost(1, 1), Packet(2), Lost(3, 998), Packet(1001)]);
    assert_eq!(b.insert(1002), Arrival::InOrder);
}

#[test]
fn a_full_window_gives_up_its_oldest_gap() {
    let mut b = Bench::new(0, 4);
    for seq in 1..4 {
        b.insert(seq);
    }
    assert_eq!(b.buffer.room(), 0);
    assert_eq!(b.insert(4), Arrival::Refused);
    assert_eq!(b.insert(5), Arrival::Held);
    assert_eq!(b.taken(), [Lost(0, 1), Packet(1), Packet(2), Packet(3)]);
    assert_eq!(b.insert(4), Arrival::Filled);
    assert_eq!(b.taken(), [Packet(4), Packet(5)]);
}

#[test]
fn flush_delivers_what_is_behind_a_gap_after_reporting_it() {
    let mut b = Bench::new(0, 16);
    b.insert(1);
    b.insert(4);
    b.buffer.flush(&mut b.record);
    assert_eq!(b.taken(), [Lost(0, 1), Packet(1), Lost(2, 2), Packet(4)]);
}

#[derive(Debug, Clone)]
enum Step {
    Insert(u32),
    Drop(u32, u32),
    Pass(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        20 => (0_u32..120).prop_map(Step::Insert),
        1 => any::<u32>().prop_map(Step::Insert),
        1 => (any::<u32>(), any::<u32>()).prop_map(|(a, b)| Step::Drop(a, b)),
        1 => (0_u32..120, 0_u32..120).prop_map(|(a, b)| Step::Drop(a, b)),
        2 => (0_u64..4000).prop_map(Step::Pass),
    ];
    proptest::collection::vec(step, 0..300)
}

proptest! {
    #[test]
    fn whatever_arrives_the_output_is_in_order_and_adds_up(steps in steps(), initial in any::<u32>()) {
        let capacity = 32;
        let mut b = Bench::new(initial, capacity);
        let mut output = Vec::new();
        for step in steps {
            match step {
                Step::Insert(offset) => {
                    b.insert(initial.wrapping_add(offset));
                }
                Step::Drop(first, last) => b.drop_range(initial.wrapping_add(first), initial.wrapping_add(last)),
                Step::Pass(ms) => b.pass(Duration::from_millis(ms)),
            }
            prop_assert!(b.buffer.slots.len() <= capacity);
            let front = b.buffer.slots.front();
            prop_assert!(front.is_none_or(|slot| matches!(slot, Slot::Missing)), "the front could go out");
            output.extend(b.taken());
        }
        b.buffer.flush(&mut b.record);
        output.extend(b.taken());
        let mut next = Seq::new(initial);
        for item in output {
            let (first, packets) = match item {
                Packet(seq) => (seq, 1),
                Lost(first, packets) => (first, packets),
            };
            prop_assert_eq!(first, next.get());
            next = next.add(u32::try_from(packets).unwrap());
        }
        prop_assert_eq!(next, b.buffer.head);
    }
}
