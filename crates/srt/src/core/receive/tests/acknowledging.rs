//! ACKs: when, how many, and the round trip.

use super::*;

#[test]
fn a_burst_is_acknowledged_once_and_at_once_if_the_interval_has_passed() {
    let mut b = Bench::new(0, 8192);
    assert_eq!(b.ack(), None, "nothing moved");
    for seq in 0..100 {
        b.data(seq);
    }
    assert_eq!(b.full_ack(), Some((1, 100)));
    assert_eq!(b.ack(), None);
    b.now += 20 * MS;
    for seq in 100..150 {
        b.data(seq);
    }
    assert_eq!(b.ack(), None);
    assert_eq!(b.receiver.next_timeout(), Some(b.began + 100 * MS));
    b.now += 80 * MS;
    assert_eq!(b.full_ack(), Some((2, 150)), "the last of a burst always goes out");
    assert_eq!(b.receiver.stats().acks_sent, 2);
}

#[test]
fn a_gap_stops_the_acknowledgement_but_not_those_before_it() {
    let mut b = Bench::new(0, 8192);
    b.data(0);
    b.data(2);
    assert_eq!(b.full_ack(), Some((1, 1)));
    b.receiver.ackack(b.now + MS, 1);
    b.now += 200 * MS;
    b.data(3);
    assert_eq!(b.ack(), None);
    b.data(1);
    assert_eq!(b.full_ack(), Some((2, 4)));
}

#[test]
fn a_fast_stream_gets_light_acknowledgements_between() {
    let mut b = Bench::new(0, 8192);
    b.data(0);
    assert!(b.full_ack().is_some());
    for seq in 1..=1024 {
        b.data(seq);
        let light = (seq % 512 == 0).then_some(AckOut::Light(Seq::new(seq + 1)));
        assert_eq!(b.ack(), light);
    }
}

#[test]
fn an_unanswered_acknowledgement_is_repeated_three_times_and_then_there_is_no_timer() {
    let mut b = Bench::new(0, 8192);
    b.data(0);
    let mut sent = 0;
    for _ in 0..100 {
        sent += u32::from(b.full_ack().is_some());
        let Some(at) = b.receiver.next_timeout() else { break };
        b.now = b.now.max(at);
        b.pass(Duration::ZERO);
    }
    assert_eq!(sent, 4);
    assert_eq!(b.receiver.next_timeout(), None);
}

#[test]
fn an_answered_acknowledgement_is_not_repeated() {
    let mut b = Bench::new(0, 8192);
    b.data(0);
    let (number, _) = b.full_ack().unwrap();
    b.now += 30 * MS;
    b.receiver.ackack(b.now, number);
    b.pass(5000 * MS);
    assert_eq!(b.ack(), None);
    assert_eq!(b.receiver.stats().rtt_us, 30_000);
}

#[test]
fn a_packet_that_comes_again_is_acknowledged_again() {
    let mut b = Bench::new(0, 8192);
    b.data(0);
    assert_eq!(b.full_ack(), Some((1, 1)));
    b.receiver.ackack(b.now, 1);
    b.now += 50 * MS;
    b.again(0);
    assert_eq!(b.ack(), None);
    b.now += 50 * MS;
    assert_eq!(b.full_ack(), Some((2, 1)));
}

#[test]
fn answers_to_unknown_numbers_or_twice_tell_nothing() {
    let mut b = Bench::new(0, 8192);
    b.data(0);
    let (number, _) = b.full_ack().unwrap();
    for foreign in [0, 2, 65, u32::MAX, u32::MAX - 62] {
        b.receiver.ackack(b.now + 7 * MS, foreign);
    }
    assert_eq!(b.receiver.stats().rtt_us, 100_000);
    b.receiver.ackack(b.now + 20 * MS, number);
    b.receiver.ackack(b.now + 9000 * MS, number);
    assert_eq!(b.receiver.stats().rtt_us, 20_000);
}

#[test]
fn room_that_opens_again_is_told_until_that_is_answered() {
    let mut b = Bench::new(0, 8192);
    b.receiver.set_room(0);
    b.data(0);
    let Some(AckOut::Full(ack)) = b.ack() else { panic!("no ACK") };
    assert_eq!(ack.free_packets, 0);
    b.receiver.ackack(b.now, ack.number);
    b.pass(1000 * MS);
    b.receiver.set_room(500);
    let mut last = 0;
    for _ in 0..10 {
        let Some(AckOut::Full(ack)) = b.ack() else { panic!("no ACK") };
        assert_eq!(ack.free_packets, 500);
        last = ack.number;
        b.now = b.receiver.next_timeout().unwrap().max(b.now);
        b.pass(1000 * MS);
    }
    let (number, _) = b.full_ack().unwrap();
    assert_eq!(number, last + 1);
    b.receiver.ackack(b.now, number);
    b.pass(5000 * MS);
    assert_eq!(b.ack(), None);
}

#[test]
fn a_challenge_says_what_an_acknowledgement_would_and_counts_as_none() {
    let mut b = Bench::new(0, 8192);
    b.data(0);
    let Ack { number, ack, free_packets, .. } = b.receiver.current_ack();
    assert_eq!((number, ack, free_packets), (0, Seq::new(1), 8192));
    assert_eq!(b.full_ack(), Some((1, 1)));
}
