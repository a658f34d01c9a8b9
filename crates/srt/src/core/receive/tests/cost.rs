//! What a receiver costs: memory when quiet, time per packet.

use super::*;

fn heap(receiver: &Receiver) -> usize {
    receiver.window.heap_bytes()
}

#[test]
fn a_quiet_receiver_is_small_and_has_no_timer() {
    let mut b = Bench::new(0, 25_600);
    b.data(20_000);
    for n in 0..5000 {
        b.data(3 * n);
    }
    assert!(heap(&b.receiver) > 600_000);
    b.pass(LATENCY);
    for _ in 0..100 {
        let Some(at) = b.receiver.next_timeout() else { break };
        b.now = b.now.max(at);
        b.pass(Duration::ZERO);
        b.ack();
        b.nak();
    }
    assert_eq!(b.receiver.next_timeout(), None);
    assert_eq!(heap(&b.receiver), 0);
    assert_eq!(b.receiver.nak.runs(), 0);
    assert!(size_of::<Receiver>() < 1024, "{}", size_of::<Receiver>());
    println!("{} bytes", size_of::<Receiver>());
}

#[test]
fn in_order_nothing_is_allocated() {
    let mut b = Bench::new(LAST - 50, 8192);
    for n in 0..10_000_u32 {
        b.data(Seq::new(LAST - 50).plus(n).raw());
    }
    assert_eq!(heap(&b.receiver), 0);
}

struct Nowhere(u64);

impl Sink for Nowhere {
    fn data(&mut self, payload: &[u8]) {
        self.0 += payload.len() as u64;
    }

    fn lost(&mut self, _: SeqRange) {}
}

#[test]
#[ignore = "a measurement: cargo test --release -- --ignored --nocapture per_packet"]
fn time_per_packet_in_order_and_with_loss() {
    const PACKETS: u32 = 4_000_000;
    let payload = [0_u8; 1316];
    let mut sink = Nowhere(0);
    let b = Bench::new(0, 32_768);
    let (mut receiver, now) = (b.receiver, b.now);
    let began = Instant::now();
    for n in 0..PACKETS {
        receiver.data(now, Seq::new(n), Stamp::of_micros(0), false, &payload, &mut sink);
    }
    println!("in order: {:?} a packet", began.elapsed() / PACKETS);

    for (percent, trip) in [(1, 6_000_u32), (15, 6_000), (15, 25_000)] {
        let b = Bench::with(0, 32_768, DeliveryMode::Hold, LATENCY);
        let (mut receiver, mut now) = (b.receiver, b.now);
        let mut random = fastrand::Rng::with_seed(1);
        let mut again = std::collections::VecDeque::new();
        let mut ranges = Vec::new();
        let began = Instant::now();
        for n in 0..PACKETS {
            // 95,000 packets/s: 1 Gbit/s. Lost ones come again a round trip later.
            now += Duration::from_nanos(10_500);
            if random.u32(0..100) < percent {
                again.push_back((n + trip, n));
            } else {
                receiver.data(now, Seq::new(n), Stamp::of_micros(0), false, &payload, &mut sink);
            }
            while let Some((_, seq)) = again.pop_front_if(|(at, _)| *at <= n) {
                receiver.data(now, Seq::new(seq), Stamp::of_micros(0), true, &payload, &mut sink);
            }
            if n % 32 == 0 {
                ranges.clear();
                receiver.poll_nak(now, &mut ranges);
                receiver.poll_ack(now);
            }
        }
        let time = began.elapsed() / PACKETS;
        println!("{percent} % lost, {trip} packets a round trip: {time:?} a packet, {:?}", receiver.stats());
    }
}
