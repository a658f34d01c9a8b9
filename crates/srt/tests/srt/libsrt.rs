//! libsrt as the oracle: ffmpeg and srt-live-transmit into our listener, and our caller into srt-live-transmit.

use std::net::SocketAddr;
use std::process::{Output, Stdio};
use std::time::{Duration, Instant};

use dashvault_srt::{
    AcceptError, Caller, CallerConfig, CloseReason, Connection, Delivery, Encryption, KeySize,
    ListenerConfig, Passphrase, RejectReason, SrtUrl, TS_PAYLOAD_BYTES,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UdpSocket;
use tokio::process::{Child, Command};

use crate::link::{Faults, Link};
use crate::traffic::{PATIENCE, listen, local};

pub(crate) const STREAM_ID: &str = "publish:3f2c/20261122-101500";
pub(crate) const SECRET: &str = "a long enough secret";

/// A second and a half of video in real time.
pub(crate) fn ffmpeg(addr: SocketAddr, options: &str) -> Command {
    let mut command = Command::new("ffmpeg");
    let input = ["-hide_banner", "-loglevel", "warning", "-nostdin", "-re", "-f", "lavfi", "-i"];
    let codec = "-t 1.5 -c:v libx264 -preset ultrafast -tune zerolatency -g 15 -b:v 2M -minrate 2M -maxrate 2M -bufsize 500k -x264-params nal-hrd=cbr -f mpegts".split(' ');
    command.args(input).arg("testsrc2=size=320x180:rate=30").args(codec);
    command.arg(format!("srt://{addr}?streamid={STREAM_ID}{options}"));
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);
    command
}

pub(crate) fn srt_live_transmit(from: &str, to: &str) -> Child {
    let mut command = Command::new("srt-live-transmit");
    command.args(["-loglevel:error", "-chunk:1456", from, to]).kill_on_drop(true);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    command.spawn().expect("srt-live-transmit is installed")
}

pub(crate) async fn output(command: &mut Command) -> Output {
    tokio::time::timeout(PATIENCE, command.output()).await.expect("it ends in time").expect("it is installed")
}

/// All bytes of a connection; losses are a failure.
pub(crate) async fn collect(mut connection: Connection) -> (Vec<u8>, CloseReason) {
    let mut bytes = Vec::new();
    loop {
        match tokio::time::timeout(PATIENCE, connection.recv()).await.expect("a delivery in time") {
            Some(Delivery::Data(run)) => bytes.extend_from_slice(&run),
            Some(Delivery::Closed(reason)) => return (bytes, reason),
            other => panic!("{other:?}"),
        }
    }
}

pub(crate) fn assert_transport_stream(bytes: &[u8]) {
    assert!(bytes.len() > 20_000 && bytes.len().is_multiple_of(188), "{} bytes", bytes.len());
    assert!(bytes.chunks(188).all(|packet| packet[0] == 0x47));
}

#[tokio::test]
async fn ffmpeg_publishes_plain_and_encrypted() {
    let passphrase = Some(Passphrase::new(SECRET).unwrap());
    let mut plain = listen(ListenerConfig::default()).await;
    let mut keyed = listen(ListenerConfig { passphrase, ..ListenerConfig::default() }).await;
    let mut clear = ffmpeg(plain.local_addr(), "&latency=120000");
    let mut aes128 = ffmpeg(keyed.local_addr(), &format!("&passphrase={SECRET}&pbkeylen=16"));
    let mut aes256 = ffmpeg(keyed.local_addr(), &format!("&passphrase={SECRET}&pbkeylen=32"));
    let from_plain = async {
        let request = plain.next().await.unwrap();
        assert_eq!(request.stream_id(), STREAM_ID);
        let connection = request.accept().await.unwrap();
        assert_eq!(connection.latency(), Duration::from_secs(3));
        collect(connection).await
    };
    let from_keyed = async {
        let first = keyed.next().await.unwrap().accept().await.unwrap();
        let second = keyed.next().await.unwrap().accept().await.unwrap();
        assert!(first.encrypted() && second.encrypted());
        tokio::join!(collect(first), collect(second))
    };
    let programs = async { tokio::join!(output(&mut clear), output(&mut aes128), output(&mut aes256)) };
    let (one, (two, three), _) = tokio::join!(from_plain, from_keyed, programs);
    for (bytes, reason) in [one, two, three] {
        assert_eq!(reason, CloseReason::PeerShutdown);
        assert_transport_stream(&bytes);
    }
}

