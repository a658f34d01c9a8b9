//! Sends standard input (a TS, say) to an SRT listener, through outages: `ffmpeg … -f mpegts - | send 'srt://HOST:PORT?streamid=…'`.

#![allow(clippy::unwrap_used, reason = "an example")]

use std::time::Duration;

use bytes::Bytes;
use dashvault_srt::{CallerConfig, Line, SrtUrl, TS_PAYLOAD_BYTES, VigilConfig};
use tokio::io::AsyncReadExt;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let url: SrtUrl = std::env::args().nth(1).expect("an SRT address").parse().unwrap();
    let mut line = Line::new(&url, CallerConfig::default(), VigilConfig::default());
    let mut input = tokio::io::stdin();
    let mut payload = vec![0; TS_PAYLOAD_BYTES];
    line.connect().await.unwrap();
    while input.read_exact(&mut payload).await.is_ok() {
        if let Err(error) = line.send(Bytes::copy_from_slice(&payload)).await {
            // What comes next begins a new stream to the listener: a decoder waits for the next keyframe.
            eprintln!("{error}");
            line.connect().await.unwrap();
        }
    }
    println!("{:#?}", line.close(Duration::from_secs(3)).await);
}
