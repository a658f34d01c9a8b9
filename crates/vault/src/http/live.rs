//! `GET /live/<device>/<camera>/…`: a camera's LL-HLS playlist, its segments and parts, from memory.
//!
//! Belongs here: delivery directives (RFC 8216bis §6.2.5), caching. Does not: what a playlist says (`crate::live`).

use std::{
    collections::VecDeque,
    convert::Infallible,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    body::{Body, HttpBody},
    extract::{Path, Query, State},
    http::header,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use dashvault_base::{CameraName, DeviceId};
use hyper::body::{Frame, SizeHint};
use serde::Deserialize;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    access::{Act, VIEW, Viewer},
    problem::Refusal,
};
use crate::{
    core::Core,
    live::{HOLD, LiveTrack},
};

/// How long the first part of a camera that has just come up is waited for.
const FIRST_PART: Duration = Duration::from_secs(3);
/// A player may ask this far ahead of the last segment (§6.2.5.2).
const AHEAD: u64 = 2;

pub(super) fn routes() -> OpenApiRouter<Arc<Core>> {
    OpenApiRouter::new().routes(routes!(playlist)).routes(routes!(media))
}

/// What a player asks of a playlist.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Directives {
    /// Answer when the playlist has this segment, at the latest after 6 s.
    #[serde(rename = "_HLS_msn")]
    #[param(rename = "_HLS_msn")]
    number: Option<u64>,
    /// … or this part of it.
    #[serde(rename = "_HLS_part")]
    #[param(rename = "_HLS_part")]
    part: Option<usize>,
    /// `YES`: leave out what is older than the skip boundary.
    #[serde(rename = "_HLS_skip")]
    #[param(rename = "_HLS_skip")]
    skip: Option<String>,
}

/// A camera's live playlist: one for ever, through reconnects, recordings and restarts.
#[utoipa::path(
    get,
    path = "/live/{device}/{camera}/index.m3u8",
    tag = "live",
    params(
        ("device" = String, Path, description = "Device id"),
        ("camera" = String, Path, description = "Camera name"),
        Directives,
    ),
    responses(
        (status = 200, description = "LL-HLS media playlist (RFC 8216bis)", content_type = "application/vnd.apple.mpegurl"),
        (status = 400, description = "A segment too far ahead"),
        (status = 404, description = "No such camera"),
    ),
    extensions(("x-role" = json!("viewer"))),
)]
pub(super) async fn playlist(
    State(core): State<Arc<Core>>,
    Viewer(caller): Viewer,
    Path((device, camera)): Path<(String, String)>,
    Query(asked): Query<Directives>,
) -> Result<Response, Refusal> {
    let (device, camera) = caller.camera(&device, &camera)?;
    let track = track(&core, &device, &camera).await?;
    core.audit(&caller, Act { detail: "live".to_owned(), ..Act::on(VIEW, &device, &camera) });
    let (is_empty, edge) = {
        let mut state = track.lock();
        state.view(core.now());
        (state.is_empty() && state.is_fed(), state.edge())
    };
    match (asked.number, asked.part) {
        (Some(number), _) if number > edge.number + AHEAD => {
            return Err(Refusal::malformed(format!("segment {number} is too far ahead of {}", edge.number)));
        }
        (Some(number), part) => {
            // Who waits longer gets what there is: players take an error for the end.
            track.wait(&core, HOLD, |state| state.has(number, part).then_some(())).await;
        }
        (None, Some(_)) => return Err(Refusal::malformed("_HLS_part without _HLS_msn")),
        (None, None) if is_empty => {
            track.wait(&core, FIRST_PART, |state| (!state.is_empty()).then_some(())).await;
        }
        (None, None) => {}
    }
    let text = {
        let mut state = track.lock();
        state.wait_visibly(core.now());
        state.text(matches!(asked.skip.as_deref(), Some("YES" | "v2")))
    };
    let headers =
        [(header::CONTENT_TYPE, "application/vnd.apple.mpegurl"), (header::CACHE_CONTROL, "no-cache")];
    Ok((headers, text).into_response())
}

/// A live segment, or one of its parts.
#[utoipa::path(
    get,
    path = "/live/{device}/{camera}/{file}",
    tag = "live",
    params(
        ("device" = String, Path, description = "Device id"),
        ("camera" = String, Path, description = "Camera name"),
        ("file" = String, Path, description = "`<segment>.ts` or `<segment>.<part>.ts`, as the playlist names them"),
    ),
    responses(
        (status = 200, description = "MPEG-TS, as it was received", content_type = "video/mp2t"),
        (status = 404, description = "Gone, or not there yet"),
    ),
    extensions(("x-role" = json!("viewer"))),
)]
pub(super) async fn media(
    State(core): State<Arc<Core>>,
    Viewer(caller): Viewer,
    Path((device, camera, file)): Path<(String, String, String)>,
) -> Result<Response, Refusal> {
    let gone = || Refusal::not_found("live segment");
    let (device, camera) = caller.camera(&device, &camera)?;
    let (number, part) = parse_name(&file).ok_or_else(gone)?;
    let track = core.live.find(&device, &camera).ok_or_else(gone)?;
    track.lock().view(core.now());
    let found = |state: &mut crate::live::Track| match part {
        Some(part) => state.part(number, part).map(|bytes| vec![bytes]),
        None => state.segment(number),
    };
    // What the playlist promises next is waited for; everything else is there or is not.
    let pieces = track.wait(&core, HOLD, |state| {
        let edge = state.edge();
        let is_next = number == edge.number && part.is_none_or(|part| part == edge.parts);
        found(state).map(Some).or_else(|| (!is_next).then_some(None))
    });
    let pieces = pieces.await.flatten().ok_or_else(gone)?;
    let headers =
        [(header::CONTENT_TYPE, "video/mp2t"), (header::CACHE_CONTROL, "private, max-age=60, immutable")];
    Ok((headers, Body::new(Pieces(pieces.into()))).into_response())
}

/// The track of a camera that is known: it has recorded, or does now.
async fn track(core: &Core, device: &DeviceId, camera: &CameraName) -> Result<Arc<LiveTrack>, Refusal> {
    if core.live.find(device, camera).is_none() && !core.index.cameras(device).await?.contains(camera) {
        return Err(Refusal::not_found("camera"));
    }
    Ok(core.live.open(core, device, camera).await?)
}

fn parse_name(file: &str) -> Option<(u64, Option<usize>)> {
    let name = file.strip_suffix(".ts")?;
    Some(match name.split_once('.') {
        Some((number, part)) => (number.parse().ok()?, Some(part.parse().ok()?)),
        None => (name.parse().ok()?, None),
    })
}

/// Shared bytes, one after the other.
struct Pieces(VecDeque<Bytes>);

impl HttpBody for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.pop_front().map(|piece| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0.iter().map(|piece| piece.len() as u64).sum())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_playlists_write_them() {
        assert_eq!(parse_name("1795000000.ts"), Some((1_795_000_000, None)));
        assert_eq!(parse_name("7.12.ts"), Some((7, Some(12))));
        for wrong in ["7", "7.ts.ts", ".ts", "7.1.2.ts", "-7.ts", "7.mp4", "index.m3u8"] {
            assert_eq!(parse_name(wrong), None, "{wrong}");
        }
    }
}
