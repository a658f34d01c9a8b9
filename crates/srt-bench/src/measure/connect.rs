//! Connecting over a very bad link: 800 ms round trip, 20 % loss each way.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::Result;
use dashvault_srt::{Caller, CallerConfig, Connection, Listener, ListenerConfig};

use super::{median, runtime};
use crate::receiver::{Kind, Receivers};
use crate::relay::{Link, Relay};
use crate::report::{Goal, Row};

const CALLERS: usize = 100;
/// Callers that try at the same time.
const TOGETHER: usize = 25;
const LINK: Link = Link { loss: 0.2, delay: Duration::from_millis(400), seed: 1 };

pub(super) fn run(receivers: &Receivers) -> Result<Vec<Row>> {
    let runtime = runtime()?;
    let mut rows = runtime.block_on(to_ours())?;
    if receivers.has_libsrt() {
        let (_receiver, at) = receivers.start(Kind::LibsrtTsbpd)?;
        let times = runtime.block_on(call(at.into()))?;
        rows.push(row("our caller to libsrt", Goal::None, &times));
    }
    Ok(rows)
}

async fn to_ours() -> Result<Vec<Row>> {
    let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let config = ListenerConfig { addr, max_connections: 1000, ..ListenerConfig::default() };
    let mut listener = Listener::bind(config).await?;
    let (at, accepted) = (listener.local_addr(), Arc::new(AtomicU64::new(0)));
    let counter = Arc::clone(&accepted);
    let accepting = tokio::spawn(async move {
        while let Some(request) = listener.next().await {
            let counter = Arc::clone(&counter);
            tokio::spawn(async move {
                if let Ok(connection) = request.accept().await {
                    counter.fetch_add(1, Ordering::Relaxed);
                    drain(connection).await;
                }
            });
        }
    });
    let times = call(at).await?;
    accepting.abort();
    let row = row("our caller to our listener", Goal::AtLeast(CALLERS as f64), &times).note(format!(
        "{} accepted, {}",
        accepted.load(Ordering::Relaxed),
        slowest(&times)
    ));
    Ok(vec![row])
}

/// The connection lives until its caller closes it.
async fn drain(mut connection: Connection) {
    while connection.recv().await.is_some() {}
}

/// How long each caller that connected took.
async fn call(to: SocketAddr) -> Result<Vec<Duration>> {
    let relay = Relay::start(to, LINK)?;
    let mut times = Vec::new();
    for _ in 0..CALLERS / TOGETHER {
        let callers: Vec<_> = (0..TOGETHER).map(|_| tokio::spawn(one(relay.addr()))).collect();
        let mut open = Vec::new();
        for caller in callers {
            if let Some((caller, time)) = caller.await? {
                times.push(time);
                open.push(caller);
            }
        }
    }
    relay.stop()?;
    Ok(times)
}

/// One caller, with the limits that callers have by default.
async fn one(to: SocketAddr) -> Option<(Caller, Duration)> {
    let began = Instant::now();
    let config = CallerConfig { stream_id: "bench".to_owned(), ..CallerConfig::default() };
    let caller = Caller::connect(to, config).await.ok()?;
    Some((caller, began.elapsed()))
}

fn row(what: &str, goal: Goal, times: &[Duration]) -> Row {
    Row::new("connect", what, goal, times.len() as f64, "of 100").note(slowest(times))
}

fn slowest(times: &[Duration]) -> String {
    let seconds: Vec<f64> = times.iter().map(Duration::as_secs_f64).collect();
    let most = seconds.iter().copied().fold(0.0, f64::max);
    format!("median {:.1} s, slowest {most:.1} s", median(seconds))
}
