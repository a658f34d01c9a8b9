//! Takes publishers and forwards each to another SRT address, under its own stream id:
//! `relay 0.0.0.0:8890 'srt://example.org:9000?latency=2000'`.

#![allow(clippy::unwrap_used, reason = "an example")]

use std::time::Duration;

use bytes::Bytes;
use dashvault_srt::{
    Caller, CallerConfig, Connection, Delivery, Listener, ListenerConfig, SrtUrl, TS_PAYLOAD_BYTES,
};

/// What goes on is given up when it is this old.
const TOO_LATE: Duration = Duration::from_secs(10);

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let mut arguments = std::env::args().skip(1);
    let addr = arguments.next().expect("an address to listen at").parse().unwrap();
    let target: SrtUrl = arguments.next().expect("an SRT address to forward to").parse().unwrap();
    let mut listener = Listener::bind(ListenerConfig { addr, ..ListenerConfig::default() }).await.unwrap();
    while let Some(request) = listener.next().await {
        let target = target.clone();
        tokio::spawn(async move {
            let peer = request.peer();
            let target = SrtUrl { stream_id: Some(request.stream_id().to_owned()), ..target };
            // A publisher is taken only when its stream has somewhere to go.
            let config = CallerConfig { too_late: Some(TOO_LATE), ..CallerConfig::default() };
            let caller = match Caller::connect_url(&target, config).await {
                Ok(caller) => caller,
                Err(error) => return eprintln!("{peer}: {error}"),
            };
            match request.accept().await {
                Ok(connection) => forward(connection, caller).await,
                Err(error) => eprintln!("{peer}: {error}"),
            }
        });
    }
}

/// Until one of them ends.
async fn forward(mut connection: Connection, caller: Caller) {
    let peer = connection.peer();
    while let Some(delivery) = connection.recv().await {
        match delivery {
            Delivery::Data(run) => {
                if let Err(error) = send(&caller, run).await {
                    return eprintln!("{peer}: {error}");
                }
            }
            Delivery::Lost { packets } => {
                eprintln!("{peer}: {packets} packets lost: {:?}", connection.lost_range());
            }
            Delivery::Closed(reason) => eprintln!("{peer}: {reason}"),
        }
    }
    eprintln!("{peer}: {:#?}", caller.close(Duration::from_secs(5)).await);
}

/// A run is one or more payloads; where their borders were does not matter to a transport stream.
async fn send(caller: &Caller, mut run: Bytes) -> Result<(), dashvault_srt::SendError> {
    while !run.is_empty() {
        caller.send(run.split_to(TS_PAYLOAD_BYTES.min(run.len()))).await?;
    }
    Ok(())
}
