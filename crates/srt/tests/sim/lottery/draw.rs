//! The lot itself: each field of a scenario within sane bounds, from a seed.
//!
//! Belongs here: bounds. Each rare thing is drawn by its own chance, so that most scenarios mix a few of them.

use std::time::Duration;

use fastrand::Rng;

use crate::application::{Phase, Sizes, Stream};
use crate::hostile::Hostile;
use crate::network::link::{Loss, Path, Rate};
use crate::scenario::{Encryption, Mode, Rebind, Scenario};

/// Payloads of one direction at most, for the sake of time.
const MOST_PAYLOADS: u64 = 3_000;
/// No address changes before.
const CONNECTED_BY: Duration = Duration::from_secs(4);

/// Draws a scenario. What is expected of it is not drawn.
pub(super) fn draw(seed: u64) -> Scenario {
    let rng = &mut Rng::with_seed(seed ^ 0x1077_e271);
    let encryption = chance(rng, 0.4).then(|| encryption(rng));
    let authenticated = encryption.is_some_and(|encryption| encryption.gcm);
    let most_payload = if authenticated { 1440 } else { 1456 };
    let upstream = stream(rng, most_payload);
    let downstream = if chance(rng, 0.4) { stream(rng, most_payload) } else { Stream::none() };
    let (mode, latency, ack_interval) = receiving(rng);
    let length = upstream.length();
    Scenario {
        seed,
        mode,
        latency,
        ack_interval,
        window_packets: 1 << rng.u32(12..=14),
        up: path(rng, length, authenticated),
        down: path(rng, length, authenticated),
        upstream,
        downstream,
        encryption,
        rebinds: if chance(rng, 0.5) { rebinds(rng, length) } else { Vec::new() },
        wraps: chance(rng, 0.25),
        hostile: hostile(rng),
        wake_gap: micros(rng, 0, 10_000),
        slack: micros(rng, 0, 10_000),
        socket_datagrams: rng.usize(1_000..=8_000),
        linger: Duration::from_secs(60),
        too_late: chance(rng, 0.1).then(|| millis(rng, 500, 5_000)),
        bandwidth_bytes_per_s: rng.u64(3_000_000..=25_000_000),
        max_buffer_packets: rng.u32(8_192..=25_600),
        overhead_percent: rng.u32(25..=100),
        connect_timeout: Duration::from_secs(20),
        decides_after: millis(rng, 0, 300),
        expects: Scenario::plain().expects,
    }
}

fn receiving(rng: &mut Rng) -> (Mode, Duration, Duration) {
    if chance(rng, 0.75) {
        (Mode::Hold, millis(rng, 8_000, 20_000), millis(rng, 10, 300))
    } else {
        (Mode::Tsbpd { drop_too_late: chance(rng, 0.7) }, millis(rng, 80, 2_000), millis(rng, 10, 50))
    }
}

/// Up to three phases, each of at most 8 Mbit/s.
fn stream(rng: &mut Rng, most_payload: usize) -> Stream {
    let len = rng.usize(100..=most_payload);
    let sizes = if rng.bool() { Sizes::Fixed(len) } else { Sizes::Varied(len) };
    let parts = rng.u64(1..=3);
    let phase = |_| {
        let burst = if rng.bool() { 1 } else { rng.u64(2..=32) };
        let payloads = rng.u64(500..=MOST_PAYLOADS / parts);
        Phase { payloads, every: micros(rng, 1_400 * burst, 5_000 * burst), burst }
    };
    Stream { sizes, phases: (0..parts).map(phase).collect() }
}

fn path(rng: &mut Rng, length: Duration, authenticated: bool) -> Path {
    let mut path = Path::clean(rng.u64(1..=150));
    path.loss = match rng.u8(0..4) {
        0 => Loss::Even(0.0),
        1 | 2 => Loss::Even(rng.f64() * 0.15),
        _ => Loss::Burst { enter: 0.002, leave: 0.02 + rng.f64() * 0.1, bad: 0.3 + rng.f64() * 0.6 },
    };
    if chance(rng, 0.4) {
        path.jitter = millis(rng, 1, 60);
        path.disorderly = rng.bool();
    }
    if chance(rng, 0.3) {
        path.reorder = rng.f64() * 0.2;
        path.reorder_by = millis(rng, 1, 40);
    }
    if chance(rng, 0.3) {
        path.duplicate = rng.f64() * 0.2;
    }
    if chance(rng, 0.04) {
        path.corrupt = rng.f64() * 0.05;
    }
    if chance(rng, 0.07) {
        let bytes_per_s = rng.u64(1_250_000..=5_000_000);
        path.rate = Some(Rate { bytes_per_s, queue_bytes: bytes_per_s / 5 });
    }
    if chance(rng, 0.1) {
        path.holes = vec![hole(rng, length)];
    }
    if chance(rng, 0.2) {
        path.drops = (0..rng.usize(1..=20)).map(|_| rng.u64(0..1_000)).collect();
    }
    // A tag covers the message number too.
    if !authenticated && chance(rng, 0.2) {
        path.shift_messages = (1 << 26) - rng.u32(1..2_000);
    }
    path
}

/// Somewhere in the stream, shorter than what ends a connection.
fn hole(rng: &mut Rng, length: Duration) -> (Duration, Duration) {
    let start = length.mul_f64(rng.f64());
    (start, start + millis(rng, 50, 2_500))
}

fn encryption(rng: &mut Rng) -> Encryption {
    let gcm = chance(rng, 0.4);
    let bits = if gcm { [128, 256][rng.usize(0..2)] } else { [128, 192, 256][rng.usize(0..3)] };
    Encryption { bits, gcm, refresh: rng.bool().then(|| rng.u32(500..=2_000)) }
}

/// After the handshake, whose cookie belongs to an address, and within the stream, by which the listener sees them.
fn rebinds(rng: &mut Rng, length: Duration) -> Vec<Rebind> {
    let Some(span) = length.checked_sub(CONNECTED_BY) else { return Vec::new() };
    let mut times: Vec<_> = (0..rng.usize(1..=3)).map(|_| CONNECTED_BY + span.mul_f64(rng.f64())).collect();
    times.sort();
    times.into_iter().map(|at| Rebind { at, known: rng.bool(), only_port: rng.bool() }).collect()
}

fn hostile(rng: &mut Rng) -> Hostile {
    let every = micros(rng, 900, 20_000);
    match rng.u8(0..16) {
        0 => Hostile::Strangers(every),
        1 => Hostile::Liars(every),
        2 => Hostile::Replays(every),
        3 => Hostile::Mutations(every),
        _ => Hostile::None,
    }
}

fn chance(rng: &mut Rng, share: f64) -> bool {
    rng.f64() < share
}

fn micros(rng: &mut Rng, least: u64, most: u64) -> Duration {
    Duration::from_micros(rng.u64(least..=most))
}

fn millis(rng: &mut Rng, least: u64, most: u64) -> Duration {
    Duration::from_millis(rng.u64(least..=most))
}
