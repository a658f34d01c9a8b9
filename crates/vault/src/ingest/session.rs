//! One publisher's bytes, from its connection to the store.

use std::{fmt, sync::Arc};

use bytes::Bytes;
use dashvault_srt::{CloseReason, Connection, Delivery};

use super::feeders::Feeder;
use crate::{core::Core, live::LiveFeed};

/// Bytes that are handed to the store at once, where as many are there.
const BATCH_BYTES: usize = 64 * 1024;

/// Why a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// SRT ended it.
    Closed(CloseReason),
    /// Superseded, revoked, or its bytes cannot be kept.
    Dismissed,
    /// The vault stops.
    Stopping,
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed(reason) => fmt::Display::fmt(reason, f),
            Self::Dismissed => f.write_str("dismissed"),
            Self::Stopping => f.write_str("the vault is stopping"),
        }
    }
}

/// What a look at the connection gave.
enum Next {
    Data(Vec<Bytes>),
    Lost(u64),
    End(End),
}

/// Feeds the store until the publisher is gone. Everything delivered before the end is handed over.
pub(super) async fn run(core: &Core, feeder: &Arc<Feeder>, mut connection: Connection) -> End {
    let session = &feeder.session;
    let _publishing = core.memory.publishing.begin(&session.track.device, &session.track.camera);
    let live = core.live.feed(core, session).await;
    let mut queued = None;
    let end = loop {
        let next = tokio::select! {
            next = next(&mut connection, &mut queued) => next,
            () = session.over.cancelled() => Next::End(End::Dismissed),
            () = core.stopping.cancelled() => Next::End(End::Stopping),
        };
        let handed = match next {
            Next::Data(data) => {
                feeder.note_data();
                // First, so that no disk delays what is watched.
                live.data(core, &data);
                core.store.live_data(session, data).await
            }
            Next::Lost(packets) => {
                tracing::warn!(device = %session.track.device, packets, "packets are lost for good");
                live.lost();
                core.store.live_lost(session, packets).await
            }
            Next::End(end) => break end,
        };
        if handed.is_err() {
            break End::Stopping;
        }
    };
    hand_over_rest(core, feeder, &live, &mut connection, queued).await;
    drop(live);
    connection.close();
    // Fails only when the store has stopped, which ended the session already.
    let _ = core.store.live_end(session.clone()).await;
    end
}

/// What SRT has acknowledged to the publisher is kept, also when the session ends for another reason.
async fn hand_over_rest(
    core: &Core,
    feeder: &Arc<Feeder>,
    live: &LiveFeed,
    connection: &mut Connection,
    mut queued: Option<Delivery>,
) {
    loop {
        let next = tokio::select! {
            biased;
            next = next(connection, &mut queued) => next,
            () = std::future::ready(()) => return,
        };
        let handed = match next {
            Next::Data(data) => {
                live.data(core, &data);
                core.store.live_data(&feeder.session, data).await
            }
            Next::Lost(packets) => {
                live.lost();
                core.store.live_lost(&feeder.session, packets).await
            }
            Next::End(_) => return,
        };
        if handed.is_err() {
            return;
        }
    }
}

/// The next deliveries: as much data as is there, up to a batch. What follows it waits in `queued`.
///
/// It waits for the first delivery only, so that a dropped future loses nothing.
async fn next(connection: &mut Connection, queued: &mut Option<Delivery>) -> Next {
    let first = match queued.take() {
        Some(delivery) => Some(delivery),
        None => connection.recv().await,
    };
    let mut data = match first {
        Some(Delivery::Data(bytes)) => vec![bytes],
        Some(Delivery::Lost { packets }) => return Next::Lost(packets),
        Some(Delivery::Closed(reason)) => return Next::End(End::Closed(reason)),
        None => return Next::End(End::Closed(CloseReason::Stopped)),
    };
    let mut gathered: usize = data.iter().map(Bytes::len).sum();
    while gathered < BATCH_BYTES {
        let more = tokio::select! {
            biased;
            more = connection.recv() => more,
            () = std::future::ready(()) => break,
        };
        match more {
            Some(Delivery::Data(bytes)) => {
                gathered += bytes.len();
                data.push(bytes);
            }
            Some(other) => {
                *queued = Some(other);
                break;
            }
            None => break,
        }
    }
    Next::Data(data)
}
