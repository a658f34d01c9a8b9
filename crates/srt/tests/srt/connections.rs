//! Accepting, refusing, reconnecting, closing.

use std::time::{Duration, Instant};

use dashvault_srt::{
    AcceptError, Caller, CallerConfig, CloseReason, ConnectError, Delivery, Encryption, KeySize,
    ListenerConfig, Passphrase, RejectCode, RejectReason, SendError, SrtUrl,
};
use tokio::net::UdpSocket;

use crate::link::{Faults, Link};
use crate::traffic::{PATIENCE, PAYLOAD, listen, local, pair, payload, receive_all};

fn secret(text: &str, key_size: KeySize) -> Option<Encryption> {
    Some(Encryption { passphrase: Passphrase::new(text).unwrap(), key_size })
}

fn rejected(result: Result<Caller, ConnectError>) -> RejectCode {
    match result {
        Err(ConnectError::Rejected { code, .. }) => code,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn the_application_sees_who_asks_and_for_what() {
    let mut listener = listen(ListenerConfig::default()).await;
    let url: SrtUrl = format!("srt://localhost:{}?streamid=publish:car/20261122-101500&latency=4000", {
        listener.local_addr().port()
    })
    .parse()
    .unwrap();
    let accept = async {
        let request = listener.next().await.unwrap();
        assert_eq!(request.stream_id(), "publish:car/20261122-101500");
        assert!(!request.encrypted());
        request.accept().await.unwrap()
    };
    let (caller, connection) = tokio::join!(Caller::connect_url(&url, CallerConfig::default()), accept);
    let caller = caller.unwrap();
    assert_eq!(caller.latency(), Duration::from_secs(4), "the larger latency holds");
    assert_eq!(connection.latency(), Duration::from_secs(4));
    assert_eq!(connection.stream_id(), "publish:car/20261122-101500");
    assert_eq!(listener.stats().connections, 1);
}

#[tokio::test]
async fn a_refused_caller_learns_the_code_and_its_meaning() {
    let mut listener = listen(ListenerConfig::default()).await;
    let addr = listener.local_addr();
    let cases = [
        (RejectReason::BadRequest, 2400),
        (RejectReason::Unauthorized, 2401),
        (RejectReason::Forbidden, 2403),
        (RejectReason::NotFound, 2404),
        (RejectReason::Conflict, 2409),
        (RejectReason::Http(451), 2451),
    ];
    for (reason, wire) in cases {
        let answer = async { listener.next().await.unwrap().reject(reason) };
        let (result, ()) = tokio::join!(Caller::connect(addr, CallerConfig::default()), answer);
        let code = rejected(result);
        assert_eq!(code, RejectCode(wire));
        assert!(!code.meaning().is_empty());
    }
    // A request that is dropped without an answer is refused too.
    let answer = async { drop(listener.next().await.unwrap()) };
    let (result, ()) = tokio::join!(Caller::connect(addr, CallerConfig::default()), answer);
    assert_eq!(rejected(result), RejectReason::Unavailable.code());
    assert_eq!(listener.stats().rejected, 7);
    assert_eq!(listener.stats().connections, 0);
}

#[tokio::test]
async fn a_wrong_passphrase_is_told_to_both_sides() {
    let passphrase = Some(Passphrase::new("the right passphrase").unwrap());
    let mut listener = listen(ListenerConfig { passphrase, ..ListenerConfig::default() }).await;
    let addr = listener.local_addr();
    for key_size in [KeySize::Aes128, KeySize::Aes256] {
        let config =
            CallerConfig { encryption: secret("a wrong passphrase", key_size), ..CallerConfig::default() };
        let answer = async { listener.next().await.unwrap().accept().await };
        let (result, accepted) = tokio::join!(Caller::connect(addr, config), answer);
        assert_eq!(rejected(result), RejectCode::BAD_SECRET);
        assert_eq!(accepted.unwrap_err(), AcceptError::WrongPassphrase);
    }
    assert_eq!(listener.stats().wrong_passphrase, 2);
    let result = Caller::connect(addr, CallerConfig::default()).await;
    assert_eq!(rejected(result), RejectCode::UNSECURE);
    assert_eq!(listener.stats().unsecure, 1);
}

#[tokio::test]
async fn plaintext_is_taken_beside_a_passphrase_only_where_it_is_allowed() {
    let passphrase = Some(Passphrase::new("the right passphrase").unwrap());
    let mut listener =
        listen(ListenerConfig { passphrase, allow_plaintext: true, ..ListenerConfig::default() }).await;
    let addr = listener.local_addr();
    let choices = [
        None,
        secret("the right passphrase", KeySize::Aes128),
        secret("the right passphrase", KeySize::Aes256),
    ];
    for encryption in choices {
        let encrypted = encryption.is_some();
        let config = CallerConfig { encryption, ..CallerConfig::default() };
        let (caller, mut connection) = pair(&mut listener, addr, config).await;
        assert_eq!(connection.encrypted(), encrypted);
        let start = Instant::now();
        caller.send(payload(0, start)).await.unwrap();
        let (sent, received) =
            tokio::join!(caller.close(Duration::from_secs(2)), receive_all(&mut connection, start));
        assert_eq!(sent.acked_packets, 1);
        received.assert_complete(1);
    }
    // Without any passphrase at the listener, an encrypting caller is refused: nothing is downgraded.
    let listener = listen(ListenerConfig::default()).await;
    let config =
        CallerConfig { encryption: secret("any passphrase", KeySize::Aes128), ..CallerConfig::default() };
    assert_eq!(rejected(Caller::connect(listener.local_addr(), config).await), RejectCode::UNSECURE);
}

#[tokio::test]
async fn a_port_that_nobody_listens_at_fails_at_once() {
    let socket = UdpSocket::bind(local()).await.unwrap();
    let addr = socket.local_addr().unwrap();
    let config = CallerConfig { connect_timeout: Duration::from_millis(300), ..CallerConfig::default() };
    let silent = Caller::connect(addr, config).await;
    assert!(matches!(silent, Err(ConnectError::Timeout { .. })), "{silent:?}");
    drop(socket);
    let start = Instant::now();
    let refused = Caller::connect(addr, CallerConfig::default()).await;
    assert!(matches!(refused, Err(ConnectError::Refused { .. })), "{refused:?}");
    assert!(start.elapsed() < Duration::from_millis(500), "{:?}", start.elapsed());
}

#[tokio::test]
async fn a_caller_that_was_killed_comes_back_from_the_same_port_at_once() {
    let mut listener = listen(ListenerConfig::default()).await;
    let link = Link::new(listener.local_addr(), Faults::default(), 1).await;
    let port = UdpSocket::bind(local()).await.unwrap().local_addr().unwrap();
    let config = CallerConfig { local: Some(port), ..CallerConfig::default() };
    let (first, mut dead) = pair(&mut listener, link.addr, config.clone()).await;
    let start = Instant::now();
    first.send(payload(0, start)).await.unwrap();
    assert!(matches!(dead.recv().await, Some(Delivery::Data(_))));
    // Killed: no SHUTDOWN reaches the listener.
    link.cut(true);
    first.close(Duration::ZERO).await;
    link.drained().await;
    link.cut(false);
    let again = Instant::now();
    let (second, mut alive) = pair(&mut listener, link.addr, config).await;
    assert!(again.elapsed() < Duration::from_millis(500), "{:?}", again.elapsed());
    assert_eq!(dead.peer(), alive.peer(), "the same address");
    assert_eq!(dead.closed(), None, "the dead one has not timed out yet");
    second.send(payload(0, start)).await.unwrap();
    let (_, received) = tokio::join!(second.close(Duration::from_secs(2)), receive_all(&mut alive, start));
    received.assert_complete(1);
}

#[tokio::test]
async fn a_slow_consumer_is_closed_and_stalls_nobody_else() {
    let config = ListenerConfig { max_queued_bytes: 100 * PAYLOAD, ..ListenerConfig::default() };
    let mut listener = listen(config).await;
    let addr = listener.local_addr();
    let (slow, mut unread) = pair(&mut listener, addr, CallerConfig::default()).await;
    let (quick, mut read) = pair(&mut listener, addr, CallerConfig::default()).await;
    let start = Instant::now();
    let sending = async {
        for number in 0..600 {
            // Ends with an error when the listener has closed it.
            let _ = slow.send(payload(number, start)).await;
            quick.send(payload(number, start)).await.unwrap();
            tokio::time::sleep(Duration::from_micros(300)).await;
        }
        quick.close(Duration::from_secs(2)).await
    };
    let (_, received) = tokio::join!(sending, receive_all(&mut read, start));
    received.assert_complete(600);
    let rest = receive_all(&mut unread, start).await;
    rest.assert_complete(100);
    assert_eq!(rest.closed, Some(CloseReason::SlowConsumer));
    assert_eq!(slow.closed().await, CloseReason::PeerShutdown);
    assert!(matches!(slow.try_send(&[1]), Err(SendError::Closed(CloseReason::PeerShutdown))));
    assert_eq!(listener.stats().slow_consumers, 1);
}

#[tokio::test]
async fn shutdown_delivers_what_is_behind_a_gap_after_reporting_it() {
    let mut listener = listen(ListenerConfig::default()).await;
    // Slow enough that no retransmission comes before the SHUTDOWN.
    let faults = Faults { delay: Duration::from_millis(60), ..Faults::default() };
    let link = Link::new(listener.local_addr(), faults, 1).await;
    let (caller, mut connection) = pair(&mut listener, link.addr, CallerConfig::default()).await;
    let start = Instant::now();
    let pause = || tokio::time::sleep(Duration::from_millis(10));
    for number in 0..16 {
        if number == 10 {
            pause().await;
            link.cut(true);
        }
        caller.send(payload(number, start)).await.unwrap();
        if number == 10 {
            pause().await;
            link.cut(false);
        }
    }
    pause().await;
    caller.close(Duration::ZERO).await;
    let received = receive_all(&mut connection, start).await;
    assert_eq!(received.lost, 1);
    assert!(received.numbers.iter().copied().eq((0..10).chain(11..16)), "{:?}", received.numbers);
    assert_eq!(received.closed, Some(CloseReason::PeerShutdown));
}

#[tokio::test]
async fn silence_ends_both_sides() {
    let idle = Duration::from_millis(400);
    let mut listener = listen(ListenerConfig { peer_idle: idle, ..ListenerConfig::default() }).await;
    let link = Link::new(listener.local_addr(), Faults::default(), 1).await;
    let config = CallerConfig { peer_idle: idle, ..CallerConfig::default() };
    let (caller, mut connection) = pair(&mut listener, link.addr, config).await;
    link.cut(true);
    let (reason, delivery) = tokio::join!(caller.closed(), connection.recv());
    assert_eq!(reason, CloseReason::PeerIdle);
    assert_eq!(delivery, Some(Delivery::Closed(CloseReason::PeerIdle)));
    assert_eq!(connection.recv().await, None);
}

#[tokio::test]
async fn dropping_either_end_tells_the_other() {
    let mut listener = listen(ListenerConfig::default()).await;
    let addr = listener.local_addr();
    let (caller, connection) = pair(&mut listener, addr, CallerConfig::default()).await;
    connection.close();
    assert_eq!(caller.closed().await, CloseReason::PeerShutdown);
    let (caller, mut connection) = pair(&mut listener, addr, CallerConfig::default()).await;
    drop(caller);
    assert_eq!(connection.recv().await, Some(Delivery::Closed(CloseReason::PeerShutdown)));
    let (caller, mut connection) = pair(&mut listener, addr, CallerConfig::default()).await;
    drop(listener);
    assert_eq!(caller.closed().await, CloseReason::PeerShutdown);
    assert_eq!(connection.recv().await, Some(Delivery::Closed(CloseReason::Stopped)));
}

#[tokio::test]
async fn a_caller_waits_for_room_and_takes_no_more_than_its_buffer() {
    let mut listener = listen(ListenerConfig::default()).await;
    let link = Link::new(listener.local_addr(), Faults::default(), 1).await;
    let config = CallerConfig { max_buffer_bytes: 10 * PAYLOAD, ..CallerConfig::default() };
    let (caller, mut connection) = pair(&mut listener, link.addr, config).await;
    let start = Instant::now();
    link.cut(true);
    for number in 0..10 {
        caller.try_send(&payload(number, start)).unwrap();
    }
    assert_eq!(caller.try_send(&payload(10, start)), Err(SendError::Full));
    assert_eq!(caller.stats().buffered_packets, 10);
    let waiting = async {
        caller.send(payload(10, start)).await.unwrap();
        caller.close(Duration::from_secs(2)).await
    };
    let uncut = async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        link.cut(false);
    };
    let (sent, received, ()) = tokio::join!(waiting, receive_all(&mut connection, start), uncut);
    received.assert_complete(11);
    assert_eq!(sent.acked_bytes, sent.accepted_bytes);
}

#[tokio::test]
async fn connects_over_a_slow_and_lossy_link() {
    let mut listener = listen(ListenerConfig::default()).await;
    let faults = Faults { loss: 0.2, delay: Duration::from_millis(150), ..Faults::default() };
    for seed in 0..4 {
        let link = Link::new(listener.local_addr(), faults, seed).await;
        let config = CallerConfig { connect_timeout: Duration::from_secs(6), ..CallerConfig::default() };
        let connecting = Caller::connect(link.addr, config);
        let accepting = async { listener.next().await.unwrap().accept().await };
        let both = async { tokio::join!(connecting, accepting) };
        let (caller, connection) = tokio::time::timeout(PATIENCE, both).await.unwrap();
        caller.unwrap();
        connection.unwrap();
    }
}
