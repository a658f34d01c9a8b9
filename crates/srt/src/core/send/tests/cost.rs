//! What a packet costs; run with `--release -- --ignored --nocapture`.

use super::*;

#[test]
#[ignore = "a measurement"]
fn cost_of_a_packet() {
    const PACKETS: u64 = 2_000_000;
    let started = Instant::now();
    let mut now = started;
    let config = SenderConfig { bandwidth_bytes_per_s: 1 << 40, ..config() };
    let mut sender = Sender::new(config, now);
    let mut out = Transmits::new();
    let payload = [0x47; FULL];
    for place in 1..=PACKETS {
        now += Duration::from_micros(10);
        sender.send(now, &payload).unwrap();
        while sender.poll_data(now, started, peer(), ID, None, &mut out) {}
        if place % 64 == 0 {
            out.clear();
            sender.light_ack(now, seq(place - 32));
        }
        if place % 1000 == 0 {
            let ack = seq(place);
            sender.ack(
                now,
                &Ack { number: 1, ack, rtt_us: 60_000, rtt_var_us: 1000, free_packets: 8192, rates: None },
            );
        }
    }
    let took = started.elapsed();
    println!(
        "{:.0} ns a packet (send, poll to the end, acknowledge)",
        took.as_nanos() as f64 / PACKETS as f64
    );
}
