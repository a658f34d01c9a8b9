//! Hold mode: order, gaps, drop requests, the window, jumps.

use super::*;

#[test]
fn packets_without_a_gap_are_handed_on_at_once() {
    let mut b = Bench::new(7, 16);
    for seq in 7..40 {
        assert_eq!(b.data(seq), Taken::Delivered);
        assert_eq!(b.taken(), [Packet(seq)]);
    }
    assert_eq!(b.receiver.wake, None);
}

#[test]
fn a_gap_is_held_until_it_is_filled() {
    let mut b = Bench::new(0, 16);
    assert_eq!(b.data(0), Taken::Delivered);
    assert_eq!(b.data(2), Taken::Held);
    assert_eq!(b.data(3), Taken::Held);
    assert_eq!(b.data(3), Taken::Duplicate);
    b.pass(LATENCY - MS);
    assert_eq!(b.taken(), [Packet(0)]);
    assert_eq!(b.again(1), Taken::Delivered);
    assert_eq!(b.taken(), [Packet(1), Packet(2), Packet(3)]);
    assert_eq!(b.data(1), Taken::Late);
    let stats = b.receiver.stats();
    assert_eq!((stats.held_packets, stats.held_bytes), (0, 0));
    assert_eq!((stats.late_packets, stats.duplicate_packets, stats.retransmitted_packets), (1, 1, 1));
    assert_eq!((stats.received_packets, stats.delivered_bytes), (6, 16));
}

#[test]
fn a_gap_is_given_up_after_the_latency_and_only_then() {
    let mut b = Bench::new(0, 16);
    b.data(0);
    b.data(3);
    b.pass(LATENCY - MS);
    assert_eq!(b.taken(), [Packet(0)]);
    assert_eq!(b.receiver.wake, Some(b.now + MS));
    b.pass(MS);
    assert_eq!(b.taken(), [Lost(1, 2), Packet(3)], "one range");
    assert_eq!(b.data(1), Taken::Late);
    assert_eq!(b.taken(), []);
    assert_eq!(b.receiver.stats().lost_packets, 2);
}

#[test]
fn each_gap_has_its_own_time() {
    let mut b = Bench::new(0, 16);
    b.data(1);
    b.pass(2000 * MS);
    b.data(3);
    b.pass(1000 * MS);
    assert_eq!(b.taken(), [Lost(0, 0), Packet(1)]);
    b.pass(2000 * MS);
    assert_eq!(b.taken(), [Lost(2, 2), Packet(3)]);
}

#[test]
fn a_drop_request_ends_a_gap_at_once() {
    let mut b = Bench::new(0, 16);
    b.data(0);
    b.data(4);
    b.drop_request(1, 2);
    assert_eq!(b.taken(), [Packet(0), Lost(1, 2)]);
    assert_eq!(b.again(3), Taken::Delivered);
    assert_eq!(b.taken(), [Packet(3), Packet(4)]);
}

#[test]
fn a_dropped_packet_that_comes_in_time_after_all_is_taken() {
    let mut b = Bench::new(0, 16);
    b.data(3);
    b.drop_request(1, 2);
    assert_eq!(b.again(2), Taken::Held);
    b.again(0);
    assert_eq!(b.taken(), [Packet(0), Lost(1, 1), Packet(2), Packet(3)]);
}

#[test]
fn a_drop_request_spares_what_has_arrived_and_is_bounded() {
    let mut b = Bench::new(0, 16);
    b.data(2);
    b.drop_request(0, 5_000_000);
    assert_eq!(b.taken(), [Lost(0, 1), Packet(2), Lost(3, 15)]);
    b.drop_request(100, 200);
    b.drop_request(LAST - 5, LAST);
    b.drop_request(0, 3);
    b.drop_request(16 + (1 << 29), 15 + (1 << 30));
    assert_eq!(b.taken(), []);
    assert_eq!(b.data(16), Taken::Delivered);
}

#[test]
fn a_drop_request_ahead_leaves_a_gap_that_is_asked_for() {
    let mut b = Bench::new(0, 16);
    b.drop_request(2, 3);
    assert_eq!(b.nak(), [(0, 1)]);
    b.data(0);
    b.data(1);
    assert_eq!(b.taken(), [Packet(0), Packet(1), Lost(2, 3)]);
}

