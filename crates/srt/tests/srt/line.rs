//! A caller that connects again by itself: black holes, listeners that go and come, callers that are not wanted yet.

use std::time::{Duration, Instant};

use dashvault_srt::{
    CallerConfig, CloseReason, Connection, Delivery, InterruptedBy, Line, LineError, Listener,
    ListenerConfig, RejectReason, SrtUrl, TS_PAYLOAD_BYTES, VigilConfig,
};

use crate::link::{Faults, Link};
use crate::traffic::{PATIENCE, PAYLOAD, listen, payload};

fn line(addr: std::net::SocketAddr) -> Line {
    let url: SrtUrl = format!("srt://{addr}?streamid=publish:car/front").parse().unwrap();
    Line::new(&url, CallerConfig::default(), VigilConfig::default())
}

/// The numbers of all payloads, connection by connection.
async fn collect(mut listener: Listener, connections: usize) -> Vec<(Vec<u64>, CloseReason)> {
    let mut tasks = Vec::new();
    for _ in 0..connections {
        let request = tokio::time::timeout(PATIENCE, listener.next()).await.expect("a caller").unwrap();
        assert_eq!(request.stream_id(), "publish:car/front");
        tasks.push(tokio::spawn(numbers(request.accept().await.unwrap())));
    }
    let mut all = Vec::new();
    for task in tasks {
        all.push(task.await.unwrap());
    }
    all
}

async fn numbers(mut connection: Connection) -> (Vec<u64>, CloseReason) {
    let mut numbers = Vec::new();
    loop {
        match tokio::time::timeout(PATIENCE, connection.recv()).await.expect("a delivery in time") {
            Some(Delivery::Data(run)) => numbers
                .extend(run.chunks(PAYLOAD).map(|one| u64::from_be_bytes(one[..8].try_into().unwrap()))),
            Some(Delivery::Closed(reason)) => return (numbers, reason),
            other => panic!("{other:?}"),
        }
    }
}

/// What became of a line that sends a payload each 5 ms and goes on from the next number after each interruption.
#[derive(Default)]
struct Sent {
    /// Why, when, the first number of the connection after it, and how much had been acknowledged before.
    interruptions: Vec<(InterruptedBy, Instant, u64, u64)>,
    /// When the line was up after each of them.
    up: Vec<Instant>,
}

async fn send_all(line: &mut Line, count: u64, mut at: impl FnMut(u64)) -> Sent {
    let (start, mut sent) = (Instant::now(), Sent::default());
    for number in 0..count {
        at(number);
        tokio::time::sleep_until((start + Duration::from_millis(number * 5)).into()).await;
        if let Err(error) = line.send(payload(number, start)).await {
            let LineError::Interrupted(interrupted) = error else { panic!("{error}") };
            let acknowledged = interrupted.stats.acked_packets;
            // The number that was not taken is lost here: a new connection is a new stream.
            sent.interruptions.push((interrupted.end, Instant::now(), number + 1, acknowledged));
            line.connect().await.unwrap();
            sent.up.push(Instant::now());
        }
    }
    sent
}

#[tokio::test]
async fn a_line_whose_path_is_swallowed_goes_on_by_a_second_connection() {
    let listener =
        listen(ListenerConfig { peer_idle: Duration::from_secs(2), ..ListenerConfig::default() }).await;
    let link = Link::new(listener.local_addr(), Faults::default(), 1).await;
    let mut line = line(link.addr);
    let receiving = tokio::spawn(collect(listener, 2));
    line.connect().await.unwrap();
    let mut swallowed = None;
    let sent = send_all(&mut line, 400, |number| {
        if number == 100 {
            link.swallow();
            swallowed = Some(Instant::now());
        }
    })
    .await;
    line.close(Duration::from_secs(2)).await.unwrap();
    let [(end, when, next, acknowledged)] = sent.interruptions[..] else { panic!("once") };
    assert_eq!(end, InterruptedBy::Replaced);
    let silence = when.duration_since(swallowed.unwrap());
    println!("replaced after {silence:?}, at {next}");
    // 180 ms of doubt, 250 ms more, looks each 50 ms and a handshake.
    assert!((Duration::from_millis(400)..Duration::from_millis(1200)).contains(&silence), "{silence:?}");
    assert!(sent.up[0].duration_since(when) < Duration::from_millis(50), "it was up already");
    let connections = receiving.await.unwrap();
    let (old, reason) = &connections[0];
    assert!(old.iter().copied().eq(0..old.len() as u64) && old.len() as u64 >= acknowledged);
    assert_eq!(*reason, CloseReason::PeerIdle, "nobody could tell it");
    assert!(connections[1].0.iter().copied().eq(next..400), "{:?} from {next}", connections[1].0.first());
}

