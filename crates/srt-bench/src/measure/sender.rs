//! Our sender to a libsrt listener over a lossy link: what it repeats beside what was lost.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use dashvault_srt::{Caller, CallerConfig};

use super::{footage, runtime};
use crate::receiver::Receivers;
use crate::relay::{Link, Relay};
use crate::report::{Goal, Row};
use crate::truth::Lost;
use crate::wire::PAYLOAD_BYTES;

const LOSS: f64 = 0.05;
const DELAY: Duration = Duration::from_millis(30);
const LATENCY: Duration = Duration::from_secs(1);
const SEEDS: [u64; 3] = [1, 2, 3];
const GOAL: f64 = 1.15;
/// How often srt-live-transmit may take to start.
const TRIES: u32 = 50;

struct Sent {
    lost_bytes: u64,
    repeated_bytes: u64,
    lost: Lost,
}

pub(super) fn run(receivers: &Receivers) -> Result<Vec<Row>> {
    let file = std::fs::read(footage::make(receivers.folder())?)?;
    let runtime = runtime()?;
    let mut rows = Vec::new();
    for seed in SEEDS {
        let link = Link { loss: LOSS, delay: DELAY, seed };
        let sent = runtime.block_on(send(&file, receivers.folder(), link))?;
        let ratio = sent.repeated_bytes as f64 / sent.lost_bytes as f64;
        rows.push(
            Row::new("sender", format!("to libsrt, 5 % loss, seed {seed}"), Goal::AtMost(GOAL), ratio, "resent/lost")
                .note(format!(
                    "{} kB resent, {} kB lost on the way; {} of {} TS packets missing at the listener before the last \
                     second",
                    sent.repeated_bytes / 1000,
                    sent.lost_bytes / 1000,
                    sent.lost.before_the_tail,
                    sent.lost.sent
                )),
        );
    }
    Ok(rows)
}

async fn send(file: &[u8], folder: &Path, link: Link) -> Result<Sent> {
    let out = folder.join(format!("sent-{}.ts", link.seed));
    let (mut listener, at) = Listener::start(&out)?;
    let relay = Relay::start(at, link)?;
    let caller = connect(relay.addr()).await?;
    let pause = Duration::from_nanos(PAYLOAD_BYTES as u64 * 8 * 1_000_000_000 / footage::BITS_PER_SECOND);
    let mut clock = tokio::time::interval(pause);
    for payload in file.chunks(PAYLOAD_BYTES) {
        clock.tick().await;
        caller.send(payload.to_vec().into()).await?;
    }
    caller.close(Duration::from_secs(5)).await;
    // It plays out a latency later, and ends then.
    tokio::time::sleep(LATENCY * 2).await;
    listener.end()?;
    let seen = relay.stop()?;
    let lost = Lost::find(&seen, &std::fs::read(&out)?);
    Ok(Sent { lost_bytes: seen.lost_bytes, repeated_bytes: seen.repeated_bytes, lost })
}

async fn connect(to: SocketAddr) -> Result<Caller> {
    let config = CallerConfig {
        stream_id: "bench".to_owned(),
        latency: LATENCY,
        connect_timeout: Duration::from_secs(1),
        ..CallerConfig::default()
    };
    let mut last = None;
    for _ in 0..TRIES {
        match Caller::connect(to, config.clone()).await {
            Ok(caller) => return Ok(caller),
            Err(error) => last = Some(error),
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    match last {
        Some(error) => Err(error).context("our caller to srt-live-transmit"),
        None => bail!("not tried"),
    }
}

/// srt-live-transmit, writing to a file.
struct Listener(Child);

impl Listener {
    fn start(out: &Path) -> Result<(Self, SocketAddr)> {
        // Nobody else takes a port that was free a moment ago.
        let at = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
        let child = Command::new("srt-live-transmit")
            .args(["-q", "-loglevel:fatal", &format!("srt://{at}?mode=listener"), "file://con"])
            .stdin(Stdio::null())
            .stdout(std::fs::File::create(out)?)
            .stderr(Stdio::null())
            .spawn()
            .context("srt-live-transmit is needed (srt-tools)")?;
        Ok((Self(child), at))
    }

    fn end(&mut self) -> Result<()> {
        if self.0.try_wait()?.is_none() {
            // SIGTERM would wait for the peer; what came has been written.
            self.0.kill()?;
            self.0.wait()?;
        }
        Ok(())
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.end();
    }
}
