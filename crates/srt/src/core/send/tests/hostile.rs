//! Feedback that cannot be true.

use proptest::prelude::*;

use super::*;

fn ack(ack: Seq) -> Ack {
    Ack { number: 1, ack, rtt_us: 1, rtt_var_us: u32::MAX, free_packets: u32::MAX, rates: None }
}

fn with_in_flight(packets: usize) -> (Sender, Instant) {
    let now = Instant::now();
    let mut sender = Sender::new(
        SenderConfig {
            peer_window: 1 << 20,
            max_buffer_packets: 1 << 20,
            bandwidth_bytes_per_s: 1 << 40,
            ..config()
        },
        now,
    );
    let mut out = Transmits::new();
    for _ in 0..packets {
        sender.send(now, &[1; 100]).unwrap();
    }
    while sender.poll_data(now, now, peer(), ID, None, &mut out) {}
    assert_eq!(out.len(), packets);
    (sender, now)
}

#[test]
fn acknowledgements_of_what_was_never_sent_are_ignored() {
    let (mut sender, now) = with_in_flight(10);
    sender.send(now, &[1; 100]).unwrap();
    for seq in [seq(12), seq(5000), seq(0).minus(1), seq(0).plus(1 << 30)] {
        sender.ack(now, &ack(seq));
        sender.light_ack(now, seq);
    }
    let stats = sender.stats(now);
    assert_eq!((stats.acked_packets, stats.buffered_packets), (0, 11));
    assert_eq!(stats.rtt_us, 100_000, "nothing of it counts");
}

#[test]
fn old_acknowledgements_change_nothing() {
    let (mut sender, now) = with_in_flight(10);
    sender.ack(now, &ack(seq(8)));
    let before = sender.stats(now);
    sender.ack(now, &Ack { free_packets: 0, rtt_us: 77, ..ack(seq(3)) });
    assert_eq!(sender.stats(now), before);
}

#[test]
fn loss_reports_of_what_was_never_sent_or_is_acknowledged_are_ignored() {
    let (mut sender, now) = with_in_flight(10);
    sender.ack(now, &ack(seq(4)));
    let ranges = [(0, 3), (10, 900)].map(|(a, b)| SeqRange::new(seq(a), seq(b)).unwrap());
    sender.nak(now, ranges.into_iter());
    assert_eq!(sender.lost.len(), 0);
    assert_eq!(sender.poll_drop(now), None);
    sender.nak(now, [SeqRange { first: seq(0), last: seq(900) }].into_iter());
    assert_eq!(sender.lost.len(), 6, "the part that can be true counts");
}

#[test]
fn a_loss_report_that_names_everything_many_times_is_bounded_work() {
    let (mut sender, now) = with_in_flight(100_000);
    let all = SeqRange { first: seq(0), last: seq(99_999) };
    let started = Instant::now();
    for _ in 0..10 {
        sender.nak(now, std::iter::repeat_n(all, 182));
    }
    let took = started.elapsed();
    println!("10 reports of 182 x 100,000 packets: {took:?}");
    assert!(took < Duration::from_secs(2), "{took:?}");
    assert_eq!(sender.lost.len(), 100_000);
}

#[test]
fn dropped_packets_that_are_asked_for_are_answered_by_a_drop_request() {
    let now = Instant::now();
    let mut sender = Sender::new(SenderConfig { too_late: Some(ms(500)), ..config() }, now);
    let mut out = Transmits::new();
    for _ in 0..5 {
        sender.send(now, &[1; 100]).unwrap();
    }
    while sender.poll_data(now, now, peer(), ID, None, &mut out) {}
    let at = now + ms(500);
    assert!(sender.next_timeout().unwrap() <= at);
    let range = SeqRange { first: seq(0), last: seq(4) };
    assert_eq!(sender.poll_drop(at).map(|drop| drop.range), Some(range));
    assert_eq!(sender.poll_drop(at), None);
    let at = at + ms(250);
    sender.nak(at, [SeqRange::single(seq(2))].into_iter());
    assert_eq!(sender.poll_drop(at).map(|drop| drop.range), Some(range));
    sender.light_ack(at, seq(5));
    assert_eq!(sender.poll_drop(at + Duration::from_secs(9)), None);
    assert_eq!(sender.next_timeout(), None, "the memory is given back, too");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_feedback_leaves_the_counts_sound(
        steps in proptest::collection::vec((0..5_u8, any::<u32>(), 0..70_000_u32), 1..200)
    ) {
        let (mut sender, mut now) = with_in_flight(0);
        let mut out = Transmits::new();
        for (kind, a, b) in steps {
            now += Duration::from_micros(u64::from(b));
            let near = Seq::new(config().start.raw().wrapping_add(a % 300));
            let seq = if a % 3 == 0 { Seq::new(a) } else { near };
            match kind {
                0 => sender.ack(now, &Ack { free_packets: b, ..ack(seq) }),
                1 => sender.light_ack(now, seq),
                2 => sender.nak(now, [SeqRange { first: seq, last: seq.plus(b) }].into_iter()),
                3 => sender.nak(now, nak_of(&a.to_be_bytes().repeat(20)).into_iter()),
                _ => (0..b % 40).for_each(|_| sender.send(now, &[2; 500]).unwrap()),
            }
            for _ in 0..30 {
                sender.poll_data(now, now, peer(), ID, None, &mut out);
            }
            sender.poll_drop(now);
            let _timeout = sender.next_timeout();
            let stats = sender.stats(now);
            prop_assert_eq!(stats.accepted_packets, stats.acked_packets + stats.dropped_packets + stats.buffered_packets);
            prop_assert!(stats.in_flight_packets <= stats.buffered_packets);
            prop_assert!(sender.lost.len() <= stats.in_flight_packets);
        }
    }
}
