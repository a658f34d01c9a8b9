//! Live sessions, on their camera's store thread.

use std::sync::Arc;

use bytes::Bytes;

use super::{Shard, report};
use crate::{
    assembler::camera::Outcome,
    plain::{PlainOutcome, Timing},
    store::{SessionHandle, SessionKind, StoreError},
};

impl Shard {
    pub(super) fn live_begin(&mut self, session: &Arc<SessionHandle>) -> Result<(), StoreError> {
        match session.kind {
            SessionKind::Announced | SessionKind::Import(_) if self.is_short => return Err(StoreError::Full),
            SessionKind::Announced => {
                self.announced(&session.track)?.live_begin(session.id, session.recording)?;
            }
            SessionKind::Plain | SessionKind::Import(_) => {
                let timing = match session.kind {
                    SessionKind::Import(start) => Timing::Media(start),
                    _ => Timing::Arrival,
                };
                let mut outcome = PlainOutcome::default();
                let camera = self.plain(&session.track)?;
                let begun = camera.begin(session.id, session.recording, timing, &mut outcome);
                self.take_plain(session, outcome);
                begun?;
            }
        }
        self.sessions.insert(session.id, session.clone());
        Ok(())
    }

    pub(super) fn live_data(&mut self, session: &Arc<SessionHandle>, data: &[Bytes]) {
        if !self.sessions.contains_key(&session.id) {
            return;
        }
        for piece in data {
            let way = match session.kind {
                SessionKind::Announced => &self.context.metrics.live,
                SessionKind::Plain => &self.context.metrics.plain,
                SessionKind::Import(_) => &self.context.metrics.imported,
            };
            way.received_bytes.increment(piece.len() as u64);
            if let Err(error) = self.live_piece(session, piece) {
                report("live session ends: its bytes cannot be kept", &session.id.to_string(), &error);
                session.over.cancel();
                self.live_end(session);
                return;
            }
        }
    }

    fn live_piece(&mut self, session: &Arc<SessionHandle>, piece: &Bytes) -> Result<(), StoreError> {
        match session.kind {
            SessionKind::Announced => {
                let mut outcome = Outcome::default();
                let taken = self.announced(&session.track)?.live_data(session.id, piece, &mut outcome);
                self.take(outcome);
                Ok(taken?)
            }
            SessionKind::Plain | SessionKind::Import(_) => {
                let mut outcome = PlainOutcome::default();
                let taken = self.plain(&session.track)?.data(session.id, piece, &mut outcome);
                self.take_plain(session, outcome);
                Ok(taken?)
            }
        }
    }

    pub(super) fn live_lost(&mut self, session: &Arc<SessionHandle>, packets: u64) {
        self.context.metrics.srt_lost_packets.increment(packets);
        match session.kind {
            SessionKind::Announced => {
                if let Some(used) = self.announced.get_mut(&session.track) {
                    used.camera.live_gap(session.id);
                }
            }
            SessionKind::Plain | SessionKind::Import(_) => {
                if let Some(used) = self.plain.get_mut(&session.track) {
                    used.camera.lost(session.id, packets);
                }
            }
        }
    }

    pub(super) fn live_end(&mut self, session: &Arc<SessionHandle>) {
        if self.sessions.remove(&session.id).is_none() {
            return;
        }
        let ended: Result<(), StoreError> = match session.kind {
            SessionKind::Announced => {
                let mut outcome = Outcome::default();
                let camera = self.announced.get_mut(&session.track);
                let ended = camera.map_or(Ok(()), |used| used.camera.live_end(session.id, &mut outcome));
                self.take(outcome);
                ended.map_err(Into::into)
            }
            SessionKind::Plain | SessionKind::Import(_) => {
                let mut outcome = PlainOutcome::default();
                let camera = self.plain.get_mut(&session.track);
                let ended = camera.map_or(Ok(()), |used| used.camera.end(session.id, &mut outcome));
                self.take_plain(session, outcome);
                ended.map_err(Into::into)
            }
        };
        if let Err(error) = ended {
            report("live session's end cannot be kept", &session.id.to_string(), &error);
        }
    }

    fn take_plain(&mut self, session: &SessionHandle, outcome: PlainOutcome) {
        let is_import = matches!(session.kind, SessionKind::Import(_));
        let metrics = &self.context.metrics;
        let way = if is_import { &metrics.imported } else { &metrics.plain };
        outcome.segments.iter().for_each(|bytes| way.segment(*bytes));
        self.enqueue(outcome.complete);
        // Of an import the original is still there, and is taken up again.
        if outcome.losses.is_empty() || is_import {
            return;
        }
        let now = self.context.archive.clock.wall();
        let asked = self.context.index.add_losses(&session.track.device, &outcome.losses, now);
        match self.context.runtime.block_on(asked) {
            Ok(new) => {
                for loss in new {
                    self.context.metrics.lost(loss.cause, loss.lost_ms);
                    let (device, camera) = (&session.track.device, &loss.camera);
                    tracing::warn!(%device, %camera, lost_ms = loss.lost_ms, cause = %loss.cause, "footage is lost");
                }
            }
            Err(error) => report("loss cannot be noted", session.track.device.as_str(), &error),
        }
    }
}
