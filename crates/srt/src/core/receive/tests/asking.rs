//! NAKs: when a gap is asked for, and when again.

use super::*;

#[test]
fn a_gap_is_asked_for_at_once_where_nothing_is_known() {
    let mut b = Bench::new(0, 64);
    b.data(5);
    assert_eq!(b.nak(), [(0, 4)]);
    assert_eq!(b.nak(), []);
    assert_eq!(b.receiver.stats().naks_sent, 1);
}

#[test]
fn on_a_link_that_reorders_only_what_stays_missing_is_asked_for() {
    let mut b = Bench::new(0, 64);
    b.data(1);
    b.now += 8 * MS;
    b.data(0);
    assert_eq!(b.receiver.stats().reorder_wait, 13 * MS);
    b.data(7);
    b.data(2);
    b.data(4);
    assert_eq!(b.nak(), []);
    b.pass(12 * MS);
    assert_eq!(b.nak(), []);
    b.ack();
    assert_eq!(b.receiver.next_timeout(), Some(b.now + MS));
    b.pass(MS);
    assert_eq!(b.nak(), [(3, 3), (5, 6)]);
    for seq in 3..7 {
        b.again(seq);
    }
    b.pass(1000 * MS);
    assert_eq!(b.nak(), [], "all there: nothing to ask for");
}

#[test]
fn reordering_of_a_few_packets_costs_no_report_once_it_is_known() {
    let mut b = Bench::new(0, 8192);
    let mut random = fastrand::Rng::with_seed(11);
    // 3000 packets/s; one in ten comes up to twelve packets late.
    let mut arrivals: Vec<_> = (0..30_000_u32)
        .map(|seq| (seq + if random.u32(0..10) == 0 { random.u32(1..13) } else { 0 }, seq))
        .collect();
    arrivals.sort_unstable();
    let mut early = 0;
    for (n, (_, seq)) in arrivals.into_iter().enumerate() {
        b.pass(Duration::from_micros(333));
        b.data(seq);
        b.nak();
        if n == 1000 {
            early = b.receiver.stats().naks_sent;
        }
    }
    assert!((1..10).contains(&early), "{early}");
    assert_eq!(b.receiver.stats().naks_sent, early);
    assert_eq!(b.taken().len(), 30_000);
}

#[test]
fn retransmissions_teach_no_wait() {
    let mut b = Bench::new(0, 64);
    b.data(1);
    b.now += 8 * MS;
    b.again(0);
    assert_eq!(b.receiver.stats().reorder_wait, Duration::ZERO);
}

#[test]
fn a_gap_is_asked_for_again_when_a_retransmission_should_have_come() {
    let mut b = Bench::new(0, 64);
    b.round_trip(50 * MS);
    let head = b.receiver.window.head().raw();
    b.data(head + 1);
    assert_eq!(b.nak(), [(head, head)]);
    let again = b.receiver.ack.round_trip.again();
    assert!((60 * MS..90 * MS).contains(&again), "{again:?}");
    b.pass(again - MS);
    assert_eq!(b.nak(), []);
    b.pass(MS);
    assert_eq!(b.nak(), [(head, head)]);
    b.pass(again);
    assert_eq!(b.nak(), [(head, head)]);
}

#[test]
fn fresh_gaps_do_not_put_off_asking_again_for_old_ones() {
    let mut b = Bench::new(0, 4096);
    b.round_trip(50 * MS);
    let head = b.receiver.window.head().raw();
    b.data(head + 1);
    let mut asked = Vec::new();
    for n in 0..600_u32 {
        if b.nak().iter().any(|(first, _)| *first == head) {
            asked.push(b.now);
        }
        b.pass(2 * MS);
        b.data(head + 3 + 2 * n);
    }
    let again = b.receiver.ack.round_trip.again();
    assert!(asked.len() > 10);
    assert!(asked.windows(2).all(|pair| pair[1] - pair[0] <= again + 2 * MS), "each on its own clock");
}

#[test]
fn a_report_of_very_many_gaps_is_split_and_complete() {
    let mut b = Bench::new(0, 8192);
    for n in 0..4000 {
        b.data(2 * n + 1);
    }
    let mut ranges = Vec::new();
    assert!(b.receiver.poll_nak(b.now, &mut ranges));
    assert_eq!(ranges.len(), 720);
    assert_eq!(b.receiver.next_timeout(), Some(b.now), "the rest is due");
    while b.receiver.poll_nak(b.now, &mut ranges) {}
    assert_eq!(ranges.len(), 4000);
    assert!(ranges.iter().enumerate().all(|(n, range)| range.first.raw() as usize == 2 * n));
}

#[test]
fn runs_of_gaps_that_closed_do_not_pile_up() {
    let mut b = Bench::new(0, 8192);
    // Nobody polls; a gap at the front stays open for a while.
    for seq in (1..4000).step_by(2) {
        b.data(seq + 1);
        b.data(seq);
    }
    assert_eq!(b.receiver.nak.runs(), 2000, "at most one for each packet of the window");
    b.data(0);
    assert_eq!(b.receiver.nak.runs(), 0);
}

#[test]
fn a_gap_with_little_time_is_asked_for_four_times_in_it_while_the_round_trip_is_a_guess() {
    let mut b = Bench::with(0, 64, DeliveryMode::Hold, 120 * MS);
    b.data(1);
    let mut asked = 0;
    for _ in 0..120 {
        asked += b.nak().len();
        b.pass(MS);
    }
    assert_eq!(asked, 4);
}
