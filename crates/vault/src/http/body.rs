//! Reading request bodies with limits in bytes and time.

use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http_body_util::BodyExt;
use tokio::time::Instant;

use super::problem::Refusal;

/// Reads a whole small body.
pub(super) async fn collect(mut body: Body, limit: usize, within: Duration) -> Result<Vec<u8>, Refusal> {
    let deadline = Instant::now() + within;
    let mut bytes = Vec::new();
    loop {
        let frame = tokio::time::timeout_at(deadline, body.frame()).await.map_err(|_| Refusal::too_slow())?;
        let Some(frame) = frame else { return Ok(bytes) };
        let frame = frame.map_err(|error| Refusal::cut_off(error.to_string()))?;
        let Ok(data) = frame.into_data() else { continue };
        if bytes.len() + data.len() > limit {
            return Err(Refusal::too_large(limit as u64));
        }
        bytes.extend_from_slice(&data);
    }
}

/// A body that is taken piece by piece; it must go on at a least pace.
#[derive(Debug)]
pub(super) struct Pieces {
    body: Body,
    patience: Duration,
    window_end: Instant,
    in_window: u64,
}

/// What came next.
#[derive(Debug)]
pub(super) enum Piece {
    Data(Bytes),
    /// Nothing for the moment.
    Nothing,
    End,
}

/// Each window of four times the patience must bring this many bytes.
const LEAST_BYTES: u64 = 4096;

impl Pieces {
    pub(super) fn new(body: Body, patience: Duration) -> Self {
        Self { body, patience, window_end: Instant::now() + patience * 4, in_window: 0 }
    }

    /// The next bytes; [`Piece::Nothing`] when none come within `pause`.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped.
    pub(super) async fn next(&mut self, pause: Option<Duration>) -> Result<Piece, Refusal> {
        let wait = pause.unwrap_or(self.patience).min(self.patience);
        let Ok(frame) = tokio::time::timeout(wait, self.body.frame()).await else {
            return if pause.is_some() { Ok(Piece::Nothing) } else { Err(Refusal::too_slow()) };
        };
        let Some(frame) = frame else { return Ok(Piece::End) };
        let frame = frame.map_err(|error| Refusal::cut_off(error.to_string()))?;
        let Ok(data) = frame.into_data() else { return Ok(Piece::Nothing) };
        self.in_window += data.len() as u64;
        if Instant::now() >= self.window_end {
            if self.in_window < LEAST_BYTES {
                return Err(Refusal::too_slow());
            }
            (self.window_end, self.in_window) = (Instant::now() + self.patience * 4, 0);
        }
        Ok(Piece::Data(data))
    }
}
