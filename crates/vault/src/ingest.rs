//! SRT publishers: who may publish what, and the way of their bytes into the store.
//!
//! Tasks: one that takes requests; one for each request and then its session. Belongs here: admission, sessions, one
//! recording having one feeder. Does not: SRT itself, cutting, files.

use std::{net::SocketAddr, sync::Arc};

use dashvault_srt::{Listener, Request};
use tokio_util::task::TaskTracker;

use crate::core::Core;

mod admission;
mod feeders;
mod session;

use admission::Refused;
use feeders::Feeders;

/// Takes publishers until the vault stops; returns when all sessions have ended.
pub(crate) async fn run(core: Arc<Core>, mut listener: Listener) {
    let feeders = Arc::new(Feeders::default());
    let sessions = TaskTracker::new();
    loop {
        let request = tokio::select! {
            request = listener.next() => request,
            () = core.stopping.cancelled() => None,
        };
        let Some(request) = request else { break };
        sessions.spawn(serve(core.clone(), feeders.clone(), request));
    }
    sessions.close();
    sessions.wait().await;
}

/// One publisher, from its request to its end.
async fn serve(core: Arc<Core>, feeders: Arc<Feeders>, request: Request) {
    let (peer, encrypted) = (request.peer(), request.encrypted());
    let admitted = match admission::admit(&core, &feeders, &request).await {
        Ok(admitted) => admitted,
        Err(refused) => {
            report(&core, peer, &refused);
            request.reject(refused.reason);
            return;
        }
    };
    let connection = match request.accept().await {
        Ok(connection) => connection,
        Err(error) => {
            tracing::warn!(%peer, %error, "publisher is refused");
            core.metrics.refused("srt", "handshake");
            return;
        }
    };
    let feeder = match admission::enter(&core, &feeders, admitted).await {
        Ok(feeder) => feeder,
        Err(refused) => {
            report(&core, peer, &refused);
            connection.close();
            return;
        }
    };
    let session = &feeder.session;
    let (track, recording) = (&session.track, session.recording);
    let (device, camera) = (&track.device, &track.camera);
    tracing::info!(%peer, %device, %camera, %recording, kind = ?session.kind, encrypted, "publisher begins");
    core.metrics.srt_connections.increment(1);
    let end = session::run(&core, &feeder, connection).await;
    core.metrics.srt_connections.decrement(1);
    tracing::info!(%peer, %device, %camera, %recording, %end, "publisher ends");
    feeders.leave(&feeder);
}

fn report(core: &Core, peer: SocketAddr, refused: &Refused) {
    let (stream, status) = (&refused.shown, refused.reason.status());
    tracing::warn!(%peer, stream, status, reason = %refused.why, "publisher is refused");
    core.metrics.refused("srt", refused.code);
}
