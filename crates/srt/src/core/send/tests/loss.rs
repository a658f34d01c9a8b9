//! Losses of anything, and what they cost.

use proptest::prelude::*;

use super::*;

fn is_within_budget(rig: &Rig, rate: u64) {
    // Burst and rate, over every window that begins at a retransmission.
    for (start, (from, _)) in rig.resent.iter().enumerate().step_by(17) {
        let mut bytes = 0;
        for (at, size) in &rig.resent[start..] {
            bytes += size;
            let most = 64_000.0 + rate as f64 * (*at - *from).as_secs_f64();
            assert!(bytes as f64 <= most + 1.0, "{bytes} of {most}");
        }
    }
}

#[test]
fn retransmissions_are_hardly_more_than_what_was_lost() {
    for (seed, jitter) in [(0, 0), (1, 0), (2, 2)] {
        let link = Link { jitter: ms(jitter), ..Link::new(0.05, 0.02, ms(60)) };
        let mut rig = Rig::new(config(), link, seed);
        rig.offer(500_000, Duration::from_secs(20));
        rig.run_until_drained(Duration::from_secs(20));
        let stats = rig.sender.stats(rig.now);
        let ratio = stats.retransmitted_bytes as f64 / rig.lost_bytes as f64;
        println!("seed {seed}: ratio {ratio:.4}, suppressed {}", stats.retransmit_suppressed);
        assert!(ratio <= 1.15, "seed {seed}: {ratio}");
        assert!(stats.retransmit_suppressed > 0);
        is_within_budget(&rig, 126_000);
    }
}

#[test]
fn the_overhead_is_never_exceeded_when_most_is_lost() {
    let mut rig = Rig::new(config(), Link::new(0.5, 0.1, ms(60)), 5);
    rig.offer(400_000, Duration::from_secs(10));
    is_within_budget(&rig, 101_000);
    let resent: usize = rig.resent.iter().map(|(_, bytes)| bytes).sum();
    assert!(resent <= 64_000 + 10 * 101_000, "{resent}");
    rig.offer(10_000, Duration::from_secs(3));
}

#[test]
fn a_lost_tail_is_found_with_one_packet() {
    let mut rig = Rig::new(config(), Link::new(0.0, 0.0, ms(60)), 1);
    rig.offer(500_000, Duration::from_secs(1));
    rig.run_until_drained(Duration::from_secs(1));
    rig.link.cut = true;
    rig.sender.send(rig.now, &[1; FULL]).unwrap();
    rig.run(ms(1));
    rig.link.cut = false;
    let before = rig.data_sent;
    rig.run_until_drained(Duration::from_secs(1));
    assert_eq!(rig.data_sent - before, 1);
    assert_eq!(rig.sender.stats(rig.now).probes, 1);
}

#[test]
fn a_lost_tail_of_many_costs_no_more_than_itself_and_one() {
    let mut rig = Rig::new(config(), Link::new(0.0, 0.0, ms(60)), 1);
    rig.offer(500_000, Duration::from_secs(1));
    rig.run_until_drained(Duration::from_secs(1));
    rig.link.cut = true;
    for _ in 0..2 {
        rig.sender.send(rig.now, &[1; FULL]).unwrap();
    }
    rig.run(ms(20));
    rig.link.cut = false;
    let before = rig.data_sent;
    rig.run_until_drained(Duration::from_secs(1));
    assert_eq!(rig.data_sent - before, 2, "the last, and the other when the peer asks for it");
}

#[test]
fn a_peer_that_never_asks_gets_everything_all_the_same() {
    let mut rig = Rig::new(config(), Link::new(0.0, 0.0, ms(20)), 1);
    rig.receiver.nak_interval = Duration::from_secs(3600);
    rig.link.cut = true;
    rig.offer(500_000, ms(30));
    rig.link.cut = false;
    rig.run_until_drained(Duration::from_secs(60));
}

#[test]
fn what_is_too_late_is_dropped_and_the_peer_told() {
    let config = SenderConfig { too_late: Some(Duration::from_secs(1)), ..config() };
    let mut rig = Rig::new(config, Link::new(0.3, 0.3, ms(60)), 3);
    rig.offer(500_000, Duration::from_secs(2));
    rig.link.cut = true;
    rig.offer(500_000, Duration::from_secs(3));
    rig.link.cut = false;
    rig.link.data_loss = 0.02;
    rig.offer(500_000, Duration::from_secs(4));
    let stats = rig.sender.stats(rig.now);
    assert!(stats.dropped_packets > 500, "{stats:?}");
    assert!(stats.buffered <= Duration::from_secs(1));
    rig.run(Duration::from_secs(3));
    let stats = rig.sender.stats(rig.now);
    assert_eq!(stats.accepted_packets, stats.acked_packets + stats.dropped_packets);
    assert_eq!(rig.receiver.next, stats.accepted_packets, "the receiver waits for nothing");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn everything_is_acknowledged_in_the_end(
        data_loss in 0.0..0.5_f64, feedback_loss in 0.0..0.8_f64, rtt in 1..600_u64, jitter in 0..40_u64,
        late in proptest::option::of(200..4000_u64), rate in 20_000..600_000_u64, seed: u64,
        window in 16..3000_u32, ack_ms in 5..120_u64,
    ) {
        let config = SenderConfig { too_late: late.map(ms), peer_window: window, ..config() };
        let link = Link { jitter: ms(jitter), ..Link::new(data_loss, feedback_loss, ms(rtt)) };
        let mut rig = Rig::new(config, link, seed);
        rig.receiver.ack_interval = ms(ack_ms);
        rig.receiver.free = window;
        rig.keep = true;
        rig.offer(rate, Duration::from_secs(2));
        rig.run_until_drained(Duration::from_secs(600));
        let stats = rig.sender.stats(rig.now);
        prop_assert_eq!(stats.accepted_packets, stats.acked_packets + stats.dropped_packets);
        prop_assert_eq!(stats.accepted_bytes, stats.acked_bytes + stats.dropped_bytes);
        prop_assert_eq!((stats.buffered_packets, stats.buffered_bytes, stats.in_flight_packets), (0, 0, 0));
        prop_assert!(late.is_some() || stats.dropped_packets == 0);
        is_within_budget(&rig, (rate / 4).max(32_000) + 1000);
    }
}