#[tokio::test]
async fn ffmpeg_changes_its_keys_and_nothing_is_lost() {
    let passphrase = Some(Passphrase::new(SECRET).unwrap());
    let mut listener = listen(ListenerConfig { passphrase, ..ListenerConfig::default() }).await;
    // A new key every 150 packets, announced 70 packets (a third of a second) ahead, through a link that loses.
    let faults = Faults { loss: 0.02, delay: Duration::from_millis(5), ..Faults::default() };
    let link = Link::new(listener.local_addr(), faults, 5).await;
    let options = format!("&passphrase={SECRET}&kmrefreshrate=150&kmpreannounce=70");
    let mut program = ffmpeg(link.addr, &options);
    let receiving = async { track(listener.next().await.unwrap().accept().await.unwrap()).await };
    let (_, received) = tokio::join!(output(&mut program), receiving);
    println!("{} bytes, losses {:?}", received.bytes, received.losses);
    assert!(received.bytes > 1316 * 100, "several keys long: {}", received.bytes);
    assert!(received.losses.iter().all(|(at, _)| at * 5 > received.bytes * 4), "{:?}", received.losses);
}

/// How many bytes came, and where packets were lost.
#[derive(Debug, Default)]
pub(crate) struct Tracked {
    pub(crate) bytes: u64,
    pub(crate) losses: Vec<(u64, u64)>,
}

pub(crate) async fn track(mut connection: Connection) -> Tracked {
    let mut tracked = Tracked::default();
    loop {
        match tokio::time::timeout(PATIENCE, connection.recv()).await.expect("a delivery in time") {
            Some(Delivery::Data(run)) => tracked.bytes += run.len() as u64,
            Some(Delivery::Lost { packets }) => tracked.losses.push((tracked.bytes, packets)),
            _ => return tracked,
        }
    }
}

#[tokio::test]
async fn ffmpeg_loses_nothing_before_its_last_second_on_a_lossy_link() {
    for (loss, latency) in [(0.05, 120), (0.15, 3000)] {
        let latency = Duration::from_millis(latency);
        let mut listener = listen(ListenerConfig { latency, ..ListenerConfig::default() }).await;
        let faults = Faults { loss, delay: Duration::from_millis(15), ..Faults::default() };
        let link = Link::new(listener.local_addr(), faults, 7).await;
        let mut program = ffmpeg(link.addr, "&latency=120000");
        let receiving = async { track(listener.next().await.unwrap().accept().await.unwrap()).await };
        let (_, received) = tokio::join!(output(&mut program), receiving);
        println!("{loss}, {latency:?}: {} bytes, losses {:?}", received.bytes, received.losses);
        // It sends 1.5 s.
        assert!(received.losses.iter().all(|(at, _)| at * 3 > received.bytes), "{:?}", received.losses);
    }
}

#[tokio::test]
async fn ffmpeg_is_told_no_and_so_are_we() {
    let passphrase = Some(Passphrase::new(SECRET).unwrap());
    let mut keyed = listen(ListenerConfig { passphrase, ..ListenerConfig::default() }).await;
    let addr = keyed.local_addr();
    let mut wrong = ffmpeg(addr, "&passphrase=not%20the%20secret&pbkeylen=32");
    let answer = async { keyed.next().await.unwrap().accept().await.unwrap_err() };
    let (ended, error) = tokio::join!(output(&mut wrong), answer);
    assert_eq!(error, AcceptError::WrongPassphrase);
    assert!(!ended.status.success());
    assert_eq!(keyed.stats().wrong_passphrase, 1);

    let ended = output(&mut ffmpeg(addr, "")).await;
    assert!(!ended.status.success());
    assert_eq!(keyed.stats().unsecure, 1);

    let mut open = listen(ListenerConfig::default()).await;
    let start = Instant::now();
    let mut refused = ffmpeg(open.local_addr(), "");
    let answer = async { open.next().await.unwrap().reject(RejectReason::Conflict) };
    let (ended, ()) = tokio::join!(output(&mut refused), answer);
    assert!(!ended.status.success());
    assert!(
        start.elapsed() < Duration::from_millis(2500),
        "at once, not after a timeout: {:?}",
        start.elapsed()
    );
}

