//! ffmpeg over a lossy link with little latency: what a listener that holds loses, and what libsrt loses.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use dashvault_srt::{Delivery, Listener, ListenerConfig};

use super::{footage, runtime};
use crate::receiver::{Kind, Receivers};
use crate::relay::{Link, Relay};
use crate::report::{Goal, Row};
use crate::truth::Lost;

const LOSSES: [f64; 2] = [0.05, 0.15];
const SEEDS: [u64; 3] = [1, 2, 3];
const LATENCY: Duration = Duration::from_millis(120);
const DELAY: Duration = Duration::from_millis(30);
/// A listener that hears nothing closes after five seconds.
const END: Duration = Duration::from_secs(10);

pub(super) fn run(receivers: &Receivers) -> Result<Vec<Row>> {
    let file = footage::make(receivers.folder())?;
    let mut rows = Vec::new();
    let kinds = [Kind::Dashvault, Kind::LibsrtTsbpd];
    for kind in kinds.into_iter().filter(|kind| receivers.has_libsrt() || !kind.is_libsrt()) {
        for loss in LOSSES {
            // The three seeds side by side: they cost little.
            let results: Vec<Result<Lost>> = std::thread::scope(|scope| {
                let one = |seed| {
                    let link = Link { loss, delay: DELAY, seed };
                    let file = &file;
                    scope.spawn(move || match kind {
                        Kind::Dashvault => ours(file, link),
                        _ => libsrt(receivers, file, link),
                    })
                };
                let threads: Vec<_> = SEEDS.into_iter().map(one).collect();
                threads
                    .into_iter()
                    .map(|thread| thread.join().unwrap_or_else(|_| Err(anyhow::anyhow!("a panic"))))
                    .collect()
            });
            for (seed, lost) in SEEDS.into_iter().zip(results) {
                rows.push(row(kind, loss, seed, &lost?));
            }
        }
    }
    Ok(rows)
}

fn row(kind: Kind, loss: f64, seed: u64, lost: &Lost) -> Row {
    let goal = if kind == Kind::Dashvault { Goal::AtMost(0.0) } else { Goal::None };
    let what = format!("{}, {:.0} % loss, seed {seed}", kind.name(), loss * 100.0);
    // Nothing sent, or something strange received, is no success.
    let figure =
        if lost.sent == 0 || lost.strange_bytes > 0 { f64::NAN } else { lost.before_the_tail as f64 };
    Row::new("hold", what, goal, figure, "TS packets lost").note(format!(
        "of {}, and {} in the last second{}",
        lost.sent,
        lost.in_the_tail,
        if lost.strange_bytes > 0 {
            format!("; {} strange bytes", lost.strange_bytes)
        } else {
            String::new()
        }
    ))
}

fn ours(file: &Path, link: Link) -> Result<Lost> {
    runtime()?.block_on(async {
        let config =
            ListenerConfig { addr: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), ..ListenerConfig::default() };
        let mut listener = Listener::bind(config).await?;
        let relay = Relay::start(listener.local_addr(), link)?;
        let mut ffmpeg = footage::publish(file, &url(relay.addr()))?;
        let mut connection = listener.next().await.context("the listener has stopped")?.accept().await?;
        let mut received = Vec::new();
        while let Some(delivery) = connection.recv().await {
            if let Delivery::Data(run) = delivery {
                received.extend_from_slice(&run);
            }
        }
        ffmpeg.wait()?;
        Ok(Lost::find(&relay.stop()?, &received))
    })
}

fn libsrt(receivers: &Receivers, file: &Path, link: Link) -> Result<Lost> {
    let out = receivers.folder().join(format!("libsrt-{}-{}.ts", link.loss, link.seed));
    let (mut receiver, at) = receivers.start_libsrt_to(&out)?;
    let relay = Relay::start(at.into(), link)?;
    let mut ffmpeg = footage::publish(file, &url(relay.addr()))?;
    ffmpeg.wait()?;
    let began = std::time::Instant::now();
    while receiver.ask("?")?.of("closed") == 0 && began.elapsed() < END {
        std::thread::sleep(Duration::from_millis(200));
    }
    receiver.finish()?;
    Ok(Lost::find(&relay.stop()?, &std::fs::read(&out)?))
}

fn url(addr: SocketAddr) -> String {
    // ffmpeg's latency is in microseconds.
    format!("srt://{addr}?latency={}&streamid=bench", LATENCY.as_micros())
}
