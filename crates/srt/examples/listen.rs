//! Takes one publisher and writes its stream to standard output: `listen 127.0.0.1:8890 > stream.ts`.

#![allow(clippy::unwrap_used, reason = "an example")]

use std::io::Write;

use dashvault_srt::{Delivery, Listener, ListenerConfig, RejectReason};

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let addr = std::env::args().nth(1).expect("an address to listen at").parse().unwrap();
    let mut listener = Listener::bind(ListenerConfig { addr, ..ListenerConfig::default() }).await.unwrap();
    let mut connection = loop {
        let request = listener.next().await.unwrap();
        eprintln!("{} asks for {:?}", request.peer(), request.stream_id());
        if request.stream_id().starts_with("publish:") {
            break request.accept().await.unwrap();
        }
        request.reject(RejectReason::BadRequest);
    };
    while let Some(delivery) = connection.recv().await {
        match delivery {
            Delivery::Data(run) => std::io::stdout().write_all(&run).unwrap(),
            Delivery::Lost { packets } => eprintln!("{packets} packets lost"),
            Delivery::Closed(reason) => eprintln!("{reason}: {:#?}", connection.stats()),
        }
    }
    eprintln!("{:#?}", listener.stats());
}
