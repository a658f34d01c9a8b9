//! What a bad link must not do to the bytes.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use dashvault_srt::{CallerConfig, CloseReason, Encryption, KeySize, ListenerConfig, Passphrase, SendStats};

use crate::link::{Faults, Link};
use crate::traffic::{PAYLOAD, Received, listen, pair, receive_all, send_paced};

/// About 4 Mbit/s.
const RATE: u64 = 380;

struct Outcome {
    received: Received,
    sent: SendStats,
    up_bytes: u64,
    down_bytes: u64,
}

async fn run(faults: Faults, seed: u64, count: u64, rate: u64, encryption: Option<Encryption>) -> Outcome {
    let passphrase = encryption.as_ref().map(|e| e.passphrase.clone());
    let mut listener = listen(ListenerConfig { passphrase, ..ListenerConfig::default() }).await;
    let link = Link::new(listener.local_addr(), faults, seed).await;
    let config = CallerConfig { encryption, ..CallerConfig::default() };
    let (caller, mut connection) = pair(&mut listener, link.addr, config).await;
    let start = Instant::now();
    let sending = async {
        send_paced(&caller, count, rate, start).await;
        caller.close(Duration::from_secs(5)).await
    };
    let (sent, received) = tokio::join!(sending, receive_all(&mut connection, start));
    let counters = &link.counters;
    Outcome {
        received,
        sent,
        up_bytes: counters.up_bytes.load(Ordering::Relaxed),
        down_bytes: counters.down_bytes.load(Ordering::Relaxed),
    }
}

fn bad(loss: f64) -> Faults {
    Faults { loss, duplicate: 0.01, reorder: 0.02, delay: Duration::from_millis(20), lost_answer: 0 }
}

#[tokio::test]
async fn a_clean_link_delays_nothing_and_costs_little() {
    let count = 760;
    let outcome = run(Faults::default(), 1, count, RATE, None).await;
    outcome.received.assert_complete(count);
    assert_eq!(outcome.received.closed, Some(CloseReason::PeerShutdown));
    assert_eq!(outcome.sent.retransmitted_packets, 0);
    assert_eq!(outcome.sent.acked_bytes, count * PAYLOAD as u64);
    let p99 = outcome.received.delay(0.99);
    assert!(p99 < Duration::from_millis(50), "99 % within {p99:?}");
    let footage = (count * PAYLOAD as u64) as f64;
    let ratio = (outcome.up_bytes + outcome.down_bytes) as f64 / footage;
    println!("4 Mbit/s: wire/footage {ratio:.4}, down {} bytes, p99 {p99:?}", outcome.down_bytes);
    assert!(ratio < 1.025, "{ratio}");
}

#[tokio::test]
async fn at_five_per_cent_loss_everything_arrives_in_order() {
    let count = 1500;
    for seed in [11, 12] {
        let outcome = run(bad(0.05), seed, count, 2 * RATE, None).await;
        outcome.received.assert_complete(count);
        let resent = outcome.sent.retransmitted_bytes as f64 / (count * PAYLOAD as u64) as f64;
        println!("seed {seed}: resent {resent:.3}, median {:?}", outcome.received.delay(0.5));
        assert!(resent < 0.09, "{resent}");
    }
}

#[tokio::test]
async fn at_fifteen_per_cent_loss_everything_arrives_in_order() {
    let count = 1500;
    let outcome = run(bad(0.15), 21, count, 2 * RATE, None).await;
    outcome.received.assert_complete(count);
    let resent = outcome.sent.retransmitted_bytes as f64 / (count * PAYLOAD as u64) as f64;
    println!("resent {resent:.3}, p90 {:?}", outcome.received.delay(0.9));
    assert!(resent < 0.3, "{resent}");
}

#[tokio::test]
async fn an_encrypted_connection_is_held_and_delivered_just_the_same() {
    for key_size in [KeySize::Aes128, KeySize::Aes256] {
        let passphrase = Passphrase::new("a long enough secret").unwrap();
        let encryption = Encryption { passphrase, key_size };
        let outcome = run(bad(0.05), 31, 760, 2 * RATE, Some(encryption)).await;
        outcome.received.assert_complete(760);
        let first = outcome.received.delay(0.05);
        assert!(first < Duration::from_millis(100), "no playout delay: {first:?}");
    }
}

#[tokio::test]
async fn a_link_that_only_reorders_causes_few_retransmissions() {
    let faults = Faults { reorder: 0.1, delay: Duration::from_millis(10), ..Faults::default() };
    let count = 1500;
    let mut resent = Vec::new();
    // A busy machine reorders on its own now and then: the middle one of three runs speaks.
    for seed in [41, 42, 43] {
        let outcome = run(faults, seed, count, 2 * RATE, None).await;
        outcome.received.assert_complete(count);
        resent.push(outcome.sent.retransmitted_packets);
    }
    resent.sort_unstable();
    println!("resent {resent:?} of {count}");
    assert!(resent[1] < count / 50, "{resent:?}");
}

#[tokio::test]
async fn a_short_cut_loses_nothing_and_fills_no_black_hole() {
    let mut listener = listen(ListenerConfig::default()).await;
    let link = Link::new(listener.local_addr(), Faults::default(), 51).await;
    let (caller, mut connection) = pair(&mut listener, link.addr, CallerConfig::default()).await;
    let start = Instant::now();
    let count = 2 * RATE * 4;
    let sending = async {
        send_paced(&caller, count, 2 * RATE, start).await;
        caller.close(Duration::from_secs(5)).await
    };
    let cutting = async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        link.cut(true);
        tokio::time::sleep(Duration::from_millis(2500)).await;
        link.cut(false);
    };
    let (sent, received, ()) = tokio::join!(sending, receive_all(&mut connection, start), cutting);
    received.assert_complete(count);
    // What was under way when the cut came, until silence was noticed, and the probes.
    let wasted = sent.retransmitted_packets;
    println!("cut of 2.5 s: {wasted} packets sent twice of {count}");
    assert!(wasted < 2 * RATE * 3 / 2, "{wasted}");
}

#[tokio::test]
async fn a_lost_tail_is_found_without_resending_the_rest() {
    let mut listener = listen(ListenerConfig::default()).await;
    let link = Link::new(listener.local_addr(), Faults::default(), 61).await;
    let (caller, mut connection) = pair(&mut listener, link.addr, CallerConfig::default()).await;
    let start = Instant::now();
    let sending = async {
        send_paced(&caller, 200, RATE, start).await;
        tokio::time::sleep(Duration::from_millis(150)).await;
        link.cut(true);
        for number in 200..210 {
            caller.send(crate::traffic::payload(number, start)).await.unwrap();
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
        link.cut(false);
        caller.close(Duration::from_secs(3)).await
    };
    let (sent, received) = tokio::join!(sending, receive_all(&mut connection, start));
    received.assert_complete(210);
    assert_eq!(sent.acked_packets, 210);
    assert!(sent.retransmitted_packets <= 12, "{}", sent.retransmitted_packets);
}
