//! Sends standard input (a TS, say) to an SRT listener: `ffmpeg … -f mpegts - | send 'srt://HOST:PORT?streamid=…'`.

#![allow(clippy::unwrap_used, reason = "an example")]

use std::time::Duration;

use bytes::Bytes;
use dashvault_srt::{Caller, CallerConfig, SrtUrl, TS_PAYLOAD_BYTES};
use tokio::io::AsyncReadExt;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let url: SrtUrl = std::env::args().nth(1).expect("an SRT address").parse().unwrap();
    let caller = Caller::connect_url(&url, CallerConfig::default()).await.unwrap();
    let mut input = tokio::io::stdin();
    let mut payload = vec![0; TS_PAYLOAD_BYTES];
    while input.read_exact(&mut payload).await.is_ok() {
        if let Err(error) = caller.send(Bytes::copy_from_slice(&payload)).await {
            eprintln!("{error}");
            break;
        }
    }
    println!("{:#?}", caller.close(Duration::from_secs(3)).await);
}