#[tokio::test]
async fn srt_live_transmit_publishes_its_large_payloads_byte_for_byte() {
    let mut listener = listen(ListenerConfig::default()).await;
    let url = format!("srt://{}?streamid={STREAM_ID}&latency=200", listener.local_addr());
    let mut program = srt_live_transmit("file://con", &url);
    let mut stdin = program.stdin.take().unwrap();
    let sent: Vec<u8> = (0..1456 * 150).map(|n| (n * 7 / 3) as u8).collect();
    let receiving = async {
        let mut connection = listener.next().await.unwrap().accept().await.unwrap();
        let mut bytes = Vec::new();
        while bytes.len() < sent.len() {
            match tokio::time::timeout(PATIENCE, connection.recv()).await.expect("a delivery in time") {
                Some(Delivery::Data(run)) => bytes.extend_from_slice(&run),
                other => panic!("{other:?} after {} bytes", bytes.len()),
            }
        }
        bytes
    };
    let feeding = async {
        for piece in sent.chunks(1456) {
            stdin.write_all(piece).await.unwrap();
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        stdin.flush().await.unwrap();
    };
    let (bytes, ()) = tokio::join!(receiving, feeding);
    assert!(bytes == sent);
}

/// A port that was free a moment ago.
pub(crate) async fn free_port() -> u16 {
    UdpSocket::bind(local()).await.unwrap().local_addr().unwrap().port()
}

pub(crate) async fn connect(url: &str) -> Caller {
    let url: SrtUrl = url.parse().unwrap();
    let deadline = Instant::now() + PATIENCE;
    loop {
        match Caller::connect_url(&url, CallerConfig::default()).await {
            Ok(caller) => return caller,
            Err(error) => assert!(Instant::now() < deadline, "{error}"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn our_caller_publishes_into_srt_live_transmit() {
    for keys in [
        "",
        "&passphrase=a%20long%20enough%20secret&pbkeylen=16",
        "&passphrase=a%20long%20enough%20secret&pbkeylen=32",
    ] {
        let port = free_port().await;
        let theirs = keys.replace("%20", " ");
        let mut program =
            srt_live_transmit(&format!("srt://127.0.0.1:{port}?mode=listener{theirs}"), "file://con");
        let caller = connect(&format!("srt://127.0.0.1:{port}?streamid=x&latency=200{keys}")).await;
        let sent: Vec<u8> = (0..TS_PAYLOAD_BYTES * 200).map(|n| (n / 5) as u8).collect();
        let mut stdout = program.stdout.take().unwrap();
        // It writes in blocks: the last payloads only push the others out.
        let mut arrived = vec![0; sent.len() - 8 * TS_PAYLOAD_BYTES];
        let sending = async {
            for piece in sent.chunks(TS_PAYLOAD_BYTES) {
                caller.send(bytes::Bytes::copy_from_slice(piece)).await.unwrap();
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        let reading = tokio::time::timeout(PATIENCE, stdout.read_exact(&mut arrived));
        let ((), read) = tokio::join!(sending, reading);
        read.expect("all of it in time").unwrap();
        assert!(arrived == sent[..arrived.len()]);
        let stats = caller.close(Duration::from_secs(2)).await;
        assert_eq!(stats.acked_bytes, sent.len() as u64);
        assert!(stats.rtt_us > 0 && stats.rtt_us < 100_000, "{}", stats.rtt_us);
    }
}

#[tokio::test]
async fn a_listener_that_was_killed_is_noticed_at_once() {
    let port = free_port().await;
    let mut program = srt_live_transmit(&format!("srt://127.0.0.1:{port}?mode=listener"), "file://con");
    let caller = connect(&format!("srt://127.0.0.1:{port}")).await;
    program.start_kill().unwrap();
    program.wait().await.unwrap();
    let start = Instant::now();
    while caller.try_send(&[0x47; 188]).is_ok() {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    assert_eq!(caller.closed().await, CloseReason::PeerGone);
    assert!(start.elapsed() < Duration::from_millis(500), "{:?}", start.elapsed());
}

#[tokio::test]
async fn a_publisher_that_was_killed_is_replaced_while_its_ghost_is_still_open() {
    let mut listener =
        listen(ListenerConfig { peer_idle: Duration::from_secs(2), ..ListenerConfig::default() }).await;
    let mut first = ffmpeg(listener.local_addr(), "").spawn().unwrap();
    let mut ghost = listener.next().await.unwrap().accept().await.unwrap();
    assert!(matches!(ghost.recv().await, Some(Delivery::Data(_))));
    first.start_kill().unwrap();
    first.wait().await.unwrap();
    let mut again = ffmpeg(listener.local_addr(), "");
    let second = async {
        let connection = listener.next().await.unwrap().accept().await.unwrap();
        collect(connection).await
    };
    let (_, (bytes, reason), (_, ghost_reason)) = tokio::join!(output(&mut again), second, collect(ghost));
    assert_transport_stream(&bytes);
    assert_eq!((reason, ghost_reason), (CloseReason::PeerShutdown, CloseReason::PeerIdle));
}

#[tokio::test]
async fn srt_live_transmit_refuses_our_wrong_passphrase() {
    let port = free_port().await;
    let _program =
        srt_live_transmit(&format!("srt://127.0.0.1:{port}?mode=listener&passphrase={SECRET}"), "file://con");
    let encryption = Some(Encryption {
        passphrase: Passphrase::new("not the secret").unwrap(),
        key_size: KeySize::Aes128,
    });
    let config = CallerConfig { encryption, ..CallerConfig::default() };
    let addr = SocketAddr::from(([127, 0, 0, 1], port));
    let deadline = Instant::now() + PATIENCE;
    let error = loop {
        match Caller::connect(addr, config.clone()).await {
            Err(dashvault_srt::ConnectError::Refused { .. }) => assert!(Instant::now() < deadline),
            Err(error) => break error,
            Ok(_) => panic!("accepted"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert!(matches!(error, dashvault_srt::ConnectError::Rejected { code, .. } if code.0 == 1010), "{error}");
}