#[tokio::test]
async fn a_line_that_is_cut_for_a_moment_keeps_its_connection_and_loses_nothing() {
    let listener = listen(ListenerConfig::default()).await;
    let link = Link::new(listener.local_addr(), Faults::default(), 2).await;
    let url: SrtUrl = format!("srt://{}?streamid=publish:car/front", link.addr).parse().unwrap();
    // So late that it is the old connection that is heard first.
    let vigil = VigilConfig {
        second_after: Duration::from_secs(5),
        dead_after: Duration::from_secs(5),
        ..VigilConfig::default()
    };
    let mut line = Line::new(&url, CallerConfig::default(), vigil);
    let receiving = tokio::spawn(collect(listener, 1));
    line.connect().await.unwrap();
    let sent = send_all(&mut line, 100, |_| ()).await;
    assert!(sent.interruptions.is_empty());
    link.cut(true);
    let start = Instant::now();
    let cutting = async {
        tokio::time::sleep(Duration::from_millis(350)).await;
        link.cut(false);
    };
    let sending = async {
        for number in 100..300 {
            line.send(payload(number, start)).await.unwrap();
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::join!(sending, cutting);
    let stats = line.close(Duration::from_secs(2)).await.unwrap();
    assert_eq!(stats.acked_packets, 300);
    // What was sent before it was doubted; then it waited.
    assert!(stats.retransmitted_packets < 100, "{}", stats.retransmitted_packets);
    assert!(receiving.await.unwrap()[0].0.iter().copied().eq(0..300));
}

#[tokio::test]
async fn a_line_survives_a_black_hole_that_outlasts_its_connection() {
    let listener = listen(ListenerConfig::default()).await;
    let link = Link::new(listener.local_addr(), Faults::default(), 3).await;
    let mut line = line(link.addr);
    let receiving = tokio::spawn(collect(listener, 2));
    line.connect().await.unwrap();
    let mut uncut = None;
    let sending = async {
        let cut = |number| {
            if number == 50 {
                link.cut(true);
            }
        };
        let sent = send_all(&mut line, 200, cut).await;
        line.close(Duration::from_secs(2)).await.unwrap();
        sent
    };
    let healing = async {
        tokio::time::sleep(Duration::from_millis(3500)).await;
        link.cut(false);
        uncut = Some(Instant::now());
    };
    let (sent, ()) = tokio::join!(sending, healing);
    let [(end, _, next, _)] = sent.interruptions[..] else { panic!("once: {:?}", sent.interruptions) };
    assert!(matches!(end, InterruptedBy::Dead(_)), "{end:?}");
    let back = sent.up[0].duration_since(uncut.unwrap());
    println!("back {back:?} after the hole");
    assert!(back < Duration::from_millis(500), "{back:?}");
    assert!(receiving.await.unwrap()[1].0.iter().copied().eq(next..200));
}

#[tokio::test]
async fn a_line_comes_back_when_its_listener_does() {
    let listener = listen(ListenerConfig::default()).await;
    let addr = listener.local_addr();
    let mut line = line(addr);
    let receiving = tokio::spawn(collect(listener, 1));
    line.connect().await.unwrap();
    let start = Instant::now();
    line.send(payload(0, start)).await.unwrap();
    receiving.abort();
    let interrupted = tokio::time::timeout(PATIENCE, line.watch()).await.expect("it is noticed");
    assert!(matches!(interrupted.end, InterruptedBy::Closed(_)), "{interrupted}");
    assert!(matches!(
        line.send(payload(1, start)).await,
        Err(LineError::Interrupted(interrupted)) if interrupted.end == InterruptedBy::Down
    ));
    let away = tokio::time::timeout(Duration::from_millis(300), line.connect()).await;
    assert!(away.is_err(), "nobody listens");
    let again = Listener::bind(ListenerConfig { addr, ..ListenerConfig::default() }).await.unwrap();
    let receiving = tokio::spawn(collect(again, 1));
    tokio::time::timeout(PATIENCE, line.connect()).await.expect("it is back").unwrap();
    line.send(payload(2, start)).await.unwrap();
    line.close(Duration::from_secs(2)).await.unwrap();
    assert_eq!(receiving.await.unwrap()[0].0, [2]);
}

#[tokio::test]
async fn a_line_asks_again_when_the_stream_is_still_held_and_keeps_its_hands_off_a_wrong_size() {
    let mut listener = listen(ListenerConfig::default()).await;
    let mut line = line(listener.local_addr());
    let answering = async {
        listener.next().await.unwrap().reject(RejectReason::Conflict);
        let first = Instant::now();
        let accepted = listener.next().await.unwrap().accept().await.unwrap();
        (first.elapsed(), accepted)
    };
    let (connected, (pause, connection)) = tokio::join!(line.connect(), answering);
    connected.unwrap();
    assert!((Duration::from_millis(140)..Duration::from_millis(900)).contains(&pause), "{pause:?}");
    let large = line.send(vec![0; TS_PAYLOAD_BYTES + 1].into()).await;
    assert!(matches!(large, Err(LineError::Size { bytes: 1317 })), "{large:?}");
    line.send(payload(0, Instant::now())).await.unwrap();
    line.close(Duration::from_secs(2)).await.unwrap();
    assert_eq!(numbers(connection).await, (vec![0], CloseReason::PeerShutdown));
}

#[tokio::test]
async fn a_line_with_a_setting_that_cannot_be_says_so() {
    let url: SrtUrl = "srt://127.0.0.1:9".parse().unwrap();
    let config = CallerConfig { bandwidth_bytes_per_second: 0, ..CallerConfig::default() };
    let mut line = Line::new(&url, config, VigilConfig::default());
    assert!(matches!(line.connect().await, Err(dashvault_srt::ConnectError::Config { .. })));
}
