//! The link's drivers on real loopback sockets; what happens to packets is tested in `lane`.

use std::time::{Duration, Instant};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream, UdpSocket},
};

use super::*;

const LIMIT: Duration = Duration::from_secs(10);

async fn within<T>(what: &str, work: impl Future<Output = T>) -> T {
    tokio::time::timeout(LIMIT, work).await.unwrap_or_else(|_| panic!("{what} took more than {LIMIT:?}"))
}

/// Sends back every datagram, with the port it came from in front.
async fn udp_echo() -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let addr = socket.local_addr().unwrap();
    tokio::spawn(async move {
        let mut buffer = [0; 2000];
        while let Ok((len, from)) = socket.recv_from(&mut buffer).await {
            let answer = [&from.port().to_be_bytes(), &buffer[..len]].concat();
            let _ = socket.send_to(&answer, from).await;
        }
    });
    addr
}

async fn tcp_echo() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut from, mut to) = stream.split();
                let _ = tokio::io::copy(&mut from, &mut to).await;
                let _ = to.shutdown().await;
            });
        }
    });
    addr
}

struct UdpClient(UdpSocket);

impl UdpClient {
    async fn to(proxy: &UdpProxy) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        socket.connect(proxy.addr()).await.unwrap();
        Self(socket)
    }

    /// The source port that the server saw.
    async fn ask(&self, text: &str) -> u16 {
        self.0.send(text.as_bytes()).await.unwrap();
        let mut buffer = [0; 2000];
        loop {
            let len = within("an answer", self.0.recv(&mut buffer)).await.unwrap();
            if &buffer[2..len] == text.as_bytes() {
                return u16::from_be_bytes([buffer[0], buffer[1]]);
            }
        }
    }
}

async fn echo_once(stream: &mut TcpStream, text: &str) -> io::Result<()> {
    stream.write_all(text.as_bytes()).await?;
    let mut buffer = vec![0; text.len()];
    within("the echo", stream.read_exact(&mut buffer)).await?;
    assert_eq!(buffer, text.as_bytes());
    Ok(())
}

#[tokio::test]
async fn each_udp_client_has_a_source_port_of_its_own_until_a_rebind() {
    let link = Link::new(1);
    let proxy = link.udp(udp_echo().await).await.unwrap();
    let (front, rear) = (UdpClient::to(&proxy).await, UdpClient::to(&proxy).await);
    let (front_port, rear_port) = (front.ask("a").await, rear.ask("b").await);
    assert_ne!(front_port, rear_port);
    assert_eq!(front.ask("c").await, front_port);
    link.rebind();
    assert_ne!(front.ask("d").await, front_port);
    let tallies = link.tallies();
    assert_eq!((tallies.to_vault.udp.offered.packets, tallies.to_vehicle.udp.delivered.packets), (4, 4));
}

#[tokio::test]
async fn udp_is_dropped_in_an_outage_and_flows_after_it() {
    let link = Link::new(2);
    let proxy = link.udp(udp_echo().await).await.unwrap();
    let client = UdpClient::to(&proxy).await;
    client.ask("before").await;
    for mode in Mode::OUTAGES {
        link.set(Conditions::down(mode));
        let cut_before = link.tallies().to_vault.udp.cut.packets;
        client.0.send(b"into the void").await.unwrap();
        within("the drop", async {
            while link.tallies().to_vault.udp.cut.packets == cut_before {
                tokio::task::yield_now().await;
            }
        })
        .await;
        link.set(Conditions::perfect());
        client.ask(mode.word()).await;
    }
    assert_eq!(link.relinks().len(), 3);
}

