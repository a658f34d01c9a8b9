//! Pacing, silence, the flow window, limits of the buffer.

use super::super::SendRefusal;
use super::*;

fn drain(sender: &mut Sender, now: Instant, out: &mut Transmits) -> usize {
    out.clear();
    while sender.poll_data(now, now, peer(), ID, None, out) {}
    out.len()
}

#[test]
fn pacing_holds_the_rate_at_any_polling_pattern() {
    for tick_us in [50, 333, 1000, 3999] {
        let start = Instant::now();
        let mut sender = Sender::new(SenderConfig { bandwidth_bytes_per_s: 1_000_000, ..config() }, start);
        for _ in 0..3000 {
            sender.send(start, &[1; FULL]).unwrap();
        }
        let (mut out, mut now, mut bytes) = (Transmits::new(), start, 0);
        while now < start + Duration::from_secs(2) {
            sender.heard(now);
            drain(&mut sender, now, &mut out);
            bytes += out.total_bytes();
            now += Duration::from_micros(tick_us);
        }
        assert!((1_990_000..2_010_000).contains(&bytes), "{tick_us}: {bytes}");
    }
}

#[test]
fn driving_by_timeouts_alone_holds_the_rate_too() {
    let start = Instant::now();
    let mut sender = Sender::new(SenderConfig { bandwidth_bytes_per_s: 300_000, ..config() }, start);
    for _ in 0..1000 {
        sender.send(start, &[1; FULL]).unwrap();
    }
    let (mut out, mut now, mut bytes, mut polls) = (Transmits::new(), start, 0, 0);
    while now < start + Duration::from_secs(2) {
        sender.heard(now);
        drain(&mut sender, now, &mut out);
        bytes += out.total_bytes();
        polls += 1;
        now = sender.next_timeout().unwrap();
    }
    assert!((598_000..606_000).contains(&bytes), "{bytes}");
    assert!(polls < 500, "{polls}");
}

#[test]
fn silence_stops_the_flow_and_a_word_starts_it_again() {
    let mut rig = Rig::new(config(), Link::new(0.0, 0.0, ms(60)), 1);
    rig.offer(500_000, Duration::from_secs(2));
    rig.link.cut = true;
    rig.offer(500_000, Duration::from_secs(1));
    let before = rig.data_sent;
    rig.offer(500_000, Duration::from_secs(3));
    let sent = rig.data_sent - before;
    assert!((25..=31).contains(&sent), "{sent}");
    rig.link.cut = false;
    rig.offer(500_000, Duration::from_secs(1));
    assert!(rig.data_sent - before > 1000);
    rig.run_until_drained(Duration::from_secs(10));
}

#[test]
fn the_flow_window_is_kept_and_a_closed_one_is_tried() {
    let start = Instant::now();
    let mut sender = Sender::new(SenderConfig { peer_window: 10, ..config() }, start);
    for _ in 0..50 {
        sender.send(start, &[1; 100]).unwrap();
    }
    let mut out = Transmits::new();
    assert_eq!(drain(&mut sender, start, &mut out), 10);
    let full = |place, free_packets| Ack {
        number: 1,
        ack: seq(place),
        rtt_us: 10_000,
        rtt_var_us: 1000,
        free_packets,
        rates: None,
    };
    sender.ack(start + ms(20), &full(4, 8));
    assert_eq!(drain(&mut sender, start + ms(20), &mut out), 2, "4 + 8 - 10");
    sender.light_ack(start + ms(30), seq(8));
    assert_eq!(drain(&mut sender, start + ms(30), &mut out), 0, "a light one gives no room");
    sender.ack(start + ms(40), &full(12, 0));
    assert_eq!(drain(&mut sender, start + ms(40), &mut out), 0);
    let at = sender.next_timeout().unwrap();
    assert!(at > start + ms(100) && at < start + ms(400), "{:?}", at - start);
    assert_eq!(drain(&mut sender, at, &mut out), 1, "it may have opened without our knowing");
    sender.ack(at, &full(13, 5000));
    assert_eq!(drain(&mut sender, at, &mut out), 10, "never more than was agreed");
}

#[test]
fn a_full_buffer_and_odd_sizes_are_refused() {
    let now = Instant::now();
    let mut sender =
        Sender::new(SenderConfig { max_buffer_bytes: 1000, max_buffer_packets: 3, ..config() }, now);
    assert_eq!(sender.send(now, &[]), Err(SendRefusal::Size));
    assert_eq!(sender.send(now, &[0; FULL + 1]), Err(SendRefusal::Size));
    assert_eq!(sender.send(now, &[0; 1001]), Err(SendRefusal::Full));
    for _ in 0..3 {
        assert_eq!(sender.send(now, &[0; 10]), Ok(()));
    }
    assert_eq!(sender.send(now, &[0; 10]), Err(SendRefusal::Full));
    assert_eq!(sender.stats(now).accepted_packets, 3);
}

#[test]
fn a_quiet_sender_gives_its_memory_back_and_waits_for_nothing() {
    let mut rig = Rig::new(config(), Link::new(0.0, 0.0, ms(20)), 1);
    rig.offer(500_000, ms(500));
    rig.run_until_drained(Duration::from_secs(2));
    assert!(rig.sender.next_timeout().is_some());
    rig.run(Duration::from_secs(3));
    assert!(!rig.sender.buffer.holds_spare());
    assert_eq!(rig.sender.next_timeout(), None);
    assert!(size_of::<Sender>() < 1500, "{}", size_of::<Sender>());
}

#[test]
fn message_numbers_wrap_on_the_wire() {
    let now = Instant::now();
    let mut sender = Sender::new(config(), now);
    sender.buffer.skip((1 << 26) - 3);
    sender.acked = (1 << 26) - 3;
    sender.peer.skip_to(sender.acked);
    for _ in 0..4 {
        sender.send(now, &[1; 10]).unwrap();
    }
    let mut out = Transmits::new();
    assert_eq!(drain(&mut sender, now, &mut out), 4);
    let numbers: Vec<u32> = out
        .iter()
        .map(|(_, datagram)| match Packet::parse(datagram) {
            Ok(Packet::Data(data)) => data.message.raw(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(numbers, [(1 << 26) - 2, (1 << 26) - 1, 1, 2]);
}
