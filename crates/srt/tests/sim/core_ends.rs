//! The core's caller and listener as ends of a run, each with what its driver and application do.
//!
//! Belongs here: translation of time, settings and counters; the application that decides on a request after a while
//! and opens the keys. Nothing here judges.

mod caller;
mod listener;

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use dashvault_srt::core::{
    Cipher, ConnectionReport, DeliveryMode, Random, ReceiveSettings, SendSettings, SeqRange, Sink,
};
use dashvault_srt::{KeySize, Passphrase};

pub(crate) use caller::CallerEnd;
pub(crate) use listener::ListenerEnd;

use crate::application::Consumer;
use crate::endpoint::Counters;
use crate::heap::Meter;
use crate::scenario::{Encryption, Mode, Scenario};

/// The instant that virtual time begins at: the same for all runs.
fn base() -> Instant {
    static BASE: OnceLock<Instant> = OnceLock::new();
    *BASE.get_or_init(Instant::now)
}

fn instant(now: Duration) -> Instant {
    base() + now
}

fn moment(at: Instant) -> Duration {
    at.saturating_duration_since(base())
}

/// A seeded stand-in for the system's randomness. A caller that shall wrap draws only ones at first, and so begins at
/// the last sequence number.
fn random(seed: u64, ones: bool) -> Random {
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut left = if ones { 4 } else { 0 };
    Box::new(move |bytes| {
        if left > 0 && bytes.len() <= 4 {
            left -= 1;
            bytes.fill(0xff);
        } else {
            rng.fill(bytes);
        }
    })
}

fn receive_settings(scenario: &Scenario) -> ReceiveSettings {
    ReceiveSettings {
        latency: scenario.latency,
        mode: match scenario.mode {
            Mode::Hold => DeliveryMode::Hold,
            Mode::Tsbpd { drop_too_late } => DeliveryMode::Tsbpd { drop_too_late },
        },
        ack_interval: scenario.ack_interval,
        window_packets: scenario.window_packets,
    }
}

fn send_settings(scenario: &Scenario) -> SendSettings {
    SendSettings {
        bandwidth_bytes_per_s: scenario.bandwidth_bytes_per_s,
        overhead_percent: scenario.overhead_percent,
        max_buffer_packets: scenario.max_buffer_packets,
        max_payload: 1456 - if scenario.encryption.is_some_and(|encryption| encryption.gcm) { 16 } else { 0 },
        too_late: scenario.too_late,
        key_refresh_packets: scenario.encryption.and_then(|encryption| encryption.refresh),
        ..SendSettings::default()
    }
}

fn passphrase() -> Passphrase {
    Passphrase::new("a secret of the simulator").expect("long enough and without NUL")
}

fn key_size(encryption: Encryption) -> KeySize {
    match encryption.bits {
        128 => KeySize::Aes128,
        192 => KeySize::Aes192,
        _ => KeySize::Aes256,
    }
}

fn cipher(encryption: Encryption) -> Cipher {
    if encryption.gcm { Cipher::Gcm } else { Cipher::Ctr }
}

impl Sink for Consumer {
    fn data(&mut self, payload: &[u8]) {
        self.delivered(payload);
    }

    fn lost(&mut self, range: SeqRange) {
        self.reported_lost(range.first.raw(), range.last.raw());
    }
}

fn counters(report: &ConnectionReport, connections: u64, meter: &Meter) -> Counters {
    let (sender, receiver) = (report.sender.unwrap_or_default(), &report.receiver);
    Counters {
        sent_packets: sender.sent_packets - sender.retransmitted_packets,
        resent_packets: sender.retransmitted_packets,
        acked_packets: sender.acked_packets,
        dropped_packets: sender.dropped_packets,
        buffered_packets: sender.buffered_packets,
        buffered_bytes: sender.buffered_bytes,
        delivered_bytes: receiver.delivered_bytes,
        lost_packets: receiver.lost_packets,
        held_packets: receiver.held_packets,
        moves: report.moves,
        key_refreshes: report.key_refreshes,
        rtt_us: u64::from(receiver.rtt_us),
        connections,
        heap_bytes: meter.held_bytes,
        allocations: meter.allocations,
    }
}