#[tokio::test]
async fn a_cut_resets_connections_and_refuses_new_ones_until_the_link_is_up() {
    let link = Link::new(3);
    let proxy = link.tcp(tcp_echo().await).await.unwrap();
    let mut stream = TcpStream::connect(proxy.addr()).await.unwrap();
    echo_once(&mut stream, "before").await.unwrap();
    link.set(Conditions::down(Mode::Cut));
    let error = within("the reset", stream.read_u8()).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    within("the refusal", async {
        while TcpStream::connect(proxy.addr()).await.is_ok() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    link.set(Conditions::perfect());
    let mut stream = within("the listener", async {
        loop {
            match TcpStream::connect(proxy.addr()).await {
                Ok(stream) => return stream,
                Err(_) => tokio::task::yield_now().await,
            }
        }
    })
    .await;
    echo_once(&mut stream, "after").await.unwrap();
}

#[tokio::test]
async fn a_refusing_link_resets_a_connection_when_it_speaks() {
    let link = Link::new(4);
    let proxy = link.tcp(tcp_echo().await).await.unwrap();
    let mut stream = TcpStream::connect(proxy.addr()).await.unwrap();
    echo_once(&mut stream, "before").await.unwrap();
    link.set(Conditions::down(Mode::Refuse));
    stream.write_all(b"hello?").await.unwrap();
    let error = within("the reset", stream.read_u8()).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn a_stalled_connection_is_reset_when_the_black_hole_turns_into_refusal() {
    let link = Link::new(12);
    let proxy = link.tcp(tcp_echo().await).await.unwrap();
    let mut stream = TcpStream::connect(proxy.addr()).await.unwrap();
    echo_once(&mut stream, "before").await.unwrap();
    link.set(Conditions::down(Mode::BlackHole));
    // More than one read, so that some of it waits for room.
    stream.write_all(&[0; 50_000]).await.unwrap();
    link.set(Conditions::down(Mode::Refuse));
    let error = within("the reset", stream.read_u8()).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn a_black_hole_stalls_a_connection_which_then_goes_on() {
    let link = Link::new(5);
    let proxy = link.tcp(tcp_echo().await).await.unwrap();
    let mut stream = TcpStream::connect(proxy.addr()).await.unwrap();
    echo_once(&mut stream, "before").await.unwrap();
    link.set(Conditions::down(Mode::BlackHole));
    let mut late = within("the accept queue", TcpStream::connect(proxy.addr())).await.unwrap();
    stream.write_all(b"stalled").await.unwrap();
    late.write_all(b"late").await.unwrap();
    let nothing = tokio::time::timeout(Duration::from_millis(50), stream.read_u8()).await;
    assert!(nothing.is_err(), "{nothing:?}");
    link.set(Conditions::perfect());
    let mut buffer = [0; 7];
    within("the echo", stream.read_exact(&mut buffer)).await.unwrap();
    assert_eq!(&buffer, b"stalled");
    within("the late echo", late.read_exact(&mut buffer[..4])).await.unwrap();
}

#[tokio::test]
async fn a_client_that_gave_up_in_a_black_hole_is_never_served() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let link = Link::new(6);
    let proxy = link.tcp(listener.local_addr().unwrap()).await.unwrap();
    link.set(Conditions::down(Mode::BlackHole));
    let mut impatient = TcpStream::connect(proxy.addr()).await.unwrap();
    impatient.write_all(b"impatient").await.unwrap();
    let mut patient = TcpStream::connect(proxy.addr()).await.unwrap();
    patient.write_all(b"patient").await.unwrap();
    drop(impatient);
    link.set(Conditions::perfect());
    let (mut served, _) = within("a connection", listener.accept()).await.unwrap();
    let mut buffer = [0; 7];
    within("its data", served.read_exact(&mut buffer)).await.unwrap();
    assert_eq!(&buffer, b"patient");
}

#[tokio::test]
async fn half_closed_connections_finish_in_order() {
    let link = Link::new(7);
    link.set("up delay=5ms jitter=5ms loss=2% rate=20MB/s".parse().unwrap());
    let proxy = link.tcp(tcp_echo().await).await.unwrap();
    let mut stream = TcpStream::connect(proxy.addr()).await.unwrap();
    let sent: Vec<u8> = (0..100_000u32).flat_map(u32::to_be_bytes).take(64 * 1024).collect();
    stream.write_all(&sent).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut got = Vec::new();
    within("everything", stream.read_to_end(&mut got)).await.unwrap();
    assert_eq!(got, sent);
    let tallies = link.tallies();
    assert_eq!((tallies.to_vault.tcp.offered.bytes, tallies.to_vault.tcp.delivered.bytes), (65_536, 65_536));
    assert_eq!(tallies.to_vault.payload_bytes(), 65_536);
    assert!(tallies.to_vault.wire_bytes_estimate() > 65_536);
}

#[tokio::test]
async fn the_rate_is_shared_by_all_proxies_of_the_link() {
    let link = Link::new(8);
    link.update(|conditions| conditions.to_vault.rate = Some(1_000_000));
    let (one, other) = (link.tcp(tcp_echo().await).await.unwrap(), link.tcp(tcp_echo().await).await.unwrap());
    let started = Instant::now();
    let upload = async |proxy: &TcpProxy| {
        let mut stream = TcpStream::connect(proxy.addr()).await.unwrap();
        stream.write_all(&[0; 200_000]).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut got = Vec::new();
        stream.read_to_end(&mut got).await.unwrap();
        assert_eq!(got.len(), 200_000);
    };
    within("both uploads", async { tokio::join!(upload(&one), upload(&other)) }).await;
    let took = started.elapsed();
    assert!((Duration::from_millis(395)..LIMIT).contains(&took), "400 kB took {took:?}");
}

#[tokio::test]
async fn connections_die_after_their_bytes_or_their_time() {
    let link = Link::new(9);
    let proxy = link.tcp(tcp_echo().await).await.unwrap();
    link.set("up tcp-bytes=10kB".parse().unwrap());
    let mut stream = TcpStream::connect(proxy.addr()).await.unwrap();
    let died = async {
        loop {
            if stream.write_all(&[0; 1000]).await.is_err() {
                return;
            }
        }
    };
    within("death by bytes", died).await;
    let delivered = link.tallies().to_vault.tcp.delivered.bytes;
    assert!((1..=200_000).contains(&delivered), "{delivered}");

    link.set(Conditions::perfect());
    let mut stream = TcpStream::connect(proxy.addr()).await.unwrap();
    echo_once(&mut stream, "young").await.unwrap();
    link.set("up tcp-life=1ms".parse().unwrap());
    within("death by age", stream.read_u8()).await.unwrap_err();
}

#[tokio::test]
async fn a_server_that_is_not_there_resets_the_client() {
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let link = Link::new(10);
    let proxy = link.tcp(nobody).await.unwrap();
    let mut stream = TcpStream::connect(proxy.addr()).await.unwrap();
    within("the reset", stream.read_u8()).await.unwrap_err();
}

#[tokio::test]
async fn a_script_is_played_and_shown() {
    let link = Link::new(11);
    let playing = link.play("0s up\n20ms cut # tunnel\n40ms up loss=5%".parse().unwrap());
    within("the script", playing.finished()).await;
    let state = link.state();
    assert_eq!((state.up, state.label.as_str(), state.loss), (true, "up loss=5%", 0.05));
    assert_eq!((link.relinks().len(), playing.next_in()), (1, None));
}
