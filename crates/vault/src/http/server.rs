//! Accepting HTTP connections: how many, how slow they may be, and how they end.
//!
//! A connection costs one task and at most [`BUFFER_BYTES`]. When all are taken, further ones wait in the listen
//! queue. A header must come within its time, which also bounds idle connections.

use std::{sync::Arc, time::Duration};

use hyper::{
    Request,
    body::Incoming,
    server::conn::http1,
    service::{Service, service_fn},
};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
};
use tokio_util::task::TaskTracker;

use super::{access::client::Peer, router};
use crate::core::Core;

/// Large reads make large pieces for the disk.
const BUFFER_BYTES: usize = 512 * 1024;
const MAX_HEADERS: usize = 64;
/// Time for running requests to end when the vault stops.
const GRACE: Duration = Duration::from_secs(5);

/// Serves until the vault stops; returns when all connections have ended.
pub(crate) async fn serve(core: Arc<Core>, listener: TcpListener) {
    let service = TowerToHyperService::new(router(core.clone()));
    let room = Arc::new(Semaphore::new(core.config.limits.http_connections));
    let connections = TaskTracker::new();
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(core.config.limits.header_timeout)
        .max_buf_size(BUFFER_BYTES)
        .max_headers(MAX_HEADERS);
    while let Some((stream, peer, permit)) = next(&core, &listener, &room).await {
        let service = service.clone();
        let with_peer = service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(peer);
            service.call(request)
        });
        let connection = builder.serve_connection(TokioIo::new(stream), with_peer);
        let core = core.clone();
        connections.spawn(async move {
            core.metrics.http_connections.increment(1);
            let mut connection = std::pin::pin!(connection);
            let ended = tokio::select! {
                ended = connection.as_mut() => ended,
                () = core.stopping.cancelled() => {
                    connection.as_mut().graceful_shutdown();
                    tokio::time::timeout(GRACE, connection).await.unwrap_or(Ok(()))
                }
            };
            if let Err(error) = ended {
                tracing::debug!(%error, "connection ended badly");
            }
            core.metrics.http_connections.decrement(1);
            drop(permit);
        });
    }
    drop(listener);
    connections.close();
    connections.wait().await;
}

/// The next connection, once there is room for it; `None` when the vault stops.
async fn next(
    core: &Core,
    listener: &TcpListener,
    room: &Arc<Semaphore>,
) -> Option<(TcpStream, Peer, tokio::sync::OwnedSemaphorePermit)> {
    let accept = async {
        let permit = room.clone().acquire_owned().await.ok()?;
        loop {
            match listener.accept().await {
                Ok((stream, peer)) => {
                    let _ = stream.set_nodelay(true);
                    return Some((stream, Peer(peer), permit));
                }
                // Out of descriptors, or the peer is gone already: others may still come.
                Err(error) => {
                    tracing::warn!(%error, "connection cannot be accepted");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        }
    };
    tokio::select! {
        accepted = accept => accepted,
        () = core.stopping.cancelled() => None,
    }
}
