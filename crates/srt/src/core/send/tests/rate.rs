//! What the estimator says of a link of 500 kB/s.

use super::*;

const LINK: u64 = 500_000;

fn rig(queue_bytes: u64, loss: f64) -> Rig {
    let link = Link { bytes_per_s: LINK, queue_bytes, ..Link::new(loss, 0.0, ms(60)) };
    let mut rig = Rig::new(config(), link, 11);
    rig.receiver.ack_interval = ms(100);
    rig
}

#[test]
fn an_application_below_the_link_rate_never_lowers_the_estimate() {
    for loss in [0.0, 0.05] {
        let mut rig = rig(60_000, loss);
        rig.offer(300_000, Duration::from_secs(10));
        let high = rig.sender.stats(rig.now).estimated_bytes_per_s;
        println!("offered 300,000 at loss {loss}: {high}");
        assert!((290_000..520_000).contains(&high), "{loss}: {high}");
        rig.offer(100_000, Duration::from_secs(10));
        assert!(rig.sender.stats(rig.now).estimated_bytes_per_s >= high);
    }
}

#[test]
fn an_application_above_the_link_rate_finds_the_link_rate() {
    for queue in [60_000, 2_000_000] {
        let mut rig = rig(queue, 0.0);
        rig.offer(800_000, Duration::from_secs(10));
        let estimate = rig.sender.stats(rig.now).estimated_bytes_per_s;
        println!("offered 800,000 with a queue of {queue}: {estimate}");
        assert!((430_000..560_000).contains(&estimate), "queue {queue}: {estimate}");
    }
}

#[test]
fn our_own_ceiling_is_not_taken_for_the_link() {
    let mut rig = rig(60_000, 0.0);
    rig.offer(800_000, Duration::from_secs(5));
    let before = rig.sender.stats(rig.now).estimated_bytes_per_s;
    rig.sender.set_bandwidth(450_000);
    rig.run(Duration::from_secs(20));
    rig.sender.set_bandwidth(200_000);
    rig.offer(300_000, Duration::from_secs(5));
    let after = rig.sender.stats(rig.now).estimated_bytes_per_s;
    assert!(after * 10 >= before * 8, "{before} {after}");
}

#[test]
fn the_input_rate_is_that_of_the_application() {
    let mut rig = rig(60_000, 0.0);
    rig.offer(300_000, Duration::from_secs(5));
    let input = rig.sender.stats(rig.now).input_bytes_per_s;
    assert!((290_000..310_000).contains(&input), "{input}");
}
