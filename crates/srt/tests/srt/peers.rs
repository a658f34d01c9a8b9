//! What real peers do (ffmpeg and srt-live-transmit, so libsrt), each peculiarity by itself: their units, their long
//! stream ids, lost answers, long paths, routers that forget them, both directions encrypted, keys that change.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use dashvault_srt::{
    Caller, CallerConfig, Connection, Delivery, Encryption, KeySize, ListenerConfig, Passphrase,
    RejectReason, TS_PAYLOAD_BYTES,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::Child;

use crate::both_ways::router;
use crate::libsrt::{
    SECRET, STREAM_ID, assert_transport_stream, collect, ffmpeg, free_port, output, srt_live_transmit, track,
};
use crate::link::{Faults, Link};
use crate::traffic::{PATIENCE, listen};

/// Feeds a program that sends, and gives what arrives of it: all of it.
async fn publish(mut program: Child, connection: &mut Connection, pieces: usize) {
    let sent: Vec<u8> = (0..1456 * pieces).map(|n| (n * 7 / 3) as u8).collect();
    let mut stdin = program.stdin.take().unwrap();
    let feeding = async {
        for piece in sent.chunks(1456) {
            stdin.write_all(piece).await.unwrap();
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        stdin.flush().await.unwrap();
    };
    let receiving = async {
        let mut bytes = Vec::new();
        while bytes.len() < sent.len() {
            match tokio::time::timeout(PATIENCE, connection.recv()).await.expect("a delivery in time") {
                Some(Delivery::Data(run)) => bytes.extend_from_slice(&run),
                other => panic!("{other:?} after {} bytes", bytes.len()),
            }
        }
        bytes
    };
    let (bytes, ()) = tokio::join!(receiving, feeding);
    assert!(bytes == sent);
}

/// What a program writes that receives, up to this many bytes.
async fn read(program: &mut Child, bytes: usize) -> Vec<u8> {
    let mut arrived = vec![0; bytes];
    let stdout = program.stdout.as_mut().unwrap();
    tokio::time::timeout(PATIENCE, stdout.read_exact(&mut arrived)).await.expect("all in time").unwrap();
    arrived
}

fn secret() -> Option<Passphrase> {
    Some(Passphrase::new(SECRET).unwrap())
}

#[tokio::test]
async fn latency_is_in_microseconds_for_ffmpeg_and_in_milliseconds_for_srt_live_transmit() {
    let latency = Duration::from_millis(20);
    let mut listener = listen(ListenerConfig { latency, ..ListenerConfig::default() }).await;
    let addr = listener.local_addr();
    let mut program = ffmpeg(addr, "&latency=250000");
    let asked = async {
        let request = listener.next().await.unwrap();
        let latency = request.latency();
        request.reject(RejectReason::NotFound);
        latency
    };
    let (_, latency) = tokio::join!(output(&mut program), asked);
    assert_eq!(latency, Duration::from_millis(250));
    let _program = srt_live_transmit("file://con", &format!("srt://{addr}?streamid={STREAM_ID}&latency=250"));
    assert_eq!(listener.next().await.unwrap().latency(), Duration::from_millis(250));
}

#[tokio::test]
async fn stream_ids_come_as_they_were_given_up_to_their_512_bytes() {
    let mut listener = listen(ListenerConfig::default()).await;
    let addr = listener.local_addr();
    // Of each length modulo four, as the words of four bytes are swapped on the wire.
    for len in [1, 510, 511, 512] {
        let id: String = (0..len).map(|n| char::from(b'a' + (n % 26) as u8)).collect();
        let _program = srt_live_transmit("file://con", &format!("srt://{addr}?streamid={id}"));
        let request = tokio::time::timeout(PATIENCE, listener.next()).await.expect("a caller").unwrap();
        assert_eq!(request.stream_id(), id);
        request.reject(RejectReason::NotFound);
    }
    // ffmpeg 5.1 sends it raw, later versions may decode it.
    let mut program = ffmpeg(addr, "%2Fx&latency=20000");
    let asked = async {
        let request = listener.next().await.unwrap();
        let id = request.stream_id().to_owned();
        request.reject(RejectReason::NotFound);
        id
    };
    let (_, id) = tokio::join!(output(&mut program), asked);
    assert!([format!("{STREAM_ID}%2Fx"), format!("{STREAM_ID}/x")].contains(&id), "{id}");
}

#[tokio::test]
async fn srt_live_transmit_publishes_encrypted_with_each_key_length() {
    let mut listener = listen(ListenerConfig { passphrase: secret(), ..ListenerConfig::default() }).await;
    for bytes in [16, 24, 32] {
        let url = format!("srt://{}?passphrase={SECRET}&pbkeylen={bytes}&latency=200", listener.local_addr());
        let program = srt_live_transmit("file://con", &url);
        let mut connection = listener.next().await.unwrap().accept().await.unwrap();
        assert!(connection.encrypted());
        publish(program, &mut connection, 60).await;
    }
}

#[tokio::test]
async fn the_answer_that_lets_ffmpeg_in_may_be_lost() {
    let mut listener = listen(ListenerConfig::default()).await;
    // The first is the cookie.
    let faults = Faults { lost_answer: 2, ..Faults::default() };
    let link = Link::new(listener.local_addr(), faults, 1).await;
    let mut program = ffmpeg(link.addr, "&latency=120000");
    let receiving = async { collect(listener.next().await.unwrap().accept().await.unwrap()).await };
    let (_, (bytes, _)) = tokio::join!(output(&mut program), receiving);
    assert_transport_stream(&bytes);
    let stats = listener.stats();
    assert_eq!((stats.accepted, stats.half_open), (1, 0), "never a second connection");
}

#[tokio::test]
async fn ffmpeg_connects_over_a_path_of_800_ms_and_loses_nothing_before_its_last_second() {
    let mut listener = listen(ListenerConfig::default()).await;
    let faults = Faults { delay: Duration::from_millis(400), ..Faults::default() };
    let link = Link::new(listener.local_addr(), faults, 1).await;
    let mut program = ffmpeg(link.addr, "&latency=2000000&connect_timeout=6000");
    let receiving = async { track(listener.next().await.unwrap().accept().await.unwrap()).await };
    let (_, received) = tokio::join!(output(&mut program), receiving);
    assert!(received.bytes > 20_000, "{received:?}");
    assert!(received.losses.iter().all(|(at, _)| at * 3 > received.bytes), "{:?}", received.losses);
    assert_eq!(listener.stats().accepted, 1);
}

#[tokio::test]
async fn a_publisher_of_libsrt_is_followed_through_a_router_that_gives_it_new_ports() {
    for (options, passphrase) in [("", None), ("&passphrase=a%20long%20enough%20secret", secret())] {
        let config = ListenerConfig { passphrase, workers: 2, ..ListenerConfig::default() };
        let mut listener = listen(config).await;
        let moves = Arc::new(AtomicU64::new(0));
        let via = router(listener.local_addr(), 120, Arc::clone(&moves)).await;
        let mut program = ffmpeg(via, &format!("&latency=2000000{}", options.replace("%20", " ")));
        let receiving = async { track(listener.next().await.unwrap().accept().await.unwrap()).await };
        let (_, received) = tokio::join!(output(&mut program), receiving);
        let stats = listener.stats();
        println!("{} new ports, followed {} times", moves.load(Ordering::Relaxed), stats.moves);
        assert!(stats.moves >= 2 && stats.accepted == 1, "{stats:?}");
        assert!(received.losses.iter().all(|(at, _)| at * 3 > received.bytes), "{:?}", received.losses);
    }
}

#[tokio::test]
async fn our_listener_sends_to_srt_live_transmit_in_clear_and_under_a_key_of_its_own() {
    for passphrase in [None, secret()] {
        let keys = if passphrase.is_some() { format!("&passphrase={SECRET}") } else { String::new() };
        let mut listener = listen(ListenerConfig { passphrase, ..ListenerConfig::default() }).await;
        let url = format!("srt://{}?mode=caller&latency=200{keys}", listener.local_addr());
        let mut program = srt_live_transmit(&url, "file://con");
        let connection = listener.next().await.unwrap().accept().await.unwrap();
        let sent: Vec<u8> = (0..TS_PAYLOAD_BYTES * 300).map(|n| (n / 5) as u8).collect();
        let sending = async {
            for piece in sent.chunks(TS_PAYLOAD_BYTES) {
                connection.send(Bytes::copy_from_slice(piece)).await.unwrap();
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        // It writes in blocks: the last payloads only push the others out.
        let whole = sent.len() - 8 * TS_PAYLOAD_BYTES;
        let (arrived, ()) = tokio::join!(read(&mut program, whole), sending);
        assert!(arrived == sent[..whole]);
    }
}

#[tokio::test]
async fn our_caller_changes_its_keys_and_srt_live_transmit_follows() {
    let port = free_port().await;
    let theirs = format!("srt://127.0.0.1:{port}?mode=listener&passphrase={SECRET}");
    let mut program = srt_live_transmit(&theirs, "file://con");
    let encryption = Some(Encryption { passphrase: secret().unwrap(), key_size: KeySize::Aes256 });
    let config = CallerConfig {
        encryption,
        key_refresh_packets: Some(100),
        latency: Duration::from_millis(300),
        ..CallerConfig::default()
    };
    let deadline = Instant::now() + PATIENCE;
    let caller = loop {
        match Caller::connect(([127, 0, 0, 1], port).into(), config.clone()).await {
            Ok(caller) => break caller,
            Err(error) => assert!(Instant::now() < deadline, "{error}"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    let sent: Vec<u8> = (0..TS_PAYLOAD_BYTES * 600).map(|n| (n / 5) as u8).collect();
    let sending = async {
        for piece in sent.chunks(TS_PAYLOAD_BYTES) {
            caller.send(Bytes::copy_from_slice(piece)).await.unwrap();
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    let whole = sent.len() - 8 * TS_PAYLOAD_BYTES;
    let (arrived, ()) = tokio::join!(read(&mut program, whole), sending);
    assert!(arrived == sent[..whole], "five keys later");
}

#[tokio::test]
async fn srt_live_transmit_goes_on_after_what_our_caller_gave_up() {
    let port = free_port().await;
    // It drops what is late itself, and needs the DROPREQ to stop asking for it. (With tlpktdrop=no, libsrt 1.5.1 locks
    // up when one comes.)
    let theirs = format!("srt://127.0.0.1:{port}?mode=listener&latency=300");
    let mut program = srt_live_transmit(&theirs, "file://con");
    let target = ([127, 0, 0, 1], port).into();
    let link = Link::new(target, Faults::default(), 1).await;
    let config = CallerConfig { too_late: Some(Duration::from_millis(300)), ..CallerConfig::default() };
    let deadline = Instant::now() + PATIENCE;
    let caller = loop {
        match Caller::connect(link.addr, config.clone()).await {
            Ok(caller) => break caller,
            Err(error) => assert!(Instant::now() < deadline, "{error}"),
        }
    };
    let send = async |range: std::ops::Range<u32>| {
        for number in range {
            let mut piece = vec![0x47; TS_PAYLOAD_BYTES];
            piece[..4].copy_from_slice(&number.to_be_bytes());
            caller.send(piece.into()).await.unwrap();
            tokio::time::sleep(Duration::from_millis(4)).await;
        }
    };
    send(0..100).await;
    link.cut(true);
    send(100..300).await;
    link.cut(false);
    let reading = async {
        let mut numbers = Vec::new();
        while numbers.last() != Some(&500) {
            let piece = read(&mut program, TS_PAYLOAD_BYTES).await;
            numbers.push(u32::from_be_bytes(piece[..4].try_into().unwrap()));
        }
        numbers
    };
    let (numbers, ()) = tokio::join!(reading, send(300..700));
    let stats = caller.stats();
    println!("{} dropped, {} came of 501", stats.dropped_packets, numbers.len());
    assert!(numbers.is_sorted());
    assert!(stats.dropped_packets > 50, "{stats:?}");
    assert!(numbers.len() as u64 >= 501 - stats.dropped_packets, "{}", numbers.len());
}

/// CPU time that a thread of ours of this name has used; Linux only.
#[cfg(target_os = "linux")]
fn thread_time(name: &str) -> Duration {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap().map(|task| task.unwrap().path());
    let mut ours = tasks
        .filter(|task| std::fs::read_to_string(task.join("comm")).is_ok_and(|comm| comm.trim_end() == name));
    let stat = std::fs::read_to_string(ours.next().expect("the worker").join("schedstat")).unwrap();
    Duration::from_nanos(stat.split(' ').next().unwrap().parse().unwrap())
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn keys_are_derived_away_from_where_datagrams_are_taken() {
    let config = ListenerConfig { passphrase: secret(), workers: 1, ..ListenerConfig::default() };
    let mut listener = listen(config).await;
    let addr = listener.local_addr();
    let worker = format!("srt-{}-0", addr.port());
    // A thread names itself: it has, once it has answered somebody.
    assert!(Caller::connect(addr, CallerConfig::default()).await.is_err());
    let (before, mut derived) = (thread_time(&worker), Duration::ZERO);
    for _ in 0..12 {
        let passphrase = Passphrase::new("another passphrase").unwrap();
        let config = CallerConfig {
            encryption: Some(Encryption { passphrase, key_size: KeySize::Aes256 }),
            ..CallerConfig::default()
        };
        let start = Instant::now();
        let answer = async { listener.next().await.unwrap().accept().await };
        let (refused, _) = tokio::join!(Caller::connect(addr, config), answer);
        assert!(refused.is_err());
        // Once by each side.
        derived += start.elapsed() / 2;
    }
    let worked = thread_time(&worker) - before;
    println!("the worker worked {worked:?} while keys took {derived:?}");
    assert!(worked < derived / 4, "{worked:?} of {derived:?}");
}
