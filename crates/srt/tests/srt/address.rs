//! A caller whose own address changes in mid-stream, as a modem's does: in network namespaces with a pair of virtual
//! interfaces between them. It takes root and `ip`; where they are missing, the tests say so and try nothing.

use std::net::SocketAddr;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use dashvault_srt::{
    Caller, CallerConfig, CloseReason, Encryption, KeySize, Listener, ListenerConfig, Passphrase, SendStats,
};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use tokio::sync::oneshot;

use crate::traffic::{Received, payload, receive_all};

/// A payload each 2 ms: 5 Mbit/s.
const EVERY: Duration = Duration::from_millis(2);
const LISTENER: &str = "10.77.0.1:9000";
const OLD: &str = "10.77.1.2/16";
const NEW: &str = "10.77.2.3/16";
/// Of a network of its own: it stays when the first one goes.
const SECOND: &str = "10.77.2.3/15";
const SECRET: &str = "a long enough secret";

/// Two namespaces, connected: `caller` and `listener`.
struct Net {
    caller: String,
    listener: String,
}

impl Net {
    /// `None`, and a printed reason, where there can be none.
    fn new() -> Option<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("dvsrt-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let net = Self { caller: format!("{name}-c"), listener: format!("{name}-l") };
        let made = ip(&format!("netns add {}", net.caller))
            .and_then(|()| ip(&format!("netns add {}", net.listener)));
        match made.and_then(|()| net.plug()).and_then(|()| net.caller(&format!("addr add {OLD} dev modem"))) {
            Ok(()) => Some(net),
            Err(why) => {
                println!("skipped: no network namespaces here: {why}");
                None
            }
        }
    }

    /// Puts the modem in.
    fn plug(&self) -> Result<(), String> {
        let Self { caller, listener } = self;
        ip(&format!("link add modem netns {caller} type veth peer name tower netns {listener}"))?;
        ip(&format!("-n {listener} addr add 10.77.0.1/16 dev tower"))?;
        ip(&format!("-n {listener} link set tower up"))?;
        self.caller("link set modem up")
    }

    fn caller(&self, arguments: &str) -> Result<(), String> {
        ip(&format!("-n {} {arguments}", self.caller))
    }
}

impl Drop for Net {
    fn drop(&mut self) {
        for name in [&self.caller, &self.listener] {
            let _ = ip(&format!("netns del {name}"));
        }
    }
}

fn ip(arguments: &str) -> Result<(), String> {
    let done =
        Command::new("ip").args(arguments.split(' ')).output().map_err(|error| format!("ip: {error}"))?;
    let said = String::from_utf8_lossy(&done.stderr).trim().to_owned();
    if done.status.success() { Ok(()) } else { Err(format!("ip {arguments}: {said}")) }
}

/// Runs something on a thread within a namespace, with a runtime of its own.
fn within<T: Send + 'static>(
    namespace: &str,
    work: impl AsyncFnOnce() -> T + Send + 'static,
) -> std::thread::JoinHandle<T> {
    let path = format!("/run/netns/{namespace}");
    std::thread::spawn(move || {
        let file = std::fs::File::open(path).unwrap();
        move_into_link_name_space(std::os::fd::AsFd::as_fd(&file), Some(LinkNameSpaceType::Network)).unwrap();
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work())
    })
}

/// What both ends say of a stream during which `change` happened.
struct Outcome {
    sent: SendStats,
    reason: Option<CloseReason>,
    received: Received,
}

/// Sends for `seconds`, with `change` after one of them.
fn stream(
    net: &Net,
    config: CallerConfig,
    seconds: u64,
    change: impl AsyncFnOnce() + Send + 'static,
) -> Outcome {
    let passphrase = config.encryption.as_ref().map(|encryption| encryption.passphrase.clone());
    let (ready_in, ready) = oneshot::channel();
    let start = Instant::now();
    let listening = within(&net.listener, async move || {
        let addr: SocketAddr = LISTENER.parse().unwrap();
        let config = ListenerConfig { addr, passphrase, ..ListenerConfig::default() };
        let mut listener = Listener::bind(config).await.unwrap();
        ready_in.send(()).unwrap();
        let mut connection = listener.next().await.unwrap().accept().await.unwrap();
        receive_all(&mut connection, start).await
    });
    let calling = within(&net.caller, async move || {
        ready.await.unwrap();
        let caller = Caller::connect(LISTENER.parse().unwrap(), config).await.unwrap();
        let began = Instant::now();
        let sending = async {
            for number in 0..count(seconds) {
                let at = began + EVERY * u32::try_from(number).unwrap();
                tokio::time::sleep_until(at.into()).await;
                if caller.send(payload(0x47 << 56 | number, start)).await.is_err() {
                    return;
                }
            }
        };
        let changing = async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            change().await;
        };
        tokio::join!(sending, changing);
        let over = tokio::time::timeout(Duration::ZERO, caller.closed()).await.ok();
        (caller.close(Duration::from_secs(3)).await, over)
    });
    let (sent, reason) = calling.join().unwrap();
    Outcome { sent, reason, received: listening.join().unwrap() }
}

