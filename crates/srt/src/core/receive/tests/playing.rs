//! TSBPD mode: time stamps, too-late drop.

use super::*;
use crate::core::receive::playout::SLACK;

const DELAY: Duration = Duration::from_millis(120);

fn bench(drop_too_late: bool) -> Bench {
    Bench::with(0, 8192, DeliveryMode::Tsbpd { drop_too_late }, DELAY)
}

#[test]
fn a_packet_is_handed_on_the_latency_after_its_stamp() {
    let mut b = bench(true);
    assert_eq!(b.data(0), Taken::Held);
    b.pass(10 * MS);
    assert_eq!(b.data(1), Taken::Held);
    assert_eq!(b.full_ack(), Some((1, 2)), "acknowledged before it is played");
    b.receiver.ackack(b.now, 1);
    assert_eq!(b.receiver.next_timeout(), Some(b.began + DELAY));
    b.pass(110 * MS);
    assert_eq!(b.taken(), [Packet(0)]);
    b.pass(10 * MS);
    assert_eq!(b.taken(), [Packet(1)]);
}

#[test]
fn a_gap_ends_when_the_packet_behind_it_is_due() {
    let mut b = bench(true);
    b.data(0);
    b.pass(20 * MS);
    b.data(3);
    b.data(5);
    b.pass(119 * MS);
    assert_eq!(b.taken(), [Packet(0)]);
    b.pass(MS);
    assert_eq!(b.taken(), [Lost(1, 2), Packet(3), Lost(4, 4), Packet(5)]);
    assert_eq!(b.again(1), Taken::Late);
}

#[test]
fn a_retransmission_in_time_is_played_in_order() {
    let mut b = bench(true);
    b.data(0);
    b.pass(20 * MS);
    b.data(2);
    b.pass(60 * MS);
    assert_eq!(b.stamped(1, Stamp::of_micros(10_000), true), Taken::Held);
    b.pass(60 * MS);
    assert_eq!(b.taken(), [Packet(0), Packet(1), Packet(2)]);
}

#[test]
fn without_too_late_drop_a_gap_is_waited_for_but_not_for_ever() {
    let mut b = bench(false);
    b.data(0);
    b.data(2);
    b.pass(5000 * MS);
    assert_eq!(b.taken(), [Packet(0)]);
    b.pass(5000 * MS);
    assert_eq!(b.taken(), [Lost(1, 1), Packet(2)]);
}

#[test]
fn a_drop_request_does_not_bring_packets_forward() {
    let mut b = bench(true);
    b.data(1);
    b.data(4);
    b.drop_request(0, 3);
    assert_eq!(b.taken(), [Lost(0, 0)]);
    b.pass(DELAY);
    assert_eq!(b.taken(), [Packet(1), Lost(2, 3), Packet(4)]);
}

#[test]
fn a_gap_with_nothing_behind_it_ends_too() {
    let mut b = bench(true);
    b.drop_request(2, 3);
    b.pass(DELAY + SLACK);
    assert_eq!(b.taken(), [Lost(0, 3)]);
    assert_eq!(b.receiver.wake, None);
}

#[test]
fn a_window_full_of_what_waits_for_its_time_closes_and_opens_the_flow() {
    let mut b = Bench::with(0, 100, DeliveryMode::Tsbpd { drop_too_late: true }, DELAY);
    for seq in 0..100 {
        b.data(seq);
    }
    assert_eq!(b.data(100), Taken::OutsideWindow);
    let Some(AckOut::Full(ack)) = b.ack() else { panic!("no ACK") };
    assert_eq!((ack.ack, ack.free_packets), (Seq::new(100), 0));
    b.receiver.ackack(b.now, ack.number);
    b.pass(DELAY);
    let Some(AckOut::Full(ack)) = b.ack() else { panic!("no ACK") };
    assert_eq!(ack.free_packets, 100);
}

#[test]
fn a_packet_that_came_again_within_a_gap_ends_its_part_of_it_when_it_is_due() {
    let mut b = bench(true);
    b.pass(50 * MS);
    b.data(9);
    assert_eq!(b.stamped(4, Stamp::of_micros(20_000), true), Taken::Held);
    b.pass(90 * MS);
    assert_eq!(b.taken(), [Lost(0, 3), Packet(4)]);
    b.pass(30 * MS);
    assert_eq!(b.taken(), [Lost(5, 8), Packet(9)]);
}