#[test]
fn sequence_numbers_wrap() {
    let mut b = Bench::new(LAST - 1, 16);
    b.data(LAST - 1);
    b.data(1);
    b.data(0);
    assert_eq!(b.taken(), [Packet(LAST - 1)]);
    b.data(LAST);
    assert_eq!(b.taken(), [Packet(LAST), Packet(0), Packet(1)]);
    b.data(3);
    b.pass(LATENCY);
    assert_eq!(b.taken(), [Lost(2, 2), Packet(3)]);
    let mut b = Bench::new(LAST - 1, 16);
    b.data(2);
    b.pass(LATENCY);
    assert_eq!(b.taken(), [Lost(LAST - 1, 1), Packet(2)]);
}

#[test]
fn one_foreign_sequence_number_moves_nothing() {
    let mut b = Bench::new(0, 16);
    b.data(0);
    assert_eq!(b.data(1_000_000), Taken::OutsideWindow);
    assert_eq!(b.data(1), Taken::Delivered);
    assert_eq!(b.data(1_000_001), Taken::OutsideWindow);
    assert_eq!(b.data(2), Taken::Delivered);
    assert_eq!(b.taken(), [Packet(0), Packet(1), Packet(2)]);
    assert_eq!(b.receiver.stats().refused_packets, 2);
}

#[test]
fn a_confirmed_jump_is_followed_and_counted() {
    let mut b = Bench::new(0, 16);
    b.data(0);
    b.data(2);
    assert_eq!(b.data(1000), Taken::OutsideWindow);
    assert_eq!(b.data(1001), Taken::Held);
    assert_eq!(b.taken(), [Packet(0), Lost(1, 1), Packet(2), Lost(3, 999)]);
    assert_eq!(b.nak(), [(1000, 1000)], "the first of the two was refused");
    assert_eq!(b.again(1000), Taken::Delivered);
    assert_eq!(b.data(1002), Taken::Delivered);
    assert_eq!(b.receiver.stats().lost_packets, 998);
}

#[test]
fn the_longest_jump_is_one_loss() {
    let mut b = Bench::new(5, 16);
    let far = (1 << 30) - 1;
    b.data(5 + far - 1);
    b.data(5 + far);
    assert_eq!(b.taken(), [Lost(5, 5 + far - 2)]);
    b.pass(LATENCY);
    assert_eq!(b.taken(), [Lost(5 + far - 1, 5 + far - 1), Packet(5 + far)]);
}

#[test]
fn a_full_window_refuses_while_a_gap_may_be_filled_and_goes_on_after_it() {
    let mut b = Bench::new(0, 16);
    for seq in 1..16 {
        assert_eq!(b.data(seq), Taken::Held);
    }
    for seq in 16..24 {
        assert_eq!(b.data(seq), Taken::OutsideWindow);
    }
    b.pass(LATENCY);
    assert_eq!(b.taken().len(), 16);
    assert_eq!(b.data(24), Taken::Held, "24 is inside again");
    assert_eq!(b.nak(), [(16, 23)]);
    let mut b = Bench::new(0, 16);
    b.data(0);
    b.data(20);
    b.data(21);
    assert_eq!(b.taken(), [Packet(0), Lost(1, 19)], "nothing to wait for: followed");
}

#[test]
fn the_end_hands_on_what_is_behind_a_gap_after_reporting_it() {
    let mut b = Bench::new(0, 16);
    b.data(1);
    b.data(4);
    b.receiver.finish(b.now, &mut b.record);
    assert_eq!(b.taken(), [Lost(0, 0), Packet(1), Lost(2, 3), Packet(4)]);
    assert_eq!(b.receiver.stats().held_packets, 0);
}

#[test]
fn what_may_come_from_the_peer_now_is_near_the_head() {
    let b = Bench::new(100, 16);
    let inside = |seq: u32| b.receiver.is_in_window(Seq::new(seq));
    assert!(inside(100) && inside(115) && inside(0) && inside(LAST - 8000));
    assert!(!inside(116) && !inside(LAST - 8200) && !inside(1 << 29));
}