fn count(seconds: u64) -> u64 {
    seconds * 1000 / u64::try_from(EVERY.as_millis()).unwrap()
}

/// Nothing is lost, nobody connected twice, and the stream stood still for no longer than `most` beyond `away`.
fn assert_survived(outcome: &Outcome, seconds: u64, away: Duration, most: Duration) {
    let Outcome { sent, received, .. } = outcome;
    let (again, worst) = (sent.retransmitted_packets, received.delay(1.0));
    println!("{} moves, worst delay {worst:?}, {again} of {} sent twice", sent.moves, sent.accepted_packets);
    assert_eq!(received.lost, 0);
    assert!(received.numbers.iter().copied().eq((0..count(seconds)).map(|number| 0x47 << 56 | number)));
    assert_eq!((sent.acked_packets, sent.moves), (count(seconds), 1));
    assert!(worst < away + most, "{worst:?}");
    // Only what went into the old address before it was known to be gone, and probes.
    assert!(again < 300, "{again}");
}

fn encrypted() -> CallerConfig {
    let passphrase = Passphrase::new(SECRET).unwrap();
    let encryption = Some(Encryption { passphrase, key_size: KeySize::Aes128 });
    CallerConfig { encryption, ..CallerConfig::default() }
}

#[test]
fn an_address_that_is_replaced_costs_a_moment_and_nothing_of_the_stream() {
    let Some(net) = Net::new() else { return };
    let name = net.caller.clone();
    let outcome = stream(&net, CallerConfig::default(), 3, async move || {
        ip(&format!("-n {name} addr del {OLD} dev modem")).unwrap();
        ip(&format!("-n {name} addr add {NEW} dev modem")).unwrap();
    });
    assert_survived(&outcome, 3, Duration::ZERO, Duration::from_millis(1500));
}

#[test]
fn a_modem_that_is_away_for_a_while_and_comes_back_with_another_address_loses_nothing() {
    let Some(net) = Net::new() else { return };
    let name = net.caller.clone();
    let away = Duration::from_millis(1500);
    let outcome = stream(&net, encrypted(), 5, async move || {
        ip(&format!("-n {name} addr del {OLD} dev modem")).unwrap();
        tokio::time::sleep(away).await;
        ip(&format!("-n {name} addr add {NEW} dev modem")).unwrap();
    });
    assert_survived(&outcome, 5, away, Duration::from_millis(1500));
}

#[test]
fn a_modem_that_is_pulled_out_and_put_in_again_loses_nothing() {
    let Some(net) = Net::new() else { return };
    let again = Net { caller: net.caller.clone(), listener: net.listener.clone() };
    let away = Duration::from_millis(1000);
    let outcome = stream(&net, CallerConfig::default(), 5, async move || {
        again.caller("link del modem").unwrap();
        tokio::time::sleep(away).await;
        again.plug().unwrap();
        again.caller(&format!("addr add {NEW} dev modem")).unwrap();
        // The namespaces are the other's to remove.
        std::mem::forget(again);
    });
    assert_survived(&outcome, 5, away, Duration::from_millis(1500));
}

#[test]
fn a_caller_that_may_leave_its_port_leaves_it_when_the_address_is_gone() {
    let Some(net) = Net::new() else { return };
    let name = net.caller.clone();
    let config = CallerConfig { local: Some("0.0.0.0:7777".parse().unwrap()), ..CallerConfig::default() };
    let outcome = stream(&net, config, 3, async move || {
        // The second modem is there before the first one goes.
        ip(&format!("-n {name} addr add {SECOND} dev modem")).unwrap();
        ip(&format!("-n {name} addr del {OLD} dev modem")).unwrap();
    });
    assert_survived(&outcome, 3, Duration::ZERO, Duration::from_millis(1500));
}

#[test]
fn a_caller_that_must_keep_its_address_ends_with_it() {
    let Some(net) = Net::new() else { return };
    let name = net.caller.clone();
    let config = CallerConfig {
        local: Some("10.77.1.2:0".parse().unwrap()),
        peer_idle: Duration::from_secs(1),
        ..CallerConfig::default()
    };
    let outcome = stream(&net, config, 4, async move || {
        ip(&format!("-n {name} addr add {SECOND} dev modem")).unwrap();
        ip(&format!("-n {name} addr del {OLD} dev modem")).unwrap();
    });
    assert_eq!(outcome.reason, Some(CloseReason::PeerIdle));
    assert_eq!(outcome.sent.moves, 0);
    assert!(outcome.received.lost == 0 && !outcome.received.numbers.is_empty());
}
