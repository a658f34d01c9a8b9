//! Wraps of every counter.

use proptest::prelude::*;

use super::*;

#[test]
fn sequence_numbers_wrap_at_31_bits() {
    let last = Seq::new(0x7FFF_FFFF);
    assert_eq!(last.plus(1), Seq::new(0));
    assert_eq!(Seq::new(0).minus(1), last);
    assert_eq!(Seq::new(3).offset_from(last), 4);
    assert_eq!(last.offset_from(Seq::new(3)), -4);
    assert!(last.is_before(Seq::new(0)));
    assert!(!Seq::new(0).is_before(Seq::new(0)));
    assert_eq!(Seq::new(0xFFFF_FFFF), last);
}

#[test]
fn half_a_circle_away_counts_as_before() {
    assert_eq!(Seq::new(1 << 30).offset_from(Seq::new(0)), -(1 << 30));
    assert_eq!(Seq::new((1 << 30) - 1).offset_from(Seq::new(0)), (1 << 30) - 1);
}

#[test]
fn a_range_spans_the_wrap() {
    let range = SeqRange::new(Seq::new(0x7FFF_FFFE), Seq::new(1)).unwrap();
    assert_eq!(range.len(), 4);
    assert_eq!(range.iter().map(Seq::raw).collect::<Vec<_>>(), [0x7FFF_FFFE, 0x7FFF_FFFF, 0, 1]);
    assert!(range.contains(Seq::new(0)));
    assert!(!range.contains(Seq::new(2)));
    assert!(!range.contains(Seq::new(0x7FFF_FFFD)));
    assert_eq!(SeqRange::new(Seq::new(1), Seq::new(0x7FFF_FFFE)), None);
    assert_eq!(SeqRange::single(Seq::new(9)).len(), 1);
}

#[test]
fn a_range_is_cut_to_its_bounds() {
    let range = |first, last| SeqRange::new(Seq::new(first), Seq::new(last)).unwrap();
    assert_eq!(range(5, 20).within(range(10, 12)), Some(range(10, 12)));
    assert_eq!(range(5, 20).within(range(0, 7)), Some(range(5, 7)));
    assert_eq!(range(5, 20).within(range(21, 30)), None);
}

#[test]
fn message_numbers_skip_zero() {
    assert_eq!(MessageNumber::new(0x03FF_FFFF).next(), MessageNumber::FIRST);
    assert_eq!(MessageNumber::new(7).next().raw(), 8);
}

#[test]
fn stamps_are_read_nearest_to_the_last_one() {
    let mut reader = StampReader::new();
    assert_eq!(reader.micros(Stamp::of_micros(1_000)), 1_000);
    assert_eq!(reader.micros(Stamp::of_micros(400)), 400);
    assert_eq!(reader.micros(Stamp::of_micros(0x7FFF_0000)), 0x7FFF_0000);
    assert_eq!(reader.micros(Stamp::of_micros(0xC000_0000)), 0xC000_0000);
    assert_eq!(reader.micros(Stamp::of_micros(0xFFFF_FFF0)), 0xFFFF_FFF0);
    assert_eq!(reader.micros(Stamp::of_micros(0x1_0000_0010)), 0x1_0000_0010);
    assert_eq!(reader.micros(Stamp::of_micros(0xFFFF_FFFF)), 0xFFFF_FFFF);
}

#[test]
fn a_stamp_from_before_the_beginning_is_zero_and_does_not_move_the_reader() {
    let mut reader = StampReader::new();
    assert_eq!(reader.micros(Stamp::of_micros(u64::MAX)), 0);
    assert_eq!(reader.micros(Stamp::of_micros(5)), 5);
}

proptest! {
    #[test]
    fn offsets_undo_steps(raw: u32, step in -(1i32 << 30)..(1 << 30)) {
        let seq = Seq::new(raw);
        let there = if step < 0 { seq.minus(step.unsigned_abs()) } else { seq.plus(step.unsigned_abs()) };
        prop_assert_eq!(there.offset_from(seq), step);
    }

    #[test]
    fn unwrapped_time_follows_true_time(start in 0u64..1 << 40, steps in proptest::collection::vec(-1_000_000i64..2_000_000_000, 1..50)) {
        let mut reader = StampReader { last_us: start };
        let mut time = start;
        for step in steps {
            time = time.saturating_add_signed(step);
            prop_assert_eq!(reader.micros(Stamp::of_micros(time)), time);
        }
    }
}
