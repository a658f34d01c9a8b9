//! What only this crate's own two sides can do with each other: answers, keys by caller, workers, moves, losses by number.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use dashvault_srt::{
    AcceptError, Caller, CallerConfig, Cipher, CloseReason, ConnectError, Delivery, Encryption, KeySize,
    ListenerConfig, LostRange, Passphrase, RejectCode,
};
use tokio::net::UdpSocket;

use crate::link::{Faults, Link};
use crate::traffic::{PAYLOAD, listen, local, pair, payload, receive_all, send_paced};

/// About 4 Mbit/s.
const RATE: u64 = 380;

/// Makes a number's payload begin as a TS packet does.
const TS: u64 = 0x47 << 56;

fn passphrase(text: &str) -> Option<Passphrase> {
    Some(Passphrase::new(text).unwrap())
}

fn encrypting(stream_id: &str, text: &str, key_size: KeySize) -> CallerConfig {
    let passphrase = Passphrase::new(text).unwrap();
    CallerConfig {
        stream_id: stream_id.to_owned(),
        encryption: Some(Encryption { passphrase, key_size }),
        ..CallerConfig::default()
    }
}

fn rejected(result: Result<Caller, ConnectError>) -> RejectCode {
    match result {
        Err(ConnectError::Rejected { code, .. }) => code,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn each_device_has_a_passphrase_of_its_own() {
    let config = ListenerConfig { passphrase_by_request: true, ..ListenerConfig::default() };
    let mut listener = listen(config).await;
    let addr = listener.local_addr();
    for (id, text, key_size, cipher) in [
        ("front", "the secret of the front", KeySize::Aes128, Cipher::Ctr),
        ("back", "the secret of the back", KeySize::Aes192, Cipher::Ctr),
        ("cabin", "the secret of the cabin", KeySize::Aes256, Cipher::Gcm),
    ] {
        let accept = async {
            let request = listener.next().await.unwrap();
            assert!(request.encrypted());
            let secret = format!("the secret of the {}", request.stream_id());
            request.accept_with(passphrase(&secret)).await.unwrap()
        };
        let config = CallerConfig { cipher, ..encrypting(id, text, key_size) };
        let (caller, mut connection) = tokio::join!(Caller::connect(addr, config), accept);
        let (caller, start) = (caller.unwrap(), Instant::now());
        for number in 0..50 {
            caller.send(payload(number, start)).await.unwrap();
        }
        let (_, received) =
            tokio::join!(caller.close(Duration::from_secs(2)), receive_all(&mut connection, start));
        received.assert_complete(50);
    }
    let answer = async { listener.next().await.unwrap().accept_with(passphrase("another secret")).await };
    let wrong = encrypting("front", "the secret of the front", KeySize::Aes128);
    let (result, accepted) = tokio::join!(Caller::connect(addr, wrong), answer);
    assert_eq!(rejected(result), RejectCode::BAD_SECRET);
    assert_eq!(accepted.unwrap_err(), AcceptError::WrongPassphrase);
    let answer = async { listener.next().await.unwrap().accept_with(passphrase("another secret")).await };
    let (result, accepted) = tokio::join!(Caller::connect(addr, CallerConfig::default()), answer);
    assert_eq!(rejected(result), RejectCode::UNSECURE);
    assert_eq!(accepted.unwrap_err(), AcceptError::Unsecure);
}

#[tokio::test]
async fn a_listener_answers_on_the_same_connection() {
    for (loss, secret) in [(0.0, None), (0.05, Some("a long enough secret"))] {
        let config = ListenerConfig { passphrase: secret.and_then(passphrase), ..ListenerConfig::default() };
        let mut listener = listen(config).await;
        let faults = Faults { loss, delay: Duration::from_millis(5), ..Faults::default() };
        let link = Link::new(listener.local_addr(), faults, 3).await;
        let config = secret.map_or_else(CallerConfig::default, |text| encrypting("", text, KeySize::Aes128));
        let (caller, connection) = pair(&mut listener, link.addr, config).await;
        let (start, count) = (Instant::now(), 2000);
        let answers = async {
            // Both ends have this one thread: what it does not come to take would be too much at once.
            let mut pace = tokio::time::interval(Duration::from_millis(5));
            pace.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            for number in 0..count {
                if number % 50 == 0 {
                    pace.tick().await;
                }
                connection.send(payload(number, start)).await.unwrap();
            }
        };
        let receiving = async {
            let mut bytes = Vec::new();
            while bytes.len() < count as usize * PAYLOAD {
                match caller.recv().await {
                    Some(Delivery::Data(run)) => bytes.extend_from_slice(&run),
                    other => panic!("{other:?} after {} bytes", bytes.len()),
                }
            }
            bytes
        };
        let (bytes, ()) = tokio::join!(receiving, answers);
        let numbers = bytes.chunks(PAYLOAD).map(|bytes| u64::from_be_bytes(bytes[..8].try_into().unwrap()));
        assert!(numbers.eq(0..count));
        connection.close();
        assert_eq!(caller.recv().await, Some(Delivery::Closed(CloseReason::PeerShutdown)));
        assert_eq!(caller.recv().await, None);
    }
}

#[tokio::test]
async fn many_callers_share_the_workers_and_a_limit() {
    let config = ListenerConfig { workers: 4, max_connections: 24, ..ListenerConfig::default() };
    let mut listener = listen(config).await;
    let addr = listener.local_addr();
    let mut pairs = Vec::new();
    for _ in 0..24 {
        pairs.push(pair(&mut listener, addr, CallerConfig::default()).await);
    }
    assert_eq!(listener.stats().connections, 24);
    let one_more = Caller::connect(addr, CallerConfig::default()).await;
    assert!(matches!(one_more, Err(ConnectError::Rejected { .. })), "{one_more:?}");
    let start = Instant::now();
    let each = pairs.into_iter().map(|(caller, mut connection)| {
        tokio::spawn(async move {
            let sending = async {
                send_paced(&caller, 100, RATE, start).await;
                caller.close(Duration::from_secs(3)).await
            };
            let (_, received) = tokio::join!(sending, receive_all(&mut connection, start));
            received.assert_complete(100);
        })
    });
    for task in each.collect::<Vec<_>>() {
        task.await.unwrap();
    }
    let stats = listener.stats();
    assert_eq!((stats.connections, stats.accepted, stats.malformed), (0, 24, 0));
}

/// A router that gives its client a new port now and then.
pub(crate) async fn router(target: SocketAddr, every: u64, moves: Arc<AtomicU64>) -> SocketAddr {
    let front = UdpSocket::bind(local()).await.unwrap();
    let addr = front.local_addr().unwrap();
    tokio::spawn(async move {
        let mut back = UdpSocket::bind(local()).await.unwrap();
        let (mut client, mut count) = (None, 0);
        let (mut up, mut down) = ([0; 2048], [0; 2048]);
        loop {
            tokio::select! {
                Ok((length, from)) = front.recv_from(&mut up) => {
                    client = Some(from);
                    count += 1;
                    if count % every == 0 {
                        back = UdpSocket::bind(local()).await.unwrap();
                        moves.fetch_add(1, Ordering::Relaxed);
                    }
                    let _ = back.send_to(&up[..length], target).await;
                }
                Ok((length, _)) = back.recv_from(&mut down) => {
                    if let Some(client) = client {
                        let _ = front.send_to(&down[..length], client).await;
                    }
                }
            }
        }
    });
    addr
}

#[tokio::test]
async fn a_connection_follows_its_peer_to_new_addresses_and_other_workers() {
    for secret in [None, Some("a long enough secret")] {
        let config = ListenerConfig {
            workers: 4,
            passphrase: secret.and_then(passphrase),
            ..ListenerConfig::default()
        };
        let mut listener = listen(config).await;
        let moves = Arc::new(AtomicU64::new(0));
        let via = router(listener.local_addr(), 300, Arc::clone(&moves)).await;
        let config = secret.map_or_else(CallerConfig::default, |text| encrypting("", text, KeySize::Aes128));
        let (caller, mut connection) = pair(&mut listener, via, config).await;
        let (start, before) = (Instant::now(), connection.peer());
        let sending = async {
            for number in 0..1500 {
                caller.send(payload(TS | number, start)).await.unwrap();
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            caller.close(Duration::from_secs(5)).await
        };
        let (sent, received) = tokio::join!(sending, receive_all(&mut connection, start));
        assert_eq!(received.lost, 0);
        assert!(received.numbers.iter().copied().eq((0..1500).map(|number| TS | number)));
        println!(
            "{} moves, {} packets sent twice",
            moves.load(Ordering::Relaxed),
            sent.retransmitted_packets
        );
        assert!(moves.load(Ordering::Relaxed) >= 4);
        assert_ne!(connection.peer(), before);
        assert!(connection.stats().moves >= 4, "{}", connection.stats().moves);
    }
}

#[tokio::test]
async fn what_came_too_late_is_dropped_and_named() {
    let mut listener = listen(ListenerConfig::default()).await;
    let link = Link::new(listener.local_addr(), Faults::default(), 1).await;
    let config = CallerConfig { too_late: Some(Duration::from_millis(300)), ..CallerConfig::default() };
    let (caller, mut connection) = pair(&mut listener, link.addr, config).await;
    let start = Instant::now();
    let sending = async {
        send_paced(&caller, 300, RATE, start).await;
        link.cut(true);
        send_paced(&caller, 300, RATE, start).await;
        link.cut(false);
        send_paced(&caller, 300, RATE, start).await;
        caller.close(Duration::from_secs(3)).await
    };
    let receiving = async {
        let (mut packets, mut ranges) = (0, Vec::new());
        loop {
            match connection.recv().await {
                Some(Delivery::Lost { packets: more }) => {
                    packets += more;
                    let LostRange { first, last } = connection.lost_range().unwrap();
                    ranges.push(u64::from(last.wrapping_sub(first) & 0x7fff_ffff) + 1);
                }
                Some(Delivery::Data(_)) => {}
                _ => return (packets, ranges),
            }
        }
    };
    let (sent, (packets, ranges)) = tokio::join!(sending, receiving);
    println!("{} dropped, {packets} lost, ranges {ranges:?}", sent.dropped_packets);
    assert!(sent.dropped_packets > 50, "{sent:?}");
    // Some had arrived although their acknowledgement had not.
    assert!((50..=sent.dropped_packets).contains(&packets), "{packets}");
    assert_eq!(ranges.iter().sum::<u64>(), packets);
    assert_eq!(sent.acked_bytes + sent.dropped_bytes, sent.accepted_bytes);
}
