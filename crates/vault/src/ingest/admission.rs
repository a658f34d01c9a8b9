//! Whether a publisher is let in, and with which code it is turned away.

use std::sync::Arc;

use dashvault_srt::{RejectReason, Request};
use dashvault_wire::{Credential, StreamId, StreamIdError};

use super::feeders::{Fed, Feeder, Feeders};
use crate::{
    archive::index::{DeviceRow, IndexError, RecordingKind},
    auth::{self, AuthError},
    core::Core,
    store::{ReadError, SessionHandle, SessionKind, StoreError, Track},
};

/// A publisher that is turned away.
#[derive(Debug)]
pub(super) struct Refused {
    pub(super) reason: RejectReason,
    /// For the metrics: one of a fixed set.
    pub(super) code: &'static str,
    /// For the log: the stream id without secrets.
    pub(super) shown: String,
    pub(super) why: Why,
}

#[derive(Debug, thiserror::Error)]
pub(super) enum Why {
    #[error(transparent)]
    StreamId(#[from] StreamIdError),
    #[error(transparent)]
    Auth(#[from] AuthError),
    #[error(transparent)]
    Fed(#[from] Fed),
    #[error("this recording is {0}; a publisher of the other kind cannot go on with it")]
    OtherKind(RecordingKind),
    #[error("the device has as many cameras as it may have")]
    TooManyCameras,
    #[error(transparent)]
    Index(#[from] IndexError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the disk is almost full")]
    NoRoom,
    #[error(transparent)]
    Read(#[from] ReadError),
}

/// A publisher that may come in.
#[derive(Debug)]
pub(super) struct Admitted {
    session: SessionHandle,
    shown: String,
}

/// Checks everything that can be checked before the handshake ends (the passphrase is checked after it).
pub(super) async fn admit(core: &Core, feeders: &Feeders, request: &Request) -> Result<Admitted, Refused> {
    let text = request.stream_id();
    let id = StreamId::parse(text).map_err(|error| refuse(error.into(), without_secrets(text)))?;
    let shown = format!("{id:?}");
    match check(core, feeders, &id).await {
        Ok(session) => Ok(Admitted { session, shown }),
        Err(why) => Err(refuse(why, shown)),
    }
}

/// Makes an admitted publisher, whose connection stands, the feeder of its recording.
pub(super) async fn enter(
    core: &Core,
    feeders: &Feeders,
    admitted: Admitted,
) -> Result<Arc<Feeder>, Refused> {
    let Admitted { session, shown } = admitted;
    let entered = feeders.enter(session, core.config.limits.plain_takeover);
    let feeder = entered.map_err(|fed| refuse(fed.into(), shown.clone()))?;
    match core.store.live_begin(feeder.session.clone()).await {
        Ok(()) => Ok(feeder),
        Err(error) => {
            feeders.leave(&feeder);
            Err(refuse(error.into(), shown))
        }
    }
}

async fn check(core: &Core, feeders: &Feeders, id: &StreamId) -> Result<SessionHandle, Why> {
    auth::publisher(&core.index, id, core.config.allow_anonymous).await?;
    if id.credential == Credential::Anonymous {
        core.index.add_device(&stranger(core, id)).await?;
    }
    let free = core.reads.free_bytes(core.disk.clone(), core.config.data.clone()).await?;
    if free.is_some_and(|free| free < core.config.limits.reserve_bytes) {
        return Err(Why::NoRoom);
    }
    core.touch(&id.device).await?;
    let (kind, wanted) = match id.credential {
        Credential::Proof(_) => (SessionKind::Announced, RecordingKind::Announced),
        _ => (SessionKind::Plain, RecordingKind::Plain),
    };
    match core.claim(&id.device, &id.camera, id.recording, wanted).await? {
        Some(kind) if kind == wanted => {}
        Some(other) => return Err(Why::OtherKind(other)),
        None => return Err(Why::TooManyCameras),
    }
    let session = SessionHandle {
        id: core.next_session(),
        track: Track { device: id.device.clone(), camera: id.camera.clone() },
        recording: id.recording,
        kind,
        over: core.gates.enter(&id.device),
    };
    feeders.check(&session, core.config.limits.plain_takeover)?;
    Ok(session)
}

/// A device that is known only because it published.
fn stranger(core: &Core, id: &StreamId) -> DeviceRow {
    DeviceRow {
        id: id.device.clone(),
        bearer_hash: None,
        live_key: None,
        public_key: None,
        created: core.clock.wall(),
        revoked: None,
        last_seen: None,
    }
}

/// What may be shown of a text that does not parse: credentials come after the path.
fn without_secrets(text: &str) -> String {
    let path = match text.strip_prefix("#!::") {
        Some(_) => "#!::…".to_owned(),
        None => text.splitn(3, ':').take(2).collect::<Vec<_>>().join(":"),
    };
    path.chars().filter(|c| !c.is_control()).take(80).collect()
}

fn refuse(why: Why, shown: String) -> Refused {
    let (reason, code) = match &why {
        Why::StreamId(StreamIdError::Mode(_)) => (RejectReason::BadMode, "bad-mode"),
        Why::StreamId(_) => (RejectReason::BadRequest, "bad-stream-id"),
        Why::Auth(AuthError::Missing | AuthError::Wrong) => (RejectReason::Unauthorized, "unauthorized"),
        Why::Auth(AuthError::Revoked(_)) => (RejectReason::Forbidden, "revoked"),
        Why::Auth(AuthError::OtherDevice(_) | AuthError::NeedsCredentials(_)) | Why::TooManyCameras => {
            (RejectReason::Forbidden, "forbidden")
        }
        Why::Fed(_) | Why::OtherKind(_) => (RejectReason::Conflict, "conflict"),
        Why::NoRoom => (RejectReason::Http(507), "disk-full"),
        Why::Store(error) if error.is_full() => (RejectReason::Http(507), "disk-full"),
        Why::Auth(AuthError::Index(_)) | Why::Index(_) | Why::Store(_) | Why::Read(_) => {
            (RejectReason::Unavailable, "unavailable")
        }
    };
    Refused { reason, code, shown, why }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_logged_of_a_broken_stream_id_has_no_credentials() {
        for text in [
            "publish:bus/20261122:bus:secret",
            "publish::bus:secret",
            "#!::m=publish,r=x,u=bus,s=secret",
            "publish:bus/x:secret",
        ] {
            assert!(!without_secrets(text).contains("secret"), "{text}");
        }
        assert_eq!(without_secrets("publish:bus/x:u:p"), "publish:bus/x");
    }
}
