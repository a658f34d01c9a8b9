//! Our crate as a receiver: everybody is let in, everything is counted and dropped.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::Ordering;

use anyhow::Result;
use dashvault_srt::{Connection, Delivery, Listener, ListenerConfig};

use super::{received, say};

/// More than any measurement connects.
const MAX_CONNECTIONS: usize = 4096;

pub(super) fn run() -> Result<()> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(listen())
}

async fn listen() -> Result<()> {
    let config = ListenerConfig {
        addr: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        max_connections: MAX_CONNECTIONS,
        ..ListenerConfig::default()
    };
    let mut listener = Listener::bind(config).await?;
    say(&format!("ready {}", listener.local_addr().port()));
    received().answer();
    while let Some(request) = listener.next().await {
        tokio::spawn(async move {
            if let Ok(connection) = request.accept().await {
                received().connections.fetch_add(1, Ordering::Relaxed);
                count(connection).await;
            }
        });
    }
    Ok(())
}

async fn count(mut connection: Connection) {
    let received = received();
    while let Some(delivery) = connection.recv().await {
        match delivery {
            Delivery::Data(run) => received.bytes.fetch_add(run.len() as u64, Ordering::Relaxed),
            Delivery::Lost { packets } => received.lost.fetch_add(packets, Ordering::Relaxed),
            Delivery::Closed(_) => received.closed.fetch_add(1, Ordering::Relaxed),
        };
    }
}
