//! What `governor` promises, case by case.

use proptest::prelude::*;

use super::*;

const STEP: Duration = Duration::from_millis(10);
const SAMPLE_EVERY: u32 = 20;

/// A link with one queue, shared by live and backfill, in virtual time.
struct SimulatedLink {
    bytes_per_s: f64,
    base: Duration,
    queue: f64,
}

/// How one run went: backfill's rate over its second half, and live's mean and worst added delay there.
struct Outcome {
    backfill_bytes_per_s: f64,
    mean_delay: Duration,
    worst_delay: Duration,
}

fn run(link: &mut SimulatedLink, live_bytes_per_s: f64, seconds: u32, random_loss: u64) -> Outcome {
    let mut now = Instant::now();
    let mut governor = Governor::new(now, 1, None);
    governor.sample(now, 0, Some(LiveSample { rtt: link.base, ..LiveSample::default() }));
    let (mut next_send, piece) = (now, 16usize << 10);
    let (mut sent, mut delays) = (0.0, Vec::new());
    let steps = seconds * 100;
    for step in 0..steps {
        now += STEP;
        let second_half = step > steps / 2;
        link.queue += live_bytes_per_s * STEP.as_secs_f64();
        while next_send <= now {
            link.queue += piece as f64;
            sent += if second_half { piece as f64 } else { 0.0 };
            next_send = next_send.max(now - STEP) + governor.take(now, piece).max(Duration::from_micros(1));
        }
        link.queue = (link.queue - link.bytes_per_s * STEP.as_secs_f64()).max(0.0);
        let delay = Duration::from_secs_f64(link.queue / link.bytes_per_s);
        if step % SAMPLE_EVERY == 0 {
            let (rtt, oldest) = (link.base + delay, link.base + delay + Duration::from_millis(30));
            governor.sample(now, 0, Some(LiveSample { rtt, oldest, sent: 100, retransmitted: random_loss }));
        }
        if second_half {
            delays.push(delay);
        }
    }
    let count = u32::try_from(delays.len()).unwrap();
    Outcome {
        backfill_bytes_per_s: sent / (f64::from(seconds) / 2.0),
        mean_delay: delays.iter().sum::<Duration>() / count,
        worst_delay: delays.into_iter().max().unwrap(),
    }
}

#[test]
fn backfill_takes_what_live_leaves_without_delaying_it_much() {
    for (capacity, live) in [(500e3, 250e3), (2e6, 250e3), (10e6, 1e6), (150e3, 100e3)] {
        let mut link = SimulatedLink { bytes_per_s: capacity, base: Duration::from_millis(40), queue: 0.0 };
        let outcome = run(&mut link, live, 120, 0);
        let spare = capacity - live;
        assert!(outcome.backfill_bytes_per_s > 0.6 * spare, "{capacity}: {}", outcome.backfill_bytes_per_s);
        assert!(outcome.mean_delay < Duration::from_millis(110), "{capacity}: mean {:?}", outcome.mean_delay);
        assert!(
            outcome.worst_delay < Duration::from_millis(300),
            "{capacity}: worst {:?}",
            outcome.worst_delay
        );
    }
}

#[test]
fn loss_that_a_link_always_has_does_not_starve_backfill() {
    let mut link = SimulatedLink { bytes_per_s: 2e6, base: Duration::from_millis(40), queue: 0.0 };
    assert!(run(&mut link, 250e3, 120, 5).backfill_bytes_per_s > 0.5 * 1.75e6);
}

#[test]
fn a_path_that_becomes_longer_and_lossier_does_not_starve_backfill() {
    let mut now = Instant::now();
    let mut governor = Governor::new(now, 1, None);
    let quiet = LiveSample { rtt: Duration::from_millis(1), sent: 100, ..LiveSample::default() };
    let longer = LiveSample {
        rtt: Duration::from_millis(150),
        oldest: Duration::from_millis(300),
        retransmitted: 8,
        ..quiet
    };
    for (sample, seconds) in [(quiet, 5), (longer, 30)] {
        for _ in 0..seconds * 5 {
            now += Duration::from_millis(200);
            governor.sample(now, 0, Some(sample));
            let rate = governor.allowed().unwrap();
            governor.take(now, (rate * 0.2) as usize);
        }
    }
    assert!(governor.allowed().unwrap() > 200e3, "{:?}", governor.allowed());
}

#[test]
fn link_too_slow_for_live_leaves_backfill_only_its_least() {
    let mut link = SimulatedLink { bytes_per_s: 200e3, base: Duration::from_millis(40), queue: 0.0 };
    let outcome = run(&mut link, 400e3, 60, 0);
    assert!(outcome.backfill_bytes_per_s < 2.0 * MIN_BYTES_PER_S, "{}", outcome.backfill_bytes_per_s);
}

#[test]
fn without_live_only_the_cap_holds() {
    let start = Instant::now();
    let mut free = Governor::new(start, 1, None);
    assert_eq!((free.take(start, 1 << 30), free.allowed()), (Duration::ZERO, None));
    let mut capped = Governor::new(start, 0, Some(1_000_000));
    let mut now = start;
    let mut sent = 0;
    while now < start + Duration::from_secs(10) {
        now += capped.take(now, 16 << 10).max(Duration::from_micros(10));
        sent += 16 << 10;
    }
    assert!((9_500_000..10_500_000).contains(&sent), "{sent}");
}

#[test]
fn a_live_link_that_goes_away_frees_backfill_and_one_that_comes_back_binds_it() {
    let now = Instant::now();
    let mut governor = Governor::new(now, 2, None);
    governor.sample(now, 0, Some(LiveSample::default()));
    assert!(governor.allowed().is_some());
    governor.sample(now, 1, None);
    assert!(governor.allowed().is_some(), "the other link is still up");
    governor.sample(now, 0, None);
    assert_eq!(governor.allowed(), None);
}

proptest! {
    #[test]
    fn rate_stays_between_its_bounds(samples in prop::collection::vec((0u64..5_000_000, 0u64..10_000, 0u64..1000, 0u64..1000), 1..200), cap in prop::option::of(20_000u64..10_000_000)) {
        let mut now = Instant::now();
        let mut governor = Governor::new(now, 1, cap);
        for (rtt_us, oldest_ms, sent, retransmitted) in samples {
            now += Duration::from_millis(200);
            let (rtt, oldest) = (Duration::from_micros(rtt_us), Duration::from_millis(oldest_ms));
            governor.sample(now, 0, Some(LiveSample { rtt, oldest, sent, retransmitted }));
            let wait = governor.take(now, 16 << 10);
            prop_assert!(wait <= Duration::from_secs(10));
            let allowed = governor.allowed().unwrap();
            prop_assert!(allowed >= MIN_BYTES_PER_S && cap.is_none_or(|cap| allowed <= cap as f64));
        }
    }
}
