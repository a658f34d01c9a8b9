//! Our sender, as fast as it goes: `push ADDR`.

use std::io::BufRead;
use std::sync::Arc;

use anyhow::{Context, Result};
use bytes::Bytes;
use dashvault_srt::{Caller, CallerConfig};

use super::say;
use crate::wire;

/// No ceiling that a loopback reaches.
const BANDWIDTH: u64 = 1_000_000_000;

pub(super) fn run(arguments: &[String]) -> Result<()> {
    let peer = arguments.first().context("push ADDR")?.parse()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let config = CallerConfig {
            stream_id: "bench".to_owned(),
            bandwidth_bytes_per_second: BANDWIDTH,
            max_buffer_bytes: 64 << 20,
            ..CallerConfig::default()
        };
        let caller = Arc::new(Caller::connect(peer, config).await?);
        say("ready 1");
        answer(Arc::clone(&caller));
        let payload = Bytes::from(wire::null_payload());
        loop {
            caller.send(payload.clone()).await?;
        }
    })
}

fn answer(caller: Arc<Caller>) {
    std::thread::spawn(move || {
        for _ in std::io::stdin().lock().lines().map_while(Result::ok) {
            let stats = caller.stats();
            say(&format!(
                "acked={} sent={} retransmitted={} naks={}",
                stats.acked_bytes, stats.sent_bytes, stats.retransmitted_bytes, stats.naks
            ));
        }
        std::process::exit(0);
    });
}
